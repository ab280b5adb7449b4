//! A notification to one user.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::id::{ContactId, NotificationId, OrganizationId, RuleId, UserId};

/// A notification to one user.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// For whom.
    #[serde(skip)]
    pub user_id: UserId,
    /// What kind, for example `rule.notify_team`.
    pub kind: String,
    /// One sentence.
    pub title: String,
    /// More, if there is more.
    pub body: Option<String>,
    /// The contact it is about.
    pub contact_id: Option<ContactId>,
    /// The rule that sent it.
    pub rule_id: Option<RuleId>,
    /// What else belongs to it.
    pub data: Map<String, Value>,
    /// Whether it was read.
    pub read: bool,
    /// When.
    pub created_at: DateTime<Utc>,
}
