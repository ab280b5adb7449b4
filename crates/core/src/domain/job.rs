//! Background jobs, and the payload-free work items by which they are claimed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cipher::Place,
    domain::{data_key::Sealed, word::words},
    error::{Error, Result},
    id::{DataKeyId, JobId, OrganizationId, UserId},
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
        /// Takes what is personal out of every row about an erased contact.
        EraseContact = "erase_contact",
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
        matches!(self, Self::SendMessage | Self::SettleMessage | Self::HandOver | Self::SendMail | Self::EraseContact)
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
    /// The data key that sealed what of the payload is secret, if something is.
    #[serde(skip)]
    pub key_id: Option<DataKeyId>,
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

impl Job {
    /// Where the secret part of a job lies that is the only one with its de-duplication key; its id is not known yet when
    /// that is sealed.
    pub fn place_of(organization: OrganizationId, dedup_key: &str) -> Place {
        Place::of_organization(organization, "jobs", "payload", dedup_key)
    }

    /// The payload that holds nothing but something sealed.
    pub fn payload_of(sealed: &[u8]) -> Value {
        json!({ "sealed": STANDARD.encode(sealed) })
    }
}

impl Sealed for Job {
    fn place(&self) -> Place {
        Self::place_of(self.organization_id, self.dedup_key.as_deref().unwrap_or_default())
    }

    fn sealed(&self) -> Result<Option<(DataKeyId, Vec<u8>)>> {
        let Some(key) = self.key_id else { return Ok(None) };
        let text = self.payload.get("sealed").and_then(Value::as_str).unwrap_or_default();
        let bytes = STANDARD.decode(text);
        bytes.map(|bytes| Some((key, bytes))).map_err(|e| Error::internal("a job is no base64").with_source(e))
    }

    fn sealed_anew(&self, key: DataKeyId, sealed: Vec<u8>) -> Self {
        Self { key_id: Some(key), payload: Self::payload_of(&sealed), ..self.clone() }
    }
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
        /// What is kept no longer is to be cleared; the id is the organisation's.
        Retention = "retention",
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
