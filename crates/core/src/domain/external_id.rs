//! What other systems call our contacts, companies and deals: one id a system, unique in the organisation.

use std::collections::BTreeMap;

use crate::{
    domain::{
        custom_field::Noun,
        text::{self, Checked, Flaw, Flaws},
    },
    id::OrganizationId,
};

/// Ids in other systems: `{system: id}`.
pub type ExternalIds = BTreeMap<String, String>;

/// One external id: what it is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExternalId {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What has it.
    pub object: Noun,
    /// The other system.
    pub system: String,
    /// The id there.
    pub external_id: String,
    /// Who has it: a contact, a company or a deal.
    pub record_id: uuid::Uuid,
}

/// The most external ids of one object.
pub const MAX_EXTERNAL_IDS: usize = 20;

/// The name of another system: letters, digits, `.`, `-` and `_`, lower-cased, at most 50.
///
/// # Errors
/// `required`, `too_long`, `invalid`.
pub fn system(text: &str) -> Checked<String> {
    let system = text::line(text, 50)?.to_lowercase();
    if system.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)) {
        return Ok(system);
    }
    Err(Flaw::new("invalid", format!("{text:?} names no system: letters, digits, dots, - and _ are expected")))
}

/// An id in another system: one line of at most 200 characters.
///
/// # Errors
/// `required`, `too_long`, `control_character`.
pub fn external_id(text: &str) -> Checked<String> {
    text::line(text, text::MAX_NAME)
}

/// Checks all external ids of an object.
pub fn tidy(flaws: &mut Flaws, ids: &mut ExternalIds) {
    if ids.len() > MAX_EXTERNAL_IDS {
        let detail = format!("{} ids are given: at most {MAX_EXTERNAL_IDS} are kept", ids.len());
        flaws.add("/external_ids", "too_many", detail);
        return;
    }
    let mut kept = ExternalIds::new();
    for (name, id) in std::mem::take(ids) {
        let pointer = text::pointer("/external_ids", &name);
        let system = flaws.take(pointer.clone(), system(&name));
        let id = flaws.take(pointer.clone(), external_id(&id));
        if let (Some(system), Some(id)) = (system, id)
            && kept.insert(system, id).is_some()
        {
            flaws.add(pointer, "repeated", "the system stands twice: letter case does not tell systems apart");
        }
    }
    *ids = kept;
}
