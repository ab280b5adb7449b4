//! Reads what a fact is compared with, by the fact's kind: names become ids, times become instants.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use dealwright::{
    Error, Result,
    domain::fact_path::{FactKind, FactPath},
    id::Id,
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    complaint::{expected, invalid, item, too_long, unknown},
    limits,
    names::Names,
    program::{Bound, Operands},
};

/// One value or a list of them, each with its pointer. `null` and an empty list are told apart from values here.
pub(super) fn each<'a>(value: &'a Value, at: &str) -> Result<Vec<(&'a Value, String)>> {
    match value {
        Value::Array(list) if list.is_empty() => Err(empty(at)),
        Value::Array(list) => Ok(list.iter().enumerate().map(|(index, value)| (value, item(at, index))).collect()),
        value => Ok(vec![(value, at.to_owned())]),
    }
}

pub(super) fn empty(at: &str) -> Error {
    Error::invalid(at, "empty", "an empty list never holds; name at least one value")
}

/// What `fact` may equal.
pub(super) fn equals(fact: &FactPath, value: &Value, at: &str, names: Names<'_>) -> Result<Operands> {
    let values = each(value, at)?;
    Ok(match fact.kind() {
        FactKind::Stage => Operands::Ids(ids(&values, |text, at| names.stages(text, at))?),
        FactKind::Pipeline => Operands::Ids(ids(&values, |text, at| names.pipelines(text, at))?),
        FactKind::User => Operands::Ids(ids(&values, |text, at| names.users(text, at))?),
        FactKind::Id => Operands::Ids(collect(&values, id)?),
        FactKind::Flag => Operands::Flags(collect(&values, flag)?),
        FactKind::Number => Operands::Numbers(collect(&values, number)?),
        FactKind::Hours => Operands::Numbers(collect(&values, hours)?),
        FactKind::Text | FactKind::Texts => Operands::Texts(collect(&values, |v, at| text(v, at, limits::OPERAND))?),
        FactKind::Word(words) => Operands::Texts(collect(&values, |value, at| word(fact, words, value, at))?),
        FactKind::Choice | FactKind::Choices => {
            let options = collect(&values, |value, at| option(fact, names.options(fact), value, at))?;
            names.note_options(fact, &options);
            Operands::Texts(options)
        }
        FactKind::Custom => return Err(unknown(at, "custom field", fact.as_str(), [])),
        FactKind::Time => Operands::Times(collect(&values, time)?),
        FactKind::Date => Operands::Times(collect(&values, date)?),
    })
}

/// What `fact` may be more or less than.
pub(super) fn bound(fact: &FactPath, value: &Value, at: &str) -> Result<Bound> {
    match fact.kind() {
        FactKind::Hours => hours(value, at).map(Bound::Number),
        FactKind::Time => time(value, at).map(Bound::Time),
        FactKind::Date => date(value, at).map(Bound::Time),
        _ => number(value, at).map(Bound::Number),
    }
}

/// Texts to search for.
pub(super) fn patterns(value: &Value, at: &str) -> Result<Vec<String>> {
    collect(&each(value, at)?, |value, at| {
        let found = text(value, at, limits::PATTERN)?;
        if found.is_empty() {
            Err(Error::invalid(at, "empty", "every text contains an empty one; name a text"))
        } else {
            Ok(found)
        }
    })
}

fn collect<T>(values: &[(&Value, String)], read: impl Fn(&Value, &str) -> Result<T>) -> Result<Vec<T>> {
    values.iter().map(|(value, at)| read(value, at)).collect()
}

fn ids<T: Id>(values: &[(&Value, String)], read: impl Fn(&str, &str) -> Result<Vec<T>>) -> Result<Vec<Uuid>> {
    let mut found = Vec::new();
    for (value, at) in values {
        let Value::String(text) = value else {
            return Err(expected(at, &format!("the name or id of a {}", T::NOUN), value));
        };
        found.extend(read(text, at)?.into_iter().map(Id::uuid));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn id(value: &Value, at: &str) -> Result<Uuid> {
    value.as_str().and_then(|text| Uuid::try_parse(text).ok()).ok_or_else(|| expected(at, "an id (a UUID)", value))
}

fn flag(value: &Value, at: &str) -> Result<bool> {
    value.as_bool().ok_or_else(|| expected(at, "true or false", value))
}

fn number(value: &Value, at: &str) -> Result<f64> {
    value.as_f64().filter(|number| number.is_finite()).ok_or_else(|| expected(at, "a number", value))
}

pub(super) fn hours(value: &Value, at: &str) -> Result<f64> {
    let hours = value.as_f64().ok_or_else(|| expected(at, "a number of hours", value))?;
    if (0.0..=limits::HOURS).contains(&hours) {
        return Ok(hours);
    }
    Err(invalid(at, format!("hours are between 0 and {} (ten years), not {hours}", limits::HOURS)))
}

fn time(value: &Value, at: &str) -> Result<DateTime<Utc>> {
    let parsed = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    parsed
        .map(|time| time.with_timezone(&Utc))
        .ok_or_else(|| expected(at, "a time such as \"2026-11-22T10:00:00Z\" (RFC 3339)", value))
}

fn date(value: &Value, at: &str) -> Result<DateTime<Utc>> {
    let parsed = value.as_str().and_then(instant);
    parsed.ok_or_else(|| expected(at, "a date such as \"2026-11-22\", or a time (RFC 3339)", value))
}

/// An instant; a date is its midnight in UTC.
pub(super) fn instant(text: &str) -> Option<DateTime<Utc>> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) => Some(time.with_timezone(&Utc)),
        Err(_) => Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc()),
    }
}

fn text(value: &Value, at: &str, limit: usize) -> Result<String> {
    match value {
        Value::String(text) if text.chars().count() > limit => Err(too_long(at, "the text", limit)),
        Value::String(text) => Ok(text.clone()),
        other => Err(expected(at, "a text", other)),
    }
}

fn word(fact: &FactPath, words: &[&str], value: &Value, at: &str) -> Result<String> {
    let Value::String(given) = value else { return Err(expected(at, &format!("one of {}", words.join(", ")), value)) };
    match words.iter().find(|word| word.eq_ignore_ascii_case(given)) {
        Some(word) => Ok((*word).to_owned()),
        None => Err(unknown(at, &format!("value of {fact}"), given, words.iter().copied())),
    }
}

/// An option of a custom field, as the field has it.
fn option(fact: &FactPath, options: &[String], value: &Value, at: &str) -> Result<String> {
    let Value::String(given) = value else {
        return Err(expected(at, &format!("one of {}", options.join(", ")), value));
    };
    let same = |option: &&String| option.trim().to_lowercase() == given.trim().to_lowercase();
    match options.iter().find(same) {
        Some(option) => Ok(option.clone()),
        None => Err(unknown(at, &format!("option of {fact}"), given, options.iter().map(String::as_str))),
    }
}
