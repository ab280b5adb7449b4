//! What rules do to deals: the fields that they set, and money.

use chrono::NaiveDate;
use dealwright::{
    Result,
    domain::{
        custom_field::Noun,
        money::{Money, NewMoney},
        text::Flaws,
    },
};
use serde_json::{Value, json};

use super::{
    actions::name,
    complaint::{expected, invalid, unknown},
    names::Names,
};

/// The fields of a deal that a rule may set.
pub(super) const FIELDS: &[&str] = &[
    "name",
    "value",
    "probability",
    "expected_close_on",
    "lost_reason",
    "assigned_to",
    "team_id",
    "contact_id",
    "company_id",
];

/// An amount of money, of the form that it has in REST. Without a currency it is in the one that the organisation has when
/// the rule is saved.
pub(super) fn money(names: Names<'_>, value: &Value, at: &str) -> Result<Money> {
    let read = serde_json::from_value::<NewMoney>(value.clone());
    let own = || Some(names.currency().to_string());
    let read = read.map(|money| NewMoney { currency: money.currency.or_else(own), ..money });
    let form = || expected(at, "money such as {\"amount\": \"1250.00\", \"currency\": \"EUR\"}", value);
    let mut flaws = Flaws::default();
    let money = read.map_err(|_| form())?.checked(&mut flaws, at);
    flaws.end()?;
    money.ok_or_else(form)
}

/// The value of a field, in the form in which a deal is patched with it.
pub(super) fn field(names: Names<'_>, field: &str, value: &Value, at: &str) -> Result<Value> {
    match field {
        "name" => name(value, at, "the name").map(Value::from),
        field if FIELDS.contains(&field) && value.is_null() => Ok(Value::Null),
        "value" => money(names, value, at).map(|money| json!(money)),
        "probability" => match value.as_f64() {
            Some(probability) if (0.0..=1.0).contains(&probability) => Ok(json!(probability)),
            _ => Err(expected(at, "a probability from 0 to 1", value)),
        },
        "expected_close_on" => match value.as_str().and_then(|text| text.parse::<NaiveDate>().ok()) {
            Some(date) => Ok(json!(date)),
            None => Err(expected(at, "a date such as \"2026-11-22\"", value)),
        },
        "lost_reason" => name(value, at, "the reason").map(Value::from),
        "assigned_to" => match value.as_str() {
            Some(user) => names.user(user, at).map(|user| json!(user)),
            None => Err(expected(at, "the e-mail address, name or id of a user", value)),
        },
        "stage" | "stage_id" | "pipeline" | "pipeline_id" => {
            Err(invalid(at, "the stage is changed by the action move_to_stage"))
        }
        "status" => Err(invalid(at, "the status follows the stage: use the action move_to_stage")),
        "contact_id" => names.record(Noun::Contact, value, at),
        "company_id" => names.record(Noun::Company, value, at),
        "team_id" => names.team_of(value, at),
        "custom" => Err(invalid(at, "name the custom field: {\"deal.custom.size\": …}")),
        field => Err(unknown(at, "field", field, FIELDS.iter().copied())),
    }
}
