//! Seals what is personal in rows that are never rewritten, each by the key of its contact, where a unit is committed: no
//! service does so by hand. A key is made with the first thing that it seals, and destroyed when its contact is erased.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    cipher::{Key, Place},
    domain::{
        audit::AuditEntry,
        contact::Contact,
        payload::{ContactKey, Personal},
        pipeline::StageMove,
        run::Run,
    },
    engine::Engine,
    error::{Error, Result},
    id::{ContactId, DealId, OrganizationId},
    ports::store::{Batch, Column, Record, Row, Table, Value, Write},
};

/// Of so many contacts keys are held at most.
const MOST: usize = 10_000;

/// Keys that were sealed with lately. Sealing with one that was destroyed meanwhile does no harm: what it seals is opened by
/// what is read beside it, never by these.
#[derive(Default)]
pub(crate) struct Keyring {
    held: Mutex<HashMap<(OrganizationId, ContactId), Arc<Key>>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("held", &self.held().len()).finish()
    }
}

impl Keyring {
    fn held(&self) -> MutexGuard<'_, HashMap<(OrganizationId, ContactId), Arc<Key>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds keys that are in the store.
    pub(crate) fn hold(&self, organization: OrganizationId, keys: impl IntoIterator<Item = (ContactId, Arc<Key>)>) {
        let mut held = self.held();
        for (contact, key) in keys {
            if held.len() >= MOST {
                held.clear();
            }
            held.insert((organization, contact), key);
        }
    }
}

/// Keys by whose they are.
pub(crate) type Keys = HashMap<ContactId, Arc<Key>>;

/// A part that is to be sealed.
struct Part {
    at: At,
    by: ContactId,
    place: Place,
    plain: Vec<u8>,
}

/// Which row of a batch it is of.
enum At {
    Event(usize),
    Write(usize),
}

/// Seals what is personal of a batch; `deals` says whose the deals are that its events are about. Answers the keys that are
/// made with it, to be held once it is committed.
pub(crate) async fn seal(
    engine: &Engine,
    organization: OrganizationId,
    deals: &HashMap<DealId, Option<ContactId>>,
    batch: &mut Batch,
) -> Result<Keys> {
    let parts = take_parts(deals, batch)?;
    if parts.is_empty() {
        return Ok(Keys::new());
    }
    let owners = parts.iter().map(|part| part.by).collect();
    let (keys, made) = keys(engine, organization, owners, batch).await?;
    for Part { at, by, place, plain } in parts {
        // Of somebody who is erased nothing is kept.
        let Some(key) = keys.get(&by) else { continue };
        let sealed = key.seal(&engine.env, &place, &plain)?;
        match at {
            At::Event(place) => {
                if let Some(event) = batch.events.get_mut(place) {
                    (event.sealed_by, event.sealed) = (Some(by), Some(sealed));
                }
            }
            At::Write(place) => {
                if let Some(Write::Insert { table, row } | Write::InsertOrSkip { table, row }) =
                    batch.writes.get_mut(place)
                {
                    set(table, row, "sealed_by", by.to_value())?;
                    set(table, row, "sealed", sealed.to_value())?;
                }
            }
        }
    }
    Ok(made)
}

fn set(table: &Table, row: &mut Row, column: &str, value: Value) -> Result<()> {
    let cell = row.get_mut(table.position(column)?);
    *cell.ok_or_else(|| Error::internal(format!("a row of {} ends before {column}", table.name)))? = value;
    Ok(())
}

/// Takes what is personal out of a batch's rows.
fn take_parts(deals: &HashMap<DealId, Option<ContactId>>, batch: &mut Batch) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for (place, event) in batch.events.iter_mut().enumerate() {
        parts.extend(take(event, deals, At::Event(place))?);
    }
    for (place, write) in batch.writes.iter_mut().enumerate() {
        let (Write::Insert { table, row } | Write::InsertOrSkip { table, row }) = write else { continue };
        let at = At::Write(place);
        parts.extend(match table.name {
            name if name == Run::TABLE.name => take_of_row::<Run>(row, deals, at)?,
            name if name == StageMove::TABLE.name => take_of_row::<StageMove>(row, deals, at)?,
            name if name == AuditEntry::TABLE.name => take_of_row::<AuditEntry>(row, deals, at)?,
            _ => None,
        });
    }
    Ok(parts)
}

fn take_of_row<T: Personal + Record>(
    row: &mut Row,
    deals: &HashMap<DealId, Option<ContactId>>,
    at: At,
) -> Result<Option<Part>> {
    let mut record = T::from_row(row.clone())?;
    let part = take(&mut record, deals, at)?;
    if part.is_some() {
        *row = record.to_row();
    }
    Ok(part)
}

/// Leaves of a row what stays once its contact is erased; answers the rest, if there is any.
fn take<T: Personal>(record: &mut T, deals: &HashMap<DealId, Option<ContactId>>, at: At) -> Result<Option<Part>> {
    let Some(about) = record.about() else { return Ok(None) };
    let of_deal = || about.deal().and_then(|deal| deals.get(&deal).copied().flatten());
    let Some(by) = about.contact().or_else(of_deal) else { return Ok(None) };
    let erased = record.erased();
    if erased == *record {
        return Ok(None);
    }
    let part = Part { at, by, place: record.place(), plain: record.part()? };
    *record = erased;
    Ok(Some(part))
}

/// The keys of these contacts, but for those who are erased; and which of them are new.
async fn keys(
    engine: &Engine,
    organization: OrganizationId,
    owners: BTreeSet<ContactId>,
    batch: &mut Batch,
) -> Result<(Keys, Keys)> {
    let (new, gone) = fates(batch)?;
    let (mut keys, mut made, mut unknown) = (Keys::new(), Keys::new(), Vec::new());
    {
        let held = engine.payload_keys.held();
        for owner in owners.into_iter().filter(|owner| !gone.contains(owner)) {
            match held.get(&(organization, owner)) {
                Some(key) => drop(keys.insert(owner, key.clone())),
                None => unknown.push(owner),
            }
        }
    }
    let asked: Vec<_> = unknown.iter().copied().filter(|owner| !new.contains(owner)).collect();
    let kept = if asked.is_empty() { Vec::new() } else { engine.store.contact_keys(organization, &asked).await? };
    let kept: HashMap<_, _> = kept.into_iter().map(|it| (it.contact_id, it.key)).collect();
    let mut found = Keys::new();
    for owner in unknown {
        match kept.get(&owner) {
            Some(Some(bytes)) => drop(found.insert(owner, Arc::new(Key::new(bytes)?))),
            Some(None) => {}
            None => {
                let bytes = Zeroizing::new(engine.env.bytes::<{ Key::LENGTH }>()?);
                let key = ContactKey { organization_id: organization, contact_id: owner, key: Some(bytes.to_vec()) };
                batch.note(Write::insert(&key))?;
                made.insert(owner, Arc::new(Key::new(bytes.as_slice())?));
            }
        }
    }
    engine.payload_keys.hold(organization, found.clone());
    keys.extend(found);
    keys.extend(made.clone());
    Ok((keys, made))
}

/// The contacts that a batch makes, and those that it erases.
fn fates(batch: &Batch) -> Result<(HashSet<ContactId>, HashSet<ContactId>)> {
    let (mut new, mut gone) = (HashSet::new(), HashSet::new());
    for write in &batch.writes {
        match write {
            Write::Insert { table, row } if table.name == Contact::TABLE.name => {
                let id = row.get(table.position("id")?).cloned();
                new.insert(Uuid::from_value(id.unwrap_or(Value::Null))?.into());
            }
            Write::Put { table, row } if table.name == ContactKey::TABLE.name => {
                gone.insert(ContactKey::from_row(row.clone())?.contact_id);
            }
            _ => {}
        }
    }
    Ok((new, gone))
}

/// What destroys a contact's key: whatever it sealed is nobody's to read from that commit on.
pub(crate) fn destruction(organization_id: OrganizationId, contact_id: ContactId) -> Write {
    Write::put(&ContactKey { organization_id, contact_id, key: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::event::Event, ports::store::TABLES};

    #[test]
    fn personal_rows_are_those_of_personal_tables() {
        fn name<T: Personal + Record>() -> &'static str {
            assert_eq!(T::KEPT_IN, T::TABLE.name);
            T::KEPT_IN
        }
        let named = HashSet::from([name::<Event>(), name::<Run>(), name::<StageMove>(), name::<AuditEntry>()]);
        assert_eq!(named, TABLES.iter().filter(|table| table.personal).map(|table| table.name).collect());
    }
}
