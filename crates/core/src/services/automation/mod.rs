//! Rules: what they are, what they may know, and what they want done. Asking them is the dispatcher's business
//! (`runtime/dispatcher.rs`); what a source means is the business of the engine it is written for.

mod actions;
mod cache;
mod facts;
mod rules;
mod runs;
mod timers;

pub(crate) use self::{
    actions::apply,
    cache::{LoadedRule, RuleCache, RuleSet},
    facts::{Circumstances, Surroundings, gather, would_hold},
    rules::{create, delete, get, list, pause, replan_schedules, update, versions},
    runs::{explain, list_runs},
    timers::{next_schedule, plant, replant, tend},
};
pub use self::{
    rules::{NewRule, RulePatch, RuleVersions, RuleView, UpdateRule},
    runs::{Explain, ExplainedLink, Explanation, ListRuns},
};
