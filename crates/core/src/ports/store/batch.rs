//! What one commit writes. A change comes with its event ([`Batch::fact`]) or belongs to the short closed list of
//! book-keeping ([`Batch::note`]); guards make the whole batch fail if the world is not as it was read.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        event::Event,
        job::{Claim, Lane},
    },
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{
        record::{Record, Row, Table},
        value::{Column, Value},
    },
};

/// A column and a value for it.
pub type Cell = (&'static str, Value);

/// One change of one table.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// A new row. One that is there already by a unique index is a write conflict.
    Insert {
        /// Where.
        table: &'static Table,
        /// What.
        row: Row,
    },
    /// A new row, unless it is there already by any unique index.
    InsertOrSkip {
        /// Where.
        table: &'static Table,
        /// What.
        row: Row,
    },
    /// A new row, or a new state of the row of the same key.
    Put {
        /// Where.
        table: &'static Table,
        /// What.
        row: Row,
    },
    /// A change of the one row of `key`; a write conflict unless the row is there and `expect` holds.
    Update(Update),
    /// Removes the rows that match; none is fine.
    Delete {
        /// Where.
        table: &'static Table,
        /// Which: columns that must have these values. The organisation is among them on tables of a tenant.
        filter: Vec<Cell>,
        /// The row as it was read, where it is one and the audit log tells of it.
        before: Option<Row>,
    },
}

/// A change of the one row of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Where.
    pub table: &'static Table,
    /// The key's values, in the order of [`Table::key`].
    pub key: Row,
    /// New values.
    pub set: Vec<Cell>,
    /// Numbers to add.
    pub add: Vec<(&'static str, i64)>,
    /// Numbers or times of which the larger one stays; a null counts as smaller.
    pub max: Vec<Cell>,
    /// Columns that must still have these values, null included: `version`, `first_response_at`, ….
    pub expect: Vec<Cell>,
    /// The row as it was read, where the audit log tells of its table.
    pub before: Option<Row>,
}

impl Update {
    /// A change of `record`'s row that does nothing yet.
    pub fn of<T: Record>(record: &T) -> Self {
        Self {
            table: T::TABLE,
            key: record.key(),
            set: Vec::new(),
            add: Vec::new(),
            max: Vec::new(),
            expect: Vec::new(),
            before: T::TABLE.is_audited().then(|| record.to_row()),
        }
    }

    /// Sets a column.
    #[must_use]
    pub fn set(mut self, column: &'static str, value: &impl Column) -> Self {
        self.set.push((column, value.to_value()));
        self
    }

    /// Adds to a number.
    #[must_use]
    pub fn add(mut self, column: &'static str, by: i64) -> Self {
        self.add.push((column, by));
        self
    }

    /// Raises a number or a time.
    #[must_use]
    pub fn max(mut self, column: &'static str, value: &impl Column) -> Self {
        self.max.push((column, value.to_value()));
        self
    }

    /// Makes the batch a write conflict unless the column still has this value.
    #[must_use]
    pub fn expect(mut self, column: &'static str, value: &impl Column) -> Self {
        self.expect.push((column, value.to_value()));
        self
    }

    /// Adds a later change of the same row. What it expects of a column that this one changes was true of the row in
    /// between, which no store ever sees.
    pub(crate) fn then(&mut self, later: Self) {
        let changed = |column: &str| {
            let named = |cells: &[Cell]| cells.iter().any(|(it, _)| *it == column);
            named(&self.set) || named(&self.max) || named(&self.expect) || self.add.iter().any(|(it, _)| *it == column)
        };
        let expect: Vec<_> = later.expect.into_iter().filter(|(column, _)| !changed(column)).collect();
        self.expect.extend(expect);
        for (column, value) in later.set {
            self.add.retain(|(it, _)| *it != column);
            self.max.retain(|(it, _)| *it != column);
            match self.set.iter_mut().find(|(it, _)| *it == column) {
                Some(cell) => cell.1 = value,
                None => self.set.push((column, value)),
            }
        }
        for (column, by) in later.add {
            match (self.set.iter_mut().find(|(it, _)| *it == column), self.add.iter_mut().find(|(it, _)| *it == column))
            {
                (Some((_, Value::Int(number))), _) => *number += by,
                (_, Some((_, sum))) => *sum += by,
                _ => self.add.push((column, by)),
            }
        }
        for (column, value) in later.max {
            let earlier = self.set.iter_mut().chain(&mut self.max).find(|(it, _)| *it == column);
            match earlier {
                Some((_, Value::Int(old))) if matches!(value, Value::Int(new) if new <= *old) => {}
                Some(cell) => cell.1 = value,
                None => self.max.push((column, value)),
            }
        }
    }

    /// The row that would be written by setting what differs between two states of a record. Guards by `version` where
    /// the table has one: the new state must carry the old one's version plus one.
    pub fn between<T: Record>(before: &T, after: &T) -> Self {
        let mut update = Self::of(before);
        for ((column, old), new) in T::TABLE.columns.iter().zip(before.to_row()).zip(after.to_row()) {
            if old == new {
                continue;
            }
            if *column == "version" {
                update.expect.push((column, old));
            }
            update.set.push((column, new));
        }
        update
    }
}

/// A condition on rows that a batch was decided upon.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// Where.
    pub table: &'static Table,
    /// Which rows: columns that have these values.
    pub filter: Vec<Cell>,
    /// What must be true of them.
    pub must: Must,
    /// Code and sentence of the conflict if it is not.
    pub otherwise: (&'static str, String),
}

/// What must be true of a guard's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// At least one exists; it is locked until the commit, so that two units that lock the same row take turns.
    BeLocked,
    /// None exists.
    BeAbsent,
}

/// Something to do later: an entry of the global `work` table, which carries no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkItem {
    /// What kind of work.
    pub lane: Lane,
    /// What to look up.
    pub id: Uuid,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// When.
    pub due_at: DateTime<Utc>,
}

/// What becomes of a claimed work item when the batch commits; the batch is a write conflict (`lease_lost`) if the
/// claim no longer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkEnd {
    /// Only checks that the claim still holds.
    Held(Claim),
    /// Done: removed, unless it was put again since it was claimed; then it is due when it was put for.
    Done(Claim),
    /// Not yet: due again at this time, or when it was put for since it was claimed.
    Later(Claim, DateTime<Utc>),
}

/// Tables that may change without an event: book-keeping, not facts.
const NOTED: &[&str] = &[
    "assignment_turns",
    "account_cursors",
    "api_keys",
    "audit_chains",
    "audit_entries",
    "chats",
    "common_keys",
    "contact_keys",
    "credentials",
    "data_keys",
    "erasures",
    "idempotency_keys",
    "identities",
    "jobs",
    "login_states",
    "mail_tokens",
    "master_keys",
    "media",
    "memberships",
    "messages",
    "notifications",
    "retention",
    "retention_marks",
    "runs",
    "second_factors",
    "sessions",
    "skipped_messages",
    "tasks",
    "timers",
    "rules",
    "accounts",
    "account_secrets",
];

/// Everything that one commit writes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    pub(crate) guards: Vec<Guard>,
    pub(crate) writes: Vec<Write>,
    pub(crate) events: Vec<Event>,
    pub(crate) work: Vec<WorkItem>,
    pub(crate) removed_work: Vec<(Lane, Uuid)>,
    pub(crate) ends: Vec<WorkEnd>,
    pub(crate) consumed: Vec<(Uuid, i64)>,
}

impl Batch {
    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
            && self.events.is_empty()
            && self.work.is_empty()
            && self.removed_work.is_empty()
            && self.ends.is_empty()
            && self.consumed.is_empty()
    }

    /// Adds changes together with the fact that they state.
    pub fn fact(&mut self, writes: impl IntoIterator<Item = Write>, event: Event) {
        self.writes.extend(writes);
        self.events.push(event);
    }

    /// Adds a change that states nothing.
    ///
    /// # Errors
    /// `internal` if the table is not on the closed list of book-keeping.
    pub fn note(&mut self, write: Write) -> Result<()> {
        let table = write.table();
        if !NOTED.contains(&table.name) {
            return Err(Error::internal(format!("{} may only change together with an event", table.name)));
        }
        self.writes.push(write);
        Ok(())
    }

    /// Takes personal values out of a row for good: that somebody is erased was stated when it began.
    pub(crate) fn erase(&mut self, update: Update) {
        self.writes.push(Write::Update(update));
    }

    /// Adds a condition.
    pub fn guard(&mut self, guard: Guard) {
        self.guards.push(guard);
    }

    /// Plants work; an item of the same lane and id takes the new time.
    pub fn plant(&mut self, item: WorkItem) {
        self.removed_work.retain(|it| *it != (item.lane, item.id));
        self.work.retain(|it| (it.lane, it.id) != (item.lane, item.id));
        self.work.push(item);
    }

    /// Removes work, claimed or not, planted by this batch or before.
    pub fn uproot(&mut self, lane: Lane, id: Uuid) {
        self.work.retain(|it| (it.lane, it.id) != (lane, id));
        self.removed_work.push((lane, id));
    }

    /// Ends, or checks, a claim.
    pub fn end(&mut self, end: WorkEnd) {
        self.ends.push(end);
    }

    /// Marks the events of a subject as seen by the rules, up to and including `seq`.
    pub fn consume(&mut self, subject: Uuid, seq: i64) {
        self.consumed.push((subject, seq));
    }

    /// The lanes in which this batch leaves work, with repeats.
    pub(crate) fn planted(&self) -> Vec<Lane> {
        let dispatch = (!self.events.is_empty()).then_some(Lane::Dispatch);
        dispatch.into_iter().chain(self.work.iter().map(|item| item.lane)).collect()
    }

    /// The events that this batch states.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl Write {
    /// A new row.
    pub fn insert<T: Record>(record: &T) -> Self {
        Self::Insert { table: T::TABLE, row: record.to_row() }
    }

    /// A new row, unless it is there already.
    pub fn insert_or_skip<T: Record>(record: &T) -> Self {
        Self::InsertOrSkip { table: T::TABLE, row: record.to_row() }
    }

    /// A new row, or a new state of the row of the same key.
    pub fn put<T: Record>(record: &T) -> Self {
        Self::Put { table: T::TABLE, row: record.to_row() }
    }

    /// Removes the record's row.
    pub fn delete<T: Record>(record: &T) -> Self {
        Self::Delete {
            table: T::TABLE,
            filter: T::TABLE.key.iter().copied().zip(record.key()).collect(),
            before: T::TABLE.is_audited().then(|| record.to_row()),
        }
    }

    /// Removes the rows that match.
    pub(crate) fn delete_all<T: Record>(filter: Vec<Cell>) -> Self {
        Self::Delete { table: T::TABLE, filter, before: None }
    }

    /// The table it changes.
    pub fn table(&self) -> &'static Table {
        match self {
            Self::Insert { table, .. }
            | Self::InsertOrSkip { table, .. }
            | Self::Put { table, .. }
            | Self::Delete { table, .. } => table,
            Self::Update(update) => update.table,
        }
    }
}
