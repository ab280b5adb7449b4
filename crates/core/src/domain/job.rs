//! Background jobs, and the payload-free work items by which they are claimed.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::word::words,
    id::{JobId, OrganizationId, UserId},
};

words! {
    /// What a job does.
    JobKind {
        /// Hands one message to its provider.
        SendMessage = "send_message",
        /// Finds out what became of a doubtful message.
        SettleMessage = "settle_message",
        /// Plants the timers of a time rule for those already in its stages.
        PlantTimers = "plant_timers",
        /// Finds the subjects of a schedule rule that came due.
        RunSchedule = "run_schedule",
        /// Gives on what belonged to a member or a team that is gone.
        HandOver = "hand_over",
        /// Hands one mail of our own to the mail server.
        SendMail = "send_mail",
    }
}

words! {
    /// How far a job is.
    JobState {
        /// Waits for its turn.
        Queued = "queued",
        /// Ended well.
        Done = "done",
        /// Given up.
        Failed = "failed",
        /// Taken back.
        Cancelled = "cancelled",
    }
}

impl JobKind {
    /// Whether it only carries out part of something else, which is what people cancel.
    pub const fn is_internal(self) -> bool {
        matches!(self, Self::SendMessage | Self::SettleMessage | Self::HandOver | Self::SendMail)
    }
}

/// A background job. It is claimed by the work item of the same id in the lane [`Lane::Job`].
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What it does.
    pub kind: JobKind,
    /// To what; in the job kind's own form.
    #[serde(skip)]
    pub payload: Value,
    /// How far it is.
    pub state: JobState,
    /// Items done so far.
    pub progress: i64,
    /// Tries so far.
    pub attempts: i64,
    /// When it is to run next.
    pub run_at: DateTime<Utc>,
    /// Unique per organisation: the effect it has happens once.
    #[serde(skip)]
    pub dedup_key: Option<String>,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// Who asked for it.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

words! {
    /// The kinds of work that replicas share out among themselves.
    Lane {
        /// Events of one subject wait for the rules; the item's id is the subject's.
        Dispatch = "dispatch",
        /// A job is due; the id is the job's.
        Job = "job",
        /// A timer is due; the id is the timer's.
        Timer = "timer",
        /// Something about a task is to be told; the id is the task's.
        Task = "task",
        /// A schedule rule is due; the id is the rule's.
        Schedule = "schedule",
        /// An account's live connection wants somebody to hold it; the id is the account's.
        Account = "account",
        /// Entries of the audit log wait for their seal; the id is that of one of them.
        Audit = "audit",
    }
}

/// A claimed work item: no payload, only whose it is and what to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The lane.
    pub lane: Lane,
    /// What to look up.
    pub id: Uuid,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// Who claimed it.
    pub owner: Uuid,
    /// Fencing token: a commit under this claim fails once somebody has claimed the item again.
    pub token: i64,
    /// Counts the times the item was put; it is done only if this has not changed since.
    pub generation: i64,
}
