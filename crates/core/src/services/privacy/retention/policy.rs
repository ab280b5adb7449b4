//! The policy as admins see and change it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use super::run::{Progress, read};
use crate::{
    domain::{
        event::EventKind,
        job::Lane,
        retention::{Retention, RetentionDays, RetentionKind},
        text::Flaws,
    },
    error::Result,
    id::OrganizationId,
    services::unit::Unit,
};

/// The longest time that can be named: a hundred years.
const MOST: i64 = 36_500;

/// How far the job is with one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RetentionProgress {
    /// The kind.
    pub kind: RetentionKind,
    /// When it was last gone through; `null` if it never was.
    pub last_run_at: Option<DateTime<Utc>>,
    /// What is older than this has been cleared, but for what is not over yet; `null` before the first run has ended.
    pub cleared_before: Option<DateTime<Utc>>,
    /// How many rows were cleared in all, this run's so far included.
    pub cleared: i64,
    /// Whether it is being gone through.
    pub running: bool,
}

/// How long each kind is kept, and how far the job is that clears what is older.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RetentionView {
    /// How many days each kind is kept; `null`: for ever.
    #[serde(flatten)]
    pub days: RetentionDays,
    /// How far the job is, kind by kind.
    pub progress: Vec<RetentionProgress>,
}

fn view(days: RetentionDays, progress: &Progress) -> RetentionView {
    let of = |kind: &RetentionKind| {
        let done = progress.kinds.get(kind);
        let running = progress.run.as_ref().filter(|run| run.walk.kind() == *kind);
        RetentionProgress {
            kind: *kind,
            last_run_at: done.map(|it| it.ran_at),
            cleared_before: done.and_then(|it| it.cleared_before),
            cleared: done.map_or(0, |it| it.cleared) + running.map_or(0, |run| run.found),
            running: running.is_some(),
        }
    };
    RetentionView { days, progress: RetentionKind::ALL.iter().map(of).collect() }
}

/// An organisation's policy as it is, or as it is without one.
async fn present(unit: &Unit) -> Result<(Option<Retention>, RetentionDays, Progress)> {
    let found = unit.store().retention(unit.organization_id()).await?;
    let progress = found.as_ref().map(read).transpose()?.unwrap_or_default();
    let days = found.as_ref().map(|it| it.days).unwrap_or_default();
    Ok((found, days, progress))
}

pub(crate) async fn get(unit: &mut Unit, (): ()) -> Result<RetentionView> {
    let (_, days, progress) = present(unit).await?;
    Ok(view(days, &progress))
}

pub(crate) async fn replace(unit: &mut Unit, days: RetentionDays) -> Result<RetentionView> {
    check(&days)?;
    let (found, was, progress) = present(unit).await?;
    if days == was {
        return Ok(view(days, &progress));
    }
    let (organization, now) = (unit.organization_id(), unit.now());
    let fact = unit.fact(EventKind::OrganizationUpdated, organization)?.data("what", "retention.replaced");
    let fact = fact.changes(Some(&was), &days);
    match found {
        Some(before) => {
            fact.edit(&before, &Retention { days, updated_at: now, ..before.clone() })?;
        }
        None => {
            fact.insert(&new(organization, days, now, &progress));
        }
    }
    // If everything is kept from now on too: what was begun is brought to its end.
    unit.plant(Lane::Retention, organization, now);
    Ok(view(days, &progress))
}

fn new(organization_id: OrganizationId, days: RetentionDays, now: DateTime<Utc>, progress: &Progress) -> Retention {
    Retention { organization_id, days, progress: serde_json::json!(progress), updated_at: now, version: 1 }
}

fn check(days: &RetentionDays) -> Result<()> {
    let mut flaws = Flaws::default();
    for kind in RetentionKind::ALL {
        if let Some(given) = days.of(*kind).filter(|days| !(1..=MOST).contains(days)) {
            let detail = format!("{given} days cannot be kept: give 1 to {MOST}, or null to keep it for ever");
            flaws.add(format!("/{kind}"), "out_of_range", detail);
        }
    }
    // A run's facts have the message that it was about in them, word by word.
    if let Some(messages) = days.messages
        && days.runs.is_none_or(|runs| runs > messages)
    {
        let detail =
            format!("runs of rules quote messages: keep them no longer than messages, at most {messages} days");
        flaws.add("/runs", "longer_than_messages", detail);
    }
    flaws.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(days: RetentionDays) -> Vec<(String, String)> {
        let error = check(&days).unwrap_err();
        error.fields().iter().map(|it| (it.pointer.clone(), it.code.to_string())).collect()
    }

    #[test]
    fn days_have_bounds_and_runs_do_not_outlive_what_they_quote() {
        let none = RetentionDays::default();
        for days in [none, RetentionDays { jobs: Some(1), audit: Some(MOST), ..none }] {
            check(&days).unwrap();
        }
        check(&RetentionDays { messages: Some(30), runs: Some(30), ..none }).unwrap();
        for days in [0, -1, MOST + 1, i64::MAX, i64::MIN] {
            let expected = [("/events".to_owned(), "out_of_range".to_owned())];
            assert_eq!(flaws(RetentionDays { events: Some(days), ..none }), expected, "{days}");
        }
        for runs in [None, Some(31)] {
            let expected = [("/runs".to_owned(), "longer_than_messages".to_owned())];
            assert_eq!(flaws(RetentionDays { messages: Some(30), runs, ..none }), expected);
        }
    }
}
