//! Deals: making, editing, moving and deleting them. A deal has a place in a pipeline of its own; its moves never move its
//! contact.

mod input;

use std::collections::BTreeMap;

use serde_json::Map;

pub use self::input::{
    DealBatch, DealMove, DealPatch, DeleteDeal, ListDealHistory, ListDeals, MoneyPatch, MoveDeal, NewDeal, UpdateDeal,
    UpsertDeal,
};
use crate::{
    domain::{
        custom_field::Noun,
        deal::Deal,
        erasure::ERASED,
        event::EventKind,
        money::NewMoney,
        notification::NotificationKind,
        pipeline::{Stage, StageKind, StageMove, Staged},
        restricted,
        retention::Walk,
        text::Flaws,
    },
    error::{Error, Result},
    id::{DealId, EventId, Id, PipelineId, StageId, UserId},
    page::{Page, PageRequest},
    services::{
        batch::{self, BatchOutcome, Outcomes},
        companies, contacts,
        fields::{self, Rows, Side, external_key},
        listing::Search,
        notifications::{self, NewNotification},
        pipeline,
        unit::{Unit, Versioned, check_version, keyed, require_none},
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
    let deal = make(unit, input).await?;
    tell_assignee(unit, deal.assigned_to, std::slice::from_ref(&deal)).await?;
    Ok(deal)
}

/// Makes a deal; that it was assigned to somebody is still to be told.
async fn make(unit: &mut Unit, input: NewDeal) -> Result<Deal> {
    let mut flaws = Flaws::default();
    let stage = start(unit, input.stage_id, input.pipeline_id, &mut flaws).await?;
    let value = match input.value {
        Some(value) => in_own_currency(unit, value).await?.checked(&mut flaws, "/value"),
        None => None,
    };
    let blank = blank(unit, stage.as_ref())?;
    if input.lost_reason.is_some() && stage.is_some() && blank.status != StageKind::Lost {
        flaws.add("/lost_reason", "invalid", format!("the deal is {}: only a lost one has this", blank.status));
    }
    let draft = Deal {
        name: input.name,
        contact_id: input.contact_id,
        company_id: input.company_id,
        value,
        probability: input.probability,
        expected_close_on: input.expected_close_on,
        assigned_to: input.assigned_to,
        team_id: input.team_id,
        lost_reason: input.lost_reason,
        custom: input.custom,
        external_ids: input.external_ids,
        ..blank
    };
    insert(unit, draft, flaws).await
}

/// The stage in which a new deal starts.
async fn start(
    unit: &mut Unit,
    stage: Option<StageId>,
    pipeline: Option<PipelineId>,
    flaws: &mut Flaws,
) -> Result<Option<Stage>> {
    let stage = match stage {
        Some(id) => told(flaws, pipeline::referred_stage(unit, "/stage_id", id).await)?,
        None => told(flaws, pipeline::first_stage(unit, pipeline).await)?,
    };
    if let (Some(stage), Some(wanted)) = (&stage, pipeline)
        && stage.pipeline_id != wanted
    {
        let detail = format!("the stage {:?} is not in the pipeline {wanted}: leave one of the two out", stage.name);
        flaws.add("/stage_id", "invalid", detail);
    }
    Ok(stage)
}

/// Money in the organisation's currency, unless it says in which it is.
async fn in_own_currency(unit: &mut Unit, mut money: NewMoney) -> Result<NewMoney> {
    if money.currency.is_none() {
        money.currency = Some(unit.organization().await?.currency.to_string());
    }
    Ok(money)
}

/// A nameless deal in a stage.
fn blank(unit: &Unit, stage: Option<&Stage>) -> Result<Deal> {
    let (now, nil) = (unit.now(), uuid::Uuid::nil());
    let status = stage.map_or(StageKind::Open, |stage| stage.kind);
    Ok(Deal {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        name: String::new(),
        name_key: String::new(),
        contact_id: None,
        company_id: None,
        pipeline_id: stage.map_or(nil.into(), |stage| stage.pipeline_id),
        stage_id: stage.map_or(nil.into(), |stage| stage.id),
        // The event that states the creation gives it.
        stage_entry_id: EventId::from_uuid(nil),
        stage_entered_at: now,
        value: None,
        probability: None,
        expected_close_on: None,
        assigned_to: None,
        team_id: None,
        lost_reason: None,
        status,
        closed_at: (status != StageKind::Open).then_some(now),
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        created_at: now,
        updated_at: now,
        deleted_at: None,
        version: 1,
    })
}

/// Checks and writes a new deal, and its entry into its stage.
async fn insert(unit: &mut Unit, draft: Deal, flaws: Flaws) -> Result<Deal> {
    let mut deal = checked(unit, None, draft, flaws).await?;
    restricted::check(&unit.scope().fields, None, &deal)?;
    let rows = Rows::between(unit, Noun::Deal, None, side(&deal)).await?;
    let scope = unit.scope().clone();
    let mut fact = unit.fact(EventKind::DealCreated, deal.id)?;
    deal.stage_entry_id = fact.id();
    let entry = pipeline::entry(&scope, deal.standing(), None, None);
    let fact = pipeline::looked_after(fact, deal.assigned_to, deal.team_id)
        .changes(None, &deal)
        .data("stage_id", deal.stage_id)
        .data("pipeline_id", deal.pipeline_id)
        .data("contact_id", deal.contact_id)
        .insert(&deal)
        .insert(&entry);
    rows.write(fact);
    pipeline::state_end(unit, &deal)?;
    Ok(deal)
}

/// What a deal's rows of custom values and external ids are made from; a deleted one has none.
fn side(deal: &Deal) -> Option<Side<'_>> {
    deal.deleted_at.is_none().then_some(Side {
        id: deal.id.uuid(),
        custom: &deal.custom,
        external_ids: &deal.external_ids,
    })
}

/// Makes several deals, each by itself.
pub(crate) async fn create_batch(unit: &mut Unit, input: DealBatch) -> Result<BatchOutcome> {
    let mut outcome = Outcomes::new(input.items.len())?;
    let items = batch::read::<NewDeal>(input.items);
    look_up(unit, items.iter().filter_map(|(_, new)| new.as_ref().ok())).await?;
    let mut assigned: BTreeMap<UserId, Vec<Deal>> = BTreeMap::new();
    for (reference, new) in items {
        let made = match new {
            Ok(new) => make(unit, new).await,
            Err(error) => Err(error),
        };
        if let Ok(deal) = &made
            && let Some(user) = deal.assigned_to
        {
            assigned.entry(user).or_default().push(deal.clone());
        }
        outcome.add(reference, made.map(|deal| deal.id.uuid()))?;
    }
    for (user, deals) in assigned {
        tell_assignee(unit, Some(user), &deals).await?;
    }
    Ok(outcome.end())
}

/// Looks up at once what new deals refer to, so that making each asks the store nothing more.
async fn look_up(unit: &mut Unit, all: impl Iterator<Item = &NewDeal> + Clone) -> Result<()> {
    let external: Vec<_> = (all.clone().flat_map(|new| &new.external_ids))
        .filter_map(|(system, id)| external_key(system, id).ok())
        .collect();
    fields::holders(unit, Noun::Deal, &external).await?;
    let found: Vec<_> = all.clone().filter_map(|new| new.contact_id).collect();
    contacts::look_up(unit, &found).await?;
    let found: Vec<_> = all.clone().filter_map(|new| new.company_id).collect();
    companies::look_up(unit, &found).await?;
    let (users, teams) = (all.clone().filter_map(|new| new.assigned_to), all.filter_map(|new| new.team_id));
    unit.look_up(users.collect(), teams.collect()).await
}

/// Makes or changes the deal with this id in another system.
pub(crate) async fn upsert(unit: &mut Unit, input: UpsertDeal) -> Result<Deal> {
    let (system, id) = external_key(&input.system, &input.external_id)?;
    if let Some(found) = fields::holder(unit, Noun::Deal, &system, &id).await? {
        let found = DealId::from_uuid(found);
        let before = deal(unit, found).await?;
        check_version("deal", input.if_version, before.version)?;
        let patch = input.patch.in_own_currency(unit, before.value).await?;
        let apply = |deal: &mut Deal, flaws: &mut Flaws| {
            patch.apply(deal, flaws);
            deal.external_ids.insert(system, id);
        };
        return change(unit, found, apply).await;
    }
    require_none("deal", input.if_version)?;
    let (mut patch, mut flaws) = (input.patch.in_own_currency(unit, None).await?, Flaws::default());
    let (stage, pipeline) = (std::mem::take(&mut patch.stage_id), std::mem::take(&mut patch.pipeline_id));
    let stage = start(unit, stage.value(), pipeline.value(), &mut flaws).await?;
    let mut draft = blank(unit, stage.as_ref())?;
    patch.apply(&mut draft, &mut flaws);
    draft.external_ids.insert(system.clone(), id);
    let deal = insert(unit, draft, flaws).await.map_err(|error| fields::raced(error, &system))?;
    tell_assignee(unit, deal.assigned_to, std::slice::from_ref(&deal)).await?;
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
    if let Some(company) = deal.company_id
        && before.is_none_or(|before| before.company_id != Some(company))
        && companies::find(unit, company).await?.is_none()
    {
        flaws.add("/company_id", "unknown", format!("company {company} does not exist"));
    }
    if let Some(team) = deal.team_id
        && before.is_none_or(|before| before.team_id != Some(team))
        && !unit.is_team(team).await?
    {
        flaws.add("/team_id", "unknown", format!("team {team} does not exist"));
    }
    let custom = before.map(|before| &before.custom);
    fields::check_custom(unit, Noun::Deal, custom, &mut deal.custom, &mut flaws).await?;
    if let Some(user) = deal.assigned_to
        && before.is_none_or(|before| before.assigned_to != Some(user))
        && !unit.is_member(user).await?
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
    let (filter, sort, page) = input.parts(unit).await?;
    unit.store().deals(unit.organization_id(), &filter, &sort, &page).await
}

pub(crate) async fn search(unit: &mut Unit, input: Search) -> Result<Page<Deal>> {
    let (filter, sort, page) = input.parts(unit, Noun::Deal).await?;
    unit.store().deals(unit.organization_id(), &filter, &sort, &page).await
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateDeal) -> Result<Deal> {
    let before = deal(unit, input.id).await?;
    check_version("deal", input.if_version, before.version)?;
    let patch = input.patch.in_own_currency(unit, before.value).await?;
    change(unit, input.id, |deal, flaws| patch.apply(deal, flaws)).await
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
    let after = replace(unit, EventKind::DealUpdated, &before, after).await?;
    if after.assigned_to != before.assigned_to {
        tell_assignee(unit, after.assigned_to, std::slice::from_ref(&after)).await?;
    }
    Ok(after)
}

/// Tells somebody that deals were assigned to them, unless they did it themselves: once, however many there are.
async fn tell_assignee(unit: &mut Unit, user: Option<UserId>, deals: &[Deal]) -> Result<()> {
    let Some(user_id) = user.filter(|user| unit.scope().user_id() != Some(*user)) else { return Ok(()) };
    let (title, deal_id) = match deals {
        [] => return Ok(()),
        [one] => (format!("{} was assigned to you", one.name), Some(one.id)),
        several => (format!("{} deals were assigned to you", several.len()), None),
    };
    let new = NewNotification::new(user_id, NotificationKind::Assigned, title);
    notifications::notify(unit, NewNotification { deal_id, ..new }).await
}

/// Changes who looks after deals. Those for which nothing changes are not written.
pub(crate) async fn give(unit: &mut Unit, deals: Vec<Deal>, change: impl Fn(&mut Deal)) -> Result<()> {
    for deal in deals {
        let Some(before) = unit.meet(deal)? else { continue };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            replace(unit, EventKind::DealUpdated, &before, after).await?;
        }
    }
    Ok(())
}

/// Writes a deal's next state.
async fn replace(unit: &mut Unit, kind: EventKind, before: &Deal, mut after: Deal) -> Result<Deal> {
    if kind == EventKind::DealUpdated {
        restricted::check(&unit.scope().fields, Some(before), &after)?;
    }
    after.updated_at = unit.now();
    let rows = Rows::between(unit, Noun::Deal, side(before), side(&after)).await?;
    let (fact, after) = unit.fact(kind, after.id)?.edit(before, &after)?;
    let fact = pipeline::looked_after(fact, after.assigned_to, after.team_id).changes(Some(before), &after);
    rows.write(fact.data("contact_id", after.contact_id));
    Ok(after)
}

/// Takes out of a deal what is personal of its contact; what it is worth and where it stands stays. Answers whether
/// anything was there.
pub(crate) async fn erase(unit: &mut Unit, before: &Deal) -> Result<bool> {
    let after = emptied(before);
    let was_there = after != *before;
    if was_there {
        write_emptied(unit, before, &after).await?;
    }
    Ok(was_there)
}

/// Empties a deleted deal for good. It is written in any case, so that nobody brings it back at the same time.
pub(crate) async fn purge(unit: &mut Unit, before: &Deal) -> Result<()> {
    let after = Deal { updated_at: unit.now(), ..emptied(before) };
    write_emptied(unit, before, &after).await
}

fn emptied(deal: &Deal) -> Deal {
    Deal {
        name: ERASED.to_owned(),
        name_key: ERASED.to_owned(),
        lost_reason: None,
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        ..deal.clone()
    }
}

async fn write_emptied(unit: &mut Unit, before: &Deal, after: &Deal) -> Result<()> {
    let rows = Rows::between(unit, Noun::Deal, side(before), side(after)).await?;
    let (fact, after) = unit.fact(EventKind::DealUpdated, after.id)?.edit(before, after)?;
    rows.write(pipeline::looked_after(fact, after.assigned_to, after.team_id).data("erased", true));
    Ok(())
}

pub(crate) async fn delete(unit: &mut Unit, input: DeleteDeal) -> Result<()> {
    let before = deal(unit, input.id).await?;
    check_version("deal", input.if_version, before.version)?;
    let after = Deal { deleted_at: Some(unit.now()), ..before.clone() };
    replace(unit, EventKind::DealDeleted, &before, after).await?;
    Ok(())
}

pub(crate) async fn restore(unit: &mut Unit, input: Versioned<DealId>) -> Result<Deal> {
    let Versioned { id, if_version } = input;
    let organization = unit.organization_id();
    let found = match unit.known::<Deal>(&keyed(organization, id))? {
        Some(known) => known,
        None => match unit.store().deal(organization, id).await? {
            Some(found) => unit.meet(found)?,
            None => None,
        },
    };
    let before = found.ok_or_else(|| Error::not_found("deal", id))?;
    check_version("deal", if_version, before.version)?;
    if before.deleted_at.is_none() {
        return Ok(before);
    }
    if unit.store().is_purged(organization, Walk::Deals, id.uuid()).await? {
        return Err(Error::not_found("deal", id));
    }
    let mut after = Deal { deleted_at: None, ..before.clone() };
    unit.drop_gone(&mut after.assigned_to, &mut after.team_id).await?;
    fields::drop_misfits(unit, Noun::Deal, &mut after.custom).await?;
    unit.plant_tasks(id.into()).await?;
    // Its stage may have become another kind of stage meanwhile.
    let stage = pipeline::referred_stage(unit, "/stage_id", after.stage_id).await?;
    after.follow(stage.kind, unit.now());
    let after = replace(unit, EventKind::DealRestored, &before, after).await?;
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
