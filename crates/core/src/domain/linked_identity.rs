//! Who somebody is elsewhere: what lets them sign in without a password of ours, and the steps on the way there.

use chrono::{DateTime, Utc};

use crate::{
    cipher::Place,
    domain::data_key::Sealed,
    error::Result,
    id::{DataKeyId, IdentityId, LoginStateId, UserId},
};

/// A user as a provider knows them. It belongs to one user, for as long as they want.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkedIdentity {
    /// Its id.
    pub id: IdentityId,
    /// Whose it is.
    pub user_id: UserId,
    /// Who vouches for them: `google`, `github`, ….
    pub provider: String,
    /// What the provider calls them, for ever: never an address, which may go to somebody else.
    pub subject: String,
    /// The address that the provider knew when it was linked, for people to tell identities apart by.
    pub email: Option<String>,
    /// When it last let them in.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was linked.
    pub created_at: DateTime<Utc>,
}

/// A step of signing in by a provider that waits for the next one: a browser that was sent there, or one that came back
/// with a proof. Whoever shows its token from the same browser goes on, once.
#[derive(Clone, PartialEq)]
pub struct LoginState {
    /// Its id.
    pub id: LoginStateId,
    /// SHA-256 of its token.
    pub token_hash: Vec<u8>,
    /// SHA-256 of what the browser that began keeps; nothing for what no browser goes on with.
    pub browser_hash: Option<Vec<u8>>,
    /// The data key that sealed what it knows.
    pub key_id: DataKeyId,
    /// What it knows, sealed.
    pub sealed: Vec<u8>,
    /// When it was gone on with.
    pub used_at: Option<DateTime<Utc>>,
    /// Until when it counts.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl LoginState {
    /// Where what a step knows lies.
    pub fn place_of(id: LoginStateId) -> Place {
        Place::of_nobody("login_states", "sealed", &id.to_string())
    }
}

impl Sealed for LoginState {
    fn place(&self) -> Place {
        Self::place_of(self.id)
    }

    fn sealed(&self) -> Result<Option<(DataKeyId, Vec<u8>)>> {
        Ok(Some((self.key_id, self.sealed.clone())))
    }

    fn sealed_anew(&self, key_id: DataKeyId, sealed: Vec<u8>) -> Self {
        Self { key_id, sealed, ..self.clone() }
    }
}
