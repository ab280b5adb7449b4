//! What a door remembers of a call that carried an idempotency key.

use chrono::{DateTime, Utc};

use crate::id::OrganizationId;

/// A call that was answered, written in the same batch as its effect. Kept for 24 hours.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyRecord {
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Who called.
    pub actor: String,
    /// Which operation.
    pub operation: String,
    /// The client's key.
    pub key: String,
    /// What tells the input from another one.
    pub body_hash: Vec<u8>,
    /// The answer, as JSON.
    pub answer: serde_json::Value,
    /// When.
    pub created_at: DateTime<Utc>,
}
