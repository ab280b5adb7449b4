//! Those who vouch for people that sign in: two providers of OpenID Connect and one that looks like GitHub.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    install, machine,
    ports::{self, Port},
    process::{Folder, Launch, Server},
    socketio::keep,
};

const OIDC: &str = include_str!("../clients/oidc.mjs");
const BROWSER: &str = include_str!("../clients/browser.mjs");

/// A provider, ended when dropped and when the process dies.
#[derive(Debug)]
pub struct SignInPeer {
    /// Where it is: `http://127.0.0.1:PORT`, or `http://localhost:PORT` where it calls itself so.
    pub url: String,
    _server: Server,
    _port: Port,
    _folder: Folder,
}

impl SignInPeer {
    /// A provider of OpenID Connect that asks nobody, and whose ID tokens are as its address of signing in is asked for
    /// besides: `claims` and `forge`.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn forging() -> Result<Self> {
        let script = install::node::folder()?.join("oidc.mjs");
        keep(&script, OIDC)?;
        Self::start("oauth2-mock-server", "localhost", |port| vec!["node".to_owned(), path(&script), port.to_string()])
    }

    /// A provider of OpenID Connect with a form that asks who one is. It knows nobody's address before
    /// [`SignInPeer::introduce`].
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn with_a_form() -> Result<Self> {
        let program = install::python::oauth_environment()?.join("bin/oidc-provider-mock");
        Self::start("oidc-provider-mock", "127.0.0.1", |port| vec![path(&program), "-p".to_owned(), port.to_string()])
    }

    /// Tells a provider with a form what it knows of somebody.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn introduce(&self, subject: &str, claims: &Value) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::new();
        let answer = client.put(format!("{}/users/{subject}", self.url)).json(claims).send()?;
        ensure!(answer.status().is_success(), "{subject} is not taken in: {}", answer.status());
        Ok(())
    }

    /// A provider that looks like GitHub, with its API under `/api`. Addresses that begin with `unverified` are nobody's.
    ///
    /// # Errors
    /// When it cannot be installed or does not start.
    pub fn github() -> Result<Self> {
        let program = install::python::oauth_environment()?.join("bin/oauth-mocks");
        Self::start("oauth-mocks", "127.0.0.1", |port| {
            let rest = ["--provider", "github", "--host", "127.0.0.1", "--port"].map(str::to_owned);
            [vec![path(&program)], rest.to_vec(), vec![port.to_string()]].concat()
        })
    }

    fn start(name: &'static str, host: &str, command: impl Fn(u16) -> Vec<String>) -> Result<Self> {
        let (port, folder) = (ports::free()?, Folder::new(name)?);
        let command = command(port.number);
        let mut server = Server::start(Launch { name, command, user: None, signal: "TERM", folder: &folder })?;
        server.wait_until(|| TcpStream::connect(("127.0.0.1", port.number)).is_ok())?;
        Ok(Self { url: format!("http://{host}:{}", port.number), _server: server, _port: port, _folder: folder })
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A browser without a window.
#[derive(Debug)]
pub struct Browser {
    script: PathBuf,
    program: PathBuf,
}

impl Browser {
    /// Chromium and what drives it, installed if need be.
    ///
    /// # Errors
    /// When they are missing and cannot be installed.
    pub fn new() -> Result<Self> {
        let script = install::node::folder()?.join("browser.mjs");
        keep(&script, BROWSER)?;
        Ok(Self { script, program: install::chromium()? })
    }

    /// Goes to `url`, fills `value` into the field `field` of the form that it comes to, sends it, waits until it is at an
    /// address that holds `until`, and has the page there trade the code in that it was given; tells what came of it.
    ///
    /// # Errors
    /// When anything of it does not happen.
    pub fn sign_in(&self, url: &str, field: &str, value: &str, until: &str) -> Result<Value> {
        let mut node = Command::new("node");
        node.arg(&self.script).arg(&self.program).args([url, field, value, until]);
        let said = machine::output(&mut node).context("drive a browser")?;
        serde_json::from_str(&said).with_context(|| format!("the browser says {said}"))
    }
}
