//! Stating a fact: an event with the writes that it states.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;

use super::Unit;
use crate::{
    domain::event::{Change, Event, changes},
    error::Result,
    id::EventId,
    ports::store::{Record, Update, Value, Write},
};

/// An event being stated: what is written through it is what it states.
pub(crate) struct Fact<'u> {
    unit: &'u mut Unit,
}

impl<'u> Fact<'u> {
    /// The fact whose event the unit has just begun.
    pub(super) fn of(unit: &'u mut Unit) -> Self {
        Self { unit }
    }
}

impl Fact<'_> {
    fn event(&mut self) -> &mut Event {
        // `Unit::fact` has just pushed it and nothing else can reach the unit meanwhile.
        #[expect(clippy::expect_used, reason = "Unit::fact pushed the event that this borrows")]
        self.unit.batch.events.last_mut().expect("the event of this fact")
    }

    /// The event's id.
    pub(crate) fn id(&mut self) -> EventId {
        self.event().id
    }

    /// States what differs between two states of a thing; `None`: it did not exist.
    pub(crate) fn changes<T: Serialize>(mut self, before: Option<&T>, after: &T) -> Self {
        self.event().changes.extend(changes(before, after));
        self
    }

    /// States one field's change.
    pub(crate) fn change(mut self, field: &str, before: impl Serialize, after: impl Serialize) -> Self {
        self.event().changes.insert(field.to_owned(), Change { before: json!(before), after: json!(after) });
        self
    }

    /// Stamps what only this moment knows.
    pub(crate) fn data(mut self, name: &str, value: impl Serialize) -> Self {
        self.event().data.insert(name.to_owned(), json!(value));
        self
    }

    /// Gives the event another instant than the unit's (a move or a message that a provider dates).
    pub(crate) fn at(mut self, instant: DateTime<Utc>) -> Self {
        self.event().occurred_at = instant;
        self
    }

    /// Writes a new row.
    pub(crate) fn insert<T: Record>(self, record: &T) -> Self {
        let row = record.to_row();
        let slot = self.unit.slot::<T>(&record.key());
        slot.current = Some(row);
        self
    }

    /// Writes the new state of a row that people edit: its version goes up by one a unit, and the commit conflicts if
    /// somebody else edited it meanwhile. Answers the row as it will be.
    pub(crate) fn edit<T: Record>(self, before: &T, after: &T) -> Result<(Self, T)> {
        let mut row = after.to_row();
        let key = before.key();
        let slot = self.unit.slot::<T>(&key);
        if slot.stored.is_none() && slot.current.is_none() {
            slot.stored = Some(before.to_row());
        }
        if let Ok(place) = T::TABLE.position("version")
            && let (Some(Value::Int(stored)), Some(version)) =
                (slot.stored.as_ref().and_then(|row| row.get(place)), row.get_mut(place))
        {
            *version = Value::Int(stored + 1);
        }
        slot.current = Some(row.clone());
        Ok((self, T::from_row(row)?))
    }

    /// Writes activity: counters, latest times, first ones. Changes no version.
    pub(crate) fn touch(self, update: Update) -> Self {
        self.unit.touch(update);
        self
    }

    /// Removes a row.
    pub(crate) fn delete<T: Record>(self, record: &T) -> Self {
        let key = record.key();
        let slot = self.unit.slot::<T>(&key);
        if slot.stored.is_none() && slot.current.is_none() {
            slot.stored = Some(record.to_row());
        }
        slot.current = None;
        self
    }

    /// Any other write that belongs to this fact.
    pub(crate) fn write(self, write: Write) -> Self {
        self.unit.batch.writes.push(write);
        self
    }
}
