//! The unit of work. A service verb reads, decides and adds writes here and never commits; only a door does, once. The
//! unit remembers each row it has read or written, so that verbs see what earlier ones did, and two changes of one row
//! fold into one.

mod fact;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde_json::Map;

use crate::{
    domain::{
        contact::{Contact, ContactIdentity, IdentityKind},
        custom_field::{CustomField, Noun},
        deal::Deal,
        event::{Event, EventKind, Subject},
        job::{Job, JobKind, JobState, Lane},
        organization::Organization,
        pipeline::{Pipeline, Stage},
    },
    engine::Engine,
    env::Env,
    error::{Error, ErrorKind, Result},
    id::*,
    ports::store::{Batch, Column, Record, Row, Store, Table, Update, Value, WorkItem, Write},
    scope::Scope,
    services::vault::OpenKey,
};

pub(crate) use self::fact::Fact;

/// As many tasks are read at once where all of a contact or deal are needed.
const TASKS_AT_ONCE: u32 = 500;

/// A row as this unit knows it.
struct Slot {
    table: &'static Table,
    /// As the store has it, as far as this unit has not written it otherwise already; `None` for a new row.
    stored: Option<Row>,
    /// As this unit leaves it; `None` once removed.
    current: Option<Row>,
    /// Whether this unit writes it.
    written: bool,
}

/// One unit of work of one caller.
pub struct Unit {
    scope: Scope,
    engine: Arc<Engine>,
    /// What the caller sees of the store.
    store: Arc<dyn Store>,
    now: DateTime<Utc>,
    slots: HashMap<(&'static str, Vec<u8>), Slot>,
    /// Keys of rows that are written, in the order of their first write.
    written: Vec<(&'static str, Vec<u8>)>,
    /// What is written beside whole rows, and everything that is not a change.
    pub(crate) batch: Batch,
    /// Lists and lookups that were read already.
    pub(crate) kept: Kept,
}

/// What one unit reads once, however many things it makes: as the store has it, without the unit's own changes.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) frame: Option<(Vec<Pipeline>, Vec<Stage>)>,
    pub(crate) custom_fields: Option<Vec<CustomField>>,
    /// Who holds an identity, with their names.
    pub(crate) holders: HashMap<(IdentityKind, String), Vec<(ContactIdentity, String)>>,
    /// External ids whose rows, if there are any, the unit has met.
    pub(crate) external_ids: HashSet<(Noun, String, String)>,
    pub(crate) members: HashMap<UserId, bool>,
    pub(crate) teams: HashMap<TeamId, bool>,
    /// Data keys that the unit itself makes, by whose they are.
    pub(crate) data_keys: HashMap<Option<OrganizationId>, OpenKey>,
    /// Contacts and companies that were looked up and are not there.
    pub(crate) absent: HashSet<uuid::Uuid>,
}

/// What a job is queued with.
pub(crate) struct Payload {
    value: serde_json::Value,
    key_id: Option<DataKeyId>,
}

impl Payload {
    /// Something sealed by a data key.
    pub(crate) fn sealed((key, sealed): (DataKeyId, Vec<u8>)) -> Self {
        Self { value: Job::payload_of(&sealed), key_id: Some(key) }
    }
}

impl From<serde_json::Value> for Payload {
    fn from(value: serde_json::Value) -> Self {
        Self { value, key_id: None }
    }
}

/// A key as bytes, to find slots by.
fn slot_key(key: &Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for value in key {
        match value {
            Value::Uuid(id) => bytes.extend_from_slice(id.as_bytes()),
            Value::Text(text) => bytes.extend_from_slice(text.as_bytes()),
            Value::Int(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Value::Bool(_) | Value::Real(_) | Value::Bytes(_) | Value::Null => {}
        }
        bytes.push(0xff);
    }
    bytes
}

impl Unit {
    pub(crate) fn new(engine: Arc<Engine>, scope: Scope) -> Self {
        let now = engine.env.now();
        let store = if scope.sight.is_limited() { engine.store.seeing(&scope.sight) } else { engine.store.clone() };
        let (slots, batch, kept) = (HashMap::new(), Batch::default(), Kept::default());
        Self { scope, engine, store, now, slots, written: Vec::new(), batch, kept }
    }

    /// The caller.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The tenant.
    pub fn organization_id(&self) -> OrganizationId {
        self.scope.organization_id
    }

    /// The instant of this unit: the same for all that it writes.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    pub(crate) fn env(&self) -> &Env {
        &self.engine.env
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The store, as far as the caller sees it, for reads of lists. Reads of single rows go through the unit.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The whole store, for what must hold whoever sees it: nothing of it is told.
    pub(crate) fn whole_store(&self) -> &dyn Store {
        &*self.engine.store
    }

    /// A new id.
    pub(crate) fn id<T: Id>(&self) -> Result<T> {
        self.engine.env.id()
    }

    /// What this unit knows of a row: `None` if it has not met it, `Some(None)` if it has removed it.
    pub(crate) fn known<T: Record>(&self, key: &[Value]) -> Result<Option<Option<T>>> {
        match self.slots.get(&(T::TABLE.name, slot_key(&key.to_vec()))) {
            None => Ok(None),
            Some(slot) => slot.current.clone().map(T::from_row).transpose().map(Some),
        }
    }

    /// Remembers a row that was read, unless the unit knows better; answers what the unit knows.
    pub(crate) fn meet<T: Record>(&mut self, record: T) -> Result<Option<T>> {
        let key = record.key();
        if let Some(known) = self.known::<T>(&key)? {
            return Ok(known);
        }
        let row = record.to_row();
        self.slots.insert(
            (T::TABLE.name, slot_key(&key)),
            Slot { table: T::TABLE, stored: Some(row.clone()), current: Some(row), written: false },
        );
        Ok(Some(record))
    }

    /// A complete list as this unit leaves it: `rows` as the store has them all, with what this unit has changed, removed
    /// and added.
    pub(crate) fn overlay<T: Record>(&mut self, rows: Vec<T>) -> Result<Vec<T>> {
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            known.extend(self.meet(row)?);
        }
        known.extend(self.added()?);
        Ok(known)
    }

    /// The rows of a table that this unit adds.
    pub(crate) fn added<T: Record>(&self) -> Result<Vec<T>> {
        self.written
            .iter()
            .filter(|(table, _)| *table == T::TABLE.name)
            .filter_map(|key| self.slots.get(key))
            .filter(|slot| slot.stored.is_none())
            .filter_map(|slot| slot.current.clone())
            .map(T::from_row)
            .collect()
    }

    /// A contact that is not deleted.
    pub(crate) async fn contact(&mut self, id: ContactId) -> Result<Option<Contact>> {
        let contact = match self.known::<Contact>(&keyed(self.organization_id(), id))? {
            Some(known) => known,
            None if self.kept.absent.contains(&id.uuid()) => None,
            None => match self.store().contact(self.organization_id(), id).await? {
                Some(found) => self.meet(found)?,
                None => None,
            },
        };
        Ok(contact.filter(|contact| contact.deleted_at.is_none()))
    }

    /// The organisation itself.
    pub(crate) async fn organization(&mut self) -> Result<Organization> {
        let id = self.organization_id();
        let found = match self.known::<Organization>(&[id.to_value()])? {
            Some(known) => known,
            None => match self.store().organization(id).await? {
                Some(found) => self.meet(found)?,
                None => None,
            },
        };
        found.ok_or_else(|| Error::not_found("organization", id))
    }

    /// A deal that is not deleted.
    pub(crate) async fn deal(&mut self, id: DealId) -> Result<Option<Deal>> {
        let deal = match self.known::<Deal>(&keyed(self.organization_id(), id))? {
            Some(known) => known,
            None => match self.store().deal(self.organization_id(), id).await? {
                Some(found) => self.meet(found)?,
                None => None,
            },
        };
        Ok(deal.filter(|deal| deal.deleted_at.is_none()))
    }

    /// Begins a fact: an event, to which the writes that it states are added.
    pub(crate) fn fact(&mut self, kind: EventKind, subject: impl Into<Subject>) -> Result<Fact<'_>> {
        let event = Event {
            id: self.id()?,
            organization_id: self.organization_id(),
            kind,
            subject: subject.into(),
            subject_seq: 0,
            occurred_at: self.now,
            actor: self.scope.actor,
            cause: self.scope.cause.clone(),
            changes: BTreeMap::new(),
            data: Map::new(),
            sealed_by: None,
            sealed: None,
        };
        self.batch.events.push(event);
        Ok(Fact::of(self))
    }

    /// Writes book-keeping: what states nothing. The table must be on the batch's closed list.
    pub(crate) fn note(&mut self, write: Write) -> Result<()> {
        self.batch.note(write)
    }

    /// Writes the next state of a row of book-keeping, or a new one, so that later reads of this unit see it. A row with
    /// a version counts up, and the commit conflicts if somebody else was faster.
    pub(crate) fn note_state<T: Record>(&mut self, before: Option<&T>, after: &T) -> Result<()> {
        let mut probe = Batch::default();
        probe.note(Write::insert(after))?;
        let mut row = after.to_row();
        let slot = self.slot::<T>(&after.key());
        if slot.stored.is_none() && slot.current.is_none() {
            slot.stored = before.map(Record::to_row);
        }
        if let Ok(place) = T::TABLE.position("version")
            && let (Some(Value::Int(stored)), Some(version)) =
                (slot.stored.as_ref().and_then(|row| row.get(place)), row.get_mut(place))
        {
            *version = Value::Int(stored + 1);
        }
        slot.current = Some(row);
        Ok(())
    }

    /// Plants work for the runtime.
    pub(crate) fn plant(&mut self, lane: Lane, id: impl Id, due_at: DateTime<Utc>) {
        let organization_id = self.organization_id();
        self.batch.plant(WorkItem { lane, id: id.uuid(), organization_id, due_at });
    }

    /// Plants the work items of a contact's or deal's tasks that are not done: of one that was deleted they may have come
    /// and gone.
    pub(crate) async fn plant_tasks(&mut self, on: Subject) -> Result<()> {
        let mut after = None;
        loop {
            let tasks = self.store().untold_tasks(self.organization_id(), on, after, TASKS_AT_ONCE).await?;
            for task in &tasks {
                if let Some(at) = task.next_at() {
                    self.plant(Lane::Task, task.id, at);
                }
            }
            after = tasks.last().map(|task| (task.created_at, task.id));
            if tasks.len() < TASKS_AT_ONCE as usize {
                return Ok(());
            }
        }
    }

    /// Queues a background job. With a de-duplication key that the organisation has already, nothing happens at commit.
    pub(crate) fn queue_job(
        &mut self,
        kind: JobKind,
        payload: impl Into<Payload>,
        run_at: DateTime<Utc>,
        dedup_key: Option<String>,
    ) -> Result<Job> {
        let payload = payload.into();
        let job = Job {
            id: self.id()?,
            organization_id: self.organization_id(),
            kind,
            payload: payload.value,
            key_id: payload.key_id,
            state: JobState::Queued,
            progress: 0,
            attempts: 0,
            run_at,
            dedup_key,
            last_error: None,
            created_by: self.scope.user_id(),
            created_at: self.now,
            updated_at: self.now,
        };
        self.note(Write::insert_or_skip(&job))?;
        self.plant(Lane::Job, job.id, run_at);
        Ok(job)
    }

    fn slot<T: Record>(&mut self, key: &Row) -> &mut Slot {
        let key = (T::TABLE.name, slot_key(key));
        let new = || Slot { table: T::TABLE, stored: None, current: None, written: false };
        let slot = self.slots.entry(key.clone()).or_insert_with(new);
        if !std::mem::replace(&mut slot.written, true) {
            self.written.push(key);
        }
        slot
    }

    /// Whether any row is written.
    pub(crate) fn writes(&self) -> bool {
        !self.written.is_empty()
    }

    /// Forgets everything that was to be written: for a run whose actions go all or none.
    pub(crate) fn discard(&mut self) {
        self.slots.clear();
        self.written.clear();
        self.batch = Batch::default();
        self.kept = Kept::default();
    }

    /// Whether a user is a member of the organisation.
    pub(crate) async fn is_member(&mut self, user: UserId) -> Result<bool> {
        if let Some(known) = self.kept.members.get(&user) {
            return Ok(*known);
        }
        let found = self.store().membership(self.organization_id(), user).await?.is_some();
        self.kept.members.insert(user, found);
        Ok(found)
    }

    /// Whether there is this team.
    pub(crate) async fn is_team(&mut self, team: TeamId) -> Result<bool> {
        if let Some(known) = self.kept.teams.get(&team) {
            return Ok(*known);
        }
        let found = self.store().team(self.organization_id(), team).await?.is_some();
        self.kept.teams.insert(team, found);
        Ok(found)
    }

    /// Learns at once which of several users are members, and which of several teams there are.
    pub(crate) async fn look_up(&mut self, users: HashSet<UserId>, teams: HashSet<TeamId>) -> Result<()> {
        let organization = self.organization_id();
        if users.len() > 1 {
            let found = self.store().members(organization).await?;
            let found: HashSet<_> = found.into_iter().map(|member| member.user_id).collect();
            self.kept.members.extend(users.into_iter().map(|user| (user, found.contains(&user))));
        }
        if teams.len() > 1 {
            let found = self.store().all_teams(organization).await?;
            let found: HashSet<_> = found.into_iter().map(|team| team.id).collect();
            self.kept.teams.extend(teams.into_iter().map(|team| (team, found.contains(&team))));
        }
        Ok(())
    }

    /// Takes away a member and a team that are gone, of what nobody saw meanwhile.
    pub(crate) async fn drop_gone(&mut self, user: &mut Option<UserId>, team: &mut Option<TeamId>) -> Result<()> {
        if let Some(given) = *user
            && !self.is_member(given).await?
        {
            *user = None;
        }
        if let Some(given) = *team
            && !self.is_team(given).await?
        {
            *team = None;
        }
        Ok(())
    }

    /// Whose the deals are that this unit's events are about.
    pub(crate) async fn contacts_of_deals(&self) -> Result<HashMap<DealId, Option<ContactId>>> {
        let mut deals = HashMap::new();
        for deal in self.batch.events.iter().filter_map(|event| event.subject.deal()) {
            if deals.contains_key(&deal) {
                continue;
            }
            let found = match self.known::<Deal>(&keyed(self.organization_id(), deal))? {
                Some(known) => known,
                None => self.whole_store().deal(self.organization_id(), deal).await?,
            };
            deals.insert(deal, found.and_then(|deal| deal.contact_id));
        }
        Ok(deals)
    }

    /// Everything this unit writes.
    pub(crate) fn finish(mut self) -> Result<(Scope, Batch)> {
        let mut batch = std::mem::take(&mut self.batch);
        let beside = std::mem::take(&mut batch.writes);
        for key in &self.written {
            let Some(slot) = self.slots.remove(key) else { continue };
            batch.writes.extend(slot.into_write()?);
        }
        batch.writes.extend(beside);
        batch.writes = fold(batch.writes);
        Ok((self.scope, batch))
    }
}

impl Slot {
    fn into_write(self) -> Result<Option<Write>> {
        let table = self.table;
        Ok(match (self.stored, self.current) {
            (None, Some(row)) => Some(Write::Insert { table, row }),
            (Some(stored), Some(current)) => {
                let mut update = Update {
                    table,
                    key: key_of(table, &stored)?,
                    set: Vec::new(),
                    add: Vec::new(),
                    max: Vec::new(),
                    expect: Vec::new(),
                    before: None,
                };
                for ((column, old), new) in table.columns.iter().zip(&stored).zip(current) {
                    if *old != new {
                        if *column == "version" {
                            update.expect.push((column, old.clone()));
                        }
                        update.set.push((column, new));
                    }
                }
                update.before = table.is_audited().then_some(stored);
                (!update.set.is_empty()).then_some(Write::Update(update))
            }
            (Some(stored), None) => {
                let filter = table.key.iter().copied().zip(key_of(table, &stored)?).collect();
                Some(Write::Delete { table, filter, before: table.is_audited().then_some(stored) })
            }
            (None, None) => None,
        })
    }
}

fn key_of(table: &'static Table, row: &Row) -> Result<Row> {
    table
        .key
        .iter()
        .map(|column| {
            row.get(table.position(column)?)
                .cloned()
                .ok_or_else(|| Error::internal(format!("a row of {} has no {column}", table.name)))
        })
        .collect()
}

impl Unit {
    /// Adds an update beside the rows' whole states, and lets later reads of this unit see it.
    fn touch(&mut self, update: Update) {
        if let Some(slot) = self.slots.get_mut(&(update.table.name, slot_key(&update.key))) {
            for row in [&mut slot.stored, &mut slot.current].into_iter().flatten() {
                apply(&update, row);
            }
            if slot.stored.is_none() {
                // The row is new in this unit: its insert carries the touched state already.
                return;
            }
        }
        self.batch.writes.push(Write::Update(update));
    }

    /// Writes activity that states nothing of its own; see [`Fact::touch`].
    pub(crate) fn note_touch(&mut self, update: Update) -> Result<()> {
        let mut probe = Batch::default();
        probe.note(Write::Update(update.clone()))?;
        self.touch(update);
        Ok(())
    }
}

/// Makes one update of all updates of the same row, at the place of the first.
fn fold(writes: Vec<Write>) -> Vec<Write> {
    let mut folded: Vec<Write> = Vec::with_capacity(writes.len());
    let mut places: HashMap<(&'static str, Vec<u8>), usize> = HashMap::new();
    for write in writes {
        if let Write::Update(later) = &write {
            let place = places.entry((later.table.name, slot_key(&later.key))).or_insert(folded.len());
            if let Some(Write::Update(first)) = folded.get_mut(*place) {
                first.then(later.clone());
                continue;
            }
        }
        folded.push(write);
    }
    folded
}

/// What an update does to a row in memory; the same as in the database.
pub(crate) fn apply(update: &Update, row: &mut Row) {
    let mut with = |column: &str, change: &mut dyn FnMut(&mut Value)| {
        if let Ok(place) = update.table.position(column)
            && let Some(value) = row.get_mut(place)
        {
            change(value);
        }
    };
    for (column, new) in &update.set {
        with(column, &mut |value| *value = new.clone());
    }
    for (column, by) in &update.add {
        with(column, &mut |value| {
            if let Value::Int(number) = value {
                *number += by;
            }
        });
    }
    for (column, new) in &update.max {
        with(column, &mut |value| {
            if matches!((&*value, new), (Value::Int(old), Value::Int(new)) if old >= new) {
                return;
            }
            *value = new.clone();
        });
    }
}

/// The values of a key with the organisation first.
pub(crate) fn keyed(organization: OrganizationId, id: impl Column) -> [Value; 2] {
    [organization.to_value(), id.to_value()]
}

/// Which thing, if it is still as the caller has seen it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[schemars(rename = "Versioned{T}")]
#[serde(deny_unknown_fields)]
pub struct Versioned<T> {
    /// Which one.
    pub id: T,
    /// Only if it is at this version.
    #[serde(default)]
    pub if_version: Option<i64>,
}

impl<T> From<T> for Versioned<T> {
    fn from(id: T) -> Self {
        Self { id, if_version: None }
    }
}

/// Holds a client's `If-Match` against the version that a thing has.
pub(crate) fn check_version(noun: &str, wanted: Option<i64>, present: i64) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != present => Err(Error::new(
            ErrorKind::PreconditionFailed,
            format!("the {noun} is at version {present}, not {wanted}: read it again and decide anew"),
        )),
        _ => Ok(()),
    }
}

/// The same where there is no such thing yet: no version of it can match.
pub(crate) fn require_none(noun: &str, wanted: Option<i64>) -> Result<()> {
    match wanted {
        Some(wanted) => Err(Error::new(
            ErrorKind::PreconditionFailed,
            format!("there is no such {noun} yet, so none at version {wanted}: leave the version out to make it"),
        )),
        None => Ok(()),
    }
}
