//! An object store that speaks S3 (moto): in memory, any credentials, but requests must be signed like anywhere else.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    install,
    ports::{self, Port},
    process::{Folder, Launch, Server},
};

/// An S3 server, ended when dropped and when the process dies.
#[derive(Debug)]
pub struct S3 {
    endpoint: String,
    /// Nothing when another process runs the server.
    own: Option<(Server, Port, Folder)>,
}

impl S3 {
    /// The region of every bucket.
    pub const REGION: &str = "us-east-1";
    /// An access key that works; so does any other.
    pub const ACCESS_KEY: &str = "test";
    /// Its secret; no signature is checked.
    pub const SECRET_KEY: &str = "test";

    /// Starts a server with the bucket `media` on a free port.
    ///
    /// # Errors
    /// When its Python packages are missing and cannot be installed, or it does not start.
    pub fn start() -> Result<Self> {
        let program = install::python::environment()?.join("bin/moto_server").display().to_string();
        let folder = Folder::new("s3")?;
        let port = ports::free()?;
        let endpoint = format!("http://127.0.0.1:{}", port.number);
        let command = vec![program, "-H".into(), "127.0.0.1".into(), "-p".into(), port.number.to_string()];
        let mut server = Server::start(Launch { name: "s3", command, user: None, signal: "TERM", folder: &folder })?;
        server.wait_until(|| request(&endpoint, "GET", "/moto-api/").is_ok())?;
        let started = Self { endpoint, own: Some((server, port, folder)) };
        started.create_bucket("media")?;
        Ok(started)
    }

    /// A server that another process runs.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn attach(endpoint: &str) -> Result<Self> {
        request(endpoint, "GET", "/moto-api/").with_context(|| format!("no S3 server at {endpoint}"))?;
        Ok(Self { endpoint: endpoint.to_owned(), own: None })
    }

    /// `http://127.0.0.1:PORT`; buckets are in the path.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The folder of the server, unless another process runs it.
    pub fn folder(&self) -> Option<&Path> {
        self.own.as_ref().map(|(_, _, folder)| folder.path())
    }

    /// Makes a bucket; one that is there already stays as it is.
    ///
    /// # Errors
    /// When the name is not one S3 allows.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        let fits = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(fits && (3..64).contains(&name.len()), "bucket {name:?}: use 3 to 63 of a-z, 0-9 and -");
        request(&self.endpoint, "PUT", &format!("/{name}"))
    }
}

fn request(endpoint: &str, method: &str, path: &str) -> Result<()> {
    let address = endpoint.strip_prefix("http://").context("an endpoint begins with http://")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{method} {endpoint}{path} answers {answer}");
    Ok(())
}
