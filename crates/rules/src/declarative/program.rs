//! A declarative rule with its names replaced by ids: what is stored as `compiled`. Only data; evaluating is `ready`'s.

use chrono::{DateTime, Utc};
use dealwright::domain::{fact_path::FactPath, rule::Action};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The form's version; another one is none of ours.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    pub v: u32,
    pub condition: Node,
    pub actions: Vec<Action>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Node {
    /// All of them hold; so does none at all.
    All(Vec<Node>),
    /// At least one holds.
    Any(Vec<Node>),
    /// It does not hold.
    Not(Box<Node>),
    /// One comparison.
    Test(Test),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    pub fact: FactPath,
    pub op: Op,
}

/// Lists mean "any of", but for `NoneOf`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    AnyOf(Operands),
    NoneOf(Operands),
    Bound(Order, Bound),
    Contains(Vec<String>),
    StartsWith(Vec<String>),
    Matches(Vec<String>),
    Exists(bool),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operands {
    Ids(Vec<Uuid>),
    Texts(Vec<String>),
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Times(Vec<DateTime<Utc>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    Number(f64),
    Time(DateTime<Utc>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Order {
    /// Whether `left` stands in this order to `right`.
    pub(super) fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Gt => left > right,
            Self::Gte => left >= right,
            Self::Lt => left < right,
            Self::Lte => left <= right,
        }
    }
}

impl Node {
    /// All of `nodes`, without a level of its own for a single one.
    pub(super) fn all(mut nodes: Vec<Self>) -> Self {
        match nodes.pop() {
            Some(only) if nodes.is_empty() => only,
            Some(last) => {
                nodes.push(last);
                Self::All(nodes)
            }
            None => Self::All(nodes),
        }
    }
}
