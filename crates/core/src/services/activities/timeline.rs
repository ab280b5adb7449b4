//! The timeline: notes, tasks, messages, moves and deals of a contact, or those of a deal, merged by time.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::On;
use crate::{
    domain::{deal::Deal, event::Subject, message::Message, note::Note, pipeline::StageMove, task::Task, word::words},
    error::Result,
    id::{ContactId, DealId, Id},
    page::{ListKey, Page, PageRequest, Position, SortValue, invalid_cursor},
    services::{messaging, unit::Unit},
};

words! {
    /// What an item of a timeline is.
    TimelineKind {
        /// A note.
        Note = "note",
        /// A task, at the time it was made.
        Task = "task",
        /// A message, in either direction.
        Message = "message",
        /// A move into a stage.
        StageMove = "stage_move",
        /// A deal with the contact, at the time it was made.
        Deal = "deal",
    }
}

/// One item of a timeline; exactly one of the members that hold something is there.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TimelineItem {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: TimelineKind,
    /// When.
    pub at: DateTime<Utc>,
    /// The id of what it is.
    pub id: Uuid,
    /// The note.
    pub note: Option<Note>,
    /// The task.
    pub task: Option<Task>,
    /// The message, without its body for those who may not read it.
    pub message: Option<Message>,
    /// The move.
    pub stage_move: Option<StageMove>,
    /// The deal.
    pub deal: Option<Deal>,
}

/// Whose timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactTimeline {
    /// The contact's.
    pub contact_id: ContactId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Whose timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DealTimeline {
    /// The deal's.
    pub deal_id: DealId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

fn item(kind: TimelineKind, at: DateTime<Utc>, id: Uuid) -> TimelineItem {
    TimelineItem { kind, at, id, note: None, task: None, message: None, stage_move: None, deal: None }
}

pub(crate) async fn of_contact(unit: &mut Unit, input: ContactTimeline) -> Result<Page<TimelineItem>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    timeline(unit, On::Contact(input.contact_id), page).await
}

pub(crate) async fn of_deal(unit: &mut Unit, input: DealTimeline) -> Result<Page<TimelineItem>> {
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    timeline(unit, On::Deal(input.deal_id), page).await
}

/// A page, newest first: of each kind as many as the page may need, along the kind's own index.
pub(crate) async fn timeline(unit: &mut Unit, on: On, page: PageRequest) -> Result<Page<TimelineItem>> {
    let on = on.check(unit).await?;
    let (subject, organization) = (Subject::from(on), unit.organization_id());
    let list = ListKey::of(&("timeline", subject));
    let limit = page.checked_limit()?;
    let before = match &page.cursor {
        Some(cursor) => match Position::decode(cursor, list)? {
            Position { value: SortValue::Int(at), id } => Some((at, id)),
            Position { .. } => return Err(invalid_cursor()),
        },
        None => None,
    };
    let store = unit.store();
    let found = store.timeline(organization, subject, before, limit + 1).await?;
    let mut items: Vec<TimelineItem> = Vec::new();
    items.extend(found.notes.into_iter().map(|note| TimelineItem {
        note: Some(note.clone()),
        ..item(TimelineKind::Note, note.created_at, note.id.uuid())
    }));
    items.extend(found.tasks.into_iter().map(|task| TimelineItem {
        task: Some(task.clone()),
        ..item(TimelineKind::Task, task.created_at, task.id.uuid())
    }));
    items.extend(found.moves.into_iter().map(|entry| TimelineItem {
        stage_move: Some(entry.clone()),
        ..item(TimelineKind::StageMove, entry.moved_at, entry.id.uuid())
    }));
    items.extend(found.deals.into_iter().map(|deal| TimelineItem {
        deal: Some(deal.clone()),
        ..item(TimelineKind::Deal, deal.created_at, deal.id.uuid())
    }));
    for message in messaging::shown_to(unit, found.messages).await? {
        let (at, id) = (message.timestamp, message.id.uuid());
        items.push(TimelineItem { message: Some(message), ..item(TimelineKind::Message, at, id) });
    }
    items.sort_by_key(|item| std::cmp::Reverse((item.at, item.id)));
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let place = |item: &TimelineItem| Position { value: SortValue::Int(item.at.timestamp_micros()), id: item.id };
    let next_cursor = items.last().filter(|_| more).map(|last| place(last).encode(list));
    Ok(Page { data: items, next_cursor })
}
