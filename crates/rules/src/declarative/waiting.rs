//! When to ask a rule again that did not hold: the next instant at which time alone may change a comparison, if what does not
//! depend on time stands in nobody's way.

use chrono::{DateTime, TimeDelta, Utc};
use dealwright::domain::{
    fact_path::{FactKind, FactPath, FactValue},
    rule::Facts,
};

use super::{
    program::Order,
    ready::{Check, Comparison},
};

/// Every time zone in use is a multiple of this away from UTC, so hours and days begin on one of these.
const QUARTER: i64 = 15 * 60;
const MICROSECONDS_PER_HOUR: f64 = 3.6e9;

pub(super) fn ask_again(condition: &Check, facts: &Facts) -> Option<TimeDelta> {
    let outcome = possible(condition, facts);
    if outcome.holds { outcome.changes_in } else { None }
}

/// What may become of a check while nothing but time happens.
struct Outcome {
    /// It may hold, now or later.
    holds: bool,
    /// It may not hold, now or later.
    fails: bool,
    /// When it may first change.
    changes_in: Option<TimeDelta>,
}

fn possible(check: &Check, facts: &Facts) -> Outcome {
    match check {
        Check::Not(check) => {
            let inner = possible(check, facts);
            Outcome { holds: inner.fails, fails: inner.holds, changes_in: inner.changes_in }
        }
        Check::All(checks) => {
            let all = checks.iter().map(|check| possible(check, facts));
            let begin = Outcome { holds: true, fails: false, changes_in: None };
            all.fold(begin, |left, right| Outcome {
                holds: left.holds && right.holds,
                fails: left.fails || right.fails,
                changes_in: sooner(left.changes_in, right.changes_in),
            })
        }
        Check::Any(checks) => {
            // A branch that can never hold changes nothing by changing.
            let some = checks.iter().map(|check| possible(check, facts)).filter(|branch| branch.holds);
            let begin = Outcome { holds: false, fails: true, changes_in: None };
            some.fold(begin, |left, right| Outcome {
                holds: left.holds || right.holds,
                fails: left.fails && right.fails,
                changes_in: sooner(left.changes_in, right.changes_in),
            })
        }
        Check::Fact(fact, comparison) => {
            let holds = comparison.holds(facts.get(fact));
            let changes_in = changes_in(fact, comparison, facts);
            let open = changes_in.is_some();
            Outcome { holds: holds || open, fails: !holds || open, changes_in }
        }
    }
}

fn changes_in(fact: &FactPath, comparison: &Comparison, facts: &Facts) -> Option<TimeDelta> {
    match (fact.kind(), fact.as_str(), comparison) {
        (FactKind::Hours, _, Comparison::Number(order, bound)) => {
            let Some(FactValue::Number(hours)) = facts.get(fact) else { return None };
            // Past its bound it never changes again. One microsecond more for what must be exceeded.
            let beyond = i64::from(matches!(order, Order::Gt | Order::Lte));
            (hours < *bound || (beyond == 1 && hours == *bound))
                .then(|| TimeDelta::microseconds(microseconds(bound - hours).saturating_add(beyond)))
        }
        (_, "now.at", Comparison::Time(_, instant)) => {
            let wait = *instant - facts.now.at;
            (wait >= TimeDelta::zero()).then(|| wait + TimeDelta::microseconds(1))
        }
        (_, "now.hour" | "now.weekday", _) => Some(next_quarter(facts.now.at)),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float as an integer saturates, and hours are bounded anyway")]
fn microseconds(hours: f64) -> i64 {
    (hours * MICROSECONDS_PER_HOUR).ceil().max(1.0) as i64
}

fn next_quarter(now: DateTime<Utc>) -> TimeDelta {
    let into = TimeDelta::seconds(now.timestamp().rem_euclid(QUARTER))
        + TimeDelta::nanoseconds(i64::from(now.timestamp_subsec_nanos()));
    TimeDelta::seconds(QUARTER) - into
}

fn sooner(left: Option<TimeDelta>, right: Option<TimeDelta>) -> Option<TimeDelta> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (left, right) => left.or(right),
    }
}
