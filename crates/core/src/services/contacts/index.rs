//! The rows by which a contact is found: its identities and its tags. They follow the contact's own row, in the same unit;
//! a deleted contact has none.

use std::collections::BTreeSet;

use crate::{
    domain::contact::{Contact, ContactIdentity, ContactTag, IdentityKind},
    error::Result,
    id::{ContactId, OrganizationId},
    ports::store::{Holder, Record},
    services::unit::{Fact, Unit, keyed},
};

/// One identity: its kind and normalised value.
pub(super) type Identity = (IdentityKind, String);

/// Who, among the contacts that are not deleted, holds any of these identities, oldest contact first; as this unit
/// leaves it.
pub(super) async fn holders(unit: &mut Unit, identities: &[Identity]) -> Result<Vec<Holder>> {
    if identities.is_empty() {
        return Ok(Vec::new());
    }
    look_up(unit, identities).await?;
    let mut holders = Vec::new();
    let kept: Vec<_> = identities.iter().filter_map(|it| unit.kept.holders.get(it)).flatten().cloned().collect();
    for (identity, name) in kept {
        let Some(identity) = unit.meet(identity)? else { continue };
        holders.extend(as_holder(unit, identity, name)?);
    }
    for identity in unit.added::<ContactIdentity>()? {
        if identities.iter().any(|(kind, value)| *kind == identity.kind && *value == identity.value) {
            holders.extend(as_holder(unit, identity, String::new())?);
        }
    }
    holders.sort_by_key(|holder| holder.contact_id);
    Ok(holders)
}

/// Reads the holders of those identities that the unit has not looked up yet.
async fn look_up(unit: &mut Unit, identities: &[Identity]) -> Result<()> {
    let organization = unit.organization_id();
    let unknown: Vec<_> = identities.iter().filter(|it| !unit.kept.holders.contains_key(*it)).cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    for identity in &unknown {
        unit.kept.holders.insert(identity.clone(), Vec::new());
    }
    for holder in unit.whole_store().holders(organization, &unknown).await? {
        let identity = ContactIdentity {
            organization_id: organization,
            kind: holder.kind,
            value: holder.value.clone(),
            contact_id: holder.contact_id,
            claimed: holder.claimed,
        };
        unit.kept.holders.entry((holder.kind, holder.value)).or_default().push((identity, holder.name));
    }
    Ok(())
}

/// The holder of an identity, with what this unit knows of the contact.
fn as_holder(unit: &Unit, identity: ContactIdentity, name: String) -> Result<Option<Holder>> {
    let name = match unit.known::<Contact>(&keyed(unit.organization_id(), identity.contact_id))? {
        Some(Some(contact)) if contact.deleted_at.is_none() => contact.name,
        Some(_) => return Ok(None),
        None => name,
    };
    Ok(Some(Holder {
        kind: identity.kind,
        value: identity.value,
        contact_id: identity.contact_id,
        name,
        claimed: identity.claimed,
    }))
}

/// How the rows by which a contact is found change.
pub(super) struct Index {
    gone: Vec<ContactIdentity>,
    new: Vec<ContactIdentity>,
    gone_tags: Vec<ContactTag>,
    new_tags: Vec<ContactTag>,
}

fn identities(contact: &Contact) -> BTreeSet<Identity> {
    if contact.deleted_at.is_some() { BTreeSet::new() } else { contact.identities().into_iter().collect() }
}

fn tags(contact: &Contact) -> BTreeSet<&String> {
    if contact.deleted_at.is_some() { BTreeSet::new() } else { contact.tags.iter().collect() }
}

impl Index {
    /// Of a new contact whose identities these contacts hold: what is decided about them and what is claimed must come
    /// from one and the same reading.
    pub(super) fn new(contact: &Contact, holders: &[Holder]) -> Self {
        Self::of(None, contact, holders)
    }

    /// From one state of a contact to the next. What it newly holds it claims, if nobody does.
    pub(super) async fn between(unit: &mut Unit, before: &Contact, after: &Contact) -> Result<Self> {
        let changed: Vec<Identity> = identities(before).symmetric_difference(&identities(after)).cloned().collect();
        let holders = holders(unit, &changed).await?;
        Ok(Self::of(Some(before), after, &holders))
    }

    fn of(before: Option<&Contact>, after: &Contact, holders: &[Holder]) -> Self {
        let organization_id = after.organization_id;
        let (old, now) = (before.map(identities).unwrap_or_default(), identities(after));
        let row = |(kind, value): &Identity, claimed| ContactIdentity {
            organization_id,
            kind: *kind,
            value: value.clone(),
            contact_id: after.id,
            claimed,
        };
        let held = |identity: &Identity, by: &dyn Fn(ContactId) -> bool| {
            holders.iter().any(|it| it.claimed && it.kind == identity.0 && it.value == identity.1 && by(it.contact_id))
        };
        let (old_tags, now_tags) = (before.map(tags).unwrap_or_default(), tags(after));
        Self {
            gone: old.difference(&now).map(|it| row(it, held(it, &|id| id == after.id))).collect(),
            new: now.difference(&old).map(|it| row(it, !held(it, &|id| id != after.id))).collect(),
            gone_tags: old_tags.difference(&now_tags).map(|tag| tag_row(organization_id, tag, after.id)).collect(),
            new_tags: now_tags.difference(&old_tags).map(|tag| tag_row(organization_id, tag, after.id)).collect(),
        }
    }

    /// Writes the changes as part of a fact.
    pub(super) fn write<'u>(&self, mut fact: Fact<'u>) -> Fact<'u> {
        fact = each(fact, &self.gone, |fact, row| fact.delete(row));
        fact = each(fact, &self.gone_tags, |fact, row| fact.delete(row));
        fact = each(fact, &self.new, |fact, row| fact.insert(row));
        each(fact, &self.new_tags, |fact, row| fact.insert(row))
    }
}

fn each<'u, T: Record>(fact: Fact<'u>, rows: &[T], write: impl Fn(Fact<'u>, &T) -> Fact<'u>) -> Fact<'u> {
    rows.iter().fold(fact, write)
}

fn tag_row(organization_id: OrganizationId, tag: &str, contact_id: ContactId) -> ContactTag {
    ContactTag { organization_id, tag: tag.to_owned(), contact_id }
}
