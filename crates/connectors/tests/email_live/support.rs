//! Accounts on the shared mail system, an inbox that remembers, and mails.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use dealwright::{
    domain::{account::AccountStatus, media::Attachment},
    env::Env,
    error::{Error, Result},
    ports::connector::{
        Address, Connector, Credentials, Delivery, Inbox, Incoming, Outgoing, SendError, Sent, Session,
    },
};
use dealwright_connectors::email::{EmailConnector, EmailOptions};
use dealwright_peers::Mail;
use serde_json::{Map, Value, json};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn shared() -> &'static Mail {
    dealwright_peers::shared_mail().unwrap()
}

pub fn options(mail: &Mail) -> EmailOptions {
    EmailOptions {
        allow_plaintext: true,
        connect_timeout: Duration::from_secs(10),
        command_timeout: Duration::from_secs(10),
        delivery_timeout: Duration::from_secs(20),
        ..EmailOptions::default().trust_pem(&fs::read(&mail.ca_file).unwrap()).unwrap()
    }
}

pub fn connector(mail: &Mail) -> Arc<EmailConnector> {
    with_options(options(mail))
}

pub fn with_options(options: EmailOptions) -> Arc<EmailConnector> {
    Arc::new(EmailConnector::new(options, Env::system()).unwrap())
}

/// A mailbox of its own on a mail system.
pub struct Account {
    pub mail: &'static Mail,
    pub address: String,
    pub password: String,
}

/// A new mailbox on the shared mail system; `name` must be the test's own.
pub fn account(name: &str) -> Account {
    account_on(shared(), name)
}

pub fn account_on(mail: &'static Mail, name: &str) -> Account {
    let address = format!("{name}@example.test");
    let password = mail.add_user(&address).unwrap();
    Account { mail, address, password }
}

impl Account {
    /// Settings with TLS for IMAP and STARTTLS for SMTP.
    pub fn settings(&self) -> Value {
        let server = |port: u16, security: &str| json!({"host": "localhost", "port": port, "security": security, "username": self.address, "password": self.password});
        json!({
            "platform": "email", "email": self.address, "display_name": "Test Account",
            "imap": server(self.mail.ports.imaps, "tls"), "smtp": server(self.mail.ports.smtp, "starttls"),
        })
    }

    pub fn credentials(&self) -> Credentials {
        let mut settings = self.settings();
        settings.as_object_mut().unwrap().remove("platform");
        Credentials(settings)
    }

    /// Credentials with some members exchanged.
    pub fn credentials_with(&self, changes: &[(&str, Value)]) -> Credentials {
        Credentials(with(self.settings(), changes))
    }

    pub fn receive(&self, message: &str) {
        self.mail.deliver("somebody@elsewhere.test", &self.address, message.replace('\n', "\r\n").as_bytes()).unwrap();
    }

    /// Waits until the mailbox has `count` mails in `folder` and gives them.
    pub async fn mails(&self, folder: &str, count: usize) -> Vec<String> {
        let (mail, address, folder) = (self.mail, self.address.clone(), folder.to_owned());
        let mails =
            tokio::task::spawn_blocking(move || mail.await_mailbox(&address, &folder, count).unwrap()).await.unwrap();
        mails.into_iter().map(|mail| String::from_utf8_lossy(&mail).into_owned()).collect()
    }

    pub fn address(&self) -> Address {
        person(&self.address, Some("Test Account"))
    }

    /// The folder where the mails lie as files.
    pub fn maildir(&self) -> std::path::PathBuf {
        self.mail.folder().join("mail").join(&self.address)
    }

    /// Names of all files of mails; the letters behind `:2,` are their flags.
    pub fn flags(&self) -> Vec<String> {
        let files = ["new", "cur"].iter().flat_map(|part| fs::read_dir(self.maildir().join(part)).unwrap());
        files
            .map(|file| file.unwrap().file_name().to_string_lossy().split(":2,").nth(1).unwrap_or_default().to_owned())
            .collect()
    }
}

pub fn with(mut settings: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        *settings.pointer_mut(pointer).unwrap() = value.clone();
    }
    settings
}

pub fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

pub fn person(email: &str, name: Option<&str>) -> Address {
    Address { id: email.to_owned(), name: name.map(str::to_owned), email: Some(email.to_owned()), ..Address::default() }
}

pub fn mail(id: &str, text: &str) -> String {
    format!(
        "From: Ada <ada@elsewhere.test>\nTo: x@example.test\nSubject: About {id}\nMessage-ID: <{id}@elsewhere.test>\nDate: Mon, 2 Mar 2026 10:00:00 +0000\n\n{text}\n"
    )
}

pub fn outgoing(connector: &EmailConnector, from: &Account, to: &str, text: &str) -> Outgoing {
    let message_id = Env::system().id().unwrap();
    Outgoing {
        message_id,
        reference: connector.reference(&from.address(), message_id),
        from: from.address(),
        to: person(to, Some("Recipient")),
        chat: None,
        title: Some("Offer".to_owned()),
        text: text.to_owned(),
        references: Vec::new(),
        media: Vec::new(),
        written_at: Env::system().now(),
    }
}

pub fn file(name: &str, media_type: &str, bytes: impl Into<bytes::Bytes>) -> Attachment {
    Attachment { name: name.to_owned(), media_type: media_type.to_owned(), bytes: bytes.into() }
}

/// How a failed send was classified, and why.
pub fn kind(sent: Result<Sent, SendError>) -> (&'static str, Error) {
    match sent.unwrap_err() {
        SendError::Temporary { error, .. } => ("temporary", error),
        SendError::Permanent(error) => ("permanent", error),
        SendError::Doubtful(error) => ("doubtful", error),
    }
}

/// Everything that was delivered so far.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub messages: Vec<Incoming>,
    /// Provider id and reason.
    pub skipped: Vec<(String, String)>,
    pub cursor: Option<Value>,
    pub statuses: Vec<AccountStatus>,
    /// How many deliveries shall fail from here on.
    pub refuse: usize,
}

impl Memory {
    pub fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.text.as_str()).collect()
    }

    pub fn is_active(&self) -> bool {
        self.statuses.contains(&AccountStatus::Active)
    }
}

/// An engine's inbox that only remembers.
pub struct Recorder(watch::Sender<Memory>);

impl Recorder {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(Memory::default())))
    }

    pub fn memory(&self) -> Memory {
        self.0.borrow().clone()
    }

    pub fn refuse(&self, times: usize) {
        self.0.send_modify(|memory| memory.refuse = times);
    }

    /// Puts the cursor somewhere.
    pub async fn deliver_cursor(&self, cursor: Value) {
        self.deliver(Vec::new(), cursor).await.unwrap();
    }

    /// Forgets that the account was active, to see it again.
    pub fn forget_status(&self) {
        self.0.send_modify(|memory| memory.statuses.clear());
    }

    /// Waits until what was delivered satisfies `condition`.
    pub async fn until(&self, condition: impl Fn(&Memory) -> bool) -> Memory {
        let mut changes = self.0.subscribe();
        let reached = timeout(PATIENCE, changes.wait_for(|memory| condition(memory))).await;
        match reached {
            Ok(memory) => memory.unwrap().clone(),
            Err(_) => panic!("not reached: {:?}", self.memory()),
        }
    }
}

#[async_trait]
impl Inbox for Recorder {
    async fn deliver(&self, deliveries: Vec<Delivery>, cursor: Value) -> Result<()> {
        let mut refused = false;
        self.0.send_modify(|memory| {
            if memory.refuse > 0 {
                memory.refuse -= 1;
                refused = true;
                return;
            }
            for delivery in deliveries {
                match delivery {
                    Delivery::Message(message) => memory.messages.push(*message),
                    Delivery::Skipped { provider_id, reason } => memory.skipped.push((provider_id, reason)),
                }
            }
            memory.cursor = Some(cursor);
        });
        if refused { Err(Error::unavailable("the store is away")) } else { Ok(()) }
    }

    async fn status(&self, status: AccountStatus, _reason: Option<String>) -> Result<()> {
        self.0.send_modify(|memory| memory.statuses.push(status));
        Ok(())
    }
}

/// A running account.
pub struct Running {
    pub shutdown: CancellationToken,
    pub ended: JoinHandle<Result<()>>,
}

impl Running {
    /// Ends it and expects that it ends well.
    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(Duration::from_secs(5), self.ended).await.expect("a connection ends quickly").unwrap().unwrap();
    }

    /// Waits until it ends by itself.
    pub async fn error(self) -> Error {
        timeout(PATIENCE, self.ended).await.expect("the connection goes on").unwrap().unwrap_err()
    }
}

/// Runs an account from the recorder's cursor on.
pub fn run(connector: &Arc<EmailConnector>, credentials: Credentials, handle: &str, inbox: &Arc<Recorder>) -> Running {
    let shutdown = CancellationToken::new();
    let session = Session {
        account_id: Env::system().id().unwrap(),
        handle: handle.to_owned(),
        credentials,
        cursor: inbox.memory().cursor,
        inbox: inbox.clone(),
        shutdown: shutdown.clone(),
    };
    let connector = connector.clone();
    Running { shutdown, ended: tokio::spawn(async move { connector.run(session).await }) }
}

pub fn run_account(connector: &Arc<EmailConnector>, account: &Account, inbox: &Arc<Recorder>) -> Running {
    run(connector, account.credentials(), &account.address, inbox)
}

/// Puts mails into a mailbox as files, many at once; the mailbox must have been opened before.
pub fn put_files(account: &Account, mails: impl IntoIterator<Item = String>) {
    static NUMBER: Mutex<u64> = Mutex::new(0);
    let folder = account.maildir();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&folder).unwrap());
    for mail in mails {
        let number = {
            let mut number = NUMBER.lock().unwrap();
            *number += 1;
            *number
        };
        let name = format!("1700000000.M{number:06}P1.test");
        fs::write(folder.join("tmp").join(&name), mail.replace('\n', "\r\n")).unwrap();
        std::os::unix::fs::chown(folder.join("tmp").join(&name), Some(owner), None).unwrap();
        fs::rename(folder.join("tmp").join(&name), folder.join("new").join(&name)).unwrap();
    }
}
