//! Secrets at rest. Each lies under the data key of its organisation, or under one that people have in common, and names it;
//! data keys lie beside them, wrapped by a master key of the key file.
//!
//! What is read comes with its key in one statement, and is opened without another. What is written needs the present key,
//! which is held in memory for a while. Holding one that was retired meanwhile does no harm: the database itself refuses a
//! row that names a key which is gone, and the unit is tried again with the new one.

mod rotate;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use zeroize::Zeroizing;

pub use self::rotate::{Rotated, Secrets};
use crate::{
    cipher::{Cipher, Key, Place},
    domain::data_key::{CommonKey, DataKey, MasterKey, Wrapped},
    engine::Engine,
    env::Env,
    error::{Error, Result},
    id::{DataKeyId, OrganizationId},
    ports::store::Write,
    services::unit::Unit,
};

/// How long a key is sealed with before it is looked at again: another process may have retired it.
const HELD: Duration = Duration::minutes(1);
/// Of so many organisations keys are held at most.
const MOST: usize = 1_000;

/// Reads the key file anew.
pub type ReadKeys = dyn Fn() -> Result<Cipher> + Send + Sync;

/// A data key that is open. It is wiped from memory once nobody holds it any more.
#[derive(Clone)]
pub(crate) struct OpenKey {
    id: DataKeyId,
    key: Arc<Key>,
}

struct Held {
    key: OpenKey,
    until: DateTime<Utc>,
}

/// The master keys, and the data keys that are sealed with at present.
pub(crate) struct Vault {
    masters: Mutex<Arc<Cipher>>,
    read: Option<Arc<ReadKeys>>,
    held: Mutex<HashMap<Option<OrganizationId>, Held>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("masters", &self.masters()).finish_non_exhaustive()
    }
}

/// A new data key, as it is written.
struct NewKey {
    open: OpenKey,
    master_key: String,
    wrapped: Vec<u8>,
}

impl Vault {
    pub(crate) fn new(masters: Cipher, read: Option<Arc<ReadKeys>>) -> Self {
        Self { masters: Mutex::new(Arc::new(masters)), read, held: Mutex::default() }
    }

    fn masters(&self) -> Arc<Cipher> {
        self.masters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Option<OrganizationId>, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The master keys as the key file has them now: what wraps must not be a key that is on its way out.
    fn masters_now(&self) -> Result<Arc<Cipher>> {
        let Some(read) = &self.read else { return Ok(self.masters()) };
        let masters = Arc::new(read()?);
        *self.masters.lock().unwrap_or_else(PoisonError::into_inner) = masters.clone();
        Ok(masters)
    }

    /// Opens a data key.
    fn unwrap(&self, key: &impl Wrapped) -> Result<Key> {
        let Some((master, wrapped)) = key.wrapped() else {
            return Err(Error::internal(format!(
                "the data key {} was destroyed, and with it what it sealed",
                key.id()
            )));
        };
        let mut masters = self.masters();
        if !masters.has(master) {
            // It may have come into the file since that was read.
            masters = self.masters_now()?;
        }
        Key::new(&masters.open(&key.place(), master, wrapped)?)
    }

    /// Opens what a data key sealed for a place.
    ///
    /// # Errors
    /// `internal` if it does not open there, or its key does not.
    pub(crate) fn open(&self, key: &impl Wrapped, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.unwrap(key)?.open(place, sealed)
    }

    /// The key that seals: the newest that is not retired, of those whose master key is known. What lies under a master key
    /// that is gone (or that an engine without a key file had) is lost until it is back, and no reason to seal nothing.
    fn open_present(&self, keys: Vec<impl Wrapped>) -> Result<Option<OpenKey>> {
        for key in keys.into_iter().rev().filter(|key| key.retired_at().is_none()) {
            let Some((master, _)) = key.wrapped() else { continue };
            if self.masters().has(master) || self.masters_now()?.has(master) {
                return Ok(Some(OpenKey { id: key.id(), key: Arc::new(self.unwrap(&key)?) }));
            }
            tracing::warn!(key = %key.id(), master, "a data key lies under a master key that is not in the key file");
        }
        Ok(None)
    }

    /// What tells texts apart without giving them away: see [`Cipher::fingerprints`].
    pub(crate) fn fingerprints(&self, text: &[u8]) -> Result<Vec<u8>> {
        self.masters().fingerprints(text)
    }

    /// Makes a data key; `place_of` is where it lies.
    fn make(&self, env: &Env, place_of: impl Fn(DataKeyId) -> Place) -> Result<NewKey> {
        let masters = self.masters_now()?;
        let id: DataKeyId = env.id()?;
        let bytes = Zeroizing::new(env.bytes::<{ Key::LENGTH }>()?);
        let (master_key, wrapped) = masters.seal(env, &place_of(id), bytes.as_slice())?;
        Ok(NewKey { open: OpenKey { id, key: Arc::new(Key::new(bytes.as_slice())?) }, master_key, wrapped })
    }

    fn find(&self, owner: Option<OrganizationId>, now: DateTime<Utc>) -> Option<OpenKey> {
        let held = self.held();
        let found = held.get(&owner).filter(|it| now < it.until && it.until <= now + HELD);
        found.map(|it| it.key.clone())
    }

    fn hold(&self, owner: Option<OrganizationId>, key: &OpenKey, now: DateTime<Utc>) {
        let mut held = self.held();
        if held.len() >= MOST {
            held.retain(|_, it| now < it.until);
        }
        if held.len() >= MOST {
            held.clear();
        }
        held.insert(owner, Held { key: key.clone(), until: now + HELD });
    }

    /// Looks at the owner's keys again before it seals.
    pub(crate) fn forget(&self, owner: Option<OrganizationId>) {
        self.held().remove(&owner);
    }
}

async fn present_key(engine: &Engine, owner: Option<OrganizationId>) -> Result<Option<OpenKey>> {
    match owner {
        Some(owner) => engine.vault.open_present(engine.store.data_keys(owner).await?),
        None => engine.vault.open_present(engine.store.common_keys().await?),
    }
}

/// The key that seals what is an organisation's, or what is nobody's; the unit makes one where there is none.
async fn sealing_key(unit: &mut Unit, owner: Option<OrganizationId>) -> Result<OpenKey> {
    let (engine, now) = (unit.engine().clone(), unit.now());
    if let Some(found) = unit.kept.data_keys.get(&owner).cloned().or_else(|| engine.vault.find(owner, now)) {
        return Ok(found);
    }
    if let Some(found) = present_key(&engine, owner).await? {
        engine.vault.hold(owner, &found, now);
        return Ok(found);
    }
    let (open, writes) = new_key(&engine, owner, now)?;
    for write in writes {
        unit.note(write)?;
    }
    // Held by the unit alone: nobody else may seal with it before it is written.
    unit.kept.data_keys.insert(owner, open.clone());
    Ok(open)
}

/// A new key, and what is written of it.
fn new_key(engine: &Engine, owner: Option<OrganizationId>, now: DateTime<Utc>) -> Result<(OpenKey, [Write; 2])> {
    let made = match owner {
        Some(owner) => engine.vault.make(&engine.env, |id| DataKey::place_of(owner, id))?,
        None => engine.vault.make(&engine.env, CommonKey::place_of)?,
    };
    let master = MasterKey { id: made.master_key.clone(), created_at: now };
    let (id, master_key, wrapped) = (made.open.id, Some(made.master_key), Some(made.wrapped));
    let key = match owner {
        Some(organization_id) => {
            Write::insert(&DataKey { id, organization_id, master_key, wrapped, created_at: now, retired_at: None })
        }
        None => Write::insert(&CommonKey { id, master_key, wrapped, created_at: now, retired_at: None }),
    };
    Ok((made.open, [Write::insert_or_skip(&master), key]))
}

/// Seals for a place under its owner's key; answers the key's id and what is kept.
///
/// # Errors
/// `internal` if the present key does not open, or the machine gives no randomness.
pub(crate) async fn seal(unit: &mut Unit, place: &Place, plain: &[u8]) -> Result<(DataKeyId, Vec<u8>)> {
    let key = sealing_key(unit, place.owner()).await?;
    Ok((key.id, key.key.seal(unit.env(), place, plain)?))
}
