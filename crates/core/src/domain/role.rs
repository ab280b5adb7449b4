//! Roles that an organisation makes itself, beside the built-in ones.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    domain::word::words,
    id::{OrganizationId, RoleId, TeamId, UserId},
    scope::{FieldRules, Permissions, Role, RoleKey, Sight},
};

words! {
    /// Which contacts and deals the members of a role see, and with them their notes, tasks, conversations and history.
    /// What nobody looks after, neither a member nor a team, is seen by all: else nobody could take it on.
    RecordVisibility {
        /// Those that are assigned to them.
        Own = "own",
        /// Those that are assigned to them or to one of their teams.
        Team = "team",
        /// All.
        Organization = "organization",
    }
}

impl Default for RecordVisibility {
    /// All.
    fn default() -> Self {
        Self::Organization
    }
}

/// What a role gives its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What they may do.
    pub permissions: Permissions,
    /// Which contacts and deals they see.
    pub record_visibility: RecordVisibility,
    /// What is closed to them of which fields.
    pub fields: FieldRules,
}

impl Grant {
    /// What members of this role are given, where the organisation gives so much by its own one: one that is gone gives
    /// nothing.
    pub fn of(role: RoleKey, own: Option<Self>) -> Self {
        match role {
            RoleKey::BuiltIn(role) => {
                let (permissions, fields) = (role.permissions(), FieldRules::default());
                Self { permissions, record_visibility: RecordVisibility::Organization, fields }
            }
            RoleKey::Own(_) => own.unwrap_or_else(|| {
                let (permissions, fields) = (Permissions::NONE, FieldRules::default());
                Self { permissions, record_visibility: RecordVisibility::Own, fields }
            }),
        }
    }

    /// What the member sees who belongs to these teams.
    pub fn sight(&self, user: UserId, teams: impl Iterator<Item = TeamId>) -> Sight {
        match self.record_visibility {
            RecordVisibility::Organization => Sight::Organization,
            RecordVisibility::Team => Sight::Limited { user, teams: teams.collect() },
            RecordVisibility::Own => Sight::Limited { user, teams: [].into() },
        }
    }
}

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
    /// Which contacts and deals they see.
    pub record_visibility: RecordVisibility,
    /// What is closed to them of which fields.
    pub fields: FieldRules,
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
