//! Time: states that a timer's time has elapsed, and that a schedule came due. Decides nothing; the rules are asked by the
//! dispatcher, in the order of the subject's events.

use std::{collections::HashSet, sync::Arc};

use serde_json::json;

use crate::{
    domain::{
        event::{EventKind, Subject},
        job::{Claim, Job, JobKind, JobState},
        pipeline::{Staged, Standing},
        rule::RuleSubject,
    },
    engine::Engine,
    error::Result,
    id::{ContactId, DealId, Id, RuleId, TimerId},
    ports::store::{Record, Update, WorkEnd, Write},
    runtime::{commit, dispatcher},
    scope::Scope,
    services::{
        activities,
        automation::{self, LoadedRule, RuleSet},
        unit::Unit,
    },
};

/// Contacts or deals looked at per step of a job.
const SUBJECTS_AT_ONCE: u32 = 200;

/// A timer is due: states it on its subject.
pub(super) async fn timer(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let claim = claim.clone();
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        let claim = claim.clone();
        Box::pin(async move {
            let timer = unit.store().timer(unit.organization_id(), TimerId::from_uuid(claim.id)).await?;
            if let Some(timer) = timer {
                unit.fact(EventKind::TimeElapsed, timer.subject())?
                    .data("timer_id", timer.id)
                    .data("rule_id", timer.rule_id);
            }
            unit.batch.end(WorkEnd::Done(claim));
            Ok(())
        })
    })
    .await
}

/// Something about a task is to be told.
pub(super) async fn task(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let claim = claim.clone();
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        Box::pin(activities::come_due(unit, claim.clone()))
    })
    .await
}

/// A schedule is due: queues the job that finds its subjects, and waits for the next time.
pub(super) async fn schedule(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let claim = claim.clone();
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        let claim = claim.clone();
        Box::pin(async move {
            let rule = unit.store().rule(unit.organization_id(), RuleId::from_uuid(claim.id)).await?;
            let Some(rule) = rule.filter(|rule| rule.enabled) else {
                unit.batch.end(WorkEnd::Done(claim));
                return Ok(());
            };
            let now = unit.now();
            // Slots that passed while nobody was running are one, not many.
            let payload = json!({ "rule_id": rule.id, "due_at": claim.due_at });
            unit.queue_job(
                JobKind::RunSchedule,
                payload,
                now,
                Some(format!("schedule:{}:{}", rule.id, claim.due_at.timestamp())),
            )?;
            let next = automation::next_schedule(unit, &rule.plan, now).await?;
            unit.batch
                .end(next.map_or_else(|| WorkEnd::Done(claim.clone()), |next| WorkEnd::Later(claim.clone(), next)));
            Ok(())
        })
    })
    .await
}

/// What a job over contacts or deals has to know: the rule, whom to look at, and how far it came.
struct Step {
    rules: Arc<RuleSet>,
    rule: Arc<LoadedRule>,
    subjects: Vec<Standing>,
    last: bool,
}

async fn step(engine: &Arc<Engine>, unit: &mut Unit, job: &Job) -> Result<Option<Step>> {
    let rule_id = job.payload.get("rule_id").and_then(|id| id.as_str()).and_then(|id| id.parse::<RuleId>().ok());
    let rules = engine.rules.of(engine, job.organization_id).await?;
    let Some(rule) = rule_id.and_then(|id| rules.get(id)).cloned() else { return Ok(None) };
    let after = job.payload.get("after").and_then(|id| id.as_str()).and_then(|id| id.parse::<uuid::Uuid>().ok());
    let plan = &rule.rule.plan;
    let stages =
        plan.elapsed.as_ref().map(|elapsed| &elapsed.stages).or(plan.stages.as_ref()).cloned().unwrap_or_default();
    let organization = job.organization_id;
    let subjects = if plan.subject == RuleSubject::Deal {
        let after = after.map(DealId::from_uuid);
        let deals = unit.store().deals_in_stages(organization, &stages, after, SUBJECTS_AT_ONCE).await?;
        met(unit, deals)?
    } else {
        let after = after.map(ContactId::from_uuid);
        let contacts = unit.store().contacts_in_stages(organization, &stages, after, SUBJECTS_AT_ONCE).await?;
        met(unit, contacts)?
    };
    let last = subjects.len() < SUBJECTS_AT_ONCE as usize;
    Ok(Some(Step { rules, rule, subjects, last }))
}

/// Remembers what was read, so that its facts need no second reading; tells where each stands.
fn met<T: Staged + Record>(unit: &mut Unit, rows: Vec<T>) -> Result<Vec<Standing>> {
    let standings = rows.iter().map(Staged::standing).collect();
    for row in rows {
        unit.meet(row)?;
    }
    Ok(standings)
}

/// Writes how far a job came, or that it is done.
fn progress(unit: &mut Unit, claim: &Claim, job: &Job, step: Option<&Step>) -> Result<()> {
    let now = unit.now();
    let mut update = Update::of(job).set("updated_at", &now).expect("state", &JobState::Queued);
    match step {
        Some(step) if !step.last => {
            let mut payload = job.payload.clone();
            if let (Some(members), Some(standing)) = (payload.as_object_mut(), step.subjects.last()) {
                members.insert("after".to_owned(), json!(standing.subject.id));
            }
            update = update.set("payload", &payload);
            unit.batch.end(WorkEnd::Later(claim.clone(), now));
        }
        _ => {
            update = update.set("state", &JobState::Done);
            unit.batch.end(WorkEnd::Done(claim.clone()));
        }
    }
    if let Some(step) = step {
        update = update.add("progress", i64::try_from(step.subjects.len()).unwrap_or(i64::MAX));
    }
    unit.note(Write::Update(update))
}

/// Plants the timers of a time rule for those already in its stages, counted from their entry.
pub(super) async fn plant_timers(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let (claim, job, shared) = (claim.clone(), Arc::new(job.clone()), engine.clone());
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        let (claim, job, engine) = (claim.clone(), job.clone(), shared.clone());
        Box::pin(async move {
            let step = step(&engine, unit, &job).await?;
            if let Some(step) = &step {
                // A rule that was saved again has a job of its own; planting twice writes nothing.
                let entries: Vec<_> = step.subjects.iter().map(|standing| standing.stage_entry_id).collect();
                let ran = unit.store().runs_of_events(unit.organization_id(), &entries).await?;
                let ran: HashSet<_> =
                    ran.iter().filter(|run| run.rule_id == step.rule.rule.id).map(|run| run.event_id).collect();
                for standing in step.subjects.iter().filter(|standing| !ran.contains(&standing.stage_entry_id)) {
                    automation::plant(unit, &step.rule, *standing)?;
                }
            }
            progress(unit, &claim, &job, step.as_ref())
        })
    })
    .await
}

/// Finds the subjects of a schedule rule that came due, and states it on each whose condition holds.
pub(super) async fn run_schedule(engine: &Arc<Engine>, claim: &Claim, job: &Job) -> Result<()> {
    let (claim, job, shared) = (claim.clone(), Arc::new(job.clone()), engine.clone());
    commit(engine, &Scope::system(claim.organization_id), move |unit| {
        let (claim, job, engine) = (claim.clone(), job.clone(), shared.clone());
        Box::pin(async move {
            let Some(mut step) = step(&engine, unit, &job).await? else { return progress(unit, &claim, &job, None) };
            let rule_id = step.rule.rule.id;
            if step.rule.rule.plan.subject == RuleSubject::Organization {
                let organization = Subject::from(unit.organization_id());
                unit.fact(EventKind::ScheduleDue, organization)?.data("rule_id", rule_id);
                (step.subjects, step.last) = (Vec::new(), true);
            }
            let surroundings = step.rules.surroundings().clone();
            for Standing { subject, .. } in step.subjects.iter().copied() {
                if automation::would_hold(unit, subject, &surroundings, |facts| dispatcher::holds(&step.rule, facts))
                    .await?
                {
                    unit.fact(EventKind::ScheduleDue, subject)?.data("rule_id", rule_id);
                }
            }
            progress(unit, &claim, &job, Some(&step))
        })
    })
    .await
}
