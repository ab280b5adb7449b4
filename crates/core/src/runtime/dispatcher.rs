//! Events to rules: takes the events of one subject in their order, tells them to whoever listens, and asks the rules that
//! could hold. A rule's run is one unit: all its actions, its row, the check of the claim. Once, all or none.

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use serde_json::json;

use crate::{
    domain::{
        event::{Event, EventKind, Subject},
        job::Claim,
        pipeline::{Staged, Standing},
        rule::{Action, Facts, Trigger},
        run::{Run, RunOutcome, Timer},
    },
    engine::Engine,
    error::{Error, Result},
    id::{EventId, Id, OrganizationId, RuleId, RunId, TimerId},
    ports::store::{Batch, Update, WorkEnd, Write},
    runtime::commit,
    scope::{Actor, Cause, CauseLink, Scope},
    services::{
        automation::{self, LoadedRule, RuleSet, Surroundings},
        unit::Unit,
    },
};

/// Events of one subject taken at once.
const EVENTS_AT_ONCE: u32 = 64;
/// So many rules are asked one by one, each with facts of its own. Of more, one look at the facts passes over those that do
/// not hold.
const FEW: usize = 4;
/// Failed runs in a row after which a rule is paused.
const FAILURES_UNTIL_PAUSED: i64 = 10;

/// Dispatches what waits for one subject.
pub(super) async fn dispatch(engine: &Arc<Engine>, claim: &Claim) -> Result<()> {
    let organization = claim.organization_id;
    let events = engine.store.pending_events(organization, claim.id, EVENTS_AT_ONCE).await?;
    let mut rules = engine.rules.of(engine, organization).await?;
    let mut consumed = None;
    let last = events.last().map(|event| event.subject_seq);
    for event in &events {
        // Nobody listening is fine.
        let _ = engine.bus.send(Arc::new(event.clone()));
        let touched = ask(engine, &rules, claim, event).await?;
        consumed = Some(event.subject_seq);
        if touched && consumed != last {
            // What rules did so far is not asked for again, whatever becomes of the later events.
            let mut batch = Batch::default();
            batch.consume(claim.id, event.subject_seq);
            batch.end(WorkEnd::Held(claim.clone()));
            engine.store.commit(organization, batch).await?;
            // A run may have ended a row of failures, begun one, or paused its rule.
            rules = engine.rules.of(engine, organization).await?;
        }
    }
    let mut batch = Batch::default();
    if let Some(seq) = consumed {
        batch.consume(claim.id, seq);
    }
    batch.end(if events.len() < EVENTS_AT_ONCE as usize {
        WorkEnd::Done(claim.clone())
    } else {
        WorkEnd::Later(claim.clone(), engine.env.now())
    });
    engine.store.commit(organization, batch).await?;
    // Runs may have planted work, and an item that was put again meanwhile is due at once.
    engine.bell.send_replace(());
    Ok(())
}

/// The trigger that an event is to rules.
fn trigger(kind: EventKind) -> Option<Trigger> {
    Some(match kind {
        EventKind::MessageReceived => Trigger::MessageReceived,
        EventKind::MessageSent => Trigger::MessageSent,
        EventKind::ContactCreated => Trigger::ContactCreated,
        EventKind::ContactUpdated => Trigger::ContactUpdated,
        EventKind::DealCreated => Trigger::DealCreated,
        EventKind::DealUpdated => Trigger::DealUpdated,
        EventKind::DealWon => Trigger::DealWon,
        EventKind::DealLost => Trigger::DealLost,
        EventKind::TaskDue => Trigger::TaskDue,
        EventKind::StageChanged => Trigger::StageChanged,
        EventKind::AccountStatusChanged => Trigger::AccountStatusChanged,
        _ => return None,
    })
}

/// A rule to be asked about an event.
struct Question<'a> {
    rule: Arc<LoadedRule>,
    event: &'a Event,
    /// For a time rule: its date with the subject, and that its time has elapsed.
    timer: Option<Timer>,
}

impl Question<'_> {
    /// What the run is unique by, beside the rule: a time rule acts once per entry into a stage.
    fn event_id(&self) -> EventId {
        self.timer.as_ref().map_or(self.event.id, |timer| timer.stage_entry_id)
    }
}

/// Asks every rule that could hold; answers whether any was found.
async fn ask(engine: &Arc<Engine>, rules: &Arc<RuleSet>, claim: &Claim, event: &Event) -> Result<bool> {
    let questions = questions(engine, rules, claim, event).await?;
    if questions.is_empty() {
        return Ok(false);
    }
    let ran = engine.store.runs_of_events(event.organization_id, &[event.id]).await?;
    let many = questions.len() > FEW;
    let mut seen = None;
    for question in questions {
        if let Some(run) = ran.iter().find(|run| run.rule_id == question.rule.rule.id) {
            // A process died between this run and the mark that the event is consumed.
            if run.stopped {
                break;
            }
            continue;
        }
        if many && question.timer.is_none() {
            let facts = match &mut seen {
                Some(facts) => facts,
                none => none.insert(look(engine, event).await?),
            };
            if !facts.as_ref().is_some_and(|facts| holds(&question.rule, facts)) {
                count(&question.rule, "not_held");
                continue;
            }
        }
        // What it does may make others hold, or hold no longer.
        seen = None;
        if run(engine, claim, &question, rules.is_failing(question.rule.rule.id)).await? {
            break;
        }
    }
    Ok(true)
}

/// The facts of an event as they are now; none if its subject is deleted.
async fn look(engine: &Arc<Engine>, event: &Event) -> Result<Option<Facts>> {
    let event = Arc::new(event.clone());
    commit(engine, &Scope::system(event.organization_id), move |unit| {
        let event = event.clone();
        Box::pin(async move {
            let surroundings = Surroundings::read(unit).await?;
            Ok(automation::gather(unit, &event, &surroundings).await?.map(|circumstances| circumstances.facts))
        })
    })
    .await
}

/// Counts how asking a rule ended.
fn count(rule: &LoadedRule, outcome: &'static str) {
    let engine = rule.rule.engine.clone();
    metrics::counter!("dealwright_rule_evaluations_total", "engine" => engine, "outcome" => outcome).increment(1);
}

/// The rules that an event could make hold, in the order in which they go.
async fn questions<'a>(
    engine: &Arc<Engine>,
    rules: &Arc<RuleSet>,
    claim: &Claim,
    event: &'a Event,
) -> Result<Vec<Question<'a>>> {
    let organization = event.organization_id;
    let mut questions = Vec::new();
    let rule_id = |name: &str| event.data.get(name).and_then(|id| id.as_str()).and_then(|id| id.parse::<RuleId>().ok());
    match event.kind {
        EventKind::TimeElapsed => {
            let timer = event.data.get("timer_id").and_then(|id| id.as_str()).and_then(|id| id.parse::<TimerId>().ok());
            let timer = match timer {
                Some(id) => engine.store.timer(organization, id).await?,
                None => None,
            };
            if let Some(timer) = timer
                && let Some(rule) = rules.get(timer.rule_id)
            {
                questions.push(Question { rule: rule.clone(), event, timer: Some(timer) });
            }
            return Ok(questions);
        }
        EventKind::ScheduleDue => {
            questions.extend(rule_id("rule_id").and_then(|id| rules.get(id)).map(|rule| Question {
                rule: rule.clone(),
                event,
                timer: None,
            }));
            return Ok(questions);
        }
        _ => {}
    }
    let standing = standing(engine, organization, event.subject).await?;
    if let Some(standing) = standing
        && rules.has_time_rules()
    {
        let mut timers = engine.store.timers_of(organization, event.subject).await?;
        if matches!(
            event.kind,
            EventKind::ContactCreated
                | EventKind::StageChanged
                | EventKind::ContactDeleted
                | EventKind::ContactRestored
                | EventKind::DealCreated
                | EventKind::DealDeleted
                | EventKind::DealRestored
        ) {
            tend(engine, rules, claim, event.subject, event.kind).await?;
            timers.retain(|timer| timer.stage_entry_id == standing.stage_entry_id);
        }
        for timer in timers.into_iter().filter(|timer| timer.ripe) {
            questions.extend(rules.get(timer.rule_id).map(|rule| Question {
                rule: rule.clone(),
                event,
                timer: Some(timer),
            }));
        }
    }
    if let Some(trigger) = trigger(event.kind) {
        let stage = standing.map(|standing| standing.stage_id);
        questions.extend(rules.candidates(trigger, event.subject.kind, stage).into_iter().map(|rule| Question {
            rule,
            event,
            timer: None,
        }));
    }
    questions.sort_by_key(|question| (question.rule.rule.position, question.rule.rule.id));
    Ok(questions)
}

/// Where a contact or a deal stands, deleted or not; `None` for everything else.
async fn standing(engine: &Engine, organization: OrganizationId, subject: Subject) -> Result<Option<Standing>> {
    if let Some(id) = subject.contact() {
        Ok(engine.store.contact(organization, id).await?.map(|contact| contact.standing()))
    } else if let Some(id) = subject.deal() {
        Ok(engine.store.deal(organization, id).await?.map(|deal| deal.standing()))
    } else {
        Ok(None)
    }
}

/// Brings the timers of a contact or deal in line with its stage.
async fn tend(
    engine: &Arc<Engine>,
    rules: &Arc<RuleSet>,
    claim: &Claim,
    subject: Subject,
    after: EventKind,
) -> Result<()> {
    let scope = Scope::system(claim.organization_id);
    let (rules, claim) = (rules.clone(), claim.clone());
    commit(engine, &scope, move |unit| {
        let (rules, claim) = (rules.clone(), claim.clone());
        Box::pin(async move {
            let organization = unit.organization_id();
            let Some(standing) = standing(unit.engine(), organization, subject).await? else { return Ok(()) };
            let timers = unit.store().timers_of(organization, subject).await?;
            // Who comes back is in the stage they left: a rule that has run for that entry does not run again.
            let ran = match after {
                EventKind::ContactRestored | EventKind::DealRestored => {
                    unit.store().runs_of_events(organization, &[standing.stage_entry_id]).await?
                }
                _ => Vec::new(),
            };
            automation::tend(unit, &rules, standing, &timers, &ran)?;
            if !unit.batch.is_empty() || unit.writes() {
                unit.batch.end(WorkEnd::Held(claim));
            }
            Ok(())
        })
    })
    .await
}

/// How asking a rule ended.
enum Asked {
    /// Its condition did not hold.
    NotHeld,
    /// It ran, was recorded, and said or did not say `stop`.
    Recorded { stopped: bool },
    /// An action could not be carried out: nothing was applied, and the failure is still to be recorded.
    Failed(Box<Run>),
}

/// Asks one rule and carries out what it wants; answers whether no later rule may see the event.
async fn run(engine: &Arc<Engine>, claim: &Claim, question: &Question<'_>, failing: bool) -> Result<bool> {
    let run_id: RunId = engine.env.id()?;
    let link = CauseLink { event_id: question.event_id(), rule_id: question.rule.rule.id, run_id };
    let mut cause = Cause { quiet: None, chain: question.event.cause.chain.clone() };
    cause.chain.push(link);
    let scope = Scope::system(claim.organization_id).acting(Actor::Rule { id: question.rule.rule.id, run_id }, cause);
    // The entry into the stage that the first try's facts were read in: people win over a rule that was slower.
    let seen: Arc<std::sync::Mutex<Option<EventId>>> = Arc::default();
    let attempt = Arc::new(Attempt {
        rule: question.rule.clone(),
        event: question.event.clone(),
        timer: question.timer.clone(),
        event_id: question.event_id(),
        run_id,
        claim: claim.clone(),
        failing,
        seen,
    });
    let verb = attempt.clone();
    let asked = commit(engine, &scope, move |unit| -> BoxFuture<'_, Result<Asked>> {
        let attempt = verb.clone();
        Box::pin(async move { attempt.go(unit).await })
    })
    .await;
    match asked {
        Ok(Asked::NotHeld) => {
            count(&question.rule, "not_held");
            Ok(false)
        }
        Ok(Asked::Recorded { stopped }) => {
            count(&question.rule, "recorded");
            Ok(stopped)
        }
        Ok(Asked::Failed(failed)) => {
            count(&question.rule, "failed");
            record_failure(engine, &scope, attempt, *failed).await?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// One rule, one event, one run: tried again on a write conflict.
struct Attempt {
    rule: Arc<LoadedRule>,
    event: Event,
    timer: Option<Timer>,
    event_id: EventId,
    run_id: RunId,
    claim: Claim,
    /// Whether the rule's last run failed.
    failing: bool,
    seen: Arc<std::sync::Mutex<Option<EventId>>>,
}

impl Attempt {
    async fn go(&self, unit: &mut Unit) -> Result<Asked> {
        let started = Instant::now();
        let surroundings = Surroundings::read(unit).await?;
        let Some(circumstances) = automation::gather(unit, &self.event, &surroundings).await? else {
            // Deleted meanwhile: there is nobody to act on.
            return Ok(Asked::NotHeld);
        };
        let facts = &circumstances.facts;
        let entry = circumstances.standing().map(|standing| standing.stage_entry_id);
        let left = self.timer.as_ref().is_some_and(|timer| entry != Some(timer.stage_entry_id));
        if left {
            return Ok(Asked::NotHeld);
        }
        let record = |outcome, actions: &[Action], error: Option<String>, stopped| Run {
            id: self.run_id,
            organization_id: self.claim.organization_id,
            rule_id: self.rule.rule.id,
            rule_version: self.rule.rule.version,
            event_id: self.event_id,
            event_kind: self.event.kind.to_string(),
            contact_id: circumstances.contact.as_ref().map(|contact| contact.id),
            deal_id: circumstances.deal.as_ref().map(|deal| deal.id),
            outcome,
            facts: json!(facts),
            actions: json!(actions),
            duration_us: i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX),
            error,
            stopped,
            created_at: self.event.occurred_at,
        };
        let actions = match self.rule.compiled.evaluate(facts) {
            Ok(actions) => actions,
            Err(error) => {
                return Ok(Asked::Failed(Box::new(record(RunOutcome::Failed, &[], Some(error.to_string()), false))));
            }
        };
        if actions.is_empty() {
            if let Some(timer) = &self.timer {
                automation::replant(unit, self.rule.compiled.ask_again(facts), timer)?;
            }
            return Ok(Asked::NotHeld);
        }
        let before =
            std::mem::replace(&mut *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner), entry);
        let quiet = self.event.cause.quiet.as_ref().filter(|cause| !self.rule.rule.plan.causes.contains(cause));
        let (outcome, error) = if let Some(cause) = quiet {
            (RunOutcome::Muted, Some(format!("the event's cause is {cause}, and the rule does not ask for it")))
        } else if self.event.cause.chain.len() >= Cause::MAX_LINKS {
            (
                RunOutcome::Refused,
                Some(format!("the event is the {}th of a chain of rules: the loop ends here", Cause::MAX_LINKS)),
            )
        } else if before.is_some() && before != entry {
            (
                RunOutcome::Stale,
                Some(format!("somebody moved the {} since the facts were read", self.event.subject.kind)),
            )
        } else {
            (RunOutcome::Applied, None)
        };
        let mut stopped = false;
        if outcome == RunOutcome::Applied {
            match automation::apply(unit, (self.rule.rule.id, &self.rule.rule.name), &circumstances, &actions).await {
                Ok(stop) => stopped = stop,
                Err(error) if error.is_write_conflict() => return Err(error),
                Err(error) if matches!(error.kind(), crate::ErrorKind::Unavailable | crate::ErrorKind::Internal) => {
                    return Err(error);
                }
                Err(error) => {
                    unit.discard();
                    return Ok(Asked::Failed(Box::new(record(
                        RunOutcome::Failed,
                        &actions,
                        Some(error.to_string()),
                        false,
                    ))));
                }
            }
            if self.failing {
                unit.note(Write::Update(Update::of(&self.rule.rule).set("failures", &0i64)))?;
            }
        }
        let mut run = record(outcome, &actions, error, stopped);
        run.created_at = unit.now();
        self.close(unit, &run)?;
        Ok(Asked::Recorded { stopped })
    }

    /// Writes the run's row, ends the timer, and checks the claim.
    fn close(&self, unit: &mut Unit, run: &Run) -> Result<()> {
        // The unique index makes a second run of this rule on this event a write conflict, which finds the first.
        unit.note(Write::insert(run))?;
        if let Some(timer) = &self.timer {
            unit.note(Write::delete(timer))?;
            unit.batch.uproot(crate::domain::job::Lane::Timer, timer.id.uuid());
        }
        unit.batch.end(WorkEnd::Held(self.claim.clone()));
        Ok(())
    }
}

/// Records a failed run, counts it, and pauses a rule that keeps failing.
async fn record_failure(engine: &Arc<Engine>, scope: &Scope, attempt: Arc<Attempt>, run: Run) -> Result<()> {
    let run = Arc::new(run);
    let rule = attempt.rule.clone();
    let _one_by_one = rule.failing.lock().await;
    commit(engine, scope, move |unit| {
        let (attempt, run) = (attempt.clone(), run.clone());
        Box::pin(async move {
            attempt.close(unit, &Run { created_at: unit.now(), ..(*run).clone() })?;
            let Some(rule) = unit.store().rule(unit.organization_id(), run.rule_id).await? else { return Ok(()) };
            unit.note(Write::Update(Update::of(&rule).add("failures", 1).expect("failures", &rule.failures)))?;
            if rule.failures + 1 >= FAILURES_UNTIL_PAUSED {
                let last = run.error.as_deref().unwrap_or("no reason was given");
                let reason = format!("{FAILURES_UNTIL_PAUSED} runs in a row failed, the last one because: {last}");
                automation::pause(unit, run.rule_id, reason).await?;
            }
            Ok(())
        })
    })
    .await
    .map_err(|error: Error| error.in_operation("rules.record_failure"))
}

/// Whether a rule would act on these facts.
pub(super) fn holds(rule: &LoadedRule, facts: &Facts) -> bool {
    // A rule that fails is asked again in its run, which records the failure.
    rule.compiled.evaluate(facts).map_or(true, |actions| !actions.is_empty())
}
