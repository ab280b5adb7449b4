//! Reads the condition language: an object of `fact: value`, all of which must hold, with `all`, `any` and `not`.

use dealwright::{
    Error, Result,
    domain::{
        fact_path::{FactKind, FactPath},
        rule::RuleSubject,
    },
};
use serde_json::{Map, Value};

use super::{
    complaint::{child, expected, invalid, item, quoted, unknown},
    limits,
    names::{self, Names},
    operand,
    pattern::{self, Search, Texts},
    program::{Bound, Node, Op, Operands, Order, Test},
};

const OPERATORS: &[&str] = &["gt", "gte", "lt", "lte", "ne", "in", "contains", "starts_with", "matches", "exists"];

pub(super) struct Reader<'a> {
    names: Names<'a>,
    subject: RuleSubject,
    time_rule: bool,
    comparisons: usize,
}

/// Where in the condition we are.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// Under a `not`: a lower bound there is an upper one.
    negated: bool,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(names: Names<'a>, subject: RuleSubject, time_rule: bool) -> Self {
        Self { names, subject, time_rule, comparisons: 0 }
    }

    /// A whole condition.
    pub(super) fn condition(&mut self, value: &Value, at: &str) -> Result<Node> {
        self.node(value, at, Place { depth: 1, negated: false })
    }

    /// One comparison at the top, such as the stage that a trigger carries.
    pub(super) fn comparison(&mut self, path: &str, value: &Value, at: &str) -> Result<Node> {
        self.fact(path, value, at, Place { depth: 1, negated: false })
    }

    fn node(&mut self, value: &Value, at: &str, place: Place) -> Result<Node> {
        if place.depth > limits::DEPTH {
            return Err(Error::invalid(at, "too_deep", format!("conditions nest at most {} deep", limits::DEPTH)));
        }
        let Value::Object(members) = value else {
            return Err(expected(at, "an object such as {\"stage\": \"lead\"}", value));
        };
        let mut all = Vec::with_capacity(members.len());
        for (key, value) in members {
            let at = child(at, key);
            let below = Place { depth: place.depth + 1, ..place };
            all.push(match key.as_str() {
                "all" => Node::All(self.list(value, &at, below)?),
                "any" => Node::Any(self.list(value, &at, below)?),
                "not" => Node::Not(Box::new(self.node(value, &at, Place { negated: true, ..below })?)),
                path => self.fact(path, value, &at, place)?,
            });
        }
        Ok(Node::all(all))
    }

    fn list(&mut self, value: &Value, at: &str, place: Place) -> Result<Vec<Node>> {
        match value {
            Value::Array(list) if list.is_empty() => {
                Err(Error::invalid(at, "empty", "name at least one condition, or leave it out"))
            }
            Value::Array(list) => {
                list.iter().enumerate().map(|(index, value)| self.node(value, &item(at, index), place)).collect()
            }
            other => Err(expected(at, "a list of conditions", other)),
        }
    }

    fn fact(&mut self, path: &str, value: &Value, at: &str, place: Place) -> Result<Node> {
        let fact = self.path(path, at)?;
        match value {
            Value::Null => {
                Err(invalid(at, format!("nothing equals null; write {{\"{fact}\": {{\"exists\": false}}}}")))
            }
            Value::Object(operators) => self.operators(&fact, operators, at, place),
            value => {
                self.count(value, at)?;
                let op = self.equality(&fact, value, at)?;
                self.test(&fact, op, at, place)
            }
        }
    }

    fn path(&self, path: &str, at: &str) -> Result<FactPath> {
        let fact = FactPath::parse(path).map_err(|_| unknown(at, "fact", path, FactPath::names()))?;
        if self.subject == RuleSubject::Organization && !fact.stands_without_contact() {
            return Err(invalid(at, format!("{fact} is known of a contact; this rule is about the organization")));
        }
        names::of_subject(&fact, self.subject, at)?;
        self.names.fact(fact, at)
    }

    fn operators(&mut self, fact: &FactPath, operators: &Map<String, Value>, at: &str, place: Place) -> Result<Node> {
        if operators.is_empty() {
            return Err(Error::invalid(
                at,
                "empty",
                format!("compare with a value or by {}", applicable(fact).join(", ")),
            ));
        }
        let mut all = Vec::with_capacity(operators.len());
        for (operator, value) in operators {
            let at = child(at, operator);
            self.count(value, &at)?;
            let op = self.operator(fact, operator, value, &at)?;
            all.push(self.test(fact, op, &at, place)?);
        }
        Ok(Node::all(all))
    }

    fn operator(&self, fact: &FactPath, operator: &str, value: &Value, at: &str) -> Result<Op> {
        let known = applicable(fact);
        if !known.contains(&operator) {
            return Err(match OPERATORS.contains(&operator) {
                true => invalid(at, format!("{operator} does not apply to {fact}; {} do", known.join(", "))),
                false if operator == "not" => {
                    invalid(at, format!("write {{\"not\": {{\"{fact}\": …}}}}: not stands outside of a fact"))
                }
                false => unknown(at, "operator", operator, OPERATORS.iter().copied()),
            });
        }
        if value.is_null() {
            return Err(invalid(
                at,
                format!("nothing compares with null; write {{\"{fact}\": {{\"exists\": false}}}}"),
            ));
        }
        Ok(match operator {
            "in" => match value {
                Value::Array(_) => self.equality(fact, value, at)?,
                other => return Err(expected(at, "a list of values", other)),
            },
            "ne" => Op::NoneOf(operand::equals(fact, value, at, self.names)?),
            "exists" => Op::Exists(value.as_bool().ok_or_else(|| expected(at, "true or false", value))?),
            "gt" => Op::Bound(Order::Gt, operand::bound(fact, value, at)?),
            "gte" => Op::Bound(Order::Gte, operand::bound(fact, value, at)?),
            "lt" => Op::Bound(Order::Lt, operand::bound(fact, value, at)?),
            "lte" => Op::Bound(Order::Lte, operand::bound(fact, value, at)?),
            // An option is chosen as a whole.
            "contains" if fact.kind() == FactKind::Choices => Op::AnyOf(operand::equals(fact, value, at, self.names)?),
            "contains" => Op::Contains(searched(value, at, Search::Within)?),
            "starts_with" => Op::StartsWith(searched(value, at, Search::AtStart)?),
            _ => Op::Matches(expressions(value, at)?),
        })
    }

    /// A bare value or list. Of hours, `n` means at least `n`, and the smallest of several is enough.
    fn equality(&self, fact: &FactPath, value: &Value, at: &str) -> Result<Op> {
        if self.time_rule && fact.kind() == FactKind::Hours && value.is_array() {
            return Err(lower_bounds_only(fact, at));
        }
        Ok(match operand::equals(fact, value, at, self.names)? {
            Operands::Numbers(hours) if fact.kind() == FactKind::Hours => {
                Op::Bound(Order::Gte, Bound::Number(hours.into_iter().fold(limits::HOURS, f64::min)))
            }
            operands => Op::AnyOf(operands),
        })
    }

    /// Counts what was written; a name may stand for many ids.
    fn count(&mut self, value: &Value, at: &str) -> Result<()> {
        self.comparisons += value.as_array().map_or(1, Vec::len);
        if self.comparisons > limits::COMPARISONS {
            let detail = format!("a condition compares with at most {} values", limits::COMPARISONS);
            return Err(Error::invalid(at, "too_many", detail));
        }
        Ok(())
    }

    fn test(&self, fact: &FactPath, op: Op, at: &str, place: Place) -> Result<Node> {
        let op = if self.time_rule && fact.kind() == FactKind::Hours { waiting(fact, op, at, place)? } else { op };
        Ok(Node::Test(Test { fact: fact.clone(), op }))
    }
}

/// A time rule waits until enough time has passed, so there it must be true from some instant on. No instant is the first
/// one *after* n hours: there `gt` means `gte`.
fn waiting(fact: &FactPath, op: Op, at: &str, place: Place) -> Result<Op> {
    match op {
        Op::Bound(Order::Gt | Order::Gte, bound) if !place.negated => Ok(Op::Bound(Order::Gte, bound)),
        _ => Err(lower_bounds_only(fact, at)),
    }
}

fn lower_bounds_only(fact: &FactPath, at: &str) -> Error {
    let example = format!("{{\"{fact}\": 24}} or {{\"{fact}\": {{\"gte\": 24}}}}");
    invalid(at, format!("in a time rule {fact} takes lower bounds only, and not under \"not\": {example}"))
}

/// The operators that make sense for a fact.
fn applicable(fact: &FactPath) -> &'static [&'static str] {
    match fact.kind() {
        FactKind::Stage
        | FactKind::Pipeline
        | FactKind::User
        | FactKind::Id
        | FactKind::Flag
        | FactKind::Word(_)
        | FactKind::Choice
        | FactKind::Custom => &["ne", "in", "exists"],
        FactKind::Choices => &["ne", "in", "contains", "exists"],
        FactKind::Number | FactKind::Hours | FactKind::Time | FactKind::Date => {
            &["gt", "gte", "lt", "lte", "ne", "in", "exists"]
        }
        FactKind::Text | FactKind::Texts => &["ne", "in", "contains", "starts_with", "matches", "exists"],
    }
}

fn searched(value: &Value, at: &str, search: Search) -> Result<Vec<String>> {
    let texts = operand::patterns(value, at)?;
    Texts::new(&texts, search).map_err(|_| invalid(at, "the texts are too large together; search for fewer"))?;
    Ok(texts)
}

fn expressions(value: &Value, at: &str) -> Result<Vec<String>> {
    let expressions = operand::patterns(value, at)?;
    for (index, expression) in expressions.iter().enumerate() {
        pattern::expression(expression).map_err(|error| {
            let at = if value.is_array() { item(at, index) } else { at.to_owned() };
            match error {
                pattern::Fault::TooLarge => invalid(
                    &at,
                    format!(
                        "{} is too large when compiled; [a-z] takes less than \\w, and {{1,9}} less than {{1,99}}",
                        quoted(expression)
                    ),
                ),
                pattern::Fault::Syntax(reason) => {
                    invalid(&at, format!("{} is no regular expression: {reason}", quoted(expression)))
                }
            }
        })?;
    }
    Ok(expressions)
}
