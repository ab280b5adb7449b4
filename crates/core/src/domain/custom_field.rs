//! Custom fields: what an organisation adds to its contacts, companies and deals. A definition has a type; each value is
//! checked against it and has a key by which it is found and sorted, the same on every database.

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    domain::{
        text::{self, Checked, Flaw},
        word::words,
    },
    id::{FieldId, OrganizationId, UserId},
};

words! {
    /// What has custom fields, external ids and lists with filters.
    Noun {
        /// Contacts.
        Contact = "contact",
        /// Companies.
        Company = "company",
        /// Deals.
        Deal = "deal",
    }
}

words! {
    /// What a custom field holds.
    CustomKind {
        /// A text of at most 2,000 characters.
        Text = "text",
        /// A finite number.
        Number = "number",
        /// A day, `2026-11-22`.
        Date = "date",
        /// `true` or `false`.
        Boolean = "boolean",
        /// One of the options.
        Choice = "choice",
        /// Several of the options.
        MultiChoice = "multi_choice",
        /// A member of the organisation, by id.
        User = "user",
    }
}

/// The definition of a custom field.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CustomField {
    /// Its id.
    pub id: FieldId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// What has it.
    pub object: Noun,
    /// The name of the member of `custom`; never changes.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What it holds; never changes.
    #[serde(rename = "type")]
    pub kind: CustomKind,
    /// What may be chosen, in order; empty for other types.
    pub options: Vec<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// One value of a custom field: the index behind filters and sorts; the row of its owner carries the value itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CustomValue {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The field.
    pub field_id: FieldId,
    /// The value's key, see [`CustomField::keys`].
    pub value: String,
    /// Who has it: a contact, a company or a deal.
    pub record_id: uuid::Uuid,
}

/// The most definitions for one noun.
pub const MAX_FIELDS: usize = 100;
/// The most options of one field.
pub const MAX_OPTIONS: usize = 200;
/// The most characters of a text in a custom field.
pub const MAX_TEXT: usize = 2_000;
/// The most characters of a value's key. A row of an index holds 2,700 bytes on PostgreSQL
/// (`BTMaxItemSize`), and a character takes up to four.
const MAX_KEY: usize = 200;

/// The key of a field: a small letter, then small letters, digits and `_`, at most 63 characters.
///
/// # Errors
/// `required`, `too_long`, `invalid`.
pub fn key(text: &str) -> Checked<String> {
    let key = text::line(text, 63)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !key.starts_with(|c: char| c.is_ascii_lowercase()) || !key.chars().all(plain) {
        let detail = format!("{key:?} is no key: a small letter, then small letters, digits and _ are expected");
        return Err(Flaw::new("invalid", detail));
    }
    Ok(key)
}

/// The key by which a text is found and sorted: folded as names are, cut to 200 characters.
pub fn text_key(text: &str) -> String {
    text::name_key(text).chars().take(MAX_KEY).collect()
}

/// The key by which a number is found and sorted: the bits of the number (IEEE 754), turned so that the order of the
/// texts is the order of the numbers.
pub fn number_key(number: f64) -> String {
    // -0 and 0 are one number.
    let bits = (number + 0.0).to_bits();
    let turned = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    format!("{turned:016x}")
}

/// A day as it is kept: `2026-11-22`.
///
/// # Errors
/// `invalid`.
pub fn date(text: &str) -> Checked<String> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10);
    day.map(|day| day.to_string())
        .ok_or_else(|| Flaw::new("invalid", format!("{text:?} is no day: for example \"2026-11-22\" is expected")))
}

impl CustomField {
    /// A value in the form in which it is kept. Whether a user is a member is still to be looked up.
    ///
    /// # Errors
    /// `invalid`, `too_long`, `required`, `control_character`, `unknown` for what is no option.
    pub fn check(&self, value: &Value) -> Checked<Value> {
        let expected =
            |what: &str| Flaw::new("invalid", format!("{} is a {}: {what} is expected", self.key, self.kind));
        match self.kind {
            CustomKind::Text => {
                let given = value.as_str().ok_or_else(|| expected("a text"))?;
                text::line(&given.replace(['\n', '\r', '\t'], " "), MAX_TEXT)?;
                Ok(Value::from(given.trim()))
            }
            CustomKind::Number => {
                let number = value.as_f64().filter(|it| it.is_finite()).ok_or_else(|| expected("a number"))?;
                // Beyond 2^53 a number means another one (RFC 8259, 6).
                if number.abs() > 9_007_199_254_740_991.0 {
                    return Err(Flaw::new("out_of_range", format!("{value} is beyond ±(2^53 - 1)")));
                }
                Ok(value.clone())
            }
            CustomKind::Date => date(value.as_str().ok_or_else(|| expected("a day as a text"))?).map(Value::from),
            CustomKind::Boolean => value.as_bool().map(Value::from).ok_or_else(|| expected("true or false")),
            CustomKind::Choice => {
                let given = value.as_str().ok_or_else(|| expected("one of the options, as a text,"))?;
                self.option(given).map(Value::from)
            }
            CustomKind::MultiChoice => {
                let given = value.as_array().ok_or_else(|| expected("a list of options"))?;
                let chosen = given.iter().map(|one| {
                    let one = one.as_str().ok_or_else(|| expected("a list of texts"))?;
                    self.option(one)
                });
                let mut chosen = chosen.collect::<Checked<Vec<_>>>()?;
                // As the options stand, each once: two who choose alike have the same value.
                chosen.sort_by_key(|one| self.options.iter().position(|it| it == one));
                chosen.dedup();
                Ok(Value::from(chosen))
            }
            CustomKind::User => {
                let id = value.as_str().and_then(|it| it.parse::<UserId>().ok());
                id.map(|id| Value::from(id.to_string())).ok_or_else(|| expected("the id of a member"))
            }
        }
    }

    /// Whether a value is one of the options.
    pub fn has_option(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|given| self.options.iter().any(|it| it == given))
    }

    fn option(&self, given: &str) -> Checked<String> {
        let given = given.trim();
        if self.options.iter().any(|it| it == given) {
            return Ok(given.to_owned());
        }
        let detail = format!("{given:?} is no option of {}: choose one of {}", self.key, self.options.join(", "));
        Err(Flaw::new("unknown", detail))
    }

    /// The keys by which a kept value is found and sorted: one, or one for each chosen option.
    pub fn keys(&self, value: &Value) -> Vec<String> {
        match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(text_key).collect(),
            value => self.kind.key(value).into_iter().collect(),
        }
    }
}

impl CustomKind {
    /// The key of one value of this kind.
    pub fn key(self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::Number, Value::Number(number)) => number.as_f64().map(number_key),
            (Self::Boolean, Value::Bool(flag)) => Some(flag.to_string()),
            (Self::Date | Self::User, Value::String(text)) => Some(text.clone()),
            (Self::Text | Self::Choice | Self::MultiChoice, Value::String(text)) => Some(text_key(text)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: CustomKind) -> CustomField {
        let nil = uuid::Uuid::nil();
        CustomField {
            id: nil.into(),
            organization_id: nil.into(),
            object: Noun::Contact,
            key: "size".to_owned(),
            label: "Size".to_owned(),
            kind,
            options: vec!["small".to_owned(), "large".to_owned()],
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            version: 1,
        }
    }

    #[test]
    fn keys_of_numbers_sort_as_the_numbers_do() {
        let numbers = [-9e15, -2.5, -1.0, -1e-300, 0.0, 1e-300, 0.5, 1.0, 10.0, 9e15];
        let keys: Vec<_> = numbers.iter().map(|it| number_key(*it)).collect();
        let mut sorted = keys.clone();
        sorted.sort();
        assert_eq!(keys, sorted);
        assert_eq!(number_key(-0.0), number_key(0.0));
    }

    #[test]
    fn values_are_checked_by_their_type() {
        use serde_json::json;
        for (kind, good, kept) in [
            (CustomKind::Text, json!(" a \n b "), json!("a \n b")),
            (CustomKind::Number, json!(2.5), json!(2.5)),
            (CustomKind::Date, json!("2026-02-28"), json!("2026-02-28")),
            (CustomKind::Boolean, json!(false), json!(false)),
            (CustomKind::Choice, json!("small "), json!("small")),
            (CustomKind::MultiChoice, json!(["large", "small", "large"]), json!(["small", "large"])),
        ] {
            assert_eq!(field(kind).check(&good).unwrap(), kept);
        }
        for (kind, bad, code) in [
            (CustomKind::Text, json!(7), "invalid"),
            (CustomKind::Text, json!("a\u{0}"), "control_character"),
            (CustomKind::Text, json!("x".repeat(2_001)), "too_long"),
            (CustomKind::Number, json!("7"), "invalid"),
            (CustomKind::Number, json!(1e300), "out_of_range"),
            (CustomKind::Date, json!("2026-02-30"), "invalid"),
            (CustomKind::Date, json!("2026-2-3"), "invalid"),
            (CustomKind::Boolean, json!(0), "invalid"),
            (CustomKind::Choice, json!("huge"), "unknown"),
            (CustomKind::MultiChoice, json!("small"), "invalid"),
            (CustomKind::User, json!("una"), "invalid"),
        ] {
            assert_eq!(field(kind).check(&bad).unwrap_err().code, code, "{kind} {bad}");
        }
    }

    #[test]
    fn keys_of_fields_are_plain_words() {
        assert_eq!(key(" shoe_size2 ").unwrap(), "shoe_size2");
        for text in ["Size", "2nd", "_x", "a-b", "größe", "a.b", "a'b"] {
            assert_eq!(key(text).unwrap_err().code, "invalid", "{text}");
        }
    }
}
