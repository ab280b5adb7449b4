//! What rules do to contacts: the fields that they set, in the form in which a contact is patched with them.

use dealwright::{
    Result,
    domain::{
        contact::MAX_ADDRESSES,
        custom_field::Noun,
        text::{self, Checked, Flaws},
    },
};
use serde_json::{Map, Value, json};

use super::{
    actions::name,
    complaint::{child, expected, invalid, only, required, unknown},
    names::Names,
};

/// The fields of a contact that a rule may set.
pub(super) const FIELDS: &[&str] = &["name", "source", "score", "emails", "phones", "handles", "company_id", "team_id"];
const HANDLES: &[&str] = &["telegram", "linkedin", "twitter"];

/// The value of a field.
pub(super) fn field(names: Names<'_>, field: &str, value: &Value, at: &str) -> Result<Value> {
    match field {
        "name" => name(value, at, "the name").map(Value::from),
        "source" | "emails" | "phones" | "handles" | "company_id" | "team_id" if value.is_null() => Ok(Value::Null),
        "source" => name(value, at, "the source").map(Value::from),
        "score" => value.as_i64().map(Value::from).ok_or_else(|| expected(at, "a whole number", value)),
        "emails" => addresses(value, at, text::email),
        "phones" => addresses(value, at, text::phone),
        "handles" => handles(value, at),
        "company_id" => names.record(Noun::Company, value, at),
        "team_id" => names.team_of(value, at),
        "assigned_to" => Err(invalid(at, "write {\"assigned_to\": …} as the action assign_to")),
        "tags" => Err(invalid(at, "tags are changed by the actions add_tag and remove_tag")),
        "stage" | "stage_id" => Err(invalid(at, "the stage is changed by the action move_to_stage")),
        "custom" => Err(invalid(at, "name the custom field: {\"contact.custom.size\": …}")),
        field => Err(unknown(at, "field", field, FIELDS.iter().copied())),
    }
}

/// The whole list, as an edit has it.
fn addresses(value: &Value, at: &str, check: fn(&str) -> Checked<String>) -> Result<Value> {
    let read = serde_json::from_value::<Vec<String>>(value.clone());
    let mut list = read.map_err(|_| expected(at, "a list of texts", value))?;
    let mut flaws = Flaws::default();
    flaws.each(at, MAX_ADDRESSES, &mut list, check);
    flaws.end()?;
    Ok(json!(list))
}

/// Each handle by itself; `null` clears one.
fn handles(value: &Value, at: &str) -> Result<Value> {
    let Value::Object(members) = value else {
        return Err(expected(at, "an object such as {\"telegram\": \"ada\"}", value));
    };
    only(members, at, HANDLES)?;
    if members.is_empty() {
        return Err(required(at, format!("name at least one handle: {}", HANDLES.join(", "))));
    }
    let (mut handles, mut flaws) = (Map::new(), Flaws::default());
    for (name, value) in members {
        let at = child(at, name);
        let handle = match value {
            Value::Null => Value::Null,
            Value::String(given) => json!(flaws.take(at, text::handle(given))),
            other => return Err(expected(&at, "a handle", other)),
        };
        handles.insert(name.clone(), handle);
    }
    flaws.end()?;
    Ok(Value::Object(handles))
}
