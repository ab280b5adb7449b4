//! Lists: keyset pages with opaque cursors. A cursor is bound to the sort and filter it was made for; one that is not
//! ours, or that is used with another list, is `invalid_cursor`.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::{Error, Result};

/// The default of [`PageRequest::limit`].
pub const DEFAULT_LIMIT: u32 = 50;
/// The most items a page may have.
pub const MAX_LIMIT: u32 = 200;

/// Which page is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageRequest {
    /// Items a page, 1…200; 50 if left out.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before; the first page if left out.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The checked number of items.
    ///
    /// # Errors
    /// `malformed` naming `limit` if it is out of bounds.
    pub fn checked_limit(&self) -> Result<u32> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            limit => Err(Error::malformed(format!("limit is {limit}: 1 to {MAX_LIMIT} is expected"))
                .code_of("invalid_parameter")
                .field("/limit", "out_of_range", format!("1 to {MAX_LIMIT} is expected"))),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// Where the next page begins; `null` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// The same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { data: self.data.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}

/// A value that a list is sorted by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortValue {
    /// A number, or a time in microseconds.
    Int(i64),
    /// A text.
    Text(String),
}

/// The place of one row in a sorted list: its sort value and, to break ties, its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// The sort value.
    pub value: SortValue,
    /// The id.
    pub id: Uuid,
}

/// What a cursor is bound to: a digest of the list's name, sort and filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListKey([u8; 8]);

impl ListKey {
    /// The key of a list; `parts` are its name, sort and filter in a stable form.
    pub fn of(parts: &impl Serialize) -> Self {
        // Serialising these plain structures cannot fail; an empty text would only make two lists share their cursors.
        let text = serde_json::to_vec(parts).unwrap_or_default();
        let digest = Sha256::digest(&text);
        let mut key = [0; 8];
        for (to, from) in key.iter_mut().zip(digest) {
            *to = from;
        }
        Self(key)
    }
}

/// The cursor is none of this list's.
pub(crate) fn invalid_cursor() -> Error {
    Error::malformed("the cursor is not one of this list with this sort and filter: begin again without it")
        .code_of("invalid_cursor")
}

impl Position {
    /// The opaque text of this position in the list of `key`.
    pub fn encode(&self, key: ListKey) -> String {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(self.id.as_bytes());
        match &self.value {
            SortValue::Int(value) => {
                bytes.push(b'i');
                bytes.extend_from_slice(&value.to_be_bytes());
            }
            SortValue::Text(value) => {
                bytes.push(b't');
                bytes.extend_from_slice(value.as_bytes());
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`Position::encode`] wrote for the same list.
    ///
    /// # Errors
    /// `invalid_cursor`.
    pub fn decode(text: &str, key: ListKey) -> Result<Self> {
        let invalid = invalid_cursor;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
        let (list, rest) = bytes.split_at_checked(8).ok_or_else(invalid)?;
        if list != key.0 {
            return Err(invalid());
        }
        let (id, rest) = rest.split_at_checked(16).ok_or_else(invalid)?;
        let id = Uuid::from_slice(id).map_err(|_| invalid())?;
        let value = match rest.split_first() {
            Some((b'i', value)) => SortValue::Int(i64::from_be_bytes(value.try_into().map_err(|_| invalid())?)),
            Some((b't', value)) => SortValue::Text(String::from_utf8(value.to_vec()).map_err(|_| invalid())?),
            _ => return Err(invalid()),
        };
        Ok(Self { value, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_bound_to_its_list() {
        let (here, there) = (ListKey::of(&("contacts", "name")), ListKey::of(&("contacts", "-name")));
        for value in [SortValue::Int(-3), SortValue::Text("Ä".to_owned())] {
            let position = Position { value, id: Uuid::max() };
            let text = position.encode(here);
            assert_eq!(Position::decode(&text, here).unwrap(), position);
            assert_eq!(Position::decode(&text, there).unwrap_err().code(), "invalid_cursor");
        }
        for text in ["", "x", "////", "AAAA"] {
            assert_eq!(Position::decode(text, here).unwrap_err().code(), "invalid_cursor", "{text}");
        }
    }
}
