//! Erasing a person: from the first commit on they are gone, and a job takes what is personal out of every row about
//! them, page by page. Rows, ids, counts and the chain of the audit log stay.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    clear::clear,
    sections::{Place, Section, piece},
};
use crate::{
    domain::{
        erasure::Erasure,
        job::{Job, JobKind, Lane},
        media::Media,
    },
    engine::Engine,
    error::{Error, Result},
    id::{ContactId, Id, OrganizationId},
    ports::store::{Update, Write},
    services::{contacts, jobs, media, payloads, unit::Unit},
};

/// Rows of one commit.
const AT_ONCE: u32 = 200;
/// So many empty pages are passed over by one step.
const EMPTY: usize = 50;
/// Whoever read the person just before they were erased may still write what they know: when it is looked again.
const AGAIN: TimeDelta = TimeDelta::minutes(1);

/// How far the job is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    contact_id: ContactId,
    place: Place,
    /// How often everything was gone through.
    rounds: u32,
    /// Whether this round has found anything.
    found: bool,
}

/// What one step came to.
pub(crate) struct Step {
    /// How far the job is now.
    pub(crate) payload: Value,
    /// Rows cleared.
    pub(crate) cleared: i64,
    /// How it goes on.
    pub(crate) turn: Turn,
}

/// How a job goes on.
pub(crate) enum Turn {
    /// With another step, then.
    At(DateTime<Utc>),
    /// Nothing was found any more.
    Done,
}

fn read(payload: &Value) -> Result<Progress> {
    serde_json::from_value(payload.clone()).map_err(|e| Error::internal("a job erases nobody").with_source(e))
}

/// Erases a contact, deleted or not. Asked again, answers the same job.
pub(crate) async fn erase(unit: &mut Unit, id: ContactId) -> Result<Job> {
    let organization = unit.organization_id();
    let missing = || Error::not_found("contact", id);
    let contact = unit.store().contact(organization, id).await?.ok_or_else(missing)?;
    if let Some(erasure) = unit.store().erasure(organization, id).await? {
        return jobs::get(unit, erasure.job_id).await;
    }
    let contact = unit.meet(contact)?.ok_or_else(missing)?;
    contacts::erase(unit, &contact).await?;
    unit.note(payloads::destruction(organization, id))?;
    for timer in unit.store().timers_of(organization, id.into()).await? {
        unit.note(Write::delete(&timer))?;
        unit.batch.uproot(Lane::Timer, timer.id.uuid());
    }
    let now = unit.now();
    let progress = Progress { contact_id: id, place: Place::FIRST, rounds: 0, found: false };
    let job = unit.queue_job(JobKind::EraseContact, json!(progress), now, Some(format!("erase:{id}")))?;
    unit.note(Write::insert(&Erasure {
        organization_id: organization,
        contact_id: id,
        job_id: job.id,
        created_at: now,
        finished_at: None,
    }))?;
    Ok(job)
}

/// What has to be done outside before a step: the bytes of its files are removed, and after a round what the database
/// still has of earlier states. Answers the files.
pub(crate) async fn drop_files(engine: &Engine, organization: OrganizationId, payload: &Value) -> Result<Vec<Media>> {
    let progress = read(payload)?;
    if progress.rounds > 0 && progress.place == Place::FIRST {
        engine.store.scrub().await?;
    }
    if progress.place.section != Section::Files {
        return Ok(Vec::new());
    }
    let page = progress.place.page(AT_ONCE);
    let files = engine.store.files_of(organization, progress.contact_id, &page).await?.data;
    for file in &files {
        media::remove(engine, organization, file.id).await?;
    }
    Ok(files)
}

/// One step of the job; the bytes of `files` are gone already.
pub(crate) async fn step(unit: &mut Unit, payload: &Value, files: &[Media]) -> Result<Step> {
    let mut progress = read(payload)?;
    let (organization, id) = (unit.organization_id(), progress.contact_id);
    let contact = unit.store().contact(organization, id).await?;
    let contact = contact.ok_or_else(|| Error::internal(format!("the erased contact {id} has no row")))?;
    let now = unit.now();
    let going_on =
        |progress: &Progress, cleared, at| Ok(Step { payload: json!(progress), cleared, turn: Turn::At(at) });
    for _ in 0..EMPTY {
        let (held, next) = piece(unit, &contact, &progress.place, AT_ONCE).await?;
        let is_empty = held.is_empty();
        let cleared = clear(unit, held, files).await?;
        progress.found |= cleared > 0;
        let Some(next) = next else { return end_round(unit, progress, cleared).await };
        // Files wait for their bytes to be removed.
        let waits = next.section == Section::Files;
        progress.place = next;
        if waits || !is_empty {
            return going_on(&progress, cleared, now);
        }
    }
    going_on(&progress, 0, now)
}

/// A round that found something is followed by another; one that found nothing is the last.
async fn end_round(unit: &mut Unit, progress: Progress, cleared: i64) -> Result<Step> {
    let now = unit.now();
    if progress.found {
        let next = Progress { place: Place::FIRST, rounds: progress.rounds + 1, found: false, ..progress };
        return Ok(Step { payload: json!(next), cleared, turn: Turn::At(now + AGAIN) });
    }
    let erasure = unit.store().erasure(unit.organization_id(), progress.contact_id).await?;
    if let Some(erasure) = erasure.filter(|it| it.finished_at.is_none()) {
        unit.note(Write::Update(Update::of(&erasure).set("finished_at", &Some(now))))?;
    }
    Ok(Step { payload: json!(progress), cleared, turn: Turn::Done })
}
