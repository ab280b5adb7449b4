//! Credential → scope: people, organisations, sessions, tokens. One of the two rooms that read the global tables. What
//! a caller may do with the scope is not decided here.

mod access;
mod api_keys;
mod check;
mod identities;
mod invitations;
mod login_states;
mod mail_tokens;
mod new_password;
mod organizations;
mod passwords;
mod providers;
mod refresh_token;
mod sessions;
mod sign_in;
mod throttle;
mod token_keys;
mod totp;
mod transfer;
mod two_factor;
mod verification;

use std::{fmt, net::IpAddr};

#[cfg(feature = "testkit")]
pub(crate) use self::totp::code_shown;
pub use crate::scope::Origin;

pub(crate) use self::access::seated;
pub use self::{
    access::TokenState,
    api_keys::{ApiKeyView, NewApiKey},
    identities::IdentityView,
    invitations::{AcceptInvitation, InvitationView, ListInvitations, NewInvitation},
    login_states::KEPT as LOGIN_KEPT,
    new_password::{ChangePassword, ForgotPassword, ResetPassword},
    organizations::{NewOrganization, NewUser, OrganizationWithOwner},
    providers::{CameBack, LinkIdentity, ProviderSignIn, SentAway},
    sessions::{KEPT as SESSION_KEPT, ListMemberSessions, Refresh, SessionView},
    sign_in::{SignIn, SignUp, SignedIn, Switch},
    token_keys::{PublicKey, PublicKeys, TokenKeys},
    transfer::TransferOrganization,
    two_factor::{EnableTwoFactor, RecoveryCodes, StepUp, TwoFactorSetup},
    verification::VerifyEmail,
};
use self::{access::VerifiedTokens, api_keys::NotedUses, passwords::Passwords};
pub(crate) use self::{
    api_keys::{create as create_api_key, get as get_api_key, list as list_api_keys, revoke as revoke_api_key},
    identities::{list as list_identities, unlink as unlink_identity},
    invitations::{create as invite, get as get_invitation, list as list_invitations, revoke as revoke_invitation},
    sessions::{
        list as list_sessions, list_of_member as list_member_sessions, revoke_of_member as revoke_member_sessions,
        revoke_one as revoke_session, revoke_others as revoke_other_sessions,
    },
};
use crate::{engine::Engine, scope::Scope};
use std::sync::Arc;

/// Organisations and their members, in the system's scope.
#[derive(Debug, Clone, Copy)]
pub struct Organizations<'c>(pub(crate) &'c Arc<Engine>);

/// Signing up and in, sessions and tokens; for whoever is at the address, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'c>(&'c Arc<Engine>, Option<&'c Origin>);

impl<'c> Identity<'c> {
    pub(crate) fn new(engine: &'c Arc<Engine>) -> Self {
        Self(engine, None)
    }

    /// The same; sessions that are begun say that they were from there.
    #[must_use]
    pub fn from_origin(self, origin: &'c Origin) -> Self {
        Self(self.0, Some(origin))
    }

    /// A caller who carries out this operation here, and from where, for the audit log. What is asked here has no key.
    pub(crate) fn doing(&self, scope: &Scope, operation: &'static str) -> Scope {
        let origin = self.1.cloned().map(Arc::new).or_else(|| scope.origin.clone());
        Scope { origin, idempotency_key: None, ..scope.doing(operation) }
    }

    /// The network address, if the door knows one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.1.and_then(|origin| origin.address)
    }
}

/// What this room keeps in memory for an engine.
pub(crate) struct IdentityState {
    keys: TokenKeys,
    passwords: Passwords,
    verified: VerifiedTokens,
    key_uses: NotedUses,
}

impl IdentityState {
    pub(crate) fn new(keys: TokenKeys) -> crate::Result<Self> {
        let (verified, key_uses) = (VerifiedTokens::default(), NotedUses::default());
        Ok(Self { keys, passwords: Passwords::new()?, verified, key_uses })
    }
}

impl fmt::Debug for IdentityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityState").field("keys", &self.keys).finish_non_exhaustive()
    }
}
