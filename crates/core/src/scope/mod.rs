//! Who is asking: the organisation, the actor, what it may do, and why. Every read and every write goes through a scope.

mod fields;
mod permission;
mod role;
mod sight;

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    fields::{FieldAccess, FieldRules},
    permission::{Access, Permission, Permissions, Resource},
    role::{Role, RoleKey},
    sight::Sight,
};
use crate::{
    error::{Error, Result},
    id::{AccountId, ApiKeyId, EventId, OrganizationId, RuleId, RunId, SessionId, UserId},
};

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
    /// Which contacts and deals it sees.
    pub sight: Sight,
    /// Which of their fields, and of companies', it does not see or change.
    pub fields: Arc<FieldRules>,
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
            sight: Sight::Organization,
            fields: Arc::default(),
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
        let (permissions, fields) = (role.permissions(None), FieldRules::default());
        Self::member(organization_id, user_id, role, permissions, Sight::Organization, fields)
    }

    /// A member's scope: what their role allows, which records it lets them see, and what it closes of their fields.
    pub fn member(
        organization_id: OrganizationId,
        user_id: UserId,
        role: RoleKey,
        permissions: Permissions,
        sight: Sight,
        fields: FieldRules,
    ) -> Self {
        Self {
            actor: Actor::User { id: user_id },
            role: Some(role),
            permissions,
            sight,
            fields: Arc::new(fields),
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
