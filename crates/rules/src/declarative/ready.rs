//! A compiled rule made ready: facts are found without names, texts are searched by automata, and asking allocates nothing
//! until the condition holds. What there is none of holds in no comparison, not even in `ne`; `exists: false` does.

use chrono::{DateTime, TimeDelta, Utc};
use dealwright::{
    Error, Result,
    domain::{
        custom_field::{CustomField, Noun},
        fact_path::{FactKind, FactPath, FactValue},
        rule::{Action, Facts},
    },
    ports::{rule_engine::CompiledRule, store::Filter},
};
use regex::Regex;
use serde_json::Value;
use uuid::Uuid;

use super::{
    operand,
    pattern::{self, Search, Texts},
    program::{Bound, Node, Op, Operands, Order, Program, Test},
    search, waiting,
};

/// The store counts microseconds: hours made of them may miss a bound by that much.
const MICROSECOND: f64 = 1.0 / 3.6e9;

pub(super) struct Ready {
    condition: Check,
    actions: Vec<Action>,
}

pub(super) enum Check {
    All(Box<[Check]>),
    Any(Box<[Check]>),
    Not(Box<Check>),
    Fact(FactPath, Comparison),
}

pub(super) enum Comparison {
    /// The value is one of these, or, if `none`, none of them.
    Ids {
        ids: Box<[Name]>,
        none: bool,
    },
    Texts {
        texts: Box<[String]>,
        none: bool,
    },
    Numbers {
        numbers: Box<[f64]>,
        none: bool,
    },
    Flags {
        flags: Box<[bool]>,
        none: bool,
    },
    Times {
        times: Box<[DateTime<Utc>]>,
        none: bool,
    },
    Number(Order, f64),
    Time(Order, DateTime<Utc>),
    /// One of these texts is found.
    Searched(Texts),
    /// One of these expressions matches.
    Matched(Box<[Regex]>),
    Exists(bool),
}

/// An id, also as JSON writes it.
pub(super) struct Name {
    pub id: Uuid,
    pub text: String,
}

impl Ready {
    pub(super) fn new(program: Program) -> Result<Self> {
        Ok(Self { condition: check(program.condition)?, actions: program.actions })
    }
}

impl CompiledRule for Ready {
    fn evaluate(&self, facts: &Facts) -> Result<Vec<Action>> {
        Ok(if self.condition.holds(facts) { self.actions.clone() } else { Vec::new() })
    }

    fn ask_again(&self, facts: &Facts) -> Option<TimeDelta> {
        waiting::ask_again(&self.condition, facts)
    }

    fn search(&self, noun: Noun, fields: &[CustomField], now: DateTime<Utc>) -> Option<Filter> {
        Some(search::Search { noun, fields, now }.filter(&self.condition))
    }
}

fn check(node: Node) -> Result<Check> {
    // In any order they mean the same; the cheap ones may spare the dear ones.
    let checks = |nodes: Vec<Node>| {
        let mut checks = nodes.into_iter().map(check).collect::<Result<Box<[_]>>>()?;
        checks.sort_by_key(Check::cost);
        Ok::<_, Error>(checks)
    };
    Ok(match node {
        Node::All(nodes) => Check::All(checks(nodes)?),
        Node::Any(nodes) => Check::Any(checks(nodes)?),
        Node::Not(node) => Check::Not(Box::new(check(*node)?)),
        Node::Test(Test { fact, op }) => {
            let comparison = comparison(&fact, op)?;
            Check::Fact(fact, comparison)
        }
    })
}

fn comparison(fact: &FactPath, op: Op) -> Result<Comparison> {
    let tolerance = if fact.kind() == FactKind::Hours { MICROSECOND } else { 0.0 };
    let is_list = fact.kind() == FactKind::Texts;
    Ok(match op {
        Op::AnyOf(operands) => membership(operands, false),
        Op::NoneOf(operands) => membership(operands, true),
        Op::Bound(Order::Gte, Bound::Number(number)) => Comparison::Number(Order::Gte, number - tolerance),
        Op::Bound(order, Bound::Number(number)) => Comparison::Number(order, number),
        Op::Bound(order, Bound::Time(time)) => Comparison::Time(order, time),
        Op::Contains(texts) => search(&texts, if is_list { Search::Whole } else { Search::Within })?,
        Op::StartsWith(texts) => search(&texts, Search::AtStart)?,
        Op::Matches(list) => {
            let list = list.iter().map(|one| pattern::expression(one)).collect::<Result<Box<[_]>, _>>();
            Comparison::Matched(list.map_err(not_ours)?)
        }
        Op::Exists(expected) => Comparison::Exists(expected),
    })
}

fn membership(operands: Operands, none: bool) -> Comparison {
    match operands {
        Operands::Ids(ids) => {
            let ids = ids.into_iter().map(|id| Name { id, text: id.to_string() }).collect();
            Comparison::Ids { ids, none }
        }
        Operands::Texts(texts) => Comparison::Texts { texts: texts.into(), none },
        Operands::Numbers(numbers) => Comparison::Numbers { numbers: numbers.into(), none },
        Operands::Flags(flags) => Comparison::Flags { flags: flags.into(), none },
        Operands::Times(times) => Comparison::Times { times: times.into(), none },
    }
}

fn search(texts: &[String], search: Search) -> Result<Comparison> {
    Ok(Comparison::Searched(Texts::new(texts, search).map_err(not_ours)?))
}

fn not_ours(fault: pattern::Fault) -> Error {
    Error::internal(format!("a compiled rule carries a pattern that does not compile: {fault:?}"))
}

impl Check {
    /// What it costs to ask, roughly in units of finding a number.
    fn cost(&self) -> usize {
        match self {
            Self::All(checks) | Self::Any(checks) => checks.iter().map(Self::cost).sum::<usize>() + 1,
            Self::Not(check) => check.cost(),
            Self::Fact(_, Comparison::Matched(expressions)) => 20 * expressions.len(),
            Self::Fact(_, Comparison::Searched(_)) => 10,
            Self::Fact(_, Comparison::Time(..) | Comparison::Times { .. }) => 10,
            Self::Fact(fact, _) if fact.as_str().contains('.') => 3,
            Self::Fact(..) => 1,
        }
    }

    fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::All(checks) => checks.iter().all(|check| check.holds(facts)),
            Self::Any(checks) => checks.iter().any(|check| check.holds(facts)),
            Self::Not(check) => !check.holds(facts),
            Self::Fact(fact, comparison) => comparison.holds(facts.get(fact)),
        }
    }
}

impl Comparison {
    pub(super) fn holds(&self, value: Option<FactValue<'_>>) -> bool {
        if let Self::Exists(expected) = self {
            return *expected == value.is_some_and(|value| !matches!(value, FactValue::List([])));
        }
        let Some(value) = value else { return false };
        match self {
            Self::Exists(_) => false,
            Self::Ids { ids, none } => match value {
                FactValue::Named { id, .. } => *none != ids.iter().any(|name| name.id == id),
                FactValue::Text(text) => *none != ids.iter().any(|name| name.text == text),
                _ => false,
            },
            Self::Texts { texts, none } => match value {
                FactValue::Text(text) => *none != texts.iter().any(|one| one == text),
                FactValue::List(list) => *none != strings(list).any(|text| texts.iter().any(|one| one == text)),
                _ => false,
            },
            Self::Numbers { numbers, none } => number(value).is_some_and(|number| *none != numbers.contains(&number)),
            Self::Flags { flags, none } => match value {
                FactValue::Flag(flag) => *none != flags.contains(&flag),
                _ => false,
            },
            Self::Times { times, none } => time(value).is_some_and(|time| *none != times.contains(&time)),
            Self::Number(order, bound) => number(value).is_some_and(|number| order.holds(&number, bound)),
            Self::Time(order, bound) => time(value).is_some_and(|time| order.holds(&time, bound)),
            Self::Searched(texts) => any(value, |text| texts.found_in(text)),
            Self::Matched(expressions) => any(value, |text| expressions.iter().any(|one| one.is_match(text))),
        }
    }
}

/// Whether it holds for a text, or for an item of a list.
fn any(value: FactValue<'_>, holds: impl Fn(&str) -> bool) -> bool {
    match value {
        FactValue::Text(text) => holds(text),
        FactValue::List(list) => strings(list).any(holds),
        _ => false,
    }
}

fn strings(list: &[Value]) -> impl Iterator<Item = &str> {
    list.iter().filter_map(Value::as_str)
}

const fn number(value: FactValue<'_>) -> Option<f64> {
    match value {
        FactValue::Number(number) => Some(number),
        _ => None,
    }
}

fn time(value: FactValue<'_>) -> Option<DateTime<Utc>> {
    match value {
        FactValue::Time(time) => Some(time),
        FactValue::Text(text) => operand::instant(text),
        _ => None,
    }
}
