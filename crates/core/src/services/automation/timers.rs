//! Timers, not scans: entering a stage plants a timer for each time rule on it, leaving removes it. What a tick costs
//! depends on what is due, not on how many contacts and deals exist.

use chrono::{DateTime, Duration, Utc};

use crate::{
    domain::{
        job::Lane,
        pipeline::Standing,
        rule::{RulePlan, Trigger},
        run::{Run, Timer},
    },
    error::{Error, Result},
    ports::store::{Update, Write},
    services::{
        automation::{LoadedRule, RuleSet},
        unit::Unit,
    },
};

/// Hours as a span, rounded up to the store's resolution so that what is due has surely elapsed.
pub(super) fn span(hours: f64) -> Duration {
    Duration::microseconds((hours * 3_600_000_000.0).ceil() as i64)
}

/// Plants the timer of a time rule for a present entry into a stage. A second one of the same rule and entry is not
/// written.
pub(crate) fn plant(unit: &mut Unit, rule: &LoadedRule, standing: Standing) -> Result<()> {
    let Some(elapsed) = rule.rule.plan.elapsed.as_ref().filter(|elapsed| elapsed.stages.contains(&standing.stage_id))
    else {
        return Ok(());
    };
    let timer = Timer {
        id: unit.id()?,
        organization_id: unit.organization_id(),
        rule_id: rule.rule.id,
        subject_kind: standing.subject.kind,
        subject_id: standing.subject.id,
        stage_entry_id: standing.stage_entry_id,
        due_at: standing.stage_entered_at + span(elapsed.hours),
        ripe: false,
    };
    unit.note(Write::insert_or_skip(&timer))?;
    unit.plant(Lane::Timer, timer.id, timer.due_at);
    Ok(())
}

/// Brings the timers of a contact or deal in line with the stage it is in: those of former entries go, those of this one come, unless
/// their rule is among the runs of the entry.
pub(crate) fn tend(unit: &mut Unit, rules: &RuleSet, standing: Standing, timers: &[Timer], ran: &[Run]) -> Result<()> {
    let gone = standing.deleted;
    for timer in timers.iter().filter(|timer| gone || timer.stage_entry_id != standing.stage_entry_id) {
        unit.note(Write::delete(timer))?;
        unit.batch.uproot(Lane::Timer, crate::id::Id::uuid(timer.id));
    }
    if gone {
        return Ok(());
    }
    for rule in rules.candidates(Trigger::TimeElapsed, standing.subject.kind, Some(standing.stage_id)) {
        let planted = |timer: &Timer| timer.rule_id == rule.rule.id && timer.stage_entry_id == standing.stage_entry_id;
        if !timers.iter().any(planted) && !ran.iter().any(|run| run.rule_id == rule.rule.id) {
            plant(unit, &rule, standing)?;
        }
    }
    Ok(())
}

/// After a time rule did not hold: its subject's next event asks it again (the timer is ripe), and so does the instant at
/// which time alone may make it hold, `again` from now.
pub(crate) fn replant(unit: &mut Unit, again: Option<Duration>, timer: &Timer) -> Result<()> {
    let due_at = again.map_or(timer.due_at, |wait| unit.now() + wait);
    if (due_at, true) != (timer.due_at, timer.ripe) {
        unit.note(Write::Update(Update::of(timer).set("due_at", &due_at).set("ripe", &true)))?;
    }
    if again.is_some() {
        unit.plant(Lane::Timer, timer.id, due_at);
    }
    Ok(())
}

/// When a schedule rule comes due next after `after`, in its own time zone or the organisation's. Instants that a clock
/// change skips move to the next that exists; those that it repeats happen once (croner's rule).
pub(crate) async fn next_schedule(
    unit: &mut Unit,
    plan: &RulePlan,
    after: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>> {
    let Some(schedule) = &plan.schedule else { return Ok(None) };
    let zone = match &schedule.time_zone {
        Some(zone) => zone.clone(),
        // As this unit leaves it.
        None => unit.organization().await?.time_zone,
    };
    let zone: chrono_tz::Tz = zone.parse().map_err(|_| Error::internal(format!("{zone:?} is no time zone")))?;
    let cron: croner::Cron = schedule.cron.parse().map_err(|e: croner::errors::CronError| {
        Error::internal("a saved schedule is no cron expression").with_source(e)
    })?;
    // Asked for no more instants (a date that never comes), the rule sleeps for ever.
    Ok(cron.find_next_occurrence(&after.with_timezone(&zone), false).ok().map(|next| next.with_timezone(&Utc)))
}
