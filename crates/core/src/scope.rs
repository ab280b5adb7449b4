//! Who is asking: the organisation, the actor, what it may do, and why. Every read and every write goes through a scope.

use std::{fmt, net::IpAddr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    id::{AccountId, ApiKeyId, EventId, OrganizationId, RoleId, RuleId, RunId, SessionId, UserId},
};

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
            let mut set = Permissions(0);
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

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// A signed-in person.
    User {
        /// Who.
        id: UserId,
    },
    /// A machine, by an API key.
    ApiKey {
        /// Which key.
        id: ApiKeyId,
        /// For whom; `None`: for the organisation itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        acts_for: Option<UserId>,
    },
    /// A run of a rule.
    Rule {
        /// Which rule.
        id: RuleId,
        /// Which run.
        run_id: RunId,
    },
    /// A provider, through an account.
    Account {
        /// Which account.
        id: AccountId,
    },
    /// The engine itself, or the process that embeds it.
    System,
}

/// One link of a cause chain: this event made this rule run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseLink {
    /// The event that was looked at.
    pub event_id: EventId,
    /// The rule.
    pub rule_id: RuleId,
    /// Its run.
    pub run_id: RunId,
}

/// Why something happens: carried by every event, so that rules can be muted, loops end and changes explained.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cause {
    /// `None` for ordinary work; `import`, `restore`, `backfill` mute rules that do not ask for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<String>,
    /// The rules that led here, first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<CauseLink>,
}

impl Cause {
    /// Past this many links a run is refused (AUTOMATION, promise 5).
    pub const MAX_LINKS: usize = 8;

    /// A cause that mutes rules: `import`, `restore` or `backfill`.
    pub fn quiet(why: &str) -> Self {
        Self { quiet: Some(why.to_owned()), chain: Vec::new() }
    }
}

/// Where a call comes from, as far as the door knows: kept with the session that it begins, and in the audit log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network address.
    pub address: Option<IpAddr>,
    /// What their program calls itself.
    pub user_agent: Option<String>,
}

/// The caller of an operation.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The tenant. Every read and write is bound to it.
    pub organization_id: OrganizationId,
    /// Who.
    pub actor: Actor,
    /// The member's role; `None` for rules, accounts and the system, and for keys of the organisation.
    pub role: Option<RoleKey>,
    /// What it may do.
    pub permissions: Permissions,
    /// Whose private things it may see: those of the signed-in person, or of the one who made the key at work for
    /// themselves.
    pub person: Option<UserId>,
    /// Why.
    pub cause: Cause,
    /// The sign-in session, for calls that end it.
    pub session_id: Option<SessionId>,
    /// The client's idempotency key.
    pub idempotency_key: Option<String>,
    /// Whether the organisation asks for a second factor that the caller does not have, or has not shown in this session.
    pub lacks_two_factor: bool,
    /// Where the call comes from, if it came from outside and the door knows.
    pub origin: Option<Arc<Origin>>,
    /// The name of the operation that is carried out, for the audit log.
    pub operation: Option<&'static str>,
}

impl Scope {
    /// The engine's own scope in one organisation: may do everything.
    pub fn system(organization_id: OrganizationId) -> Self {
        Self {
            organization_id,
            actor: Actor::System,
            role: None,
            permissions: Permissions::ALL,
            person: None,
            cause: Cause::default(),
            session_id: None,
            idempotency_key: None,
            lacks_two_factor: false,
            origin: None,
            operation: None,
        }
    }

    /// The same caller, carrying out this operation.
    #[must_use]
    pub(crate) fn doing(&self, operation: &'static str) -> Self {
        Self { operation: Some(operation), ..self.clone() }
    }

    /// What the audit log calls that which is done: the operation, or what works without one.
    pub(crate) fn action(&self) -> &'static str {
        self.operation.unwrap_or(match self.actor {
            Actor::Rule { .. } => "rules.run",
            Actor::Account { .. } => "accounts.sync",
            Actor::User { .. } | Actor::ApiKey { .. } | Actor::System => "engine.work",
        })
    }

    /// The scope of a member with a built-in role; with one of the organisation's own it may do nothing, as what that
    /// allows is not said: [`Scope::member`] is told.
    pub fn user(organization_id: OrganizationId, user_id: UserId, role: impl Into<RoleKey>) -> Self {
        let role = role.into();
        Self::member(organization_id, user_id, role, role.permissions(None))
    }

    /// A member's scope.
    pub fn member(organization_id: OrganizationId, user_id: UserId, role: RoleKey, permissions: Permissions) -> Self {
        Self {
            actor: Actor::User { id: user_id },
            role: Some(role),
            permissions,
            person: Some(user_id),
            ..Self::system(organization_id)
        }
    }

    /// The same tenant, another actor and cause; the idempotency key stays behind, it belongs to one call.
    #[must_use]
    pub fn acting(&self, actor: Actor, cause: Cause) -> Self {
        let scope = Self { actor, cause, idempotency_key: None, ..self.clone() };
        Self { person: scope.user_id(), ..scope }
    }

    /// The person that it is done by or for, if there is one: who is written down as the one who did it.
    pub fn user_id(&self) -> Option<UserId> {
        match self.actor {
            Actor::User { id } => Some(id),
            Actor::ApiKey { acts_for, .. } => acts_for,
            Actor::Rule { .. } | Actor::Account { .. } | Actor::System => None,
        }
    }

    /// Whether nobody from outside asks: a rule, an account's connection, or the engine itself.
    pub fn is_internal(&self) -> bool {
        matches!(self.actor, Actor::Rule { .. } | Actor::Account { .. } | Actor::System)
    }

    /// The signed-in person: for what no key may do in anybody's name, such as sessions and credentials.
    ///
    /// # Errors
    /// `forbidden` if the actor is no person.
    pub fn require_user(&self) -> Result<UserId> {
        match self.actor {
            Actor::User { id } => Ok(id),
            _ => Err(Error::forbidden("this belongs to a person: sign in as a user")),
        }
    }

    /// The person by or for whom it is done: what is *mine*, of which nothing is private.
    ///
    /// # Errors
    /// `forbidden` if there is none.
    pub fn require_member(&self) -> Result<UserId> {
        self.user_id().ok_or_else(|| {
            Error::forbidden("this belongs to a person: sign in as a user, or use a key that acts for one")
        })
    }

    /// The person whose private things may be seen: profile, notifications.
    ///
    /// # Errors
    /// `forbidden` if there is none: keys of the organisation, and keys that somebody else made for a member.
    pub fn require_person(&self) -> Result<UserId> {
        self.person.ok_or_else(|| {
            Error::forbidden("this belongs to a person: sign in as a user, or use a key that they made for themselves")
        })
    }

    /// Fails if the organisation asks for a second factor that the caller does not have.
    ///
    /// # Errors
    /// `two_factor_required` (forbidden).
    pub fn require_two_factor(&self) -> Result<()> {
        if !self.lacks_two_factor {
            return Ok(());
        }
        let message = "this organisation asks for a second factor: set one up at /api/auth/2fa/setup, or, if you have one, \
                       show a code of it at /api/auth/step-up";
        Err(Error::forbidden(message).code_of("two_factor_required"))
    }

    /// Fails unless the caller may do it.
    ///
    /// # Errors
    /// `forbidden`, naming the missing permission; `two_factor_required` (forbidden) for all but one's own profile.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if permission.resource != Resource::Profile {
            self.require_two_factor()?;
        }
        if self.permissions.contains(permission) {
            return Ok(());
        }
        if matches!(self.actor, Actor::ApiKey { .. }) {
            return Err(Error::forbidden(format!(
                "this API key may not do {permission}: it is not among its scopes, or whom it acts for may not either"
            )));
        }
        let who = match self.role {
            Some(RoleKey::BuiltIn(role)) => role.as_str(),
            Some(RoleKey::Own(_)) => "your role",
            None => "this caller",
        };
        Err(Error::forbidden(format!("{who} lacks the permission {permission}: ask an admin of the organisation")))
    }

    /// Fails unless the caller may make somebody a member of this role, which allows so much, or take it from them: nobody
    /// gives or takes what they do not have themselves, and owners are made and unmade by signed-in owners alone.
    ///
    /// # Errors
    /// `forbidden`, saying what is lacking.
    pub fn require_rank(&self, role: RoleKey, permissions: Permissions) -> Result<()> {
        let owner = matches!(self.actor, Actor::User { .. }) && self.role == Some(Role::Owner.into());
        if role == Role::Owner && !owner && !self.is_internal() {
            return Err(Error::forbidden("only owners make or unmake owners: ask one of them"));
        }
        self.require_all(permissions)
    }

    /// Fails unless the caller may do all of this: nobody gives or takes more than they have.
    ///
    /// # Errors
    /// `forbidden`, naming the first permission that is lacking.
    pub fn require_all(&self, permissions: Permissions) -> Result<()> {
        match permissions.beyond(self.permissions) {
            Some(lacking) => Err(Error::forbidden(format!(
                "this allows {lacking}, which you lack: nobody gives or takes more than they have"
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_key_is_no_person_and_makes_no_owners() {
        let (organization, user) = (uuid::Uuid::nil().into(), uuid::Uuid::nil().into());
        let actor = Actor::ApiKey { id: uuid::Uuid::nil().into(), acts_for: Some(user) };
        let scope = Scope { actor, ..Scope::user(organization, user, Role::Owner) };
        assert_eq!((scope.user_id(), scope.require_user().unwrap_err().code()), (Some(user), "forbidden"));
        let rank = |scope: &Scope, role: Role| scope.require_rank(role.into(), role.permissions());
        assert_eq!(rank(&scope, Role::Owner).unwrap_err().code(), "forbidden");
        assert!(rank(&scope, Role::Admin).is_ok());
        let narrow = Scope { permissions: Role::Member.permissions(), ..scope };
        assert!(rank(&narrow, Role::Admin).unwrap_err().message().contains("which you lack"));
    }

    #[test]
    fn a_viewer_writes_nothing_of_the_organisation() {
        let viewer = Scope::user(uuid::Uuid::nil().into(), uuid::Uuid::nil().into(), Role::Viewer);
        let error = viewer.require(Permission::write(Resource::Contacts)).unwrap_err();
        assert_eq!(error.code(), "forbidden");
        assert!(error.message().contains("contacts:write"), "{error}");
    }
}
