//! Which fields of contacts, companies and deals a caller does not see, or not change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is closed of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FieldAccess {
    /// It is not shown: answers have it empty, lists cannot be filtered or sorted by it, and it cannot be changed.
    Hidden,
    /// It is shown and cannot be changed.
    ReadOnly,
}

/// What is closed of which fields, by noun (`contact`, `company`, `deal`) and name: `{"deal": {"value": "hidden",
/// "custom.margin": "read_only"}}`. `custom` stands for all custom fields. What is not named is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct FieldRules(pub BTreeMap<String, BTreeMap<String, FieldAccess>>);

impl FieldRules {
    /// Whether everything is open.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(BTreeMap::is_empty)
    }

    /// The fields of a noun of which something is closed.
    pub fn of(&self, noun: &str) -> impl Iterator<Item = (&str, FieldAccess)> {
        self.0.get(noun).into_iter().flatten().map(|(field, access)| (field.as_str(), *access))
    }

    /// Whether a field is not shown. A custom field is called `custom.<key>`.
    pub fn hides(&self, noun: &str, field: &str) -> bool {
        let hidden = |name: &str| self.of(noun).any(|(it, access)| it == name && access == FieldAccess::Hidden);
        hidden(field) || field.starts_with("custom.") && hidden("custom")
    }
}
