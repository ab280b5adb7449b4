//! Events to rules: takes the events of one subject in their order, asks the rules that could hold, and tells whoever
//! listens once that is done. Subjects whose events no rule is for are many at once.

use std::{collections::HashMap, sync::Arc};

use crate::{
    domain::{
        event::{Event, EventKind, Subject},
        job::Claim,
        pipeline::{Staged, Standing},
        rule::{Facts, Trigger},
    },
    engine::Engine,
    error::Result,
    id::{OrganizationId, RuleId, TimerId},
    ports::store::{Batch, WorkEnd},
    runtime::{
        commit,
        rule_run::{self, Question, count},
    },
    scope::Scope,
    services::automation::{self, LoadedRule, RuleSet},
};

/// Events of one subject taken at once.
const EVENTS_AT_ONCE: u32 = 64;
/// So many rules are asked one by one, each with facts of its own. Of more, one look at the facts passes over those that do
/// not hold.
const FEW: usize = 4;

/// Ends the dispatch of subjects of one organisation whose events no rule is for, all in one commit. Answers the others,
/// with the events that wait, if they could be read.
pub(super) async fn pass_over(
    engine: &Engine,
    organization: OrganizationId,
    claims: Vec<Claim>,
) -> Vec<(Claim, Option<Vec<Event>>)> {
    match sift(engine, organization, &claims).await {
        Ok(kept) => kept.into_iter().map(|(claim, events)| (claim, Some(events))).collect(),
        Err(error) => {
            // One of them at least; each is tried by itself, which says what is wrong.
            tracing::debug!(%organization, %error, "subjects are dispatched one by one");
            claims.into_iter().map(|claim| (claim, None)).collect()
        }
    }
}

async fn sift(engine: &Engine, organization: OrganizationId, claims: &[Claim]) -> Result<Vec<(Claim, Vec<Event>)>> {
    let subjects: Vec<_> = claims.iter().map(|claim| claim.id).collect();
    let (events, rules) = futures::future::try_join(
        engine.store.pending_events(organization, &subjects, EVENTS_AT_ONCE),
        engine.rules.of(engine, organization),
    )
    .await?;
    let mut waiting: HashMap<_, Vec<Event>> = HashMap::new();
    for event in events {
        waiting.entry(event.subject.id).or_default().push(event);
    }
    let (mut batch, mut kept, mut told) = (Batch::default(), Vec::new(), Vec::new());
    for claim in claims {
        let events = waiting.remove(&claim.id).unwrap_or_default();
        if events.iter().any(|event| rules.concern(event)) {
            kept.push((claim.clone(), events));
            continue;
        }
        if let Some(last) = events.last() {
            batch.consume(claim.id, last.subject_seq);
        }
        batch.end(end_after(engine, claim, &events));
        told.extend(events);
    }
    if !batch.is_empty() {
        engine.store.commit(organization, batch).await?;
    }
    for event in told {
        tell(engine, event);
    }
    Ok(kept)
}

/// What becomes of a claim once these events are seen: there may be more than were read.
fn end_after(engine: &Engine, claim: &Claim, events: &[Event]) -> WorkEnd {
    if events.len() < EVENTS_AT_ONCE as usize {
        WorkEnd::Done(claim.clone())
    } else {
        WorkEnd::Later(claim.clone(), engine.env.now())
    }
}

/// Tells an event to whoever listens in this process; nobody is fine.
fn tell(engine: &Engine, event: Event) {
    let _ = engine.bus.send(Arc::new(event));
}

/// Dispatches what waits for one subject.
pub(super) async fn dispatch(engine: &Arc<Engine>, claim: &Claim, events: Option<Vec<Event>>) -> Result<()> {
    let organization = claim.organization_id;
    let events = match events {
        Some(events) => events,
        None => engine.store.pending_events(organization, &[claim.id], EVENTS_AT_ONCE).await?,
    };
    let mut rules = engine.rules.of(engine, organization).await?;
    // What is told is consumed: a dispatch that is tried again tells nothing twice.
    let mut consumed: Option<i64> = None;
    let mut untold = Vec::new();
    let last = events.last().map(|event| event.subject_seq);
    let end = end_after(engine, claim, &events);
    for event in &events {
        let is_last = Some(event.subject_seq) == last;
        let asked = ask(engine, &rules, claim, event, is_last.then_some(&end)).await?;
        untold.push(event.clone());
        if asked.ended {
            untold.drain(..).for_each(|event| tell(engine, event));
            return Ok(());
        }
        consumed = Some(event.subject_seq);
        if asked.any && !is_last {
            // What rules did so far is not asked for again, whatever becomes of the later events.
            let mut batch = Batch::default();
            batch.consume(claim.id, event.subject_seq);
            batch.end(WorkEnd::Held(claim.clone()));
            engine.store.commit(organization, batch).await?;
            untold.drain(..).for_each(|event| tell(engine, event));
            // A run may have ended a row of failures, begun one, or paused its rule.
            rules = engine.rules.of(engine, organization).await?;
        }
    }
    let mut batch = Batch::default();
    if let Some(seq) = consumed {
        batch.consume(claim.id, seq);
    }
    batch.end(end);
    engine.store.commit(organization, batch).await?;
    untold.drain(..).for_each(|event| tell(engine, event));
    Ok(())
}

/// What asking the rules about an event came to.
#[derive(Default)]
struct Asked {
    /// Some rule could hold.
    any: bool,
    /// The last run's commit has ended the claim.
    ended: bool,
}

/// Asks every rule that could hold. With the last event goes the end of the claim, which the commit of the last run takes
/// along.
async fn ask(
    engine: &Arc<Engine>,
    rules: &Arc<RuleSet>,
    claim: &Claim,
    event: &Event,
    end: Option<&WorkEnd>,
) -> Result<Asked> {
    let questions = questions(engine, rules, claim, event).await?;
    if questions.is_empty() {
        return Ok(Asked::default());
    }
    let mut asked = Asked { any: true, ended: false };
    let ran = engine.store.runs_of_events(event.organization_id, &[event.id]).await?;
    let many = questions.len() > FEW;
    let mut seen = None;
    let mut questions = questions.into_iter().peekable();
    while let Some(question) = questions.next() {
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
                none => none.insert(look(engine, rules, event).await?),
            };
            if !facts.as_ref().is_some_and(|facts| holds(&question.rule, facts)) {
                count(&question.rule, "not_held");
                continue;
            }
        }
        // What it does may make others hold, or hold no longer.
        seen = None;
        let end = end.filter(|_| questions.peek().is_none());
        let ran = rule_run::run(engine, claim, &question, rules, end).await?;
        asked.ended = ran.ended;
        if ran.stopped {
            break;
        }
    }
    Ok(asked)
}

/// The facts of an event as they are now; none if its subject is deleted.
async fn look(engine: &Arc<Engine>, rules: &RuleSet, event: &Event) -> Result<Option<Facts>> {
    let (event, surroundings) = (Arc::new(event.clone()), rules.surroundings().clone());
    commit(engine, &Scope::system(event.organization_id), move |unit| {
        let (event, surroundings) = (event.clone(), surroundings.clone());
        Box::pin(async move {
            Ok(automation::gather(unit, &event, &surroundings).await?.map(|circumstances| circumstances.facts))
        })
    })
    .await
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
    let asked_of = Trigger::of(event.kind);
    let standing =
        if rules.depend_on_stage(asked_of) { standing(engine, organization, event.subject).await? } else { None };
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
    if let Some(trigger) = asked_of {
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

/// Whether a rule would act on these facts.
pub(super) fn holds(rule: &LoadedRule, facts: &Facts) -> bool {
    // A rule that fails is asked again in its run, which records the failure.
    rule.compiled.evaluate(facts).map_or(true, |actions| !actions.is_empty())
}
