//! Batches: several things made by one call, each by itself. An item that fails adds nothing to the unit, so it spoils
//! none of the others.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::word::words,
    error::{Error, FieldError, Result},
};

/// The most items of a batch.
pub const MAX_ITEMS: usize = 500;

words! {
    /// What became of an item.
    ItemStatus {
        /// It was made.
        Created = "created",
        /// It was refused: see its error.
        Failed = "failed",
    }
}

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

/// Reads one item as the input of a single call.
///
/// # Errors
/// `validation_failed` with pointers below the item.
pub(crate) fn read_item<T: DeserializeOwned>(item: Map<String, Value>) -> Result<T> {
    crate::input::read_input(Value::Object(item))
}
