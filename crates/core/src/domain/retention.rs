//! How long an organisation keeps what it gathers, kind by kind, and how far the job is that clears what is older.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{domain::word::words, id::OrganizationId};

words! {
    /// A kind of what is kept for so many days.
    RetentionKind {
        /// What messages say: bodies, senders, metadata, files.
        Messages = "messages",
        /// What rules were told and did.
        Runs = "runs",
        /// What events tell of changes.
        Events = "events",
        /// Notifications.
        Notifications = "notifications",
        /// What finished background jobs carried.
        Jobs = "jobs",
        /// Contacts, companies and deals that were deleted.
        Deleted = "deleted",
        /// What is personal of entries of the audit log.
        Audit = "audit",
    }
}

words! {
    /// One walk through what is too old, oldest first. Those of one kind follow each other.
    Walk {
        /// Messages.
        Messages = "messages",
        /// Files that messages carry, or none.
        Files = "files",
        /// Runs of rules.
        Runs = "runs",
        /// Events.
        Events = "events",
        /// Moves into stages.
        Moves = "stage_history",
        /// Notifications.
        Notifications = "notifications",
        /// Background jobs.
        Jobs = "jobs",
        /// Deleted contacts.
        Contacts = "contacts",
        /// Deleted deals.
        Deals = "deals",
        /// Deleted companies.
        Companies = "companies",
        /// Entries of the audit log.
        Audit = "audit",
    }
}

impl Walk {
    /// The kind whose days count for it.
    pub const fn kind(self) -> RetentionKind {
        match self {
            Self::Messages | Self::Files => RetentionKind::Messages,
            Self::Runs => RetentionKind::Runs,
            Self::Events | Self::Moves => RetentionKind::Events,
            Self::Notifications => RetentionKind::Notifications,
            Self::Jobs => RetentionKind::Jobs,
            Self::Contacts | Self::Deals | Self::Companies => RetentionKind::Deleted,
            Self::Audit => RetentionKind::Audit,
        }
    }

    /// Whether it goes by when something was deleted, and not by when it came to be.
    pub const fn is_trash(self) -> bool {
        matches!(self, Self::Contacts | Self::Deals | Self::Companies)
    }

    /// The walk after it.
    pub fn following(self) -> Option<Self> {
        Self::ALL.iter().skip_while(|it| **it != self).nth(1).copied()
    }
}

/// How many days each kind is kept, 1…36500; for ever without a number. Only what is over is ever cleared: what still
/// waits to be sent, told, done or sealed stays until it has been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionDays {
    /// What messages say: bodies, subjects, senders, metadata, files. Messages, their times and states stay.
    #[schemars(range(min = 1, max = 36500))]
    pub messages: Option<i64>,
    /// What rules were told and did. It quotes messages: no longer than these. Runs and their outcomes stay.
    #[schemars(range(min = 1, max = 36500))]
    pub runs: Option<i64>,
    /// What events tell of changes: values before and after, and why something moved. Events and moves stay.
    #[schemars(range(min = 1, max = 36500))]
    pub events: Option<i64>,
    /// Notifications, read or not.
    #[schemars(range(min = 1, max = 36500))]
    pub notifications: Option<i64>,
    /// What finished background jobs carried. Jobs and their states stay.
    #[schemars(range(min = 1, max = 36500))]
    pub jobs: Option<i64>,
    /// Contacts, companies and deals in the trash: after so many days there they are emptied for good, contacts as by
    /// `contacts.erase`.
    #[schemars(range(min = 1, max = 36500))]
    pub deleted: Option<i64>,
    /// What is personal of entries of the audit log: addresses, clients, values before and after. Entries and seals stay.
    #[schemars(range(min = 1, max = 36500))]
    pub audit: Option<i64>,
}

impl RetentionDays {
    /// How many days a kind is kept; `None`: for ever.
    pub const fn of(&self, kind: RetentionKind) -> Option<i64> {
        match kind {
            RetentionKind::Messages => self.messages,
            RetentionKind::Runs => self.runs,
            RetentionKind::Events => self.events,
            RetentionKind::Notifications => self.notifications,
            RetentionKind::Jobs => self.jobs,
            RetentionKind::Deleted => self.deleted,
            RetentionKind::Audit => self.audit,
        }
    }

    /// Whether anything is not kept for ever.
    pub fn is_any(&self) -> bool {
        RetentionKind::ALL.iter().any(|kind| self.of(*kind).is_some())
    }
}

/// An organisation's policy. Without one everything is kept for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// How long each kind is kept.
    pub days: RetentionDays,
    /// How far the job is; in its own form.
    pub progress: Value,
    /// When people last changed it.
    pub updated_at: DateTime<Utc>,
    /// Counts the changes that people made.
    pub version: i64,
}

/// What a walk remembers of a single row: by age, that it was not over yet when the walk passed it; in the trash, that
/// it was emptied and comes back no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionMark {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The walk.
    pub walk: Walk,
    /// The row.
    pub id: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_of_one_kind_follow_each_other_and_every_kind_has_one() {
        let mut kinds: Vec<_> = Walk::ALL.iter().map(|walk| walk.kind()).collect();
        kinds.dedup();
        assert_eq!(kinds, RetentionKind::ALL);
        let (mut walk, mut walked) = (Some(Walk::Messages), Vec::new());
        while let Some(it) = walk {
            walked.push(it);
            walk = it.following();
        }
        assert_eq!(walked, Walk::ALL);
    }
}
