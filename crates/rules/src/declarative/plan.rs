//! What the runtime must know of a rule without evaluating it: in which stages alone it can hold, and how long a time rule
//! waits.

use std::collections::BTreeSet;

use dealwright::{
    Result,
    domain::{
        fact_path::FactPath,
        rule::{Elapsed, RulePlan},
    },
    id::{Id, StageId},
};
use uuid::Uuid;

use super::{
    complaint::{invalid, required},
    names::Named,
    program::{Bound, Node, Op, Operands, Test},
    trigger::When,
};

pub(super) fn plan(condition: &Node, when: When<'_>, named: Named) -> Result<RulePlan> {
    let stages = stages(condition);
    if stages.as_ref().is_some_and(BTreeSet::is_empty) {
        return Err(invalid("/condition", "it never holds: nobody is in two stages at once"));
    }
    let elapsed = if when.is_time_rule() { Some(elapsed(condition)?) } else { None };
    Ok(RulePlan {
        trigger: when.trigger,
        subject: when.subject,
        stages: stages.map(typed),
        elapsed,
        schedule: when.schedule,
        fields: named.fields.into_iter().collect(),
        options: named.options.into_iter().collect(),
        causes: when.causes,
    })
}

/// The only stages in which the condition can hold; `None` if it may hold in any, or without one.
fn stages(node: &Node) -> Option<BTreeSet<Uuid>> {
    match node {
        Node::Test(test) => stages_of(test),
        Node::All(nodes) => nodes.iter().filter_map(stages).reduce(|left, right| &left & &right),
        // Every branch must say where; one that does not may hold anywhere.
        Node::Any(nodes) => {
            nodes.iter().map(stages).collect::<Option<Vec<_>>>().map(|sets| sets.into_iter().flatten().collect())
        }
        Node::Not(_) => None,
    }
}

/// A time rule waits in its stage for its time; both stand where nothing can make them optional.
fn elapsed(condition: &Node) -> Result<Elapsed> {
    let tests = required_tests(condition);
    let stages = tests.iter().filter_map(|test| stages_of(test)).reduce(|left, right| &left & &right);
    let hours = tests.iter().filter_map(|test| hours_of(test)).reduce(f64::max);
    match (stages, hours) {
        (Some(stages), Some(hours)) => Ok(Elapsed { stages: typed(stages), hours }),
        (None, _) => {
            Err(required("/condition/stage", format!("a time rule needs its stage {HERE}: \"stage\": \"lead\"")))
        }
        (_, None) => Err(required(
            "/condition/elapsed_hours",
            format!("a time rule needs its time {HERE}: \"elapsed_hours\": 24"),
        )),
    }
}

const HERE: &str = "at the top of its condition or under \"all\"";

fn required_tests(node: &Node) -> Vec<&Test> {
    match node {
        Node::Test(test) => vec![test],
        Node::All(nodes) => nodes.iter().flat_map(required_tests).collect(),
        Node::Any(_) | Node::Not(_) => Vec::new(),
    }
}

fn stages_of(test: &Test) -> Option<BTreeSet<Uuid>> {
    match (&test.op, is(&test.fact, "stage")) {
        (Op::AnyOf(Operands::Ids(ids)), true) => Some(ids.iter().copied().collect()),
        _ => None,
    }
}

fn hours_of(test: &Test) -> Option<f64> {
    match (&test.op, is(&test.fact, "elapsed_hours")) {
        (Op::Bound(_, Bound::Number(hours)), true) => Some(*hours),
        _ => None,
    }
}

fn is(fact: &FactPath, name: &str) -> bool {
    fact.as_str() == name
}

fn typed(ids: BTreeSet<Uuid>) -> Vec<StageId> {
    ids.into_iter().map(StageId::from_uuid).collect()
}
