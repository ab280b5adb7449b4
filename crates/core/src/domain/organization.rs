//! The tenant, its members, and the people who sign in.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{OrganizationId, SessionId, UserId},
    scope::Role,
};

/// An organisation: the tenant that everything belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// IANA time zone; a fact of rules.
    pub time_zone: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When people last edited it.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// A person who signs in. One person may be a member of several organisations.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Trimmed, lower-cased.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
}

/// A user's password, as argon2id's PHC string.
#[derive(Clone, PartialEq)]
pub struct Credential {
    /// Whose it is.
    pub user_id: UserId,
    /// `$argon2id$v=19$…`
    pub password_hash: String,
    /// When it was set.
    pub updated_at: DateTime<Utc>,
}

/// A user's place in an organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// Where.
    pub organization_id: OrganizationId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A member as lists show them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Who.
    pub user_id: UserId,
    /// Their e-mail address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

/// A sign-in session: a family of refresh tokens, of which only the newest counts.
#[derive(Debug, Clone, PartialEq)]
pub struct SignInSession {
    /// Its id: the family.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// For which organisation.
    pub organization_id: OrganizationId,
    /// SHA-256 of the newest refresh token.
    pub refresh_hash: Vec<u8>,
    /// SHA-256 of the one before, to recognise its reuse.
    pub previous_hash: Option<Vec<u8>>,
    /// When the refresh token was last rotated.
    pub refreshed_at: DateTime<Utc>,
    /// When the whole family ends.
    pub expires_at: DateTime<Utc>,
    /// When it was ended before its time.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
}
