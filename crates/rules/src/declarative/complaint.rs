//! What is wrong with a rule, in words that help: where (a JSON pointer into the definition), which value, and what to
//! write instead.

use dealwright::{Error, Result};
use serde_json::{Map, Value};

/// Longer names are cut in texts.
const SHOWN: usize = 80;
/// More known names than this are not listed.
const LISTED: usize = 12;

/// The pointer to a member (RFC 6901).
pub(super) fn child(at: &str, member: &str) -> String {
    format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// The pointer to an item.
pub(super) fn item(at: &str, index: usize) -> String {
    format!("{at}/{index}")
}

pub(super) fn invalid(at: &str, detail: impl Into<String>) -> Error {
    Error::invalid(at, "invalid", detail)
}

pub(super) fn required(at: &str, detail: impl Into<String>) -> Error {
    Error::invalid(at, "required", detail)
}

/// `what` is the thing as people say it, for example `the fact deal.value`.
pub(super) fn not_available(at: &str, what: &str) -> Error {
    Error::invalid(at, "not_available", format!("{what} is not available in this build")).code_of("not_available")
}

pub(super) fn expected(at: &str, what: &str, value: &Value) -> Error {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    invalid(at, format!("{what} is expected, not {found}"))
}

pub(super) fn too_long(at: &str, what: &str, limit: usize) -> Error {
    Error::invalid(at, "too_long", format!("{what} is longer than {limit} characters"))
}

/// `stage "qualifed" does not exist; did you mean "qualified"?`
pub(super) fn unknown<'a>(at: &str, noun: &str, given: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    unknown_in(at, noun, given, "", known)
}

/// `stage "qualifed" does not exist in pipeline "Sales"; did you mean "qualified"?`; `place` begins with a space.
pub(super) fn unknown_in<'a>(
    at: &str,
    noun: &str,
    given: &str,
    place: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Error {
    let known: Vec<&str> = known.into_iter().collect();
    let remedy = match nearest(given, &known) {
        Some(name) => format!("; did you mean {}?", quoted(name)),
        None if known.is_empty() => "; there is none yet".to_owned(),
        None => {
            let more = if known.len() > LISTED { ", …" } else { "" };
            let listed: Vec<_> = known.iter().take(LISTED).map(|name| cut(name)).collect();
            format!("; there are {}{more}", listed.join(", "))
        }
    };
    Error::invalid(at, "unknown", format!("{noun} {} does not exist{place}{remedy}", quoted(given)))
}

/// Refuses members that nobody reads.
pub(super) fn only(members: &Map<String, Value>, at: &str, known: &[&str]) -> Result<()> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(unknown(&child(at, name), "member", name, known.iter().copied())),
        None => Ok(()),
    }
}

/// The name that was probably meant: a typing error or two away, or its last word.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given: String = given.chars().take(SHOWN).collect::<String>().to_lowercase();
    let errors = (given.chars().count() / 3).clamp(1, 4);
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given, &cut(name).to_lowercase()), *name))
        .filter(|(distance, _)| *distance <= errors)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
        .or_else(|| known.iter().copied().find(|name| name.rsplit_once('.').is_some_and(|(_, last)| last == given)))
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

pub(super) fn quoted(text: &str) -> String {
    let shown = cut(text);
    if shown.len() < text.len() { format!("{shown:?}…") } else { format!("{shown:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered() {
        let stages = ["lead", "qualified", "proposal"];
        let error = unknown("/condition/stage", "stage", "qualifed", stages);
        assert_eq!(error.message(), r#"stage "qualifed" does not exist; did you mean "qualified"?"#);
        let error = unknown("/condition/stage", "stage", "zzz", stages);
        assert_eq!(error.message(), r#"stage "zzz" does not exist; there are lead, qualified, proposal"#);
        let error = unknown("/condition/tags", "fact", "tags", ["stage", "contact.tags"]);
        assert_eq!(error.message(), r#"fact "tags" does not exist; did you mean "contact.tags"?"#);
        let error = unknown("/x", "stage", "lead", []);
        assert_eq!(error.message(), r#"stage "lead" does not exist; there is none yet"#);
    }

    #[test]
    fn a_pointer_escapes_its_members() {
        assert_eq!(child("/condition", "a/b~c"), "/condition/a~1b~0c");
    }

    #[test]
    fn a_name_of_any_length_is_told_briefly() {
        let error = unknown("/x", "stage", &"ü".repeat(100_000), ["lead"]);
        assert!(error.message().len() < 400, "{}", error.message().len());
    }
}
