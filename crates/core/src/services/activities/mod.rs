//! What happens around contacts and deals: notes, tasks, and the timeline that merges them with messages and moves.

mod due;
pub(crate) mod notes;
pub(crate) mod tasks;
pub(crate) mod timeline;

pub(crate) use self::{due::come_due, tasks::give as give_task};
pub use self::{
    notes::{ContactNote, DealNote, DeleteNote, ListContactNotes, ListDealNotes, NotePatch, UpdateNote},
    tasks::{ContactTask, DealTask, DeleteTask, ListContactTasks, ListDealTasks, ListTasks, TaskPatch, UpdateTask},
    timeline::{ContactTimeline, DealTimeline, TimelineItem, TimelineKind},
};
use crate::{
    domain::event::Subject,
    error::{Error, Result},
    id::{ContactId, DealId},
    services::{contacts, deals, unit::Unit},
};

/// What a note or a task is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Contact(ContactId),
    Deal(DealId),
}

impl On {
    /// Fails unless the contact or deal is there.
    async fn check(self, unit: &mut Unit) -> Result<Self> {
        match self {
            Self::Contact(id) => contacts::contact(unit, id).await.map(drop)?,
            Self::Deal(id) => deals::deal(unit, id).await.map(drop)?,
        }
        Ok(self)
    }

    /// Whether the contact or deal is there, whoever sees it: a task is also its assignee's.
    async fn lives(self, unit: &mut Unit) -> Result<bool> {
        let organization = unit.organization_id();
        let seen = match self {
            Self::Contact(id) => unit.contact(id).await?.is_some(),
            Self::Deal(id) => unit.deal(id).await?.is_some(),
        };
        if seen || !unit.scope().sight.is_limited() {
            return Ok(seen);
        }
        let store = unit.whole_store();
        let deleted_at = match self {
            Self::Contact(id) => store.contact(organization, id).await?.map(|it| it.deleted_at),
            Self::Deal(id) => store.deal(organization, id).await?.map(|it| it.deleted_at),
        };
        Ok(deleted_at == Some(None))
    }

    /// Of a row that has one of the two.
    fn of(contact: Option<ContactId>, deal: Option<DealId>) -> Result<Self> {
        match (contact, deal) {
            (_, Some(deal)) => Ok(Self::Deal(deal)),
            (Some(contact), None) => Ok(Self::Contact(contact)),
            (None, None) => Err(Error::internal("a note or task is on nothing")),
        }
    }

    fn contact(self) -> Option<ContactId> {
        match self {
            Self::Contact(id) => Some(id),
            Self::Deal(_) => None,
        }
    }

    fn deal(self) -> Option<DealId> {
        match self {
            Self::Contact(_) => None,
            Self::Deal(id) => Some(id),
        }
    }
}

impl From<On> for Subject {
    fn from(on: On) -> Self {
        match on {
            On::Contact(id) => id.into(),
            On::Deal(id) => id.into(),
        }
    }
}
