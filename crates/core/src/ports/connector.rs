//! The port to messengers. A connector speaks one provider's protocol; what a message means to the CRM (contact, chat,
//! unread, stage) is decided in `services/messaging`. Connectors never see the store.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{account::AccountStatus, media::Attachment},
    error::{Error, Result},
    id::{AccountId, MessageId},
};

/// What a connector can do; what it cannot do answers [`Unsupported`](crate::error::ErrorKind::Unsupported).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Receives over a live connection ([`Connector::run`]).
    pub receive: bool,
    /// Sends ([`Connector::send`]).
    pub send: bool,
    /// Sends and receives files.
    pub media: bool,
    /// May begin a chat with somebody who never wrote.
    pub begin_chat: bool,
    /// Can find out afterwards whether a doubtful message was sent ([`Connector::settle`]).
    pub settle: bool,
}

/// What an account signs in with, in the connector's own form. Kept sealed at rest; never printed.
#[derive(Clone, PartialEq)]
pub struct Credentials(pub Value);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A checked account, ready to be stored.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Its address at the provider, normalised.
    pub handle: String,
    /// What people call it.
    pub display_name: String,
    /// What it signs in with from here on.
    pub credentials: Credentials,
}

/// How a sender or recipient can be reached and recognised: each present value is an identity of the contact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// The provider's id of the person; for e-mail the address itself.
    pub id: String,
    /// The name the provider shows, if any.
    pub name: Option<String>,
    /// E-mail address, lower-cased.
    pub email: Option<String>,
    /// Phone number, E.164.
    pub phone: Option<String>,
    /// Handle without `@`.
    pub handle: Option<String>,
}

/// One message that the provider showed us.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Unique per account: the same message arriving twice, however, has the same one.
    pub provider_id: String,
    /// What later messages refer to it by, if that is something else (e-mail: the bare Message-ID).
    pub reference: Option<String>,
    /// The references of the messages that it answers, nearest first. They decide the chat where `chat` is `None`.
    pub replies_to: Vec<String>,
    /// The provider's id of the chat, where it has chats.
    pub chat: Option<String>,
    /// A title for a new chat (e-mail: the subject).
    pub title: Option<String>,
    /// Who wrote it.
    pub sender: Address,
    /// The body as plain text.
    pub text: String,
    /// Files.
    pub media: Vec<Attachment>,
    /// When it was sent, by the provider.
    pub sent_at: DateTime<Utc>,
    /// Written by a machine, and why we think so (Auto-Submitted, a bounce, a list): kept, but never a response.
    pub automatic: Option<String>,
    /// What the platform has beyond this, for `message.metadata` (e-mail: `subject`, `message_id`, …).
    pub metadata: Map<String, Value>,
}

/// One thing a synchronisation step found.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// A message to take in. Boxed: it is by far the larger one.
    Message(Box<Incoming>),
    /// A message that is deliberately not taken in, with the reason.
    Skipped {
        /// The provider's id of the message or of its place.
        provider_id: String,
        /// Why, for people.
        reason: String,
    },
}

/// Where a live connection delivers to. Implemented by the engine.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Takes in what a step of synchronisation brought and, in the same transaction, how far it went. After an error
    /// nothing was taken in, and the step is done again from the old cursor. Safe to repeat.
    async fn deliver(&self, deliveries: Vec<Delivery>, cursor: Value) -> Result<()>;

    /// Reports how the connection is doing; `reason` is for people.
    async fn status(&self, status: AccountStatus, reason: Option<String>) -> Result<()>;
}

/// A live connection's surroundings.
#[derive(Clone)]
pub struct Session {
    /// The account.
    pub account_id: AccountId,
    /// Its address at the provider.
    pub handle: String,
    /// What it signs in with.
    pub credentials: Credentials,
    /// How far the last synchronisation came, in the connector's own form; `None` at the first start.
    pub cursor: Option<Value>,
    /// Where to deliver.
    pub inbox: Arc<dyn Inbox>,
    /// Ends the connection.
    pub shutdown: CancellationToken,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

/// One message on its way out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Our id of the message.
    pub message_id: MessageId,
    /// What the message will be referred to by, chosen and stored before the first try (e-mail: the bare Message-ID,
    /// without angle brackets). The same at every try.
    pub reference: String,
    /// The account's address and name.
    pub from: Address,
    /// Who gets it.
    pub to: Address,
    /// The provider's id of the chat, where it has chats.
    pub chat: Option<String>,
    /// The chat's title (e-mail: the subject of its first message).
    pub title: Option<String>,
    /// The body as plain text.
    pub text: String,
    /// The references of the chat's earlier messages, oldest first; the last is the one that is answered. Empty: this
    /// message begins the chat.
    pub references: Vec<String>,
    /// Files.
    pub media: Vec<Attachment>,
    /// When it is said to be written.
    pub written_at: DateTime<Utc>,
}

/// What the provider said to a sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The provider's id, by the same rule as [`Incoming::provider_id`].
    pub provider_id: String,
}

/// Why a message was not, or perhaps not, sent.
#[derive(Debug)]
pub enum SendError {
    /// The provider surely did not take it; trying again helps.
    Temporary {
        /// What was said.
        error: Error,
        /// The provider's own wish when to come back.
        retry_after: Option<Duration>,
    },
    /// The provider surely did not take it and never will.
    Permanent(Error),
    /// It may have been taken: interrupted between the hand-over and the answer. It must not be sent again by itself.
    Doubtful(Error),
}

/// What [`Connector::settle`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The provider has it.
    Sent(Sent),
    /// Nothing was found; that proves nothing.
    Unknown,
}

/// One messenger. Registered by its platform's name; see `CONTRIBUTING.md` for the files a new one touches.
#[async_trait]
pub trait Connector: Send + Sync {
    /// The platform's name in SQL, JSON and URLs: `telegram`, `email`, `twitter`, `linkedin`.
    fn platform(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Checks live what a person entered to connect an account.
    ///
    /// # Errors
    /// `validation_failed` whose pointers name the faulty members (`/imap/password`, `/smtp/host`).
    async fn connect(&self, settings: &Map<String, Value>) -> Result<Connected>;

    /// Keeps one account's live connection until `session.shutdown` is cancelled. Returns `Ok` then only; every other
    /// end is an error, after which the engine starts it again with back-off.
    async fn run(&self, session: Session) -> Result<()>;

    /// Sends one message, once.
    ///
    /// # Errors
    /// See [`SendError`].
    async fn send(&self, credentials: &Credentials, outgoing: &Outgoing) -> Result<Sent, SendError>;

    /// Finds out whether a doubtful message was sent.
    ///
    /// # Errors
    /// Whatever keeps the provider from answering.
    async fn settle(&self, credentials: &Credentials, outgoing: &Outgoing) -> Result<Settled>;

    /// The reference that [`Outgoing::reference`] shall carry for a new message.
    fn reference(&self, from: &Address, message_id: MessageId) -> String;
}
