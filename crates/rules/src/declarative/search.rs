//! What of a condition a store can search by: a filter over the subject's own fields that everything passes for which the
//! condition may hold. It may let pass more, never less: what a store compares otherwise than facts are compared (letter
//! case, fractions, parts of texts) is left out or widened.

use chrono::{DateTime, TimeDelta, Utc};
use dealwright::{
    domain::{
        custom_field::{CustomField, CustomKind, Noun},
        fact_path::FactPath,
    },
    ports::store::{Bounds, Column, FieldKind, Filter, Is, Place, Value, field_named},
};

use super::{
    program::Order,
    ready::{Check, Comparison},
};

/// Instants and hours are widened by this.
const SLACK: TimeDelta = TimeDelta::seconds(1);
const MICROSECONDS_PER_HOUR: f64 = 3.6e9;
/// Whole numbers up to this are the same in facts and in the store.
const WHOLE: f64 = 9e15;
/// Ten-thousandths, in which amounts are kept.
const PARTS: f64 = 10_000.0;

/// Where a condition is searched.
pub(super) struct Search<'a> {
    pub noun: Noun,
    pub fields: &'a [CustomField],
    pub now: DateTime<Utc>,
}

/// What is told of a check.
struct Told {
    filter: Filter,
    /// What passes is what it holds for: then its negation can be told too.
    exact: bool,
}

impl Search<'_> {
    /// The filter for a whole condition.
    pub(super) fn filter(&self, condition: &Check) -> Filter {
        self.told(condition).map_or_else(Filter::default, |told| told.filter)
    }

    fn told(&self, check: &Check) -> Option<Told> {
        match check {
            Check::All(checks) => {
                let told: Vec<_> = checks.iter().filter_map(|check| self.told(check)).collect();
                let exact = told.len() == checks.len() && told.iter().all(|it| it.exact);
                (exact || !told.is_empty())
                    .then(|| Told { filter: Filter::All(told.into_iter().map(|it| it.filter).collect()), exact })
            }
            Check::Any(checks) => {
                // A branch that tells nothing may hold for anybody.
                let told = checks.iter().map(|check| self.told(check)).collect::<Option<Vec<_>>>()?;
                let exact = told.iter().all(|it| it.exact);
                Some(Told { filter: Filter::Any(told.into_iter().map(|it| it.filter).collect()), exact })
            }
            Check::Not(check) => {
                let told = self.told(check).filter(|it| it.exact)?;
                Some(Told { filter: Filter::Not(Box::new(told.filter)), exact: true })
            }
            Check::Fact(fact, comparison) => match fact.field() {
                Some((noun, key)) => self.custom(noun, key, comparison),
                None => self.own(fact, comparison),
            },
        }
    }

    /// A fact that is a field of the subject, or made of one.
    fn own(&self, fact: &FactPath, comparison: &Comparison) -> Option<Told> {
        let since = |name: &str| self.hours(name, comparison);
        match (fact.as_str(), self.noun) {
            ("elapsed_hours", _) => since("stage_entered_at"),
            ("hours_since_last_message", Noun::Contact) => since("last_message_at"),
            ("hours_since_last_response", Noun::Contact) => since("last_response_at"),
            ("has_response", Noun::Contact) => self.has_response(comparison),
            ("deal.value.amount", Noun::Deal) => self.field("value", comparison),
            (name @ ("stage" | "pipeline"), _) => self.field(name, comparison),
            (name, noun) => self.field(name.strip_prefix(noun.as_str())?.strip_prefix('.')?, comparison),
        }
    }

    fn field(&self, name: &str, comparison: &Comparison) -> Option<Told> {
        let field = field_named(self.noun, name)?;
        let list = |values: Vec<Value>, none: &bool| if *none { Is::NoneOf(values) } else { Is::AnyOf(values) };
        let (is, exact) = match (field.kind, comparison) {
            // Letter case does not tell handles apart, but in facts.
            (FieldKind::Handle(_), _) => return None,
            // Everything stands somewhere; the fact says by name where.
            (FieldKind::Stage | FieldKind::Pipeline, Comparison::Exists(_)) => return None,
            (_, Comparison::Exists(expected)) => (Is::Exists(*expected), true),
            (
                FieldKind::Stage | FieldKind::Pipeline | FieldKind::User | FieldKind::Id,
                Comparison::Ids { ids, none },
            ) => (list(ids.iter().map(|name| Value::Uuid(name.id)).collect(), none), true),
            (
                FieldKind::Name | FieldKind::Text | FieldKind::Word(_) | FieldKind::Tags | FieldKind::Addresses(_),
                Comparison::Texts { texts, none },
            ) => (list(kept(texts)?, none), true),
            (FieldKind::Time, Comparison::Time(order, at)) => (within(*order, *at - SLACK, *at + SLACK), false),
            (FieldKind::Date, Comparison::Time(order, at)) => {
                let day = day(*at)?;
                (within(*order, day.clone(), day), false)
            }
            (FieldKind::Integer, Comparison::Number(order, bound)) if bound.abs() < WHOLE => {
                (within(*order, bound.floor() as i64, bound.ceil() as i64), false)
            }
            (FieldKind::Real, Comparison::Number(order, bound)) => (around(*order, *bound, *bound), false),
            (FieldKind::Amount, Comparison::Number(order, bound)) if bound.abs() < WHOLE => {
                let parts = bound * PARTS;
                let slack = 1.0 + parts.abs() * 1e-12;
                (within(*order, (parts - slack).floor() as i64, (parts + slack).ceil() as i64), false)
            }
            _ => return None,
        };
        Some(Told { filter: Filter::Test(Place::Field(field), is), exact })
    }

    fn custom(&self, noun: Noun, key: &str, comparison: &Comparison) -> Option<Told> {
        let field = self.fields.iter().find(|it| it.object == noun && it.key == key).filter(|_| noun == self.noun)?;
        let is = match (field.kind, comparison) {
            (_, Comparison::Exists(true)) => Is::Exists(true),
            (CustomKind::User, Comparison::Ids { ids, none: false }) => {
                Is::AnyOf(ids.iter().map(|name| name.text.to_value()).collect())
            }
            (
                CustomKind::Text | CustomKind::Choice | CustomKind::MultiChoice,
                Comparison::Texts { texts, none: false },
            ) => Is::AnyOf(kept(texts)?),
            (CustomKind::Boolean, Comparison::Flags { flags, none: false }) => {
                Is::AnyOf(flags.iter().map(|flag| Value::Bool(*flag)).collect())
            }
            (CustomKind::Number, Comparison::Number(order, bound)) => around(*order, *bound, *bound),
            (CustomKind::Number, Comparison::Numbers { numbers, none: false }) => {
                let least = numbers.iter().copied().reduce(f64::min)?;
                let most = numbers.iter().copied().reduce(f64::max)?;
                let (Is::Within(from), Is::Within(to)) =
                    (around(Order::Gte, least, least), around(Order::Lte, most, most))
                else {
                    return None;
                };
                Is::Within(Bounds { lte: to.lte, ..from })
            }
            (CustomKind::Date, Comparison::Time(order, at)) => {
                let day = day(*at)?;
                within(*order, day.clone(), day)
            }
            _ => return None,
        };
        Some(Told { filter: Filter::Test(Place::custom(field), is), exact: false })
    }

    /// Hours since an instant, as bounds on the instant: what is long ago is small.
    fn hours(&self, name: &str, comparison: &Comparison) -> Option<Told> {
        let Comparison::Number(order, hours) = comparison else { return None };
        let then = self.now - TimeDelta::microseconds((hours * MICROSECONDS_PER_HOUR) as i64);
        let order = match order {
            Order::Gt | Order::Gte => Order::Lte,
            Order::Lt | Order::Lte => Order::Gte,
        };
        let is = within(order, then - SLACK, then + SLACK);
        Some(Told { filter: Filter::Test(Place::Field(field_named(self.noun, name)?), is), exact: false })
    }

    fn has_response(&self, comparison: &Comparison) -> Option<Told> {
        let Comparison::Flags { flags, none } = comparison else { return None };
        let holds = |flag: bool| *none != flags.contains(&flag);
        if holds(true) == holds(false) {
            return None;
        }
        let place = Place::Field(field_named(self.noun, "first_response_at")?);
        Some(Told { filter: Filter::Test(place, Is::Exists(holds(true))), exact: true })
    }
}

/// Texts as the store has them; none of its texts has a NUL, which PostgreSQL takes none of.
fn kept(texts: &[String]) -> Option<Vec<Value>> {
    texts.iter().map(|text| (!text.contains('\0')).then(|| text.to_value())).collect()
}

/// At or beyond a bound that is known to lie between `least` and `most`.
fn within(order: Order, least: impl Column, most: impl Column) -> Is {
    Is::Within(match order {
        Order::Gt | Order::Gte => Bounds { gte: Some(least.to_value()), ..Bounds::default() },
        Order::Lt | Order::Lte => Bounds { lte: Some(most.to_value()), ..Bounds::default() },
    })
}

/// The same for fractions, which databases may read a little otherwise.
fn around(order: Order, least: f64, most: f64) -> Is {
    let slack = |number: f64| number.abs() * 1e-12;
    within(order, least - slack(least), most + slack(most))
}

/// The day of an instant, as it is kept. A date is its midnight, so the day itself may pass on either side.
fn day(at: DateTime<Utc>) -> Option<String> {
    let day = at.date_naive().to_string();
    (day.len() == 10).then_some(day)
}
