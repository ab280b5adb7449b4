//! Writing contacts: every change of a contact goes through here, with its event and the rows by which it is found.

use crate::{
    domain::{contact::Contact, event::EventKind, pipeline::Staged},
    error::Result,
    id::ContactId,
    ports::store::{Holder, Update},
    services::{contacts, contacts::index::Index, pipeline, unit::Unit},
};

/// A contact with its members in the form in which they are kept; fails naming all that is wrong.
pub(super) async fn checked(unit: &Unit, before: Option<&Contact>, mut contact: Contact) -> Result<Contact> {
    let mut flaws = contact.tidy(before);
    if let Some(user) = contact.assigned_to
        && before.is_none_or(|before| before.assigned_to != Some(user))
        && unit.store().membership(unit.organization_id(), user).await?.is_none()
    {
        flaws.add("/assigned_to", "unknown", format!("{user} is no member of the organisation"));
    }
    flaws.end()?;
    Ok(contact)
}

/// Writes a new contact whose identities `holders` hold: its row, its identities and tags, its entry into its stage.
pub(super) fn insert(unit: &mut Unit, mut contact: Contact, holders: &[Holder]) -> Result<Contact> {
    let index = Index::new(&contact, holders);
    let scope = unit.scope().clone();
    let mut fact = unit.fact(EventKind::ContactCreated, contact.id)?.at(contact.created_at);
    contact.stage_entry_id = fact.id();
    let entry = pipeline::entry(&scope, contact.standing(), None, None);
    let fact = fact
        .changes(None, &contact)
        .data("stage_id", contact.stage_id)
        .data("pipeline_id", contact.pipeline_id)
        .insert(&contact)
        .insert(&entry);
    index.write(fact);
    Ok(contact)
}

/// Writes a contact's next state, which people made.
pub(super) async fn replace(unit: &mut Unit, kind: EventKind, before: &Contact, mut after: Contact) -> Result<Contact> {
    after.updated_at = unit.now();
    let index = Index::between(unit, before, &after).await?;
    let (fact, after) = unit.fact(kind, after.id)?.edit(before, &after)?;
    index.write(fact.changes(Some(before), &after));
    Ok(after)
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
    replace(unit, EventKind::ContactUpdated, &before, after).await
}

/// Sets what rules think of a contact. Activity: changes no version.
pub(crate) async fn set_score(unit: &mut Unit, id: ContactId, score: i64) -> Result<()> {
    let before = contacts::contact(unit, id).await?;
    if before.score == score {
        return Ok(());
    }
    let update = Update::of(&before).set("score", &score).expect("score", &before.score);
    unit.fact(EventKind::ContactUpdated, id)?.change("score", before.score, score).touch(update);
    Ok(())
}
