//! An automation rule, its facts and its actions. What a rule means is AUTOMATION's contract; engines turn a source into
//! something that can be asked, and nothing here waits or touches a database.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    domain::{event::EventKind, money::Money, word::words},
    id::{FieldId, OrganizationId, PipelineId, RuleId, StageId, TeamId, UserId},
};

words! {
    /// What makes a rule look.
    Trigger {
        /// A message of the contact came in.
        MessageReceived = "message.received",
        /// A message to the contact went out.
        MessageSent = "message.sent",
        /// A contact was made.
        ContactCreated = "contact.created",
        /// A contact was edited.
        ContactUpdated = "contact.updated",
        /// A deal was made.
        DealCreated = "deal.created",
        /// A deal was edited.
        DealUpdated = "deal.updated",
        /// A deal was won.
        DealWon = "deal.won",
        /// A deal was lost.
        DealLost = "deal.lost",
        /// A task of the contact or deal has fallen due.
        TaskDue = "task.due",
        /// A subject entered a stage.
        StageChanged = "stage.changed",
        /// An account's status changed.
        AccountStatusChanged = "account.status_changed",
        /// A subject has been in a stage for a while.
        TimeElapsed = "time_elapsed",
        /// A cron expression came due.
        Schedule = "schedule",
    }
}

impl Trigger {
    /// What an event is to rules; nothing for those that no rule is about. Times and schedules name their rule themselves.
    pub fn of(event: EventKind) -> Option<Self> {
        Some(match event {
            EventKind::MessageReceived => Self::MessageReceived,
            EventKind::MessageSent => Self::MessageSent,
            EventKind::ContactCreated => Self::ContactCreated,
            EventKind::ContactUpdated => Self::ContactUpdated,
            EventKind::DealCreated => Self::DealCreated,
            EventKind::DealUpdated => Self::DealUpdated,
            EventKind::DealWon => Self::DealWon,
            EventKind::DealLost => Self::DealLost,
            EventKind::TaskDue => Self::TaskDue,
            EventKind::StageChanged => Self::StageChanged,
            EventKind::AccountStatusChanged => Self::AccountStatusChanged,
            _ => return None,
        })
    }
}

words! {
    /// Whom a rule acts on.
    RuleSubject {
        /// A contact.
        Contact = "contact",
        /// A deal; what concerns its contact acts on that.
        Deal = "deal",
        /// The organisation itself (a schedule, or an account's event): one run, no contact.
        Organization = "organization",
    }
}

/// When a schedule comes due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Five-field cron expression (minute first).
    pub cron: String,
    /// IANA name of the time zone; `None` is the organisation's.
    pub time_zone: Option<String>,
}

/// A lower bound on the time in a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elapsed {
    /// Any of these stages.
    pub stages: Vec<StageId>,
    /// At least this long, in hours.
    pub hours: f64,
}

/// What the engine must know of a rule to index, plant and ask it; made by its engine when it is saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RulePlan {
    /// What makes it look.
    pub trigger: Trigger,
    /// Whom it acts on.
    pub subject: RuleSubject,
    /// If set, it can only hold while the subject is in one of these stages.
    pub stages: Option<Vec<StageId>>,
    /// For `time_elapsed`.
    pub elapsed: Option<Elapsed>,
    /// For `schedule`.
    pub schedule: Option<Schedule>,
    /// The custom fields that it names, by id in order: they stay as long as it does.
    #[serde(default)]
    pub fields: Vec<FieldId>,
    /// The options of custom fields that it names: they stay as well.
    #[serde(default)]
    pub options: Vec<(FieldId, String)>,
    /// Event causes that mute rules (`import`, `restore`, `backfill`) and that this rule asks for all the same.
    pub causes: Vec<String>,
}

/// A rule as its organisation keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Unique text id in its organisation.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// `declarative`, `rhai`, `wasm`.
    pub engine: String,
    /// Several rules on one event go by position, then id.
    pub position: i64,
    /// The source as it was written: the members `trigger`, `condition`, `actions` / `action`, `source`, ….
    pub definition: Map<String, Value>,
    /// The source with names replaced by ids, in the engine's own form.
    pub compiled: Value,
    /// What the engine must know of it.
    pub plan: RulePlan,
    /// Failed runs in a row.
    pub failures: i64,
    /// Why it was paused, if it was.
    pub paused_reason: Option<String>,
    /// Who saved it last.
    pub updated_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last saved.
    pub updated_at: DateTime<Utc>,
    /// Counts saves, from 1; runs name it.
    pub version: i64,
}

/// A stage as facts name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFact {
    /// Its id.
    pub id: StageId,
    /// Its name.
    pub name: String,
    /// The pipeline's id.
    pub pipeline_id: PipelineId,
    /// The pipeline's name.
    pub pipeline: String,
}

/// What a rule may know, the same in all engines. `None` and absent members mean "there is none": a comparison with one
/// does not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Where the subject is.
    pub stage: Option<StageFact>,
    /// Hours since this stage was entered.
    pub elapsed_hours: Option<f64>,
    /// Whether the contact ever wrote (automatic messages aside).
    pub has_response: bool,
    /// Whether the event is the contact's first ever response.
    pub is_first_response: bool,
    /// Hours since the last message in either direction.
    pub hours_since_last_message: Option<f64>,
    /// Hours since the contact last wrote.
    pub hours_since_last_response: Option<f64>,
    /// `{text, platform, sender, …}` of the event's message.
    pub message: Map<String, Value>,
    /// The contact as REST shows it, and `custom`; the deal's contact where that is the subject.
    pub contact: Map<String, Value>,
    /// The deal as REST shows it, where it is the subject.
    #[serde(default)]
    pub deal: Map<String, Value>,
    /// The account of the event.
    pub account: Map<String, Value>,
    /// `{kind, cause, …}` and what was stamped into the event.
    pub event: Map<String, Value>,
    /// The present, in the organisation's time zone.
    pub now: NowFact,
}

/// The present, in the organisation's time zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NowFact {
    /// The instant.
    pub at: DateTime<Utc>,
    /// 0…23.
    pub hour: u32,
    /// `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    pub weekday: String,
}

/// What a rule wants done. Carried out by the engine, all of a run or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Move the subject to the stage among `stages` that is in its own pipeline, or in `pipeline_id`.
    MoveToStage {
        /// The stage's name when the rule was saved, for messages.
        name: String,
        /// Every stage of that name.
        stages: Vec<StageId>,
        /// Another pipeline than the subject's own.
        pipeline_id: Option<PipelineId>,
    },
    /// Notify the contact's team; without one its assignee and the owners and admins.
    NotifyTeam {
        /// What to say instead of the default sentence; `{{contact.name}}`-style variables.
        text: Option<String>,
    },
    /// Give the contact or deal to somebody.
    AssignTo(Assignee),
    /// Add a tag to the contact.
    AddTag(String),
    /// Remove a tag from the contact.
    RemoveTag(String),
    /// Set built-in fields of the contact or deal, a contact's `score`, or custom fields: `contact.custom.KEY`,
    /// `deal.custom.KEY`.
    SetField(BTreeMap<String, Value>),
    /// Make a task for the contact or deal.
    CreateTask {
        /// What is to be done; `{{contact.name}}`-style variables.
        title: String,
        /// By when, in hours from now.
        due_in_hours: Option<f64>,
        /// When its assignee is reminded, in hours from now.
        remind_in_hours: Option<f64>,
        /// Who is to do it; `None`: who looks after the contact or deal.
        assigned_to: Option<UserId>,
    },
    /// Make a deal with the contact.
    CreateDeal {
        /// What to call it instead of by the contact's name; `{{contact.name}}`-style variables.
        name: Option<String>,
        /// What it is worth.
        value: Option<Money>,
        /// The stage's name when the rule was saved, for messages.
        stage: Option<String>,
        /// Every stage of that name; none: the pipeline's first.
        stages: Vec<StageId>,
        /// Another pipeline than the default one.
        pipeline_id: Option<PipelineId>,
    },
    /// Answer in the contact's latest chat; `{{contact.name}}`-style variables.
    SendMessage {
        /// The text.
        text: String,
    },
    /// No later rule sees this event.
    Stop,
}

/// To whom a rule gives a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Assignee {
    /// A member becomes its assignee.
    User(UserId),
    /// It becomes a team's.
    Team(TeamId),
    /// Who was given one longest ago, of this team, else of the contact's, else of all.
    RoundRobin(Option<TeamId>),
    /// Who has the fewest open contacts, of this team, else of the contact's, else of all.
    LeastBusy(Option<TeamId>),
}

impl Action {
    /// The action's public name, for example `move_to_stage`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MoveToStage { .. } => "move_to_stage",
            Self::NotifyTeam { .. } => "notify_team",
            Self::AssignTo(_) => "assign_to",
            Self::AddTag(_) => "add_tag",
            Self::RemoveTag(_) => "remove_tag",
            Self::SetField(_) => "set_field",
            Self::CreateTask { .. } => "create_task",
            Self::CreateDeal { .. } => "create_deal",
            Self::SendMessage { .. } => "send_message",
            Self::Stop => "stop",
        }
    }
}
