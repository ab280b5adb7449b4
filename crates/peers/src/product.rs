//! The product itself as its users have it: the server as a process of its own, spoken to by HTTP alone.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
pub use reqwest::{Method, StatusCode};
use serde_json::Value;

/// A running `dealwright-server`; dropping it kills it, without a chance to tidy up.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://…` without a path.
    pub url: String,
}

impl Server {
    /// Starts `program` (the server's binary, or what becomes it) on `listen` and waits until it takes connections. Its
    /// log goes where `program` says, by default to where this process's errors go.
    ///
    /// # Errors
    /// When it does not start, ends at once, or takes no connection within a minute.
    pub fn start(
        program: Command,
        listen: SocketAddr,
        database: &str,
        data: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut server = Self::launch(program, listen, database, data, arguments)?;
        server.await_ready()?;
        Ok(server)
    }

    /// The same without waiting for anything: it may be killed before it is ready.
    ///
    /// # Errors
    /// When it does not start.
    pub fn launch(
        mut program: Command,
        listen: SocketAddr,
        database: &str,
        data: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        program
            // Metrics are on, as they are by default, at an address that is nobody else's.
            .args([
                "--listen",
                &listen.to_string(),
                "--database",
                database,
                "--metrics-listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data)
            .args(arguments);
        let child = program.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("start the server")?;
        Ok(Self { child, url: format!("http://{listen}") })
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// When it ends first, or takes none within a minute.
    pub fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if std::net::TcpStream::connect(self.url.trim_start_matches("http://")).is_ok() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server is not ready after a minute");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the server ends by itself (or is interrupted together with this process).
    ///
    /// # Errors
    /// When it ends with a failure.
    pub fn wait(mut self) -> Result<()> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended: {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the server's HTTP interface.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::blocking::Client,
    url: String,
    token: Option<String>,
}

impl Api {
    /// A client that nobody has signed in.
    pub fn new(url: &str) -> Self {
        // reqwest wants a TLS provider even where nobody speaks TLS; a second installation of one is refused, and fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::blocking::Client::new(), url: url.to_owned(), token: None }
    }

    /// Sends every further call with this access token.
    pub fn sign_in(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// The access token.
    ///
    /// # Errors
    /// When nobody is signed in.
    pub fn token(&self) -> Result<&str> {
        self.token.as_deref().context("nobody is signed in")
    }

    /// Reads.
    ///
    /// # Errors
    /// When the answer is not 200 with JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None, StatusCode::OK)
    }

    /// Creates, or asks for something.
    ///
    /// # Errors
    /// When the answer has another status than `expected`.
    pub fn post(&self, path: &str, body: Value, expected: StatusCode) -> Result<Value> {
        self.call(Method::POST, path, Some(body), expected)
    }

    /// Changes.
    ///
    /// # Errors
    /// When the answer is not 200 with JSON.
    pub fn patch(&self, path: &str, body: Value) -> Result<Value> {
        self.call(Method::PATCH, path, Some(body), StatusCode::OK)
    }

    /// Asks once with an idempotency key, and tells whatever is answered: to ask again with the same key is safe.
    ///
    /// # Errors
    /// When there is no answer, or none of JSON.
    pub fn try_once(&self, method: Method, path: &str, body: &Value, key: &str) -> Result<(StatusCode, Value)> {
        let request = self.http.request(method, format!("{}{path}", self.url)).header("Idempotency-Key", key);
        let answer = request.bearer_auth(self.token()?).json(body).send()?;
        Ok((answer.status(), answer.json()?))
    }

    fn call(&self, method: Method, path: &str, body: Option<Value>, expected: StatusCode) -> Result<Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().with_context(|| format!("{method} {path}"))?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status == expected, "{method} {path} answered {status}, not {expected}: {text}");
        if text.is_empty() {
            Ok(Value::Null)
        } else {
            serde_json::from_str(&text).with_context(|| format!("{method} {path} answered no JSON: {text}"))
        }
    }
}

/// Asks until the answer is the wanted one; at most half a minute.
///
/// # Errors
/// When `ask` fails, or when `what` is not seen in time.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "not seen within 30 seconds: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
