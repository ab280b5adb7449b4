//! Roles: what members may do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Permission, Permissions, Resource};
use crate::{
    error::{Error, Result},
    id::RoleId,
};

/// A member's role. Its own permissions: [`Role::permissions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Role {
    /// Looks.
    Viewer,
    /// Works with contacts and messages.
    Member,
    /// And shapes pipelines and rules.
    Manager,
    /// And accounts, members, settings.
    Admin,
    /// And owns the organisation.
    Owner,
}

impl Role {
    /// Every role, weakest first.
    pub const ALL: &'static [Self] = &[Self::Viewer, Self::Member, Self::Manager, Self::Admin, Self::Owner];

    /// The word in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Manager => "manager",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// What members of this role may do.
    #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses an index out of bounds")]
    pub const fn permissions(self) -> Permissions {
        const VIEWER: Permissions = {
            let mut set = Permissions::NONE;
            let mut i = 0;
            while i < Resource::ALL.len() {
                // Who did what, and from where, is for admins, and so is all that is held about a person.
                if !matches!(Resource::ALL[i], Resource::Audit | Resource::Privacy) {
                    set = set.with(Permission::read(Resource::ALL[i]));
                }
                i += 1;
            }
            // One's own profile, notifications and keys are everybody's to change.
            set.with(Permission::write(Resource::Profile))
                .with(Permission::write(Resource::Notifications))
                .with(Permission::write(Resource::ApiKeys))
        };
        const MEMBER: Permissions = VIEWER
            .with(Permission::write(Resource::Contacts))
            .with(Permission::write(Resource::Companies))
            .with(Permission::write(Resource::Deals))
            .with(Permission::write(Resource::Messages))
            .with(Permission::write(Resource::Accounts));
        const MANAGER: Permissions = MEMBER
            .with(Permission::write(Resource::Pipeline))
            .with(Permission::write(Resource::Fields))
            .with(Permission::write(Resource::Automation))
            .with(Permission::write(Resource::Jobs));
        match self {
            Self::Viewer => VIEWER,
            Self::Member => MEMBER,
            Self::Manager => MANAGER,
            Self::Admin | Self::Owner => Permissions::ALL,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text).ok_or_else(|| {
            Error::malformed(format!("{text:?} is no role: owner, admin, manager, member or viewer is expected"))
        })
    }
}

/// The role of a member: a built-in one, written by its word, or one of the organisation's own, written by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoleKey {
    /// A built-in one.
    BuiltIn(Role),
    /// One of the organisation's own.
    Own(RoleId),
}

impl RoleKey {
    /// What members of this role may do, given what the organisation says of its own one. One that is gone may do
    /// nothing.
    pub fn permissions(self, own: Option<Permissions>) -> Permissions {
        match self {
            Self::BuiltIn(role) => role.permissions(),
            Self::Own(_) => own.unwrap_or(Permissions::NONE),
        }
    }
}

impl From<Role> for RoleKey {
    fn from(role: Role) -> Self {
        Self::BuiltIn(role)
    }
}

impl PartialEq<Role> for RoleKey {
    fn eq(&self, role: &Role) -> bool {
        *self == Self::BuiltIn(*role)
    }
}

impl fmt::Display for RoleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => role.fmt(f),
            Self::Own(id) => id.fmt(f),
        }
    }
}

impl std::str::FromStr for RoleKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<RoleId>() {
            Ok(id) => Ok(Self::Own(id)),
            Err(_) => text.parse::<Role>().map(Self::BuiltIn),
        }
    }
}

impl Serialize for RoleKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RoleKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|e: Error| serde::de::Error::custom(e.message()))
    }
}

impl JsonSchema for RoleKey {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RoleKey".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Scope;

    #[test]
    fn each_role_may_what_the_weaker_one_may() {
        for pair in Role::ALL.windows(2) {
            let (weaker, stronger) = (pair[0].permissions(), pair[1].permissions());
            for resource in Resource::ALL {
                for permission in [Permission::read(*resource), Permission::write(*resource)] {
                    assert!(!weaker.contains(permission) || stronger.contains(permission), "{permission} {pair:?}");
                }
            }
        }
    }

    #[test]
    fn a_role_reads_back_and_one_that_is_gone_allows_nothing() {
        let id: RoleId = uuid::Uuid::from_u128(7).into();
        for key in [RoleKey::Own(id), Role::Admin.into()] {
            assert_eq!(key.to_string().parse::<RoleKey>().unwrap(), key);
        }
        assert!("emperor".parse::<RoleKey>().is_err());
        assert_eq!(RoleKey::Own(id).permissions(None), Permissions::NONE);
        assert_eq!(
            Scope::user(uuid::Uuid::nil().into(), uuid::Uuid::nil().into(), RoleKey::Own(id)).permissions,
            Permissions::NONE
        );
    }
}
