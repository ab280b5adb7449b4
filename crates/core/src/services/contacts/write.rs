//! Writing contacts: every change of a contact goes through here, with its event and the rows by which it is found.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::{
    domain::{
        contact::{Contact, Handles},
        custom_field::Noun,
        erasure::ERASED,
        event::EventKind,
        notification::NotificationKind,
        pipeline::Staged,
        restricted,
    },
    error::Result,
    id::{ContactId, Id, UserId},
    ports::store::{Holder, Update},
    services::{
        companies, contacts,
        contacts::index::Index,
        fields::{self, Rows, Side},
        notifications::{self, NewNotification},
        pipeline,
        unit::Unit,
    },
};

/// A contact with its members in the form in which they are kept; fails naming all that is wrong.
pub(super) async fn checked(unit: &mut Unit, before: Option<&Contact>, mut contact: Contact) -> Result<Contact> {
    let mut flaws = contact.tidy(before);
    let custom = before.map(|before| &before.custom);
    fields::check_custom(unit, Noun::Contact, custom, &mut contact.custom, &mut flaws).await?;
    if let Some(company) = contact.company_id
        && before.is_none_or(|before| before.company_id != Some(company))
        && companies::find(unit, company).await?.is_none()
    {
        flaws.add("/company_id", "unknown", format!("company {company} does not exist"));
    }
    if let Some(user) = contact.assigned_to
        && before.is_none_or(|before| before.assigned_to != Some(user))
        && !unit.is_member(user).await?
    {
        flaws.add("/assigned_to", "unknown", format!("{user} is no member of the organisation"));
    }
    if let Some(team) = contact.team_id
        && before.is_none_or(|before| before.team_id != Some(team))
        && !unit.is_team(team).await?
    {
        flaws.add("/team_id", "unknown", format!("team {team} does not exist"));
    }
    flaws.end()?;
    Ok(contact)
}

/// What a contact's rows of custom values and external ids are made from; a deleted one has none.
fn side(contact: &Contact) -> Option<Side<'_>> {
    contact.deleted_at.is_none().then_some(Side {
        id: contact.id.uuid(),
        custom: &contact.custom,
        external_ids: &contact.external_ids,
    })
}

/// Writes a new contact whose identities `holders` hold: its row, its identities and tags, its entry into its stage.
pub(super) async fn insert(unit: &mut Unit, mut contact: Contact, holders: &[Holder]) -> Result<Contact> {
    restricted::check(&unit.scope().fields, None, &contact)?;
    let index = Index::new(&contact, holders);
    let rows = Rows::between(unit, Noun::Contact, None, side(&contact)).await?;
    let scope = unit.scope().clone();
    let mut fact = unit.fact(EventKind::ContactCreated, contact.id)?.at(contact.created_at);
    contact.stage_entry_id = fact.id();
    let entry = pipeline::entry(&scope, contact.standing(), None, None);
    let fact = pipeline::looked_after(fact, contact.assigned_to, contact.team_id)
        .changes(None, &contact)
        .data("stage_id", contact.stage_id)
        .data("pipeline_id", contact.pipeline_id)
        .insert(&contact)
        .insert(&entry);
    rows.write(index.write(fact));
    Ok(contact)
}

/// Writes a contact's next state, which people made.
pub(super) async fn replace(unit: &mut Unit, kind: EventKind, before: &Contact, mut after: Contact) -> Result<Contact> {
    if kind == EventKind::ContactUpdated {
        restricted::check(&unit.scope().fields, Some(before), &after)?;
    }
    after.updated_at = unit.now();
    let index = Index::between(unit, before, &after).await?;
    let rows = Rows::between(unit, Noun::Contact, side(before), side(&after)).await?;
    let (fact, after) = unit.fact(kind, after.id)?.edit(before, &after)?;
    let fact = pipeline::looked_after(fact, after.assigned_to, after.team_id);
    rows.write(index.write(fact.changes(Some(before), &after)));
    Ok(after)
}

/// Takes everything personal out of a contact, and deletes it. Its event tells nothing of what was there.
pub(crate) async fn erase(unit: &mut Unit, before: &Contact) -> Result<()> {
    let now = unit.now();
    let after = Contact {
        name: ERASED.to_owned(),
        name_key: ERASED.to_owned(),
        emails: Vec::new(),
        phones: Vec::new(),
        handles: Handles::default(),
        company_id: None,
        source: None,
        tags: Vec::new(),
        custom: Map::new(),
        external_ids: BTreeMap::new(),
        score: 0,
        updated_at: now,
        deleted_at: before.deleted_at.or(Some(now)),
        ..before.clone()
    };
    let index = Index::between(unit, before, &after).await?;
    let rows = Rows::between(unit, Noun::Contact, side(before), side(&after)).await?;
    let (fact, after) = unit.fact(EventKind::ContactErased, after.id)?.edit(before, &after)?;
    rows.write(index.write(pipeline::looked_after(fact, after.assigned_to, after.team_id)));
    Ok(())
}

/// Changes a contact. What changes nothing writes nothing.
pub(crate) async fn change(
    unit: &mut Unit,
    id: ContactId,
    change: impl FnOnce(&mut Contact) -> Result<()>,
) -> Result<Contact> {
    let before = contacts::contact(unit, id).await?;
    let mut after = before.clone();
    change(&mut after)?;
    let after = checked(unit, Some(&before), after).await?;
    if after == before {
        return Ok(before);
    }
    let after = replace(unit, EventKind::ContactUpdated, &before, after).await?;
    if after.assigned_to != before.assigned_to {
        tell_assignee(unit, after.assigned_to, std::slice::from_ref(&after)).await?;
    }
    Ok(after)
}

/// Changes who looks after contacts. Those whom nothing changes for are not written.
pub(crate) async fn give(unit: &mut Unit, contacts: Vec<Contact>, change: impl Fn(&mut Contact)) -> Result<()> {
    for contact in contacts {
        let Some(before) = unit.meet(contact)? else { continue };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            replace(unit, EventKind::ContactUpdated, &before, after).await?;
        }
    }
    Ok(())
}

/// Tells somebody that contacts were assigned to them, unless they did it themselves: once, however many there are.
pub(crate) async fn tell_assignee(unit: &mut Unit, user: Option<UserId>, contacts: &[Contact]) -> Result<()> {
    let Some(user_id) = user.filter(|user| unit.scope().user_id() != Some(*user)) else { return Ok(()) };
    let (title, contact_id) = match contacts {
        [] => return Ok(()),
        [one] => (format!("{} was assigned to you", one.name), Some(one.id)),
        several => (format!("{} contacts were assigned to you", several.len()), None),
    };
    let new = NewNotification::new(user_id, NotificationKind::Assigned, title);
    notifications::notify(unit, NewNotification { contact_id, ..new }).await
}

/// Sets what rules think of a contact. Activity: changes no version.
pub(crate) async fn set_score(unit: &mut Unit, id: ContactId, score: i64) -> Result<()> {
    let before = contacts::contact(unit, id).await?;
    if before.score == score {
        return Ok(());
    }
    let update = Update::of(&before).set("score", &score).expect("score", &before.score);
    let fact = unit.fact(EventKind::ContactUpdated, id)?.change("score", before.score, score).touch(update);
    pipeline::looked_after(fact, before.assigned_to, before.team_id);
    Ok(())
}
