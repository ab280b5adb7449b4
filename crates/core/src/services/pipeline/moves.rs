//! Moves of contacts and deals, and the history that they leave. Timers are not planted here: the dispatcher does so when
//! it comes to the event.

use serde::Serialize;

use crate::{
    domain::{
        contact::Contact,
        custom_field::Noun,
        deal::Deal,
        event::EventKind,
        pipeline::{Stage, StageKind, StageMove, Staged, Standing},
        restricted::{self, Restricted},
        text,
    },
    error::{Error, Result},
    id::{ContactId, DealId, OrganizationId, StageId, TeamId, UserId},
    ports::store::{Column, Record, Update},
    scope::{Actor, Scope},
    services::{
        pipeline::referred_stage,
        unit::{Fact, Unit},
    },
};

/// The history's row of a present entry into a stage, made by whoever `scope` is.
pub(crate) fn entry(scope: &Scope, standing: Standing, from: Option<StageId>, reason: Option<String>) -> StageMove {
    let (rule_id, run_id) = match scope.actor {
        Actor::Rule { id, run_id } => (Some(id), Some(run_id)),
        _ => (None, None),
    };
    StageMove {
        id: standing.stage_entry_id,
        organization_id: scope.organization_id,
        contact_id: standing.subject.contact(),
        deal_id: standing.subject.deal(),
        pipeline_id: standing.pipeline_id,
        from_stage_id: from,
        to_stage_id: standing.stage_id,
        moved_by: scope.user_id(),
        moved_at: standing.stage_entered_at,
        left_at: None,
        left_to: None,
        auto_moved: rule_id.is_some(),
        rule_id,
        run_id,
        reason,
        sealed_by: None,
        sealed: None,
    }
}

/// Why something moves, as it is kept; an empty reason is none.
pub(crate) fn checked_reason(reason: Option<String>) -> Result<Option<String>> {
    let reason = reason.filter(|reason| !reason.trim().is_empty());
    let checked = reason.map(|reason| text::remark(&reason)).transpose();
    checked.map_err(|flaw| Error::invalid("/reason", flaw.code, flaw.detail))
}

/// Moves a contact into a stage of any pipeline. A contact that is there already stays as it is.
pub(crate) async fn move_contact(
    unit: &mut Unit,
    id: ContactId,
    stage: StageId,
    reason: Option<String>,
) -> Result<Contact> {
    let contact = unit.contact(id).await?.ok_or_else(|| Error::not_found("contact", id))?;
    let reason = checked_reason(reason)?;
    let stage = referred_stage(unit, "/stage_id", stage).await?;
    place(unit, &contact, &stage, reason)
}

/// Moves a deal into a stage of any pipeline; its contact stays where they are. The reason of a move into a lost stage is
/// why the deal was lost.
pub(crate) async fn move_deal(unit: &mut Unit, deal: &Deal, stage: StageId, reason: Option<String>) -> Result<Deal> {
    let reason = checked_reason(reason)?;
    let stage = referred_stage(unit, "/stage_id", stage).await?;
    place_deal(unit, deal, &stage, reason)
}

/// Puts a deal into a stage, and states what became of it.
pub(super) fn place_deal(unit: &mut Unit, before: &Deal, stage: &Stage, reason: Option<String>) -> Result<Deal> {
    if before.stage_id == stage.id {
        return Ok(before.clone());
    }
    let mut told = before.clone();
    let closed = unit.scope().fields.of(Noun::Deal.as_str()).any(|(field, _)| field == "lost_reason");
    if stage.kind == StageKind::Lost && told.lost_reason.is_none() && !closed {
        told.lost_reason.clone_from(&reason);
    }
    let after = put(unit, before, told, stage, reason, |fact| {
        fact.data("deal_id", before.id).data("contact_id", before.contact_id)
    })?;
    if before.status != after.status {
        state_end(unit, &after)?;
    }
    Ok(after)
}

/// States that a deal was won or lost, if it is; its change has been stated already.
pub(crate) fn state_end(unit: &mut Unit, deal: &Deal) -> Result<()> {
    let kind = match deal.status {
        StageKind::Open => return Ok(()),
        StageKind::Won => EventKind::DealWon,
        StageKind::Lost => EventKind::DealLost,
    };
    looked_after(unit.fact(kind, deal.id)?, deal.assigned_to, deal.team_id)
        .data("stage_id", deal.stage_id)
        .data("pipeline_id", deal.pipeline_id)
        .data("contact_id", deal.contact_id)
        .data("value", deal.value)
        .data("lost_reason", &deal.lost_reason);
    Ok(())
}

/// Puts a contact into a stage: one event, one entry of the history, the entry before it ended.
pub(super) fn place(unit: &mut Unit, before: &Contact, stage: &Stage, reason: Option<String>) -> Result<Contact> {
    if before.stage_id == stage.id {
        return Ok(before.clone());
    }
    put(unit, before, before.clone(), stage, reason, |fact| fact.data("deal_id", None::<DealId>))
}

/// Puts whatever goes through stages from one into another: `after` is `before` with whatever else the move changes.
fn put<T: Staged + Restricted + Record + Serialize>(
    unit: &mut Unit,
    before: &T,
    mut after: T,
    stage: &Stage,
    reason: Option<String>,
    stamp: impl FnOnce(Fact<'_>) -> Fact<'_>,
) -> Result<T> {
    let (scope, now, from) = (unit.scope().clone(), unit.now(), before.standing());
    restricted::require_open::<T>(&scope.fields, "stage_id")?;
    let mut fact = unit.fact(EventKind::StageChanged, from.subject)?;
    after.enter(stage, fact.id(), now);
    let entry = entry(&scope, after.standing(), Some(from.stage_id), reason);
    let left = Update {
        table: StageMove::TABLE,
        key: vec![scope.organization_id.to_value(), from.stage_entry_id.to_value()],
        set: vec![("left_at", Some(now).to_value()), ("left_to", Some(stage.id).to_value())],
        add: Vec::new(),
        max: Vec::new(),
        expect: Vec::new(),
        before: None,
    };
    let (fact, after) = fact.edit(before, &after)?;
    looked_after(stamp(fact.changes(Some(before), &after)), from.assigned_to, from.team_id)
        .data("from_stage_id", from.stage_id)
        .data("to_stage_id", stage.id)
        .data("pipeline_id", stage.pipeline_id)
        .data("auto_moved", entry.auto_moved)
        .data("rule_id", entry.rule_id)
        .data("reason", &entry.reason)
        .insert(&entry)
        .touch(left);
    Ok(after)
}

/// Stamps who looks after a contact or deal into a fact: a member, a team. They hear of it, and so does whoever else sees it.
pub(crate) fn looked_after(fact: Fact<'_>, assigned_to: Option<UserId>, team: Option<TeamId>) -> Fact<'_> {
    // Said of nobody too: what does not say it is heard by those alone who see everything.
    let fact = fact.data("assigned_to", assigned_to);
    match team {
        Some(team) => fact.data("team_id", team),
        None => fact,
    }
}

/// The most contacts, and the most deals, that are moved in one unit, when their stage is removed.
pub(super) const MOVED_AT_ONCE: u32 = 1_000;
/// The same for deleted ones, which nobody can move by hand.
pub(super) const DELETED_AT_ONCE: u32 = 10_000;

/// The contacts and deals of stages that are to be removed, as this unit knows them.
pub(super) struct Inside {
    pub(super) contacts: Vec<Contact>,
    pub(super) deals: Vec<Deal>,
}

impl Inside {
    /// Those that are not deleted, at most `limit` of each kind.
    pub(super) async fn present(unit: &mut Unit, stages: &[StageId], limit: u32) -> Result<Self> {
        let organization = unit.organization_id();
        let contacts = unit.store().contacts_in_stages(organization, stages, None, limit).await?;
        let deals = unit.store().deals_in_stages(organization, stages, None, limit).await?;
        Ok(Self { contacts: met(unit, contacts)?, deals: met(unit, deals)? })
    }

    /// The deleted ones, which can still be restored; fails if there are more than can be moved.
    pub(super) async fn deleted(unit: &mut Unit, stages: &[StageId]) -> Result<Self> {
        let organization: OrganizationId = unit.organization_id();
        let contacts = unit.store().deleted_contacts_in_stages(organization, stages, DELETED_AT_ONCE + 1).await?;
        let deals = unit.store().deleted_deals_in_stages(organization, stages, DELETED_AT_ONCE + 1).await?;
        for (count, nouns) in [(contacts.len(), "contacts"), (deals.len(), "deals")] {
            if count > DELETED_AT_ONCE as usize {
                let message =
                    format!("more than {DELETED_AT_ONCE} deleted {nouns} are in it, which is more than can be moved");
                return Err(Error::conflict("stage_in_use", message));
            }
        }
        Ok(Self { contacts: met(unit, contacts)?, deals: met(unit, deals)? })
    }

    /// What there is, for a sentence; `None` if there is nothing.
    pub(super) fn nouns(&self) -> Option<&'static str> {
        match (self.contacts.is_empty(), self.deals.is_empty()) {
            (true, true) => None,
            (false, true) => Some("contacts"),
            (true, false) => Some("deals"),
            (false, false) => Some("contacts and deals"),
        }
    }

    /// Moves all of them.
    pub(super) fn place(self, unit: &mut Unit, stage: &Stage, reason: &str) -> Result<()> {
        for contact in self.contacts {
            place(unit, &contact, stage, Some(reason.to_owned()))?;
        }
        for deal in self.deals {
            place_deal(unit, &deal, stage, Some(reason.to_owned()))?;
        }
        Ok(())
    }
}

fn met<T: Record>(unit: &mut Unit, rows: Vec<T>) -> Result<Vec<T>> {
    rows.into_iter().filter_map(|row| unit.meet(row).transpose()).collect()
}

/// Makes the deals of a stage whose kind has changed what it says, at most [`MOVED_AT_ONCE`]. Deleted ones follow when they
/// are restored.
pub(super) async fn follow(unit: &mut Unit, stage: &Stage) -> Result<()> {
    let deals = unit.store().deals_in_stages(unit.organization_id(), &[stage.id], None, MOVED_AT_ONCE + 1).await?;
    if deals.len() > MOVED_AT_ONCE as usize {
        let message = format!(
            "more than {MOVED_AT_ONCE} deals are in the stage {:?}, and its kind is theirs: move them first, no more \
             are changed at once",
            stage.name
        );
        return Err(Error::conflict("stage_in_use", message));
    }
    let now = unit.now();
    for before in met(unit, deals)? {
        let mut after = before.clone();
        after.follow(stage.kind, now);
        if after.status == before.status {
            continue;
        }
        after.updated_at = now;
        let (fact, after) = unit.fact(EventKind::DealUpdated, before.id)?.edit(&before, &after)?;
        let fact = looked_after(fact, after.assigned_to, after.team_id);
        fact.changes(Some(&before), &after).data("contact_id", before.contact_id);
        state_end(unit, &after)?;
    }
    Ok(())
}
