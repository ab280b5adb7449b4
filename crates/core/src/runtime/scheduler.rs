//! Time: states that a timer's time has elapsed, and that a schedule came due. Decides nothing; the rules are asked by the
//! dispatcher, in the order of the subject's events.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    domain::{
        custom_field::Noun,
        event::{EventKind, Subject},
        job::{Claim, Job, JobKind, JobState},
        pipeline::{Staged, Standing},
        rule::RuleSubject,
    },
    engine::Engine,
    error::{Error, Result},
    id::{ContactId, DealId, Id, RuleId, TimerId},
    ports::store::{Bounds, Column, Filter, Is, Place, Record, Update, WorkEnd, Write, field_named},
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

/// The contacts or deals that a step of a job looks at.
#[derive(Default)]
struct Step {
    subjects: Vec<Standing>,
    /// After whom the next step goes on; `None` if this was the last one.
    next: Option<Value>,
}

impl Step {
    /// Remembers what was read, so that its facts need no second reading; `place` tells where in its order a row stands.
    fn over<T: Staged + Record>(unit: &mut Unit, rows: Vec<T>, place: impl Fn(&T) -> Value) -> Result<Self> {
        let subjects: Vec<_> = rows.iter().map(Staged::standing).collect();
        let next = rows.last().filter(|_| subjects.len() == SUBJECTS_AT_ONCE as usize).map(place);
        for row in rows {
            unit.meet(row)?;
        }
        Ok(Self { subjects, next })
    }
}

/// The rule that a job is for, if it still runs.
async fn rule_of(engine: &Arc<Engine>, job: &Job) -> Result<Option<(Arc<RuleSet>, Arc<LoadedRule>)>> {
    let rule_id = job.payload.get("rule_id").and_then(|id| id.as_str()).and_then(|id| id.parse::<RuleId>().ok());
    let rules = engine.rules.of(engine, job.organization_id).await?;
    let rule = rule_id.and_then(|id| rules.get(id)).cloned();
    Ok(rule.map(|rule| (rules, rule)))
}

/// After whom a job goes on.
fn after<T: DeserializeOwned>(job: &Job) -> Result<Option<T>> {
    let after = job.payload.get("after").cloned().map(serde_json::from_value).transpose();
    after.map_err(|error| Error::internal("a job's payload does not say how far it came").with_source(error))
}

/// Those who stand in the stages of a time rule.
async fn standing_there(unit: &mut Unit, rule: &LoadedRule, job: &Job) -> Result<Step> {
    let plan = &rule.rule.plan;
    let stages = plan.elapsed.as_ref().map(|elapsed| elapsed.stages.clone()).unwrap_or_default();
    let organization = job.organization_id;
    if plan.subject == RuleSubject::Deal {
        let deals = unit.store().deals_in_stages(organization, &stages, after(job)?, SUBJECTS_AT_ONCE).await?;
        Step::over(unit, deals, |deal| json!(deal.id))
    } else {
        let contacts = unit.store().contacts_in_stages(organization, &stages, after(job)?, SUBJECTS_AT_ONCE).await?;
        Step::over(unit, contacts, |contact| json!(contact.id))
    }
}

/// Those for whom the condition of a schedule rule may hold, with all that its facts need of them: what is read does not
/// grow with those whom the condition leaves out.
async fn found(unit: &mut Unit, rule: &LoadedRule, job: &Job) -> Result<Step> {
    let organization = job.organization_id;
    match rule.rule.plan.subject {
        RuleSubject::Organization => Ok(Step::default()),
        RuleSubject::Contact => {
            let after = after::<(DateTime<Utc>, ContactId)>(job)?;
            let filter = filter(unit, rule, Noun::Contact, job).await?;
            let contacts = unit.store().contacts_found(organization, &filter, after, SUBJECTS_AT_ONCE).await?;
            Step::over(unit, contacts, |contact| json!((contact.created_at, contact.id)))
        }
        RuleSubject::Deal => {
            let after = after::<(DateTime<Utc>, DealId)>(job)?;
            let filter = filter(unit, rule, Noun::Deal, job).await?;
            let deals = unit.store().deals_found(organization, &filter, after, SUBJECTS_AT_ONCE).await?;
            let contacts: Vec<_> = deals.iter().filter_map(|deal| deal.contact_id).collect();
            for contact in unit.store().contacts_by_ids(organization, &contacts).await? {
                unit.meet(contact)?;
            }
            Step::over(unit, deals, |deal| json!((deal.created_at, deal.id)))
        }
    }
}

/// What a schedule rule searches by. What came after the schedule was due waits for its next time: a rule that makes deals
/// does not find its own without end.
async fn filter(unit: &Unit, rule: &LoadedRule, noun: Noun, job: &Job) -> Result<Filter> {
    let plan = &rule.rule.plan;
    let fields = match plan.fields.is_empty() {
        true => Vec::new(),
        false => unit.store().custom_fields(job.organization_id).await?,
    };
    let test = |name: &str, is: Is| field_named(noun, name).map(|field| Filter::Test(Place::Field(field), is));
    let due = Bounds { lt: Some(job.created_at.to_value()), ..Bounds::default() };
    let condition = rule.compiled.search(noun, &fields, unit.now()).or_else(|| {
        let stages = plan.stages.as_ref()?.iter().map(Column::to_value).collect();
        test("stage_id", Is::AnyOf(stages))
    });
    Ok(Filter::All(test("created_at", Is::Within(due)).into_iter().chain(condition).collect()))
}

/// Writes how far a job came, or that it is done.
fn progress(unit: &mut Unit, claim: &Claim, job: &Job, step: Option<&Step>) -> Result<()> {
    let now = unit.now();
    let mut update = Update::of(job).set("updated_at", &now).expect("state", &JobState::Queued);
    match step.and_then(|step| step.next.as_ref()) {
        Some(next) => {
            let mut payload = job.payload.clone();
            if let Some(members) = payload.as_object_mut() {
                members.insert("after".to_owned(), next.clone());
            }
            update = update.set("payload", &payload);
            unit.batch.end(WorkEnd::Later(claim.clone(), now));
        }
        None => {
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
            let Some((_, rule)) = rule_of(&engine, &job).await? else { return progress(unit, &claim, &job, None) };
            let step = standing_there(unit, &rule, &job).await?;
            // A rule that was saved again has a job of its own; planting twice writes nothing.
            let entries: Vec<_> = step.subjects.iter().map(|standing| standing.stage_entry_id).collect();
            let ran = unit.store().runs_of_events(unit.organization_id(), &entries).await?;
            let ran: HashSet<_> =
                ran.iter().filter(|run| run.rule_id == rule.rule.id).map(|run| run.event_id).collect();
            for standing in step.subjects.iter().filter(|standing| !ran.contains(&standing.stage_entry_id)) {
                automation::plant(unit, &rule, *standing)?;
            }
            progress(unit, &claim, &job, Some(&step))
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
            let Some((rules, rule)) = rule_of(&engine, &job).await? else { return progress(unit, &claim, &job, None) };
            let rule_id = rule.rule.id;
            if rule.rule.plan.subject == RuleSubject::Organization {
                let organization = Subject::from(unit.organization_id());
                unit.fact(EventKind::ScheduleDue, organization)?.data("rule_id", rule_id);
            }
            let step = found(unit, &rule, &job).await?;
            let surroundings = rules.surroundings().clone();
            for Standing { subject, .. } in step.subjects.iter().copied() {
                if automation::would_hold(unit, subject, &surroundings, |facts| dispatcher::holds(&rule, facts)).await?
                {
                    unit.fact(EventKind::ScheduleDue, subject)?.data("rule_id", rule_id);
                }
            }
            progress(unit, &claim, &job, Some(&step))
        })
    })
    .await
}
