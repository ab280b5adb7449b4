//! That somebody was erased.

use chrono::{DateTime, Utc};

use sha2::{Digest, Sha256};

use crate::id::{ContactId, JobId, OrganizationId};

/// What stands where something personal stood that cannot be nothing: a name, a title.
pub const ERASED: &str = "erased";

/// A contact of whom everything personal is taken away for good. Rows, ids and counts stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Who was erased.
    pub contact_id: ContactId,
    /// The job that does it.
    pub job_id: JobId,
    /// When it was asked for: from then on the contact is gone.
    pub created_at: DateTime<Utc>,
    /// When nothing was left; `None` while there may be something.
    pub finished_at: Option<DateTime<Utc>>,
}

/// What a message's provider id becomes: of a mail it names the sender's server. The message is known by it all the
/// same, should the provider bring it again.
pub fn unlinked(provider_id: &str) -> String {
    const MARK: &str = "erased:";
    if provider_id.starts_with(MARK) {
        return provider_id.to_owned();
    }
    let digest = Sha256::digest(provider_id.as_bytes());
    digest.iter().fold(MARK.to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::unlinked;

    #[test]
    fn an_id_is_unlinked_once() {
        let id = unlinked("ada@globex.example#1");
        assert!(id.len() == 71 && !id.contains("ada") && unlinked(&id) == id, "{id}");
        assert_ne!(unlinked("ada@globex.example#2"), id);
    }
}
