//! A Redis of one's own: in memory alone, with a password, as anybody's should have one.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{
    install,
    ports::{self, Port},
    process::{Folder, Launch, Server},
};

const PASSWORD: &str = "redis";

/// A Redis server, ended when dropped and when the process dies.
#[derive(Debug)]
pub struct Redis {
    server: Mutex<Option<Server>>,
    port: Port,
    folder: Folder,
}

impl Redis {
    /// Starts a server on a free port.
    ///
    /// # Errors
    /// When Redis is missing and cannot be installed, or does not start.
    pub fn start() -> Result<Self> {
        install::redis()?;
        let redis = Self { server: Mutex::new(None), port: ports::free()?, folder: Folder::new("redis")? };
        redis.start_again()?;
        Ok(redis)
    }

    /// Starts it after [`Redis::stop`], empty.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_again(&self) -> Result<()> {
        let port = self.port.number.to_string();
        let words = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut command = vec![install::REDIS.to_owned()];
        command.extend(words.iter().map(|word| (*word).to_owned()));
        command.extend(["--requirepass".to_owned(), PASSWORD.to_owned()]);
        let launch = Launch { name: "redis", command, user: None, signal: "KILL", folder: &self.folder };
        let mut server = Server::start(launch)?;
        server.wait_until(|| self.ping().is_ok())?;
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server);
        Ok(())
    }

    /// Ends the server; its address stays its own.
    pub fn stop(&self) {
        drop(self.server.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// `redis://:PASSWORD@127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port.number)
    }

    fn ping(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("AUTH {PASSWORD}\r\nPING\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.contains("+PONG"), "Redis answers {answer:?}");
        Ok(())
    }
}
