//! A rule's run: one unit for all its actions, its row, and the check of the claim. Once, all or none.

use std::{sync::Arc, time::Instant};

use futures::future::BoxFuture;
use serde_json::json;

use crate::{
    domain::{
        event::Event,
        job::Claim,
        rule::Action,
        run::{Run, RunOutcome, Timer},
    },
    engine::Engine,
    error::{Error, Result},
    id::{EventId, Id, RunId},
    ports::store::{Update, WorkEnd, Write},
    runtime::commit,
    scope::{Actor, Cause, CauseLink, Scope},
    services::{
        automation::{self, LoadedRule, RuleSet, Surroundings},
        unit::Unit,
    },
};

/// Failed runs in a row after which a rule is paused.
const FAILURES_UNTIL_PAUSED: i64 = 10;

/// A rule to be asked about an event.
pub(super) struct Question<'a> {
    pub(super) rule: Arc<LoadedRule>,
    pub(super) event: &'a Event,
    /// For a time rule: its date with the subject, and that its time has elapsed.
    pub(super) timer: Option<Timer>,
}

impl Question<'_> {
    /// What the run is unique by, beside the rule: a time rule acts once per entry into a stage.
    fn event_id(&self) -> EventId {
        self.timer.as_ref().map_or(self.event.id, |timer| timer.stage_entry_id)
    }
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

/// What a run means for the event and the claim.
#[derive(Default)]
pub(super) struct Ran {
    /// No later rule may see the event.
    pub(super) stopped: bool,
    /// The run's commit has marked the event as seen and ended the claim.
    pub(super) ended: bool,
}

/// Asks one rule and carries out what it wants; a run that is recorded ends the claim with `end`.
pub(super) async fn run(
    engine: &Arc<Engine>,
    claim: &Claim,
    question: &Question<'_>,
    rules: &RuleSet,
    end: Option<&WorkEnd>,
) -> Result<Ran> {
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
        surroundings: rules.surroundings().clone(),
        claim: claim.clone(),
        end: end.map(|end| (question.event.subject_seq, end.clone())),
        failing: rules.is_failing(question.rule.rule.id),
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
            Ok(Ran::default())
        }
        Ok(Asked::Recorded { stopped }) => {
            count(&question.rule, "recorded");
            Ok(Ran { stopped, ended: end.is_some() })
        }
        Ok(Asked::Failed(failed)) => {
            count(&question.rule, "failed");
            record_failure(engine, &scope, attempt, *failed).await?;
            Ok(Ran { stopped: false, ended: end.is_some() })
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
    surroundings: Arc<Surroundings>,
    claim: Claim,
    /// For the last run: the event's number, and what becomes of the claim.
    end: Option<(i64, WorkEnd)>,
    /// Whether the rule's last run failed.
    failing: bool,
    seen: Arc<std::sync::Mutex<Option<EventId>>>,
}

impl Attempt {
    async fn go(&self, unit: &mut Unit) -> Result<Asked> {
        let started = Instant::now();
        let Some(circumstances) = automation::gather(unit, &self.event, &self.surroundings).await? else {
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
            sealed_by: None,
            sealed: None,
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

    /// Writes the run's row, ends the timer, and ends or checks the claim.
    fn close(&self, unit: &mut Unit, run: &Run) -> Result<()> {
        // The unique index makes a second run of this rule on this event a write conflict, which finds the first.
        unit.note(Write::insert(run))?;
        if let Some(timer) = &self.timer {
            unit.note(Write::delete(timer))?;
            unit.batch.uproot(crate::domain::job::Lane::Timer, timer.id.uuid());
        }
        match &self.end {
            Some((seq, end)) => {
                unit.batch.consume(self.claim.id, *seq);
                unit.batch.end(end.clone());
            }
            None => unit.batch.end(WorkEnd::Held(self.claim.clone())),
        }
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

/// Counts how asking a rule ended.
pub(super) fn count(rule: &LoadedRule, outcome: &'static str) {
    let engine = rule.rule.engine.clone();
    metrics::counter!("dealwright_rule_evaluations_total", "engine" => engine, "outcome" => outcome).increment(1);
}
