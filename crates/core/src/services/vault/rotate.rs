//! Rotation, while everybody goes on. First every data key is wrapped by the newest master key; then, if data keys are
//! rotated, each owner gets a new one, everything that an older one sealed is sealed anew in batches, and the old one is
//! removed, which the database refuses as long as a row names it.
//!
//! How far it is stands in the keys themselves, so that it can be ended at any instant and begun again: the common key is
//! retired first and removed last, and while a retired one is there, a rotation is under way that began when it was retired.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tracing::warn;

use super::{new_key, present_key};
use crate::{
    domain::{
        account::SealedSecret,
        data_key::{DataKey, MasterKey, Sealed, Wrapped},
        job::Job,
        linked_identity::LoginState,
        organization::SecondFactor,
    },
    engine::Engine,
    error::{Error, Result},
    id::{Id, OrganizationId},
    ports::store::{Batch, Record, Update, Write},
};

/// Rows that are sealed anew in one transaction.
const BATCH: u32 = 100;
/// How often what others changed meanwhile is looked at again before it is left to the next run.
const PASSES: u32 = 50;
/// What is waited for more from one look to the next: with all of them a little more than [`HELD`](super::HELD).
const WAIT: Duration = Duration::from_millis(50);

/// Whom common keys, and what they seal, are written for: they are no organisation's, so any will do.
fn nobody() -> OrganizationId {
    OrganizationId::from_uuid(uuid::Uuid::nil())
}

/// What a rotation has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rotated {
    /// When the rotation of data keys began that this one did, or went on with.
    pub data_since: Option<DateTime<Utc>>,
    /// Owners whose turn is over, of all: the organisations, and people in common.
    pub owners: (usize, usize),
    /// Data keys that were wrapped by the newest master key.
    pub wrapped: u64,
    /// Secrets that were sealed anew.
    pub sealed: u64,
    /// Data keys that nothing names any more, and that were removed.
    pub removed: u64,
    /// Older master keys that nothing is wrapped by any more: their lines may be taken off the key file.
    pub free: Vec<String>,
    /// What could not be done, each with its reason; it was left as it was.
    pub left: Vec<String>,
}

impl fmt::Display for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (over, all) = self.owners;
        write!(f, "{over} of {all} owners: {} data keys wrapped anew", self.wrapped)?;
        if let Some(since) = self.data_since {
            let (sealed, removed) = (self.sealed, self.removed);
            write!(f, ", {sealed} secrets sealed anew, {removed} data keys removed, since {}", since.to_rfc3339())?;
        }
        Ok(())
    }
}

/// The keys of secrets, for operators: no scope reaches them.
#[derive(Debug)]
pub struct Secrets<'c>(pub(crate) &'c Arc<Engine>);

impl Secrets<'_> {
    /// Wraps every data key by the newest master key of the key file; with `data` it also replaces the data keys and seals
    /// everything anew. A rotation of data keys that was broken off is gone on with, asked for or not. `tell` hears how far
    /// it is.
    ///
    /// # Errors
    /// `unavailable` if the store does not answer; `internal` if a data key does not open.
    pub async fn rotate(&self, data: bool, tell: impl Fn(&Rotated) + Send + Sync) -> Result<Rotated> {
        Rotation { engine: self.0, done: Rotated::default(), tell: &tell }.run(data).await
    }

    /// Destroys every data key of an organisation: nobody reads its secrets again, in no copy that was made later. Accounts
    /// must be connected anew; what another process seals within the next minute is lost too.
    ///
    /// # Errors
    /// `unavailable` if the store does not answer.
    pub async fn destroy(&self, organization: OrganizationId) -> Result<()> {
        let engine = self.0;
        let mut batch = Batch::default();
        for key in engine.store.data_keys(organization).await? {
            let update = Update::of(&key).set("master_key", &None::<String>).set("wrapped", &None::<Vec<u8>>);
            let retired = key.retired_at.or(Some(engine.env.now()));
            batch.note(Write::Update(update.set("retired_at", &retired)))?;
        }
        if !batch.is_empty() {
            engine.store.commit(organization, batch).await?;
        }
        engine.vault.forget(Some(organization));
        Ok(())
    }
}

struct Rotation<'r> {
    engine: &'r Arc<Engine>,
    done: Rotated,
    tell: &'r (dyn Fn(&Rotated) + Send + Sync),
}

impl<'r> Rotation<'r> {
    async fn run(mut self, data: bool) -> Result<Rotated> {
        self.engine.vault.masters_now()?;
        self.done.data_since = self.begin(data).await?;
        let organizations = self.engine.store.organization_ids().await?;
        self.done.owners.1 = organizations.len() + 1;
        for organization in organizations {
            self.organization(organization).await?;
            self.told(|done| done.owners.0 += 1);
        }
        self.common().await?;
        self.told(|done| done.owners.0 += 1);
        self.free_masters().await?;
        Ok(self.done)
    }

    fn told(&mut self, change: impl FnOnce(&mut Rotated)) {
        change(&mut self.done);
        (self.tell)(&self.done);
    }

    /// When the rotation of data keys began that is to be done, if one is.
    async fn begin(&self, data: bool) -> Result<Option<DateTime<Utc>>> {
        for _ in 0..PASSES {
            let keys = self.engine.store.common_keys().await?;
            if let Some(began) = keys.iter().filter(|key| key.wrapped.is_some()).filter_map(|key| key.retired_at).min()
            {
                return Ok(Some(began));
            }
            if !data {
                return Ok(None);
            }
            if keys.is_empty() {
                // One to be retired: it says that a rotation is under way.
                let (_, writes) = new_key(self.engine, None, self.engine.env.now())?;
                self.write(None, writes).await?;
                continue;
            }
            self.retire(None, &keys).await?;
        }
        Err(Error::conflict("write_conflict", "others rotate keys too: let one of them do it"))
    }

    /// One owner's batch; false: somebody was faster.
    async fn write(&self, owner: Option<OrganizationId>, writes: impl IntoIterator<Item = Write>) -> Result<bool> {
        let mut batch = Batch::default();
        for write in writes {
            batch.note(write)?;
        }
        match self.engine.store.commit(owner.unwrap_or_else(nobody), batch).await {
            Err(error) if error.is_write_conflict() => Ok(false),
            done => done.map(|()| true),
        }
    }

    /// Retires keys that seal, and puts a new one in their place.
    async fn retire<K: Wrapped + Record>(&self, owner: Option<OrganizationId>, keys: &[K]) -> Result<bool> {
        let now = self.engine.env.now();
        let retired = keys.iter().filter(|key| key.retired_at().is_none()).map(|key| {
            let update = Update::of(key).set("retired_at", &Some(now));
            Write::Update(update.expect("retired_at", &None::<DateTime<Utc>>))
        });
        let (_, new) = new_key(self.engine, owner, now)?;
        let written = self.write(owner, retired.chain(new)).await?;
        self.engine.vault.forget(owner);
        Ok(written)
    }

    async fn organization(&mut self, owner: OrganizationId) -> Result<()> {
        let engine: &'r Arc<Engine> = self.engine;
        let (store, mut stuck) = (&engine.store, Vec::new());
        for pass in 0..PASSES {
            let keys = self.engine.store.data_keys(owner).await?;
            if !self.wrap(Some(owner), &keys).await? {
                continue;
            }
            let since = self.done.data_since;
            let old = |key: &DataKey| key.retired_at.is_none() && since.is_some_and(|since| key.created_at < since);
            if keys.iter().any(old) {
                self.retire(Some(owner), &keys).await?;
                continue;
            }
            // One that was destroyed stays, so that what it sealed is known to be lost.
            let mut retired = keys.iter().filter(|key| key.retired_at.is_some() && key.wrapped.is_some());
            let Some(key) = retired.find(|key| !stuck.contains(&key.id)) else { return Ok(()) };
            let id = key.id;
            let secrets = |after| store.secrets_under(owner, id, after, BATCH);
            let mut left = self.seal_anew(Some(owner), key, &secrets, |it: &SealedSecret| it.account_id).await?;
            let jobs = |after| store.jobs_under(owner, id, after, BATCH);
            left += self.seal_anew(Some(owner), key, &jobs, |it: &Job| it.id).await?;
            match left {
                0 => self.remove(Some(owner), key, pass).await?,
                _ => stuck.push(id),
            }
        }
        self.unfinished(&format!("organisation {owner}"));
        Ok(())
    }

    async fn common(&mut self) -> Result<()> {
        let engine: &'r Arc<Engine> = self.engine;
        let (store, mut stuck) = (&engine.store, Vec::new());
        for pass in 0..PASSES {
            let keys = self.engine.store.common_keys().await?;
            if !self.wrap(None, &keys).await? {
                continue;
            }
            let mut retired = keys.iter().filter(|key| key.retired_at.is_some() && key.wrapped.is_some());
            let Some(key) = retired.find(|key| !stuck.contains(&key.id)) else { return Ok(()) };
            let id = key.id;
            let factors = |after| store.second_factors_under(id, after, BATCH);
            let mut left = self.seal_anew(None, key, &factors, |it: &SecondFactor| it.user_id).await?;
            let steps = |after| store.login_states_under(id, after, BATCH);
            left += self.seal_anew(None, key, &steps, |it: &LoginState| it.id).await?;
            match left {
                0 => self.remove(None, key, pass).await?,
                _ => stuck.push(id),
            }
        }
        self.unfinished("what is people's own");
        Ok(())
    }

    fn unfinished(&mut self, what: &str) {
        self.leave(format!("{what}: others kept sealing with an older key: run it again"));
    }

    /// Wraps keys by the newest master key; false: somebody was faster.
    async fn wrap<K: Wrapped + Record>(&mut self, owner: Option<OrganizationId>, keys: &[K]) -> Result<bool> {
        for key in keys {
            let masters = self.engine.vault.masters();
            let Some((master, wrapped)) = key.wrapped().filter(|(master, _)| *master != masters.current()) else {
                continue;
            };
            let plain = masters.open(&key.place(), master, wrapped)?;
            let (master_key, anew) = masters.seal(&self.engine.env, &key.place(), &plain)?;
            let update = Update::of(key).set("master_key", &Some(master_key.clone())).set("wrapped", &Some(anew));
            let update = update.expect("wrapped", &Some(wrapped.to_vec()));
            let master = MasterKey { id: master_key, created_at: self.engine.env.now() };
            if !self.write(owner, [Write::insert_or_skip(&master), Write::Update(update)]).await? {
                return Ok(false);
            }
            self.told(|done| done.wrapped += 1);
        }
        Ok(true)
    }

    /// Seals everything anew that a retired key sealed, batch by batch; answers how much of it does not open. What somebody
    /// changes meanwhile stays as they left it; the key's next turn finds it, if it still names the key.
    async fn seal_anew<'a, T: Sealed + Record + 'a, I: Id>(
        &mut self,
        owner: Option<OrganizationId>,
        key: &impl Wrapped,
        read: &(dyn Fn(Option<I>) -> BoxFuture<'a, Result<Vec<T>>> + Send + Sync),
        id_of: fn(&T) -> I,
    ) -> Result<usize> {
        let old = self.engine.vault.unwrap(key)?;
        let new = present_key(self.engine, owner).await?;
        let new = new.ok_or_else(|| Error::internal(format!("no key takes the place of the data key {}", key.id())))?;
        let (mut after, mut left) = (None, 0);
        loop {
            let rows = read(after).await?;
            let mut batches = Vec::with_capacity(rows.len());
            for row in &rows {
                let Some((_, sealed)) = row.sealed()? else { continue };
                match old.open(&row.place(), &sealed) {
                    Ok(plain) => {
                        let anew = row.sealed_anew(new.id, new.key.seal(&self.engine.env, &row.place(), &plain)?);
                        batches.push((owner.unwrap_or_else(nobody), change(row, &anew)?));
                    }
                    Err(error) => {
                        left += 1;
                        self.leave(format!("{} of {}: {}", T::TABLE.name, id_of(row), error.message()));
                    }
                }
            }
            for outcome in self.engine.store.commit_many(batches).await {
                match outcome {
                    Ok(()) => self.done.sealed += 1,
                    Err(error) if error.is_write_conflict() => {}
                    Err(error) => return Err(error),
                }
            }
            (self.tell)(&self.done);
            after = rows.last().map(id_of);
            if rows.len() < BATCH as usize {
                return Ok(left);
            }
        }
    }

    /// Tells of something that could not be done, once.
    fn leave(&mut self, sentence: String) {
        warn!("{sentence}");
        if !self.done.left.contains(&sentence) {
            self.told(|done| done.left.push(sentence));
        }
    }

    /// Removes a retired key, unless a row names it again: then it waits, longer each time, in all for longer than anybody
    /// holds a key that was retired.
    async fn remove<K: Record>(&mut self, owner: Option<OrganizationId>, key: &K, pass: u32) -> Result<()> {
        if self.write(owner, [Write::delete(key)]).await? {
            self.told(|done| done.removed += 1);
        } else {
            tokio::time::sleep(WAIT * pass).await;
        }
        Ok(())
    }

    /// Forgets older master keys, as far as nothing is wrapped by them any more.
    async fn free_masters(&mut self) -> Result<()> {
        let masters = self.engine.vault.masters();
        for old in self.engine.store.master_keys().await?.into_iter().filter(|it| it.id != masters.current()) {
            if self.write(None, [Write::delete(&old)]).await? {
                self.told(|done| done.free.push(old.id));
            } else {
                self.leave(format!(
                    "the master key {} still wraps a data key: see that every server has the new key file, and run it again",
                    old.id
                ));
            }
        }
        Ok(())
    }
}

/// The change of a row that was sealed anew, if nothing that it changes was changed meanwhile.
fn change<T: Record>(before: &T, after: &T) -> Result<Batch> {
    let mut update = Update::between(before, after);
    let row = before.to_row();
    for (column, _) in &update.set {
        let old = row.get(T::TABLE.position(column)?).cloned();
        update.expect.extend(old.map(|old| (*column, old)));
    }
    let mut batch = Batch::default();
    batch.note(Write::Update(update))?;
    Ok(batch)
}
