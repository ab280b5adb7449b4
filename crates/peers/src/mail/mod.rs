//! A mail system of one's own: Dovecot for IMAP, Postfix for submission, a maildir in between. No message ever leaves
//! it: every domain is local, and an address that was not added is refused.
//!
//! A second Dovecot does what Postfix needs (it checks passwords and puts mail away), so that IMAP can be down while
//! mail goes on arriving, as with a provider.

mod dovecot;
mod maildir;
mod postfix;
mod smtp;

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    install, machine,
    ports::{self, Port},
    process::{Folder, Launch, Server, last_lines},
};

/// Who hands in the messages of [`Mail::deliver`].
const CARRIER: &str = "carrier@peers.test";

/// The certificate is its own trust anchor and no authority: what a client that checks certificates strictly accepts.
const CERTIFICATE: &str = "\
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
subjectAltName = DNS:localhost, IP:127.0.0.1
basicConstraints = critical, CA:FALSE
";

/// The ports of a mail system, all on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailPorts {
    /// IMAP that offers STARTTLS (143 elsewhere).
    pub imap: u16,
    /// IMAP inside TLS (993 elsewhere).
    pub imaps: u16,
    /// Submission that offers STARTTLS and AUTH (587 elsewhere).
    pub smtp: u16,
    /// Submission inside TLS, with AUTH (465 elsewhere).
    pub smtps: u16,
    lmtp: u16,
    sasl: u16,
}

/// A mail system, ended when dropped and when the process dies.
#[derive(Debug)]
pub struct Mail {
    /// Where to connect to.
    pub ports: MailPorts,
    /// The certificate to trust, PEM; it is valid for `localhost` and 127.0.0.1.
    pub ca_file: PathBuf,
    dir: PathBuf,
    /// Nothing when another process runs the servers.
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    imap: Mutex<Option<Server>>,
    smtp: Mutex<Option<Server>>,
    store: Server,
    _ports: Vec<Port>,
    folder: Folder,
}

impl Mail {
    /// Starts the servers on free ports; needs root, for they change their user.
    ///
    /// # Errors
    /// When Dovecot or Postfix is missing and cannot be installed, the process is not root, or a server does not start.
    pub fn start() -> Result<Self> {
        install::mail()?;
        ensure!(machine::is_root()?, "Postfix and Dovecot start only as root: run the command again with `sudo -E`");
        let folder = Folder::new("mail")?;
        let held = (0..6).map(|_| ports::free()).collect::<Result<Vec<Port>>>()?;
        let numbers = held.iter().map(|port| port.number).collect::<Vec<_>>();
        let ports = MailPorts::from_numbers(&numbers)?;
        let dir = folder.path().to_owned();
        certificate(&dir)?;
        fs::write(dir.join("ports"), numbers.iter().map(|n| format!("{n}\n")).collect::<String>())?;
        dovecot::prepare(&dir, &ports)?;
        postfix::prepare(&dir, &ports)?;
        let store = Server::start(launch_dovecot("store", &folder))?;
        let own = Own { imap: Mutex::default(), smtp: Mutex::default(), store, _ports: held, folder };
        let mail = Self { ports, ca_file: dir.join("cert.pem"), dir, own: Some(own) };
        mail.put_user(CARRIER)?;
        mail.start_imap()?;
        mail.start_smtp()?;
        wait_for("the LMTP and SASL ports", || is_open(mail.ports.lmtp) && is_open(mail.ports.sasl))?;
        Ok(mail)
    }

    /// A mail system that another process runs, by its folder ([`Mail::folder`]).
    ///
    /// # Errors
    /// When there is none.
    pub fn attach(folder: &Path) -> Result<Self> {
        let file = folder.join("ports");
        let numbers = fs::read_to_string(&file).with_context(|| format!("no mail system at {}", folder.display()))?;
        let numbers = numbers.lines().map(str::parse).collect::<Result<Vec<u16>, _>>()?;
        let ports = MailPorts::from_numbers(&numbers)?;
        ensure!(is_open(ports.smtp), "the mail system at {} does not answer", folder.display());
        Ok(Self { ports, ca_file: folder.join("cert.pem"), dir: folder.to_owned(), own: None })
    }

    /// The folder of the servers, for [`Mail::attach`] and their logs.
    pub fn folder(&self) -> &Path {
        &self.dir
    }

    /// Adds an address and gives its password, at once valid for IMAP and SMTP. An address known already keeps its own.
    ///
    /// # Errors
    /// When the address is not of the form `local@domain` in lower case.
    pub fn add_user(&self, address: &str) -> Result<String> {
        self.put_user(address)
    }

    /// Ends IMAP; mail goes on arriving.
    ///
    /// # Errors
    /// When another process runs the servers.
    pub fn stop_imap(&self) -> Result<()> {
        stop(&self.own()?.imap);
        Ok(())
    }

    /// Starts IMAP again, on the same ports.
    ///
    /// # Errors
    /// When another process runs the servers, or the server does not start.
    pub fn start_imap(&self) -> Result<()> {
        let own = self.own()?;
        let ports = self.ports;
        start(&own.imap, launch_dovecot("imap", &own.folder), || greets(ports.imap, "* OK") && is_open(ports.imaps))
    }

    /// Ends SMTP.
    ///
    /// # Errors
    /// When another process runs the servers.
    pub fn stop_smtp(&self) -> Result<()> {
        stop(&self.own()?.smtp);
        Ok(())
    }

    /// Starts SMTP again, on the same ports; what waits in its queue is delivered.
    ///
    /// # Errors
    /// When another process runs the servers, or the server does not start.
    pub fn start_smtp(&self) -> Result<()> {
        let own = self.own()?;
        let ports = self.ports;
        let command = postfix::command(&self.dir)?;
        let launch = Launch { name: "postfix", command, user: None, signal: "TERM", folder: &own.folder };
        start(&own.smtp, launch, || greets(ports.smtp, "220 ") && is_open(ports.smtps))
    }

    /// Hands in a message for `to` by SMTP with AUTH. `from` is the envelope's sender and need not exist here. The
    /// message arrives a moment later: [`Mail::await_mailbox`].
    ///
    /// # Errors
    /// With the server's answer when it refuses.
    pub fn deliver(&self, from: &str, to: &str, message: &[u8]) -> Result<()> {
        let password = self.put_user(CARRIER)?;
        smtp::submit(self.ports.smtp, (CARRIER, &password), from, to, message)
    }

    /// The messages in a folder of `user` as they were delivered, oldest first; `INBOX` is the inbox.
    ///
    /// # Errors
    /// When a file of the maildir cannot be read.
    pub fn mailbox(&self, user: &str, folder: &str) -> Result<Vec<Vec<u8>>> {
        maildir::messages(&self.dir.join("mail").join(user.to_ascii_lowercase()), folder)
    }

    /// [`Mail::mailbox`] as soon as at least `count` messages are in it.
    ///
    /// # Errors
    /// When they are not there after 30 seconds.
    pub fn await_mailbox(&self, user: &str, folder: &str, count: usize) -> Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        wait_for(&format!("{count} messages in {folder} of {user}"), || {
            found = self.mailbox(user, folder).unwrap_or_default();
            found.len() >= count
        })
        .with_context(|| format!("Postfix says:\n{}", last_lines(&self.dir.join("postfix.log"))))?;
        Ok(found)
    }

    fn own(&self) -> Result<&Own> {
        self.own.as_ref().context("this mail system is shared: only one from Mail::start() can be stopped")
    }

    fn put_user(&self, address: &str) -> Result<String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "@.-_".contains(c);
        ensure!(
            address.split('@').filter(|part| !part.is_empty() && !part.starts_with('.')).count() == 2
                && address.chars().all(plain),
            "mail address {address:?}: use local@domain in lower case, letters, digits, `.`, `-` and `_`"
        );
        let _one_at_a_time = machine::lock(&self.dir.join("users.lock"))?;
        let file = self.dir.join("users").join(address);
        if let Ok(line) = fs::read_to_string(&file) {
            let password = line.trim_end().rsplit('}').next().unwrap_or_default();
            return Ok(password.to_owned());
        }
        let password = machine::random_hex::<8>()?;
        let new = self.dir.join("new-user");
        fs::write(&new, format!("{address}:{{PLAIN}}{password}\n"))?;
        fs::rename(new, file)?;
        postfix::publish_recipients(&self.dir)?;
        Ok(password)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A server takes a second to end; together they take no longer.
        self.store.end();
        for slot in [&mut self.imap, &mut self.smtp] {
            slot.get_mut().unwrap_or_else(PoisonError::into_inner).iter_mut().for_each(Server::end);
        }
    }
}

impl MailPorts {
    fn from_numbers(numbers: &[u16]) -> Result<Self> {
        let &[imap, imaps, smtp, smtps, lmtp, sasl] = numbers else {
            anyhow::bail!("a mail system has six ports, not {}", numbers.len());
        };
        Ok(Self { imap, imaps, smtp, smtps, lmtp, sasl })
    }
}

fn launch_dovecot<'a>(instance: &'static str, folder: &'a Folder) -> Launch<'a> {
    let command = dovecot::command(folder.path(), instance);
    Launch { name: instance, command, user: None, signal: "TERM", folder }
}

fn start(slot: &Mutex<Option<Server>>, launch: Launch<'_>, ready: impl FnMut() -> bool) -> Result<()> {
    let mut running = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if running.is_none() {
        let mut server = Server::start(launch)?;
        server.wait_until(ready)?;
        *running = Some(server);
    }
    Ok(())
}

fn stop(slot: &Mutex<Option<Server>>) {
    let ended = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(ended);
}

fn certificate(dir: &Path) -> Result<()> {
    fs::write(dir.join("cert.conf"), CERTIFICATE)?;
    let mut openssl = Command::new("openssl");
    openssl.current_dir(dir).args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes".split(' '));
    openssl.args("-days 30 -config cert.conf -keyout key.pem -out cert.pem".split(' '));
    machine::output(&mut openssl).context("make the certificate of the mail system")?;
    Ok(())
}

fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Whether the server at `port` says hello with `greeting`.
fn greets(port: u16, greeting: &str) -> bool {
    smtp::greeting(port).is_ok_and(|line| line.starts_with(greeting))
}

fn wait_for(what: &str, mut ready: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !ready() {
        ensure!(Instant::now() < deadline, "waited 30 seconds for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
