//! Accounts as clients see them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::domain::account::{Account, AccountStatus, SkippedMessage};

/// What went over an account since midnight UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Usage {
    /// Messages that the provider took.
    pub messages_sent: i64,
}

/// An account as clients see it. Secrets are no part of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AccountView {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// What it may send at most; `null`: the engine sets no limit of its own.
    pub limits: Option<Value>,
    /// What it has sent since midnight UTC; `null` where it is not counted: in the answers to commands.
    pub usage_today: Option<Usage>,
}

impl AccountView {
    pub(super) fn of(account: Account, usage_today: Option<Usage>) -> Self {
        Self { account, limits: None, usage_today }
    }
}

/// How an account is doing.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AccountStatusView {
    /// Its status.
    pub status: AccountStatus,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, for people.
    pub reason: Option<String>,
    /// When the last synchronisation ended well.
    pub last_sync_at: Option<DateTime<Utc>>,
    /// Until when the provider wants nothing from us.
    pub flood_wait_until: Option<DateTime<Utc>>,
    /// What it may send at most; `null`: the engine sets no limit of its own.
    pub limits: Option<Value>,
    /// What it has sent since midnight UTC.
    pub usage: Usage,
    /// The latest messages that it saw and did not take in, newest first, each with the reason.
    pub skipped: Vec<SkippedMessage>,
}
