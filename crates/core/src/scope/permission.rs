//! Permissions: what there is to read and to write.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

macro_rules! resources {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What a permission is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Resource { $($(#[$doc])* $variant,)* }
        impl Resource {
            /// Every resource.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The word in permissions such as `contacts:read`.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $text,)* } }
        }
    };
}

resources! {
    /// Contacts.
    Contacts = "contacts",
    /// Companies.
    Companies = "companies",
    /// Definitions of custom fields.
    Fields = "fields",
    /// Deals.
    Deals = "deals",
    /// Pipelines, stages, moves, history, board.
    Pipeline = "pipeline",
    /// Messenger accounts.
    Accounts = "accounts",
    /// Chats and messages.
    Messages = "messages",
    /// Rules and their runs.
    Automation = "automation",
    /// Analytics.
    Analytics = "analytics",
    /// One's own notifications.
    Notifications = "notifications",
    /// One's own profile.
    Profile = "profile",
    /// The organisation and its settings.
    Organization = "organization",
    /// Members.
    Team = "team",
    /// Background jobs.
    Jobs = "jobs",
    /// API keys: one's own, and with `team:write` everybody's.
    ApiKeys = "api_keys",
    /// The audit log.
    Audit = "audit",
    /// Everything that is held about one person: telling it, and erasing it.
    Privacy = "privacy",
}

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Changes nothing.
    Read,
    /// Changes something.
    Write,
}

/// One thing somebody may do, written `contacts:write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permission {
    /// What it is about.
    pub resource: Resource,
    /// Reading or writing.
    pub access: Access,
}

impl Permission {
    /// The permission to read `resource`.
    pub const fn read(resource: Resource) -> Self {
        Self { resource, access: Access::Read }
    }

    /// The permission to write `resource`.
    pub const fn write(resource: Resource) -> Self {
        Self { resource, access: Access::Write }
    }

    /// Whether it works on the records of the whole organisation, or tells of them, so that nobody can use it who sees some
    /// of them alone.
    pub const fn is_wide(self) -> bool {
        match self.resource {
            Resource::Audit | Resource::Privacy => true,
            // Removing a stage, a field or a member changes whatever has it; a rule does anything to anybody's contact.
            Resource::Pipeline
            | Resource::Fields
            | Resource::Team
            | Resource::Automation
            | Resource::Organization
            | Resource::Jobs => matches!(self.access, Access::Write),
            _ => false,
        }
    }

    const fn bit(self) -> u64 {
        1 << (self.resource as u64 * 2 + matches!(self.access, Access::Write) as u64)
    }
}

impl Permission {
    /// Every permission that there is, resource by resource.
    pub fn all() -> impl Iterator<Item = Self> {
        Resource::ALL.iter().flat_map(|resource| [Self::read(*resource), Self::write(*resource)])
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        write!(f, "{}:{access}", self.resource.as_str())
    }
}

impl std::str::FromStr for Permission {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::all().find(|permission| permission.to_string() == text).ok_or_else(|| {
            let resources = Resource::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
            Error::malformed(format!(
                "{text:?} is no permission: <resource>:read or <resource>:write is expected, the resource one of {resources}"
            ))
        })
    }
}

/// A set of permissions. In JSON a list such as `["contacts:read", "contacts:write"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// Everything.
    pub const ALL: Self = Self((1 << (Resource::ALL.len() * 2)) - 1);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// The same and `permission`.
    #[must_use]
    pub const fn with(self, permission: Permission) -> Self {
        Self(self.0 | permission.bit())
    }

    /// The same without `permission`.
    #[must_use]
    pub const fn without(self, permission: Permission) -> Self {
        Self(self.0 & !permission.bit())
    }

    /// Whether `permission` is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The first permission of this set that the other one lacks.
    pub fn beyond(self, other: Self) -> Option<Permission> {
        self.iter().find(|permission| !other.contains(*permission))
    }

    /// The permissions of the set, resource by resource.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::all().filter(move |permission| self.contains(*permission))
    }

    /// The words of the set, as JSON has them.
    pub fn words(self) -> Vec<String> {
        self.iter().map(|permission| permission.to_string()).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<T: IntoIterator<Item = Permission>>(permissions: T) -> Self {
        permissions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl Serialize for Permissions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.words().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Permissions {
    /// Words that are not known are left out: a permission that this release does not have allows nothing.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Ok(words.iter().filter_map(|word| word.parse::<Permission>().ok()).collect())
    }
}

impl JsonSchema for Permissions {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Permissions".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let words = Permissions::ALL.words();
        schemars::json_schema!({"type": "array", "items": {"type": "string", "enum": words}})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Role;

    #[test]
    fn a_permission_reads_back_from_its_word() {
        for permission in Permission::all() {
            assert_eq!(permission.to_string().parse::<Permission>().unwrap(), permission);
        }
        for odd in ["", "contacts", "contacts:", "contacts:delete", "Contacts:read", "contacts:read ", "*:read"] {
            assert_eq!(odd.parse::<Permission>().unwrap_err().code(), "malformed", "{odd}");
        }
        let set: Permissions = serde_json::from_str(r#"["deals:write", "contacts:read", "rockets:launch"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["contacts:read","deals:write"]"#);
        assert_eq!((Permissions::ALL.beyond(Role::Owner.permissions()), set.beyond(Permissions::ALL)), (None, None));
        assert_eq!(set.beyond(Role::Viewer.permissions()), Some(Permission::write(Resource::Deals)));
    }
}
