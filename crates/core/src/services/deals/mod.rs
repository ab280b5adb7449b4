//! Deals: making, editing, moving and deleting them. A deal has a place in a pipeline of its own; its moves never move its
//! contact.

mod input;

use serde_json::Map;

pub use self::input::{
    DealMove, DealPatch, DeleteDeal, ListDealHistory, ListDeals, MoneyPatch, MoveDeal, NewDeal, UpdateDeal,
};
use crate::{
    domain::{
        deal::Deal,
        event::EventKind,
        pipeline::{StageKind, StageMove, Staged},
        text::Flaws,
    },
    error::{Error, Result},
    id::{DealId, EventId, Id},
    page::{Page, PageRequest},
    services::{
        contacts, pipeline,
        unit::{Unit, check_version, keyed},
    },
};

/// A deal, unless it is deleted.
pub(crate) async fn find(unit: &mut Unit, id: DealId) -> Result<Option<Deal>> {
    unit.deal(id).await
}

/// A deal that is not deleted.
pub(crate) async fn deal(unit: &mut Unit, id: DealId) -> Result<Deal> {
    unit.deal(id).await?.ok_or_else(|| Error::not_found("deal", id))
}

pub(crate) async fn create(unit: &mut Unit, input: NewDeal) -> Result<Deal> {
    let mut flaws = Flaws::default();
    let stage = match input.stage_id {
        Some(id) => told(&mut flaws, pipeline::referred_stage(unit, "/stage_id", id).await)?,
        None => told(&mut flaws, pipeline::first_stage(unit, input.pipeline_id).await)?,
    };
    if let (Some(stage), Some(wanted)) = (&stage, input.pipeline_id)
        && stage.pipeline_id != wanted
    {
        let detail = format!("the stage {:?} is not in the pipeline {wanted}: leave one of the two out", stage.name);
        flaws.add("/stage_id", "invalid", detail);
    }
    let value = input.value.and_then(|value| value.checked(&mut flaws, "/value"));
    let (now, status) = (unit.now(), stage.as_ref().map_or(StageKind::Open, |stage| stage.kind));
    if input.lost_reason.is_some() && stage.is_some() && status != StageKind::Lost {
        flaws.add("/lost_reason", "invalid", format!("the deal is {status}: only a lost one has this"));
    }
    let nil = uuid::Uuid::nil();
    let draft = Deal {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name: input.name,
        name_key: String::new(),
        contact_id: input.contact_id,
        company_id: input.company_id,
        pipeline_id: stage.as_ref().map_or(nil.into(), |stage| stage.pipeline_id),
        stage_id: stage.as_ref().map_or(nil.into(), |stage| stage.id),
        // The event that states the creation gives it.
        stage_entry_id: EventId::from_uuid(nil),
        stage_entered_at: now,
        value,
        probability: input.probability,
        expected_close_on: input.expected_close_on,
        assigned_to: input.assigned_to,
        team_id: None,
        lost_reason: input.lost_reason,
        status,
        closed_at: (status != StageKind::Open).then_some(now),
        custom: Map::new(),
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    };
    let mut deal = checked(unit, None, draft, flaws).await?;
    let scope = unit.scope().clone();
    let mut fact = unit.fact(EventKind::DealCreated, deal.id)?;
    deal.stage_entry_id = fact.id();
    let entry = pipeline::entry(&scope, deal.standing(), None, None);
    fact.changes(None, &deal)
        .data("stage_id", deal.stage_id)
        .data("pipeline_id", deal.pipeline_id)
        .data("contact_id", deal.contact_id)
        .insert(&deal)
        .insert(&entry);
    pipeline::state_end(unit, &deal)?;
    Ok(deal)
}

/// What was found, or nothing with its flaws noted, so that they are told together with all others.
fn told<T>(flaws: &mut Flaws, found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if !error.fields().is_empty() && error.kind() == crate::ErrorKind::Invalid => {
            for field in error.fields() {
                flaws.add(field.pointer.clone(), field.code.clone(), field.detail.clone());
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A deal with its members in the form in which they are kept; fails naming all that is wrong.
async fn checked(unit: &mut Unit, before: Option<&Deal>, mut deal: Deal, mut flaws: Flaws) -> Result<Deal> {
    deal.tidy(before, &mut flaws);
    if let Some(contact) = deal.contact_id
        && before.is_none_or(|before| before.contact_id != Some(contact))
        && contacts::find(unit, contact).await?.is_none()
    {
        flaws.add("/contact_id", "unknown", format!("contact {contact} does not exist"));
    }
    if let Some(user) = deal.assigned_to
        && before.is_none_or(|before| before.assigned_to != Some(user))
        && unit.store().membership(unit.organization_id(), user).await?.is_none()
    {
        flaws.add("/assigned_to", "unknown", format!("{user} is no member of the organisation"));
    }
    flaws.end()?;
    Ok(deal)
}

pub(crate) async fn get(unit: &mut Unit, id: DealId) -> Result<Deal> {
    deal(unit, id).await
}

pub(crate) async fn list(unit: &mut Unit, input: ListDeals) -> Result<Page<Deal>> {
    let (filter, page) = input.parts();
    unit.store().deals(unit.organization_id(), &filter, &page).await
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateDeal) -> Result<Deal> {
    let before = deal(unit, input.id).await?;
    check_version("deal", input.if_version, before.version)?;
    change(unit, input.id, |deal, flaws| input.patch.apply(deal, flaws)).await
}

/// Changes a deal. What changes nothing writes nothing.
pub(crate) async fn change(unit: &mut Unit, id: DealId, change: impl FnOnce(&mut Deal, &mut Flaws)) -> Result<Deal> {
    let before = deal(unit, id).await?;
    let (mut after, mut flaws) = (before.clone(), Flaws::default());
    change(&mut after, &mut flaws);
    let after = checked(unit, Some(&before), after, flaws).await?;
    if after == before {
        return Ok(before);
    }
    replace(unit, EventKind::DealUpdated, &before, after)
}

/// Writes a deal's next state.
fn replace(unit: &mut Unit, kind: EventKind, before: &Deal, mut after: Deal) -> Result<Deal> {
    after.updated_at = unit.now();
    let (fact, after) = unit.fact(kind, after.id)?.edit(before, &after)?;
    fact.changes(Some(before), &after).data("contact_id", after.contact_id);
    Ok(after)
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteDeal) -> Result<()> {
    let before = deal(unit, input.id).await?;
    check_version("deal", input.if_version, before.version)?;
    let after = Deal { deleted_at: Some(unit.now()), ..before.clone() };
    replace(unit, EventKind::DealDeleted, &before, after)?;
    Ok(())
}

pub(crate) async fn restore(unit: &mut Unit, id: DealId) -> Result<Deal> {
    let organization = unit.organization_id();
    let found = match unit.known::<Deal>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().deal(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let before = found.ok_or_else(|| Error::not_found("deal", id))?;
    if before.deleted_at.is_none() {
        return Ok(before);
    }
    let mut after = Deal { deleted_at: None, ..before.clone() };
    // Its stage may have become another kind of stage meanwhile.
    let stage = pipeline::referred_stage(unit, "/stage_id", after.stage_id).await?;
    after.follow(stage.kind, unit.now());
    let after = replace(unit, EventKind::DealRestored, &before, after)?;
    if after.status != before.status {
        pipeline::state_end(unit, &after)?;
    }
    Ok(after)
}

pub(crate) async fn move_to(unit: &mut Unit, input: MoveDeal) -> Result<Deal> {
    let before = deal(unit, input.id).await?;
    check_version("deal", input.if_version, before.version)?;
    pipeline::move_deal(unit, &before, input.patch.stage_id, input.patch.reason).await
}

pub(crate) async fn history(unit: &mut Unit, input: ListDealHistory) -> Result<Page<StageMove>> {
    let deal = deal(unit, input.id).await?;
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    unit.store().stage_history(unit.organization_id(), deal.id.into(), &page).await
}
