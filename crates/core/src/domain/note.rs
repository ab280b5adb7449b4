//! Notes that people write on contacts and deals.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    domain::text::{Checked, Flaw},
    id::{ContactId, DealId, NoteId, OrganizationId, UserId},
};

/// A note, on a contact or on a deal.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Whose it is.
    #[serde(skip)]
    pub organization_id: OrganizationId,
    /// The contact it is on.
    pub contact_id: Option<ContactId>,
    /// The deal it is on.
    pub deal_id: Option<DealId>,
    /// What it says.
    pub text: String,
    /// Who wrote it; `null`: a rule did.
    pub created_by: Option<UserId>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was last edited.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// The most characters of a note.
pub const MAX_NOTE: usize = 20_000;

/// The text of a note: trimmed, 1…20,000 characters, several lines.
///
/// # Errors
/// `required`, `too_long`, `control_character`.
pub fn text(given: &str) -> Checked<String> {
    let text = given.trim();
    if text.is_empty() {
        return Err(Flaw::new("required", "it is empty: 1 or more characters are expected"));
    }
    let count = text.chars().count();
    if count > MAX_NOTE {
        return Err(Flaw::new("too_long", format!("it has {count} characters: at most {MAX_NOTE} are kept")));
    }
    let odd = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if let Some(found) = text.chars().find(odd) {
        return Err(Flaw::new("control_character", format!("it holds the control character {found:?}: leave it out")));
    }
    Ok(text.to_owned())
}
