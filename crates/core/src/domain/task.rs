//! Tasks: what somebody is to do for a contact or a deal, by when.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::id::{ContactId, DealId, OrganizationId, TaskId, UserId};

/// A task, for a contact or for a deal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The contact it is for.
    pub contact_id: Option<ContactId>,
    /// The deal it is for.
    pub deal_id: Option<DealId>,
    /// What is to be done.
    pub title: String,
    /// By when.
    pub due_at: Option<DateTime<Utc>>,
    /// When its assignee is reminded.
    pub remind_at: Option<DateTime<Utc>>,
    /// Who is to do it.
    pub assigned_to: Option<UserId>,
    /// Whether it is done.
    pub done: bool,
    /// When it was done.
    pub done_at: Option<DateTime<Utc>>,
    /// Whether `due_at` has come and was told.
    #[serde(skip)]
    pub due_told: bool,
    /// Whether `remind_at` has come and was told.
    #[serde(skip)]
    pub reminded: bool,
    /// Who made it; `null`: a rule did.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

impl Task {
    /// The next instant at which something about it is to be told; none once it is done.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        if self.done {
            return None;
        }
        let due = self.due_at.filter(|_| !self.due_told);
        let remind = self.remind_at.filter(|_| !self.reminded);
        due.into_iter().chain(remind).min()
    }
}
