//! The port to rule engines. An engine turns a source into a [`CompiledRule`], a pure function from facts to actions: it
//! fetches nothing, stores nothing and sends nothing.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::{
        currency::Currency,
        custom_field::{CustomField, Noun},
        rule::{Action, Facts, RulePlan},
    },
    error::Result,
    id::{PipelineId, StageId, TeamId, UserId},
    ports::store::Filter,
};

/// The names a rule may use, as they stand when it is saved.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Every pipeline.
    pub pipelines: Vec<(PipelineId, String)>,
    /// Every stage with its pipeline.
    pub stages: Vec<(StageId, PipelineId, String)>,
    /// Every team.
    pub teams: Vec<(TeamId, String)>,
    /// Every member: id, e-mail, name.
    pub users: Vec<(UserId, String, String)>,
    /// Every custom field.
    pub fields: Vec<CustomField>,
    /// What amounts are in unless they say otherwise.
    pub currency: Currency,
}

/// What an engine makes of a definition when a rule is saved.
#[derive(Debug, Clone)]
pub struct CompiledSource {
    /// The source with names replaced by ids; what [`RuleEngine::load`] takes.
    pub compiled: Value,
    /// What the runtime must know to index, plant and ask the rule.
    pub plan: RulePlan,
    /// The contacts and companies that it names: the rule is refused unless all of them exist.
    pub references: Vec<Reference>,
}

/// A contact or company that a source names by its id: there are too many to be in the [`Directory`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands in the definition (a JSON pointer).
    pub pointer: String,
    /// What it is.
    pub noun: Noun,
    /// Which one.
    pub id: Uuid,
}

/// A rule, ready to be asked.
pub trait CompiledRule: Send + Sync {
    /// What the rule wants done. An empty list: its condition did not hold.
    ///
    /// # Errors
    /// What the run records: a limit that tripped, or a source that failed.
    fn evaluate(&self, facts: &Facts) -> Result<Vec<Action>>;

    /// In how long to ask a rule again that did not hold, because time alone may make it hold: silence that grows, an hour of
    /// the day. `None`: nothing but an event can. An engine that cannot look into its rules says `None`.
    fn ask_again(&self, facts: &Facts) -> Option<TimeDelta> {
        let _ = facts;
        None
    }

    /// What the store can search by when the rule looks for contacts or deals: everything passes for which its condition may
    /// hold at `now`; more may, for each hit is still evaluated. `fields` are the organisation's custom fields. `None`: an
    /// engine that cannot look into its rules goes by the plan's stages alone.
    fn search(&self, noun: Noun, fields: &[CustomField], now: DateTime<Utc>) -> Option<Filter> {
        let _ = (noun, fields, now);
        None
    }
}

/// One way of writing rules. Registered by name.
pub trait RuleEngine: Send + Sync {
    /// Its name in a rule's `engine` member: `declarative`, `rhai`, `wasm`.
    fn name(&self) -> &'static str;

    /// Checks a definition (the rule's members other than `id, name, enabled, position, engine`) and resolves its names.
    ///
    /// # Errors
    /// `validation_failed` with a pointer into the definition and, for a name that is not known, the nearest one that is;
    /// code `not_available` for a trigger, fact or action that this build does not have.
    fn compile(&self, definition: &Map<String, Value>, directory: &Directory) -> Result<CompiledSource>;

    /// Makes a compiled source ready.
    ///
    /// # Errors
    /// `internal` if it is none of ours.
    fn load(&self, compiled: &Value) -> Result<Box<dyn CompiledRule>>;
}
