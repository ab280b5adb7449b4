//! A recorded run of a rule, and the timers of time rules.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::word::words,
    id::{ContactId, EventId, OrganizationId, RuleId, RunId, TimerId},
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
    /// The contact it acted on; `null` for the organisation.
    pub contact_id: Option<ContactId>,
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
}

/// A time rule's date with a contact in one entry into a stage; unique by rule and entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// Its id, also that of its work item.
    pub id: TimerId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The rule.
    pub rule_id: RuleId,
    /// The contact.
    pub contact_id: ContactId,
    /// The entry into the stage.
    pub stage_entry_id: EventId,
    /// When the time has elapsed.
    pub due_at: DateTime<Utc>,
    /// The time has elapsed; the rest of the condition did not hold yet.
    pub ripe: bool,
}
