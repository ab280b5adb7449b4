//! What rules did, and why a contact or a deal is where it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    domain::{
        pipeline::{StageMove, Staged},
        run::{Run, RunOutcome},
    },
    error::{Error, Result},
    id::{ContactId, DealId, EventId, RuleId, RunId},
    page::{Page, PageRequest},
    ports::store::RunFilter,
    scope::{Actor, CauseLink},
    services::{contacts, deals, unit::Unit},
};

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListRuns {
    /// Of this rule.
    pub rule_id: Option<RuleId>,
    /// On this contact, or on a deal of theirs.
    pub contact_id: Option<ContactId>,
    /// On this deal.
    pub deal_id: Option<DealId>,
    /// That ended so.
    pub outcome: Option<RunOutcome>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Whose stage is to be explained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Explain {
    /// The contact; or …
    pub contact_id: Option<ContactId>,
    /// … the deal.
    pub deal_id: Option<DealId>,
}

/// One link of the chain, the cause nearest to the stage first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExplainedLink {
    /// The event that the rule looked at.
    pub event_id: EventId,
    /// What had happened; `null` if it is no longer kept.
    pub event_kind: Option<String>,
    /// When.
    pub occurred_at: Option<chrono::DateTime<chrono::Utc>>,
    /// The rule.
    pub rule_id: RuleId,
    /// Its name; `null` if it was removed.
    pub rule_name: Option<String>,
    /// The version that ran.
    pub rule_version: Option<i64>,
    /// The run.
    pub run_id: RunId,
    /// The facts that it was given.
    pub facts: Value,
    /// The actions that it wanted.
    pub actions: Value,
}

/// Why a contact or a deal is in its stage.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// The entry into the present stage.
    pub entry: StageMove,
    /// One sentence.
    pub summary: String,
    /// The rules that led there, nearest first; empty for a move by hand.
    pub chain: Vec<ExplainedLink>,
}

pub(crate) async fn list_runs(unit: &mut Unit, input: ListRuns) -> Result<Page<Run>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let filter = RunFilter {
        rule_id: input.rule_id,
        contact_id: input.contact_id,
        deal_id: input.deal_id,
        outcome: input.outcome,
    };
    unit.store().runs(unit.organization_id(), &filter, &page).await
}

pub(crate) async fn explain(unit: &mut Unit, input: Explain) -> Result<Explanation> {
    let standing = match (input.contact_id, input.deal_id) {
        (Some(contact), None) => contacts::contact(unit, contact).await?.standing(),
        (None, Some(deal)) => deals::deal(unit, deal).await?.standing(),
        (None, None) | (Some(_), Some(_)) => {
            let detail = "either contact_id or deal_id is expected";
            return Err(Error::malformed(detail).code_of("invalid_parameter").field("/contact_id", "invalid", detail));
        }
    };
    let organization = unit.organization_id();
    let missing = || Error::internal("the present entry into its stage is not in the history");
    let entry = unit.store().stage_move(organization, standing.stage_entry_id).await?.ok_or_else(missing)?;
    let event = unit.store().event(organization, entry.id).await?.ok_or_else(missing)?;
    let mut chain = Vec::with_capacity(event.cause.chain.len());
    for link in event.cause.chain.iter().rev() {
        chain.push(explained(unit, link).await?);
    }
    let summary = match (event.actor, chain.first()) {
        (Actor::Rule { .. }, Some(link)) => format!(
            "{} → rule {} v{} → this stage",
            link.event_kind.as_deref().unwrap_or("an event"),
            link.rule_name.as_deref().unwrap_or("(removed)"),
            link.rule_version.unwrap_or_default()
        ),
        (Actor::User { .. }, _) if entry.from_stage_id.is_none() => "made here by hand".to_owned(),
        (Actor::User { .. }, _) => "moved by hand".to_owned(),
        (Actor::ApiKey { .. }, _) if entry.from_stage_id.is_none() => "made here through an API key".to_owned(),
        (Actor::ApiKey { .. }, _) => "moved through an API key".to_owned(),
        (Actor::Account { .. }, _) => "came in by a message".to_owned(),
        _ => "placed here by the system".to_owned(),
    };
    Ok(Explanation { entry, summary, chain })
}

async fn explained(unit: &Unit, link: &CauseLink) -> Result<ExplainedLink> {
    let organization = unit.organization_id();
    let run = unit.store().run(organization, link.run_id).await?;
    let event = unit.store().event(organization, link.event_id).await?;
    let rule = unit.store().rule(organization, link.rule_id).await?;
    let (facts, actions) = run.as_ref().map(|run| (run.facts.clone(), run.actions.clone())).unwrap_or_default();
    Ok(ExplainedLink {
        event_id: link.event_id,
        event_kind: run.as_ref().map(|run| run.event_kind.clone()),
        occurred_at: event.map(|event| event.occurred_at),
        rule_id: link.rule_id,
        rule_name: rule.map(|rule| rule.name),
        rule_version: run.map(|run| run.rule_version),
        run_id: link.run_id,
        facts,
        actions,
    })
}
