//! API keys: what lets a machine in.

use chrono::{DateTime, Utc};

use crate::{
    id::{ApiKeyId, OrganizationId, UserId},
    scope::Permissions,
};

/// An API key. Whoever shows its secret may do what its scopes say.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Where it counts.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What its secret begins with, for people to tell keys apart by.
    pub prefix: String,
    /// SHA-256 of its secret.
    pub secret_hash: Vec<u8>,
    /// The most that it may do.
    pub scopes: Permissions,
    /// The member that it acts for, and never does more than they may; `None`: for the organisation itself.
    pub acts_for: Option<UserId>,
    /// Who made it; `None`: the process that embeds the engine.
    pub created_by: Option<UserId>,
    /// Until when it counts; `None`: until it is revoked.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}
