//! A notification to one user.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::word::words,
    id::{ContactId, DealId, NotificationId, OrganizationId, RuleId, TaskId, UserId},
};

words! {
    /// What a notification is about.
    NotificationKind {
        /// A rule asks for attention.
        RuleNotifyTeam = "rule.notify_team",
        /// A rule of one's own was paused.
        RulePaused = "rule.paused",
        /// A task of one's own is due.
        TaskDue = "task.due",
        /// A task of one's own is to be remembered.
        TaskReminder = "task.reminder",
        /// Somebody else has given one a contact, a deal or a task.
        Assigned = "assigned",
        /// One was made the owner of the organisation by who owned it.
        OrganizationTransferred = "organization.transferred",
    }
}

/// How somebody wants to be told of one kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    /// In the application.
    pub in_app: bool,
    /// By e-mail.
    pub email: bool,
}

impl Default for Channels {
    fn default() -> Self {
        Self { in_app: true, email: false }
    }
}

/// What somebody wants to be told, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preferences {
    /// By kind of notification; a kind that is left out is told in the application and not by e-mail.
    pub notifications: BTreeMap<NotificationKind, Channels>,
}

impl Preferences {
    /// How notifications of a kind are told.
    pub fn channels(&self, kind: NotificationKind) -> Channels {
        self.notifications.get(&kind).copied().unwrap_or_default()
    }

    /// The same with every kind that there is.
    #[must_use]
    pub fn complete(&self) -> Self {
        Self { notifications: NotificationKind::ALL.iter().map(|kind| (*kind, self.channels(*kind))).collect() }
    }
}

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
    /// The deal it is about.
    pub deal_id: Option<DealId>,
    /// The task it is about.
    pub task_id: Option<TaskId>,
    /// The rule that sent it.
    pub rule_id: Option<RuleId>,
    /// What else belongs to it.
    pub data: Map<String, Value>,
    /// Whether it was read.
    pub read: bool,
    /// When.
    pub created_at: DateTime<Utc>,
}
