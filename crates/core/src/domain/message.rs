//! A message of a chat, as clients see it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{media::MessageMedia, word::words},
    id::{AccountId, ChatId, ContactId, MessageId, OrganizationId, UserId},
};

words! {
    /// Which way a message goes.
    Direction {
        /// To us.
        Incoming = "incoming",
        /// From us.
        Outgoing = "outgoing",
    }
}

words! {
    /// Which side wrote it.
    SenderType {
        /// The contact.
        Client = "client",
        /// One of us.
        Bd = "bd",
    }
}

words! {
    /// How far a message is. Incoming ones are `delivered`, then `read`.
    MessageStatus {
        /// Waits for its time.
        Scheduled = "scheduled",
        /// Waits for its turn.
        Queued = "queued",
        /// Being handed over.
        Sending = "sending",
        /// The provider has it.
        Sent = "sent",
        /// The recipient has it.
        Delivered = "delivered",
        /// The recipient read it.
        Read = "read",
        /// The provider refused it for good.
        Failed = "failed",
        /// Taken back before it was sent.
        Cancelled = "cancelled",
        /// Interrupted between the provider's acceptance and our record; never sent again by itself.
        Unknown = "unknown",
    }
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sender {
    /// The provider's id of the person; for e-mail the address.
    pub id: String,
    /// Their name.
    pub name: String,
    /// Which side.
    #[serde(rename = "type")]
    pub sender_type: SenderType,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The body as plain text.
    pub text: String,
    /// Its files.
    pub media: Vec<MessageMedia>,
}

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The account it went through.
    pub account_id: AccountId,
    /// Its chat.
    pub chat_id: ChatId,
    /// Its platform.
    pub platform: String,
    /// Which way it went.
    pub direction: Direction,
    /// Who wrote it.
    pub sender: Sender,
    /// What it says; `null` for those who may not read bodies.
    pub content: Option<Content>,
    /// The contact it is from or to.
    pub contact_id: Option<ContactId>,
    /// When it was written.
    pub timestamp: DateTime<Utc>,
    /// Whether it was read.
    pub read: bool,
    /// How far it is.
    pub status: MessageStatus,
    /// Why it failed, or waits.
    pub error: Option<String>,
    /// When it shall go out.
    pub send_at: Option<DateTime<Utc>>,
    /// What the platform has beyond this: `subject`, `message_id`, `automatic`, ….
    pub metadata: Map<String, Value>,
    /// The provider's id; unique per account.
    #[serde(skip)]
    pub provider_id: Option<String>,
    /// What later messages refer to it by.
    #[serde(skip)]
    pub reference: Option<String>,
    /// The person who asked it to go out; `None` if it came in, or a rule asked.
    #[serde(skip)]
    pub sent_by: Option<UserId>,
    /// When it came to be here.
    #[serde(skip)]
    pub created_at: DateTime<Utc>,
}

words! {
    /// What a message counts for.
    CreditKind {
        /// Somebody's message that was sent.
        Sent = "sent",
        /// The contact's reply to somebody's message.
        Reply = "reply",
    }
}

/// What a message counts for, and whose work it is: written once, when it was sent or came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageCredit {
    /// Whose organisation's it is.
    pub organization_id: OrganizationId,
    /// When the message was written.
    pub at: DateTime<Utc>,
    /// The message.
    pub message_id: MessageId,
    /// Whose work it is.
    pub user_id: UserId,
    /// What it counts for.
    pub kind: CreditKind,
    /// How long the contact had waited for it, in microseconds; `None` if nobody waited.
    pub waited_us: Option<i64>,
}
