//! One page of each walk.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::run::{Outcome, Place, Progress, Run};
use crate::{
    domain::{
        audit::{AuditEntry, AuditObject},
        event::{Event, Subject},
        job::{Job, JobState},
        media::Media,
        message::{Message, MessageStatus},
        payload::Personal,
        pipeline::StageMove,
        retention::{RetentionMark, Walk},
        run::Run as OldRun,
    },
    error::Result,
    id::Id,
    page::PageRequest,
    ports::store::{Aged, Column, Guard, Must, Old, Record, Write},
    scope::Actor,
    services::{
        companies, deals,
        privacy::{
            clear,
            erase::erase,
            sections::{Section, about},
        },
        unit::Unit,
    },
};

/// Rows of one commit: bodies may have a megabyte each.
const AT_ONCE: u32 = 100;
/// Contacts of one commit: each begins a job.
const CONTACTS_AT_ONCE: u32 = 20;

/// What there may be about a deal beside itself, and about a company. What the audit log has of them is ids and times.
const ABOUT_DEALS: &[Section] =
    &[Section::History, Section::Notes, Section::Tasks, Section::Events, Section::Runs, Section::Notifications];
const ABOUT_COMPANIES: &[Section] = &[Section::Events];

/// A deal or company that was emptied, and how far it is with what there is about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InHand {
    section: Section,
    cursor: Option<String>,
}

/// Goes through the next page of a walk.
pub(super) async fn page(unit: &mut Unit, run: &mut Run, progress: &mut Progress) -> Result<Outcome> {
    let before = run.before;
    if !run.walk.is_trash()
        && let Some(after) = run.left
    {
        let outcome = left(unit, run, progress, after).await?;
        if outcome.looked {
            return Ok(outcome);
        }
        run.left = None;
    }
    let Place { at, id } = progress.places.get(&run.walk).copied().unwrap_or_default();
    let limit = match run.walk {
        Walk::Contacts => CONTACTS_AT_ONCE,
        Walk::Deals | Walk::Companies => 1,
        _ => AT_ONCE,
    };
    let rows = unit.store().old(unit.organization_id(), run.walk, &Old::Behind { at, id, before, limit }).await?;
    let ids = ids(&rows);
    let Some(last) = ids.last() else { return Ok(Outcome { cleared: 0, is_through: true, looked: false }) };
    let cleared = match &rows {
        Aged::Contacts(_) | Aged::Deals(_) | Aged::Companies(_) => {
            let (cleared, more) = purge(unit, run, &rows).await?;
            if more {
                return Ok(Outcome { cleared, is_through: false, looked: true });
            }
            cleared
        }
        _ => {
            let (cleared, open) = clear_over(unit, rows, progress, before).await?;
            for id in open {
                unit.note(Write::insert_or_skip(&mark(unit, run.walk, id)))?;
            }
            cleared
        }
    };
    progress.places.insert(run.walk, *last);
    Ok(Outcome { cleared, is_through: ids.len() < limit as usize, looked: true })
}

/// Goes through what was not over yet when the walk passed it.
async fn left(unit: &mut Unit, run: &mut Run, progress: &mut Progress, after: Uuid) -> Result<Outcome> {
    let (organization, walk, before) = (unit.organization_id(), run.walk, run.before);
    let marks = unit.store().retention_marks(organization, walk, after, before, AT_ONCE).await?;
    let Some(last) = marks.last().map(|mark| mark.id) else {
        return Ok(Outcome { cleared: 0, is_through: false, looked: false });
    };
    let ids = marks.iter().map(|mark| mark.id).collect();
    let rows = unit.store().old(organization, walk, &Old::Ids(ids)).await?;
    let (cleared, open) = clear_over(unit, rows, progress, before).await?;
    for mark in marks.iter().filter(|mark| !open.contains(&mark.id)) {
        unit.note(Write::delete(mark))?;
    }
    run.left = Some(last);
    Ok(Outcome { cleared, is_through: false, looked: true })
}

fn mark(unit: &Unit, walk: Walk, id: Uuid) -> RetentionMark {
    RetentionMark { organization_id: unit.organization_id(), walk, id }
}

/// Where each row is, in order.
fn ids(rows: &Aged) -> Vec<Place> {
    fn by_id(id: impl Id) -> Place {
        Place { id: id.uuid(), ..Place::default() }
    }
    fn deleted(at: Option<DateTime<Utc>>, id: impl Id) -> Place {
        Place { at: at.unwrap_or_default(), id: id.uuid() }
    }
    match rows {
        Aged::Messages(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Files(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Runs(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Events(all) => all.iter().map(|(it, _)| by_id(it.id)).collect(),
        Aged::Moves(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Notifications(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Jobs(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Audit(all) => all.iter().map(|it| by_id(it.id)).collect(),
        Aged::Contacts(all) => all.iter().map(|it| deleted(it.deleted_at, it.id)).collect(),
        Aged::Deals(all) => all.iter().map(|it| deleted(it.deleted_at, it.id)).collect(),
        Aged::Companies(all) => all.iter().map(|it| deleted(it.deleted_at, it.id)).collect(),
    }
}

/// The rows that are over, and the ids of the others.
fn sifted<T>(rows: Vec<T>, is_open: impl Fn(&T) -> bool, id: impl Fn(&T) -> Uuid) -> (Vec<T>, Vec<Uuid>) {
    let (open, over): (Vec<T>, Vec<T>) = rows.into_iter().partition(is_open);
    (over, open.iter().map(id).collect())
}

/// Clears what is over; answers how many rows, and which are not over yet.
async fn clear_over(
    unit: &mut Unit,
    rows: Aged,
    progress: &mut Progress,
    before: DateTime<Utc>,
) -> Result<(i64, Vec<Uuid>)> {
    Ok(match rows {
        Aged::Messages(all) => {
            let (over, open) = sifted(all, waits, |it| it.id.uuid());
            (clear::messages(unit, &over, true).await?, open)
        }
        Aged::Files(all) => {
            let (over, open) = sifted(all, |it| it.used_at >= before, |it| it.id.uuid());
            for file in &over {
                unit.batch.guard(is_used_no_more(file));
                progress.gone.push(file.id);
            }
            (remove(unit, over.iter().map(Write::delete))?, open)
        }
        Aged::Runs(all) => (clear::each(unit, &all, OldRun::erased), Vec::new()),
        Aged::Events(all) => {
            let (over, open) = sifted(all, |(it, seen)| it.subject_seq > *seen, |(it, _)| it.id.uuid());
            let over: Vec<Event> = over.into_iter().map(|(event, _)| event).collect();
            (clear::each(unit, &over, Event::erased), open)
        }
        Aged::Moves(all) => (clear::each(unit, &all, StageMove::erased), Vec::new()),
        Aged::Notifications(all) => (remove(unit, all.iter().map(Write::delete))?, Vec::new()),
        Aged::Jobs(all) => {
            let (over, open) = sifted(all, |it| it.state == JobState::Queued, |it| it.id.uuid());
            (clear::each(unit, &over, job), open)
        }
        Aged::Audit(all) => {
            let (over, open) = sifted(all, |it| it.seq.is_none(), |it| it.id.uuid());
            (clear::each(unit, &over, audit_entry), open)
        }
        Aged::Contacts(_) | Aged::Deals(_) | Aged::Companies(_) => (0, Vec::new()),
    })
}

/// Nobody has sent a file since it was read.
fn is_used_no_more(file: &Media) -> Guard {
    let key = Media::TABLE.key.iter().copied().zip(file.key());
    Guard {
        table: Media::TABLE,
        filter: key.chain([("used_at", file.used_at.to_value())]).collect(),
        must: Must::BeLocked,
        otherwise: ("write_conflict", format!("the file {} is sent again", file.id)),
    }
}

/// What has not been sent yet, and is to be.
fn waits(message: &Message) -> bool {
    matches!(message.status, MessageStatus::Scheduled | MessageStatus::Queued | MessageStatus::Sending)
}

fn remove(unit: &mut Unit, deletions: impl Iterator<Item = Write>) -> Result<i64> {
    let mut removed = 0;
    for deletion in deletions {
        unit.note(deletion)?;
        removed += 1;
    }
    Ok(removed)
}

fn job(job: &Job) -> Job {
    Job { payload: serde_json::json!({}), key_id: None, last_error: None, ..job.clone() }
}

/// What the job itself has told stays: it is what the verifier goes by, and speaks of nobody.
fn audit_entry(entry: &AuditEntry) -> AuditEntry {
    let own = entry.object_kind == AuditObject::Retention && entry.actor == Actor::System;
    if own { entry.clone() } else { AuditEntry { payload: None, ..entry.erased() } }
}

/// Empties what is in the trash; answers how many things, and whether there is more about the last one.
async fn purge(unit: &mut Unit, run: &mut Run, rows: &Aged) -> Result<(i64, bool)> {
    match rows {
        Aged::Contacts(all) => {
            let mut erased = 0;
            for contact in all {
                if unit.store().erasure(contact.organization_id, contact.id).await?.is_none() {
                    erase(unit, contact.id).await?;
                    erased += 1;
                }
            }
            Ok((erased, false))
        }
        Aged::Deals(all) => {
            let Some(deal) = all.first() else { return Ok((0, false)) };
            if run.in_hand.is_none() {
                deals::purge(unit, deal).await?;
            }
            surroundings(unit, run, deal.id.into(), ABOUT_DEALS).await
        }
        Aged::Companies(all) => {
            let Some(company) = all.first() else { return Ok((0, false)) };
            if run.in_hand.is_none() {
                companies::purge(unit, company).await?;
            }
            surroundings(unit, run, company.id.into(), ABOUT_COMPANIES).await
        }
        _ => Ok((0, false)),
    }
}

/// What there is about something that is emptied, page by page. First it is marked, so that nobody brings it back.
async fn surroundings(unit: &mut Unit, run: &mut Run, of: Subject, sections: &[Section]) -> Result<(i64, bool)> {
    let first = || sections.first().map(|section| InHand { section: *section, cursor: None });
    let Some(mut place) = run.in_hand.take() else {
        unit.note(Write::insert_or_skip(&mark(unit, run.walk, of.id)))?;
        run.in_hand = first();
        return Ok((1, run.in_hand.is_some()));
    };
    loop {
        let page = PageRequest { limit: Some(AT_ONCE), cursor: place.cursor.clone() };
        let (held, cursor) = about(unit, place.section, of, None, &page).await?;
        let was_empty = held.is_empty();
        clear::clear(unit, held, &[]).await?;
        let following = sections.iter().skip_while(|it| **it != place.section).nth(1);
        let next = match (cursor, following) {
            (Some(cursor), _) => InHand { cursor: Some(cursor), ..place },
            (None, Some(section)) => InHand { section: *section, cursor: None },
            (None, None) => return Ok((0, false)),
        };
        if !was_empty {
            run.in_hand = Some(next);
            return Ok((0, true));
        }
        place = next;
    }
}
