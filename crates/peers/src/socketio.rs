//! Socket.IO's own clients, in Node and in Python: each a small script that prints what it hears, one JSON object a
//! line (`{"event": …, "data": …}`), until its input ends.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{install, machine};

const NODE_SCRIPT: &str = include_str!("../clients/socketio.mjs");
const PYTHON_SCRIPT: &str = include_str!("../clients/socketio.py");

/// How a client may connect; without one it begins with polling and goes over to a web socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// HTTP long polling only.
    Polling,
    /// A web socket from the first request.
    Websocket,
}

/// A client program: `INTERPRETER SCRIPT URL TOKEN [room…] [--transport polling|websocket]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketIoClient {
    /// The program that runs the script.
    pub interpreter: PathBuf,
    /// The script, beside the packages it needs.
    pub script: PathBuf,
}

impl SocketIoClient {
    /// The JavaScript client.
    ///
    /// # Errors
    /// When its packages are missing and cannot be installed.
    pub fn node() -> Result<Self> {
        let script = install::node::folder()?.join("socketio.mjs");
        keep(&script, NODE_SCRIPT)?;
        Ok(Self { interpreter: "node".into(), script })
    }

    /// The Python client.
    ///
    /// # Errors
    /// When its packages are missing and cannot be installed.
    pub fn python() -> Result<Self> {
        let environment = install::python::environment()?;
        let script = environment.join("socketio.py");
        keep(&script, PYTHON_SCRIPT)?;
        Ok(Self { interpreter: environment.join("bin/python"), script })
    }

    /// Connects to `url` with `token` in the handshake, subscribes to `rooms`, and listens until dropped.
    ///
    /// # Errors
    /// When the interpreter does not start.
    pub fn listen(&self, url: &str, token: &str, rooms: &[&str], transport: Option<Transport>) -> Result<Heard> {
        let mut client = Command::new(&self.interpreter);
        client.arg(&self.script).args([url, token]).args(rooms);
        match transport {
            Some(Transport::Polling) => client.args(["--transport", "polling"]),
            Some(Transport::Websocket) => client.args(["--transport", "websocket"]),
            None => &mut client,
        };
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start the client")?;
        let output = client.stdout.take().context("the client has no output")?;
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let printed = BufReader::new(output).lines().map_while(Result::ok);
            printed.take_while(|line| send.send(line.clone()).is_ok()).for_each(drop);
        });
        Ok(Heard { client, lines })
    }
}

/// A connected client; dropping it hangs up.
#[derive(Debug)]
pub struct Heard {
    client: Child,
    lines: Receiver<String>,
}

impl Heard {
    /// The next line for which `wanted` says yes, passing over the others.
    ///
    /// # Errors
    /// When the client ends, or no such line comes within 30 seconds; the error shows the lines passed over.
    pub fn await_line(&self, mut wanted: impl FnMut(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut passed = Vec::new();
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if wanted(&line) => return Ok(line),
                Ok(line) => passed.push(line),
                Err(RecvTimeoutError::Timeout) => bail!("heard nothing of the kind in 30 seconds, only {passed:#?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the client has ended after {passed:#?}"),
            }
        }
    }

    /// Sends an event with a JSON text as its data; the answer is heard as `{"event": "acknowledged", "of": …, "ack": …}`.
    ///
    /// # Errors
    /// When the client has ended.
    pub fn say(&self, event: &str, data: &str) -> Result<()> {
        let mut input = self.client.stdin.as_ref().context("the client has no input")?;
        writeln!(input, "{{\"emit\": \"{event}\", \"data\": {data}}}").context("tell the client what to send")
    }

    /// The lines that have come since, without waiting.
    pub fn so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        drop(self.client.stdin.take());
        let _ = self.client.wait();
    }
}

/// Puts `text` at `path` unless it is there; another process never sees half of it.
pub(crate) fn keep(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let new = path.with_extension(machine::random_hex::<4>()?);
    fs::write(&new, text)?;
    fs::rename(&new, path).with_context(|| format!("write {}", path.display()))
}
