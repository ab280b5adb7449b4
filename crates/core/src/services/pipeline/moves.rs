//! Moves of contacts, and the history that they leave. Timers are not planted here: the dispatcher does so when it comes
//! to the event.

use crate::{
    domain::{
        contact::Contact,
        event::EventKind,
        pipeline::{Stage, StageMove},
        text,
    },
    error::{Error, Result},
    id::{ContactId, StageId, TeamId},
    ports::store::{Column, Record, Update},
    scope::{Actor, Scope},
    services::{
        pipeline::referred_stage,
        unit::{Fact, Unit},
    },
};

/// The history's row of a contact's present entry into its stage, made by whoever `scope` is.
pub(crate) fn entry(scope: &Scope, contact: &Contact, from: Option<StageId>, reason: Option<String>) -> StageMove {
    let (rule_id, run_id) = match scope.actor {
        Actor::Rule { id, run_id } => (Some(id), Some(run_id)),
        _ => (None, None),
    };
    StageMove {
        id: contact.stage_entry_id,
        organization_id: contact.organization_id,
        contact_id: contact.id,
        deal_id: None,
        pipeline_id: contact.pipeline_id,
        from_stage_id: from,
        to_stage_id: contact.stage_id,
        moved_by: scope.user_id(),
        moved_at: contact.stage_entered_at,
        left_at: None,
        left_to: None,
        auto_moved: rule_id.is_some(),
        rule_id,
        run_id,
        reason,
    }
}

/// Moves a contact into a stage of any pipeline. A contact that is there already stays as it is.
pub(crate) async fn move_contact(
    unit: &mut Unit,
    id: ContactId,
    stage: StageId,
    reason: Option<String>,
) -> Result<Contact> {
    let contact = unit.contact(id).await?.ok_or_else(|| Error::not_found("contact", id))?;
    let reason = match reason.filter(|reason| !reason.trim().is_empty()) {
        Some(reason) => Some(text::remark(&reason).map_err(|flaw| Error::invalid("/reason", flaw.code, flaw.detail))?),
        None => None,
    };
    let stage = referred_stage(unit, "/stage_id", stage).await?;
    place(unit, &contact, &stage, reason)
}

/// Puts a contact into a stage: one event, one entry of the history, the entry before it ended.
pub(super) fn place(unit: &mut Unit, before: &Contact, stage: &Stage, reason: Option<String>) -> Result<Contact> {
    if before.stage_id == stage.id {
        return Ok(before.clone());
    }
    let (scope, now) = (unit.scope().clone(), unit.now());
    let mut fact = unit.fact(EventKind::StageChanged, before.id)?;
    let after = Contact {
        stage_id: stage.id,
        pipeline_id: stage.pipeline_id,
        stage_entry_id: fact.id(),
        stage_entered_at: now,
        updated_at: now,
        ..before.clone()
    };
    let entry = entry(&scope, &after, Some(before.stage_id), reason);
    let left = Update {
        table: StageMove::TABLE,
        key: vec![before.organization_id.to_value(), before.stage_entry_id.to_value()],
        set: vec![("left_at", Some(now).to_value()), ("left_to", Some(stage.id).to_value())],
        add: Vec::new(),
        max: Vec::new(),
        expect: Vec::new(),
    };
    let (fact, after) = fact.edit(before, &after)?;
    of_team(fact, after.team_id)
        .changes(Some(before), &after)
        .data("from_stage_id", before.stage_id)
        .data("to_stage_id", stage.id)
        .data("pipeline_id", stage.pipeline_id)
        .data("deal_id", None::<crate::id::DealId>)
        .data("auto_moved", entry.auto_moved)
        .data("rule_id", entry.rule_id)
        .data("reason", &entry.reason)
        .insert(&entry)
        .touch(left);
    Ok(after)
}

/// Stamps the team that a contact belongs to into a fact: its members hear of it.
pub(crate) fn of_team(fact: Fact<'_>, team: Option<TeamId>) -> Fact<'_> {
    match team {
        Some(team) => fact.data("team_id", team),
        None => fact,
    }
}

/// The most contacts that are moved in one unit, when their stage is removed.
pub(super) const MOVED_AT_ONCE: u32 = 1_000;
/// The same for deleted contacts, which nobody can move by hand.
pub(super) const DELETED_AT_ONCE: u32 = 10_000;

/// Moves deleted contacts out of what is to be removed, so that they can still be restored.
pub(super) fn place_deleted(unit: &mut Unit, contacts: Vec<Contact>, stage: &Stage, reason: &str) -> Result<()> {
    if contacts.len() > DELETED_AT_ONCE as usize {
        let message =
            format!("more than {DELETED_AT_ONCE} deleted contacts are in it, which is more than can be moved");
        return Err(Error::conflict("stage_in_use", message));
    }
    for contact in contacts {
        if let Some(contact) = unit.meet(contact)? {
            place(unit, &contact, stage, Some(reason.to_owned()))?;
        }
    }
    Ok(())
}
