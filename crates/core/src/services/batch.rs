//! Batches: several things made by one call, each by itself. An item that fails adds nothing to the unit, so it spoils
//! none of the others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    domain::word::words,
    error::{Error, FieldError, Result},
    input::{has_control, read_input, refuse_control},
};

/// The most items of a batch.
pub const MAX_ITEMS: usize = 500;
/// The most characters of the caller's own name for an item.
const MAX_REFERENCE: usize = 200;

words! {
    /// What became of an item.
    ItemStatus {
        /// It was made.
        Created = "created",
        /// It was refused: see its error.
        Failed = "failed",
    }
}

/// One item: an object with the members of a single call's input and, if wanted, `ref`, the caller's own name for it, of
/// at most 200 characters, which is told back with its outcome. Whatever else it is, it fails alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BatchItem(pub Value);

/// Why an item was refused, in the words of the errors of single calls.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ItemError {
    /// Stable and machine-readable.
    pub code: String,
    /// What is wrong and what to do.
    pub detail: String,
    /// What is wrong with which member, below the item.
    pub errors: Vec<FieldError>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ItemOutcome {
    /// The caller's own name for it.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
    /// What became of it.
    pub status: ItemStatus,
    /// What was made.
    pub id: Option<Uuid>,
    /// Why it was refused.
    pub error: Option<ItemError>,
}

/// What became of a batch: one outcome an item, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BatchOutcome {
    /// The outcomes.
    pub items: Vec<ItemOutcome>,
}

/// Gathers outcomes.
pub(crate) struct Outcomes(Vec<ItemOutcome>);

impl Outcomes {
    /// # Errors
    /// `validation_failed` for a batch of no item, or of too many.
    pub(crate) fn new(items: usize) -> Result<Self> {
        match items {
            1..=MAX_ITEMS => Ok(Self(Vec::with_capacity(items))),
            0 => Err(Error::invalid("/items", "required", "name at least one item")),
            more => {
                let detail = format!("{more} items are given: at most {MAX_ITEMS} are taken at once");
                Err(Error::invalid("/items", "too_many", detail))
            }
        }
    }

    /// # Errors
    /// What is no fault of the item: the whole batch is tried again or fails.
    pub(crate) fn add(&mut self, reference: Option<String>, made: Result<Uuid>) -> Result<()> {
        use crate::error::ErrorKind;
        let outcome = match made {
            Ok(id) => ItemOutcome { reference, status: ItemStatus::Created, id: Some(id), error: None },
            Err(error)
                if error.is_write_conflict()
                    || matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal) =>
            {
                return Err(error);
            }
            Err(error) => {
                let error = ItemError {
                    code: error.code().to_owned(),
                    detail: error.message().to_owned(),
                    errors: error.fields().to_vec(),
                };
                ItemOutcome { reference, status: ItemStatus::Failed, id: None, error: Some(error) }
            }
        };
        self.0.push(outcome);
        Ok(())
    }

    pub(crate) fn end(self) -> BatchOutcome {
        BatchOutcome { items: self.0 }
    }
}

/// Reads items as the inputs of single calls, each with its reference.
pub(crate) fn read<T: DeserializeOwned>(items: Vec<BatchItem>) -> Vec<(Option<String>, Result<T>)> {
    let each = |BatchItem(mut item)| match reference(&mut item) {
        Ok(reference) => (reference, refuse_control(&item, None).and_then(|()| read_input(item))),
        Err(error) => (None, Err(error)),
    };
    items.into_iter().map(each).collect()
}

/// Takes the reference out of an item.
fn reference(item: &mut Value) -> Result<Option<String>> {
    let Value::Object(members) = item else {
        return Err(Error::invalid("", "invalid", "an item is an object such as {\"name\": \"Ada\"}"));
    };
    match members.remove("ref") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !has_control(&text) && text.chars().count() <= MAX_REFERENCE => Ok(Some(text)),
        Some(_) => {
            let detail = format!("a text of at most {MAX_REFERENCE} characters is expected, or nothing");
            Err(Error::invalid("/ref", "invalid", detail))
        }
    }
}
