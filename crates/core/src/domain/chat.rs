//! A conversation on one account.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{message::Direction, word::words},
    id::{AccountId, ChatId, ContactId, MessageId, OrganizationId, UserId},
};

words! {
    /// Whether a chat wants attention.
    ChatState {
        /// It does.
        Open = "open",
        /// Not until `snoozed_until`.
        Snoozed = "snoozed",
        /// No more, until the contact writes again.
        Closed = "closed",
    }
}

/// The newest message as the inbox shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastMessage {
    /// Its id.
    pub id: MessageId,
    /// Which way it went.
    pub direction: Direction,
    /// The beginning of its text; `null` for those who may not read bodies.
    pub text: Option<String>,
    /// When it was written.
    pub timestamp: DateTime<Utc>,
}

/// A conversation on one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Chat {
    /// Its id.
    pub id: ChatId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The account it is on.
    pub account_id: AccountId,
    /// Its platform.
    pub platform: String,
    /// The provider's id of it; for e-mail the reference of its first message. Unique per account.
    pub chat_key: String,
    /// Its title; for e-mail the subject of its first message.
    pub title: Option<String>,
    /// With whom.
    pub contact_id: Option<ContactId>,
    /// The newest message. Activity.
    pub last_message: Option<LastMessage>,
    /// When it was written; the order of the inbox. Activity.
    pub last_message_at: DateTime<Utc>,
    /// Incoming messages not yet read. Activity.
    pub unread_count: i64,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// Whether it wants attention.
    pub state: ChatState,
    /// Until when it does not.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Since when the contact waits for a person's answer; `None`: they do not. Activity.
    pub waiting_since: Option<DateTime<Utc>>,
    /// When we last wrote, people or rules. Activity.
    pub sent_at: Option<DateTime<Utc>>,
    /// Who wrote then; `None` if no person did. Activity.
    pub sent_by: Option<UserId>,
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// When it began here.
    pub created_at: DateTime<Utc>,
    /// Counts edits by people, from 1.
    pub version: i64,
}
