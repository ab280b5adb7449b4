//! The job: once a day, and whenever the policy has changed, it goes through each kind that is not kept for ever. A step
//! is one commit; where it is stands in the policy's row, so that whoever has the claim goes on.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::walks::{InHand, page};
use crate::{
    domain::retention::{Retention, RetentionKind, Walk},
    engine::Engine,
    error::{Error, Result},
    id::{MediaId, OrganizationId},
    ports::store::{Update, Write},
    services::{audit, idempotency, media, unit::Unit},
};

/// How often everything is gone through.
const EVERY: TimeDelta = TimeDelta::days(1);
/// When what was overwritten is taken out of the database's log: whoever reads an earlier state is through by then.
const SCRUB_AFTER: TimeDelta = TimeDelta::minutes(1);

/// How far the job is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// What was done about each kind.
    pub(super) kinds: BTreeMap<RetentionKind, Done>,
    /// Where each walk is: what is behind it was looked at.
    pub(super) places: BTreeMap<Walk, Place>,
    /// What is being gone through.
    pub(super) run: Option<Run>,
    /// When everything was last begun to be gone through, and at which version of the policy.
    began: Option<(DateTime<Utc>, i64)>,
    /// Files whose rows are gone, and whose bytes are to follow.
    pub(super) gone: Vec<MediaId>,
    /// Whether something was cleared since the database's log was last emptied.
    to_scrub: bool,
}

/// What was done about one kind.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) ran_at: DateTime<Utc>,
    /// `None` while no run came to its end.
    pub(super) cleared_before: Option<DateTime<Utc>>,
    pub(super) cleared: i64,
}

/// The last row that a walk has come to.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// When it was deleted; in the trash alone.
    pub(super) at: DateTime<Utc>,
    pub(super) id: Uuid,
}

/// A walk that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) walk: Walk,
    /// What is older than this is cleared: by the policy as it was when the kind was begun, or as it is since, whichever
    /// keeps more.
    pub(super) before: DateTime<Utc>,
    /// How far it is with what it had to leave the times before; `None` once it is through with that.
    pub(super) left: Option<Uuid>,
    /// What of the trash it has in hand.
    pub(super) in_hand: Option<InHand>,
    /// Rows cleared, of all walks of the kind, and how many of them the audit log knows of.
    pub(super) found: i64,
    told: i64,
}

impl Run {
    fn of(walk: Walk, before: DateTime<Utc>) -> Self {
        Self { walk, before, left: Some(Uuid::nil()), in_hand: None, found: 0, told: 0 }
    }

    /// The next walk of the same kind.
    fn goes_on(&mut self, walk: Walk) {
        *self = Self { found: self.found, told: self.told, ..Self::of(walk, self.before) };
    }
}

/// What one page came to.
pub(super) struct Outcome {
    /// Rows cleared.
    pub(super) cleared: i64,
    /// Whether the walk is through.
    pub(super) is_through: bool,
    /// Whether there was anything to look at.
    pub(super) looked: bool,
}

pub(super) fn read(policy: &Retention) -> Result<Progress> {
    let progress = serde_json::from_value(policy.progress.clone());
    progress.map_err(|e| Error::internal("a retention policy does not say how far its job is").with_source(e))
}

/// What was done outside before a step.
pub(crate) struct Prepared {
    /// Files whose bytes are gone.
    files: Vec<MediaId>,
    scrubbed: bool,
}

/// Does what has to be done outside before a step: bytes of files are removed whose rows are gone already, so that no
/// message can be given them any more; what the database still has of earlier states goes; and answers to idempotency
/// keys, which tell what was written, go once they count no more.
pub(crate) async fn prepare(engine: &Engine, organization: OrganizationId) -> Result<Prepared> {
    let Some(policy) = engine.store.retention(organization).await? else {
        return Ok(Prepared { files: Vec::new(), scrubbed: false });
    };
    let progress = read(&policy)?;
    for file in &progress.gone {
        media::remove(engine, organization, *file).await?;
    }
    let is_between = progress.run.is_none();
    if is_between {
        engine.store.forget_idempotency(organization, engine.env.now() - idempotency::KEPT).await?;
    }
    let scrubbed = is_between && progress.to_scrub;
    if scrubbed {
        engine.store.scrub().await?;
    }
    Ok(Prepared { files: progress.gone, scrubbed })
}

/// One step of the job; answers when the next one is due, `None` if everything is kept for ever.
pub(crate) async fn step(unit: &mut Unit, prepared: &Prepared) -> Result<Option<DateTime<Utc>>> {
    let Some(policy) = unit.store().retention(unit.organization_id()).await? else { return Ok(None) };
    let mut progress = read(&policy)?;
    progress.gone.retain(|file| !prepared.files.contains(file));
    progress.to_scrub &= !prepared.scrubbed;
    let due = advance(unit, &policy, &mut progress).await?;
    let update = Update::of(&policy).set("progress", &json!(progress)).expect("version", &policy.version);
    unit.note(Write::Update(update))?;
    Ok(due)
}

/// Before when a kind is cleared by the policy as it is; `None`: it is kept for ever.
fn cutoff(policy: &Retention, walk: Walk, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    policy.days.of(walk.kind()).map(|days| now - TimeDelta::days(days))
}

async fn advance(unit: &mut Unit, policy: &Retention, progress: &mut Progress) -> Result<Option<DateTime<Utc>>> {
    let now = unit.now();
    let mut run = match progress.run.take() {
        Some(run) => run,
        None => match begin(policy, progress, now) {
            Ok(run) => run,
            Err(next) => return Ok(next),
        },
    };
    loop {
        let cutoff = cutoff(policy, run.walk, now);
        let outcome = match cutoff {
            Some(before) => {
                run.before = run.before.min(before);
                page(unit, &mut run, progress).await?
            }
            None => Outcome { cleared: 0, is_through: true, looked: false },
        };
        run.found += outcome.cleared;
        progress.to_scrub |= outcome.cleared > 0;
        if !outcome.is_through {
            // The log says of its own entries before when they are cleared as soon as the first ones are.
            if run.walk == Walk::Audit && run.told == 0 {
                tell(unit, progress, &mut run)?;
            }
            progress.run = Some(run);
            return Ok(Some(now));
        }
        match run.walk.following() {
            Some(next) if next.kind() == run.walk.kind() => run.goes_on(next),
            next => {
                if cutoff.is_some() || run.found > 0 {
                    end(unit, progress, &mut run, cutoff.is_some())?;
                }
                let Some(next) = next else { return Ok(rest(policy, progress, now)) };
                run = Run::of(next, now);
            }
        }
        if outcome.looked {
            progress.run = Some(run);
            return Ok(Some(now));
        }
    }
}

/// The first walk, if it is time; otherwise when there is something to do.
fn begin(
    policy: &Retention,
    progress: &mut Progress,
    now: DateTime<Utc>,
) -> std::result::Result<Run, Option<DateTime<Utc>>> {
    // One that begins in time to come was begun before the clock was set back.
    let is_over = |began: DateTime<Utc>| began > now || began + EVERY <= now;
    let is_new = progress.began.is_none_or(|(began, version)| version != policy.version || is_over(began));
    let first = Walk::ALL.first().filter(|_| policy.days.is_any() && is_new);
    let Some(first) = first else { return Err(rest(policy, progress, now)) };
    progress.began = Some((now, policy.version));
    Ok(Run::of(*first, now))
}

/// When there is something to do again.
fn rest(policy: &Retention, progress: &Progress, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !progress.gone.is_empty() {
        return Some(now);
    }
    if progress.to_scrub {
        return Some(now + SCRUB_AFTER);
    }
    let (began, _) = progress.began?;
    policy.days.is_any().then_some(began + EVERY)
}

/// Ends a kind's run, which was broken off if the kind is kept for ever since.
fn end(unit: &mut Unit, progress: &mut Progress, run: &mut Run, is_whole: bool) -> Result<()> {
    if run.found > run.told {
        tell(unit, progress, run)?;
    }
    let (ran_at, kind) = (unit.now(), run.walk.kind());
    let done = progress.kinds.entry(kind).or_insert(Done { ran_at, cleared_before: None, cleared: 0 });
    done.ran_at = ran_at;
    done.cleared += run.found;
    if is_whole {
        done.cleared_before = done.cleared_before.max(Some(run.before));
    }
    Ok(())
}

/// Tells the audit log up to when things are cleared, and how many were.
fn tell(unit: &mut Unit, progress: &Progress, run: &mut Run) -> Result<()> {
    if run.found > 0 {
        let kind = run.walk.kind();
        // What was cleared up to a later instant before, when things were kept for less long, stays cleared.
        let earlier = progress.kinds.get(&kind).and_then(|done| done.cleared_before);
        let before = earlier.map_or(run.before, |earlier| earlier.max(run.before));
        audit::tell_clearing(unit, kind, before, run.found)?;
        run.told = run.found;
    }
    Ok(())
}
