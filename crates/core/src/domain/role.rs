//! Roles that an organisation makes itself, beside the built-in ones.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{OrganizationId, RoleId},
    scope::{Permissions, Role, RoleKey},
};

/// A role of an organisation's own.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnRole {
    /// Its id.
    pub id: RoleId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// The name by which no two are the same.
    pub name_key: String,
    /// What its members may do.
    pub permissions: Permissions,
    /// How often it was given to somebody: who removes it without having seen the last time begins anew.
    pub given: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When people last edited it.
    pub updated_at: DateTime<Utc>,
    /// Counts edits, from 1.
    pub version: i64,
}

/// A role as a caller names it: a built-in one by its word, one of the organisation's own by its id or its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct GivenRole(pub String);

impl From<Role> for GivenRole {
    fn from(role: Role) -> Self {
        Self(role.as_str().to_owned())
    }
}

impl From<RoleKey> for GivenRole {
    fn from(role: RoleKey) -> Self {
        Self(role.to_string())
    }
}
