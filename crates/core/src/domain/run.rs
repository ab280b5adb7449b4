//! A recorded run of a rule, and the timers of time rules.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::{
        event::{Subject, SubjectKind},
        word::words,
    },
    id::{ContactId, DealId, EventId, OrganizationId, RuleId, RunId, TimerId},
};

words! {
    /// How a run ended.
    RunOutcome {
        /// Its actions were applied.
        Applied = "applied",
        /// Evaluation or an action failed; nothing was applied.
        Failed = "failed",
        /// Somebody moved the subject since the facts were read; nothing was applied.
        Stale = "stale",
        /// The event's cause mutes rules; nothing was asked.
        Muted = "muted",
        /// The event's cause chain is too long; nothing was asked.
        Refused = "refused",
    }
}

/// A recorded run of a rule; unique by rule and event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The rule.
    pub rule_id: RuleId,
    /// The rule's version that ran.
    pub rule_version: i64,
    /// The event that it looked at.
    pub event_id: EventId,
    /// What had happened.
    pub event_kind: String,
    /// The contact it acted on, or the contact of its deal; `null` for the organisation.
    pub contact_id: Option<ContactId>,
    /// The deal it acted on; `null` for a contact or the organisation.
    pub deal_id: Option<DealId>,
    /// How it ended.
    pub outcome: RunOutcome,
    /// The facts it was given.
    pub facts: Value,
    /// The actions it wanted.
    pub actions: Value,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it kept later rules from seeing the event.
    pub stopped: bool,
    /// When.
    pub created_at: DateTime<Utc>,
    /// By whose key a part of it is sealed.
    #[serde(skip)]
    pub sealed_by: Option<ContactId>,
    /// What is sealed of it ([`Personal`](crate::domain::payload::Personal)).
    #[serde(skip)]
    pub sealed: Option<Vec<u8>>,
}

/// A time rule's date with a contact or a deal in one entry into a stage; unique by rule and entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// Its id, also that of its work item.
    pub id: TimerId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The rule.
    pub rule_id: RuleId,
    /// With whom.
    pub subject_kind: SubjectKind,
    /// The contact's or deal's id.
    pub subject_id: Uuid,
    /// The entry into the stage.
    pub stage_entry_id: EventId,
    /// When the time has elapsed.
    pub due_at: DateTime<Utc>,
    /// The time has elapsed; the rest of the condition did not hold yet.
    pub ripe: bool,
}

impl Timer {
    /// With whom it is.
    pub fn subject(&self) -> Subject {
        Subject { kind: self.subject_kind, id: self.subject_id }
    }
}
