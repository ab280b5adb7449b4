//! Reading an input from JSON: what is missing, unknown or of the wrong type is named by its pointer.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads an input from JSON.
///
/// # Errors
/// `validation_failed` with a pointer to the member that is missing, unknown or of the wrong type.
pub fn read_input<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = String::new();
        for segment in error.path() {
            match segment {
                serde_path_to_error::Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
                serde_path_to_error::Segment::Map { key } => {
                    pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")))
                }
                _ => {}
            }
        }
        let text = error.inner().to_string();
        // serde names the member of these two in the text alone.
        let named = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.split('`').next()).map(str::to_owned);
        let (code, member) = if let Some(member) = named("missing field `") {
            ("required", Some(member))
        } else if let Some(member) = named("unknown field `") {
            ("unknown", Some(member))
        } else {
            ("invalid", None)
        };
        if let Some(member) = member
            && !pointer.ends_with(&format!("/{member}"))
        {
            pointer.push_str(&format!("/{member}"));
        }
        Error::invalid(pointer, code, text)
    })
}
