//! A statement with its values. Placeholders are numbered in the order in which they are bound, which both databases
//! read alike (`$1` is a positional parameter to PostgreSQL, a named one in order of appearance to SQLite).

use crate::ports::store::{Column, Value};

/// SQL text and the values of its placeholders.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Statement {
    /// A statement that begins with `text`.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Appends SQL text. Never a value from outside: those are bound.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`.
    pub(crate) fn bind(&mut self, value: &impl Column) -> &mut Self {
        self.bind_value(value.to_value())
    }

    /// Appends a placeholder for a ready value.
    pub(crate) fn bind_value(&mut self, value: Value) -> &mut Self {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends a limit, written out: to a planner that does not know it a limit is a tenth of the rows, so that no plan for
    /// all values looks good enough to be kept, and each run is planned anew.
    pub(crate) fn limit(&mut self, limit: impl Into<i64>) -> &mut Self {
        self.push(" LIMIT ").push(&limit.into().to_string())
    }

    /// Appends the last placeholder once more.
    pub(crate) fn rebind(&mut self) -> &mut Self {
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends placeholders for an `IN (…)`: `NULL` for no values, so that it stays SQL; up to a power of two the last one
    /// comes again, so that lists of many lengths are few statements to prepare.
    pub(crate) fn bind_all<'a, T: Column + 'a>(&mut self, values: impl IntoIterator<Item = &'a T>) -> &mut Self {
        let values: Vec<&T> = values.into_iter().collect();
        let Some(last) = values.last().copied() else { return self.push("NULL") };
        let padding = values.len().next_power_of_two() - values.len();
        for (place, value) in values.into_iter().chain(std::iter::repeat_n(last, padding)).enumerate() {
            if place > 0 {
                self.push(", ");
            }
            self.bind(value);
        }
        self
    }
}
