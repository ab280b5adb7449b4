//! Texts with variables: `Hello {{contact.name|there}}`. A variable is a fact's path; what stands after `|` is said where
//! there is no such fact. A value is put in as it is and never read as a template again.

use std::borrow::Cow;

use crate::domain::{
    fact_path::{FactKind, FactPath, FactPathError, FactValue},
    rule::Facts,
};

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// A `{{` without its `}}`.
    Unclosed,
    /// A variable that is not a fact.
    Unknown(String),
}

enum Piece<'a> {
    Text(&'a str),
    Variable { path: &'a str, default: Option<&'a str> },
    Unclosed(&'a str),
}

/// The facts that a text uses, in order.
///
/// # Errors
/// What keeps the text from being a template.
pub fn variables(text: &str) -> Result<Vec<FactPath>, TemplateError> {
    let mut found = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Text(_) => {}
            Piece::Unclosed(_) => return Err(TemplateError::Unclosed),
            Piece::Variable { path, .. } => found.push(FactPath::parse(path).map_err(|error| match error {
                FactPathError::Unknown => TemplateError::Unknown(path.to_owned()),
            })?),
        }
    }
    Ok(found)
}

/// The text with its variables replaced. A fact that there is none of gives its default, or nothing. [`variables`] says
/// beforehand whether a text is sound; here an unknown variable gives its default too, and an unclosed one stands as it is.
pub fn render(text: &str, facts: &Facts) -> String {
    let mut rendered = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) | Piece::Unclosed(text) => rendered.push_str(text),
            Piece::Variable { path, default } => {
                rendered.push_str(&value(path, facts).unwrap_or(Cow::Borrowed(default.unwrap_or_default())));
            }
        }
    }
    rendered
}

fn value<'a>(path: &str, facts: &'a Facts) -> Option<Cow<'a, str>> {
    let path = FactPath::parse(path).ok()?;
    let value = facts.get(&path).filter(|value| !value.is_empty())?;
    Some(match value {
        FactValue::Number(hours) if path.kind() == FactKind::Hours => {
            // To a tenth: nobody wants to read `25.500277777777776`.
            Cow::Owned(((hours * 10.0).round() / 10.0).to_string())
        }
        value => value.to_text(),
    })
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((before, from_open)) = rest.split_once("{{") else {
            return Some(Piece::Text(std::mem::take(&mut rest)));
        };
        if !before.is_empty() {
            rest = rest.get(before.len()..).unwrap_or_default();
            return Some(Piece::Text(before));
        }
        let Some((inside, after)) = from_open.split_once("}}") else {
            return Some(Piece::Unclosed(std::mem::take(&mut rest)));
        };
        rest = after;
        Some(match inside.split_once('|') {
            Some((path, default)) => Piece::Variable { path: path.trim(), default: Some(default.trim()) },
            None => Piece::Variable { path: inside.trim(), default: None },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn facts(contact: Value) -> Facts {
        serde_json::from_value(json!({
            "stage": {
                "id": "00000000-0000-7000-8000-000000000001", "name": "lead",
                "pipeline_id": "00000000-0000-7000-8000-000000000002", "pipeline": "Sales",
            },
            "elapsed_hours": 25.500_277_777, "has_response": true, "is_first_response": false,
            "hours_since_last_message": null, "hours_since_last_response": 3.0,
            "message": { "text": "{{contact.name}}", "sender": { "name": "Ada" } },
            "contact": contact, "account": {}, "event": {},
            "now": { "at": "2026-11-22T10:00:00Z", "hour": 11, "weekday": "sun" },
        }))
        .unwrap()
    }

    #[test]
    fn variables_are_replaced_by_the_facts() {
        let facts = facts(json!({ "name": "Ada", "tags": ["vip", "eu"], "score": 7 }));
        let text = "{{ contact.name }} is in {{stage}} of {{pipeline}} ({{contact.tags}}, {{contact.score}}, {{elapsed_hours}} h, {{has_response}})";
        assert_eq!(render(text, &facts), "Ada is in lead of Sales (vip, eu, 7, 25.5 h, true)");
        assert_eq!(render("{{message.sender}} at {{now.hour}}, {{now.at}}", &facts), "Ada at 11, 2026-11-22T10:00:00Z");
    }

    #[test]
    fn what_is_not_there_gives_its_default_or_nothing() {
        let facts = facts(json!({ "name": "", "source": null, "emails": [] }));
        assert_eq!(render("Hello {{contact.name|there}}!", &facts), "Hello there!");
        assert_eq!(
            render("[{{contact.source}}][{{contact.emails| no mail }}][{{account.handle}}]", &facts),
            "[][no mail][]"
        );
        assert_eq!(render("{{hours_since_last_message|never}}", &facts), "never");
    }

    /// ASVS 1.3.7.
    #[test]
    fn a_value_is_never_read_as_a_template() {
        assert_eq!(render("{{message.text}}", &facts(json!({ "name": "Ada" }))), "{{contact.name}}");
    }

    /// ASVS 1.3.5.
    #[test]
    fn a_faulty_template_is_told() {
        assert_eq!(variables("{{contact.name}} {{ stage |x}}").unwrap().len(), 2);
        assert_eq!(variables("plain } text {").unwrap(), []);
        assert_eq!(variables("{{contact.name"), Err(TemplateError::Unclosed));
        assert_eq!(variables("{{contact.nmae}}"), Err(TemplateError::Unknown("contact.nmae".into())));
        assert_eq!(variables("{{}}"), Err(TemplateError::Unknown(String::new())));
        assert_eq!(variables("{{deal.custom}}"), Err(TemplateError::Unknown("deal.custom".into())));
    }

    #[test]
    fn custom_fields_are_said_as_they_are() {
        let facts = facts(json!({ "custom": { "size": 4.5, "colours": ["red", "blue"], "vip": true } }));
        let text =
            "{{contact.custom.size}} {{contact.custom.colours}} {{contact.custom.vip}} {{contact.custom.x|none}}";
        assert_eq!(variables(text).unwrap().len(), 4);
        assert_eq!(render(text, &facts), "4.5 red, blue true none");
    }
}
