//! Credential → scope: people, organisations, sessions, tokens. One of the two rooms that read the global tables. What
//! a caller may do with the scope is not decided here.

mod access;
mod check;
mod invitations;
mod organizations;
mod passwords;
mod refresh_token;
mod sessions;
mod sign_in;
mod throttle;
mod token_keys;

use std::{fmt, net::IpAddr};

pub(crate) use self::invitations::{
    create as invite, get as get_invitation, list as list_invitations, revoke as revoke_invitation,
};
pub use self::{
    access::TokenState,
    invitations::{AcceptInvitation, InvitationView, ListInvitations, NewInvitation},
    organizations::{NewOrganization, NewUser, OrganizationWithOwner},
    sessions::{KEPT as SESSION_KEPT, Refresh},
    sign_in::{SignIn, SignUp, SignedIn, Switch},
    token_keys::TokenKeys,
};
use self::{access::VerifiedTokens, passwords::Passwords};
use crate::engine::Engine;
use std::sync::Arc;

/// Organisations and their members, in the system's scope.
#[derive(Debug, Clone, Copy)]
pub struct Organizations<'c>(pub(crate) &'c Arc<Engine>);

/// Signing up and in, sessions and tokens; for whoever is at the address, if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'c>(pub(crate) &'c Arc<Engine>, pub(crate) Option<IpAddr>);

/// What this room keeps in memory for an engine.
pub(crate) struct IdentityState {
    keys: TokenKeys,
    passwords: Passwords,
    verified: VerifiedTokens,
}

impl IdentityState {
    pub(crate) fn new(keys: TokenKeys) -> Self {
        Self { keys, passwords: Passwords::new(), verified: VerifiedTokens::default() }
    }
}

impl fmt::Debug for IdentityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityState").field("keys", &self.keys).finish_non_exhaustive()
    }
}
