//! Pipelines, their stages, and the history of moves.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{contact::Contact, deal::Deal, event::Subject, word::words},
    id::{ContactId, DealId, EventId, OrganizationId, PipelineId, RuleId, RunId, StageId, TeamId, UserId},
};

words! {
    /// What being in a stage means.
    StageKind {
        /// Still going on.
        Open = "open",
        /// Ended well.
        Won = "won",
        /// Ended badly.
        Lost = "lost",
    }
}

words! {
    /// What goes through stages.
    #[derive(Default)]
    MoverKind {
        /// Contacts.
        #[default]
        Contact = "contact",
        /// Deals.
        Deal = "deal",
    }
}

/// A pipeline: an ordered list of stages.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Pipeline {
    /// Its id.
    pub id: PipelineId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// Where new contacts go. One a tenant.
    pub is_default: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Stage {
    /// Its id.
    pub id: StageId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// What people call it; unique in its pipeline, whatever the case.
    pub name: String,
    /// Its place, from 0.
    pub order_index: i64,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// What being in it means.
    pub kind: StageKind,
    /// The chance to win from here, 0…1.
    pub probability: Option<f64>,
    /// Kept for clients that store their own hints here; the engine's rules live under `/api/automation/rules`.
    pub automation_rules: Value,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// One move of a contact or of a deal; its id is that of the event that states it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StageMove {
    /// The entry: the id of the event.
    pub id: EventId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The contact that moved; `null` on a deal's move, which moves no contact.
    pub contact_id: Option<ContactId>,
    /// The deal that moved; `null` on a contact's move.
    pub deal_id: Option<DealId>,
    /// The pipeline moved into.
    pub pipeline_id: PipelineId,
    /// From where; `null` when the subject was made.
    pub from_stage_id: Option<StageId>,
    /// To where.
    pub to_stage_id: StageId,
    /// Who moved them, if it was a person.
    pub moved_by: Option<UserId>,
    /// When.
    pub moved_at: DateTime<Utc>,
    /// When this entry ended; `null` while they are there.
    #[serde(skip)]
    pub left_at: Option<DateTime<Utc>>,
    /// Where they went then.
    #[serde(skip)]
    pub left_to: Option<StageId>,
    /// Whether a rule moved them.
    pub auto_moved: bool,
    /// Which rule.
    pub rule_id: Option<RuleId>,
    /// Which run of it.
    pub run_id: Option<RunId>,
    /// Why, in words.
    pub reason: Option<String>,
    /// By whose key a part of it is sealed.
    #[serde(skip)]
    pub sealed_by: Option<ContactId>,
    /// What is sealed of it ([`Personal`](crate::domain::payload::Personal)).
    #[serde(skip)]
    pub sealed: Option<Vec<u8>>,
}

/// Where a contact or a deal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub subject: Subject,
    /// The stage.
    pub stage_id: StageId,
    /// Its pipeline.
    pub pipeline_id: PipelineId,
    /// The event by which it was entered.
    pub stage_entry_id: EventId,
    /// When it was entered.
    pub stage_entered_at: DateTime<Utc>,
    /// The member who looks after it.
    pub assigned_to: Option<UserId>,
    /// The team that looks after it.
    pub team_id: Option<TeamId>,
    /// Whether what stands here is deleted.
    pub deleted: bool,
}

/// What goes through stages: contacts and deals.
pub trait Staged {
    /// Where it stands.
    fn standing(&self) -> Standing;
    /// Puts it into a stage.
    fn enter(&mut self, stage: &Stage, entry: EventId, at: DateTime<Utc>);
}

impl Staged for Contact {
    fn standing(&self) -> Standing {
        Standing {
            subject: self.id.into(),
            stage_id: self.stage_id,
            pipeline_id: self.pipeline_id,
            stage_entry_id: self.stage_entry_id,
            stage_entered_at: self.stage_entered_at,
            assigned_to: self.assigned_to,
            team_id: self.team_id,
            deleted: self.deleted_at.is_some(),
        }
    }

    fn enter(&mut self, stage: &Stage, entry: EventId, at: DateTime<Utc>) {
        (self.stage_id, self.pipeline_id) = (stage.id, stage.pipeline_id);
        (self.stage_entry_id, self.stage_entered_at, self.updated_at) = (entry, at, at);
    }
}

impl Staged for Deal {
    fn standing(&self) -> Standing {
        Standing {
            subject: self.id.into(),
            stage_id: self.stage_id,
            pipeline_id: self.pipeline_id,
            stage_entry_id: self.stage_entry_id,
            stage_entered_at: self.stage_entered_at,
            assigned_to: self.assigned_to,
            team_id: self.team_id,
            deleted: self.deleted_at.is_some(),
        }
    }

    fn enter(&mut self, stage: &Stage, entry: EventId, at: DateTime<Utc>) {
        (self.stage_id, self.pipeline_id) = (stage.id, stage.pipeline_id);
        (self.stage_entry_id, self.stage_entered_at, self.updated_at) = (entry, at, at);
        self.follow(stage.kind, at);
    }
}
