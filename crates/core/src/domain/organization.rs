//! The tenant, its members, and the people who sign in.

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    cipher::Place,
    domain::{currency::Currency, data_key::Sealed, notification::Preferences, word::words},
    error::Result,
    id::{DataKeyId, InvitationId, OrganizationId, SessionId, TeamId, UserId},
    scope::{Permissions, RoleKey},
};

/// An organisation: the tenant that everything belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// What people call it.
    pub name: String,
    /// IANA time zone; a fact of rules.
    pub time_zone: String,
    /// BCP 47 tag, for example `en` or `de-AT`: a fact for applications, which write to people in this language. The
    /// engine's own mails are in English.
    pub locale: String,
    /// ISO 4217 code of the currency that amounts are in unless they say otherwise when they are given.
    pub currency: Currency,
    /// Whether its members must have a second factor: without, they reach their own profile and nothing else.
    pub require_two_factor: bool,
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
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// IANA time zone; the organisation's if left out.
    pub time_zone: Option<String>,
    /// BCP 47 tag of their language; the organisation's if left out.
    pub locale: Option<String>,
    /// What they want to be told, and how: their own business.
    #[serde(skip)]
    pub preferences: Preferences,
    /// Whether they have shown that the address is theirs.
    pub email_verified: bool,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
    /// Counts the edits of what they say of themselves, from 1.
    #[serde(skip)]
    pub version: i64,
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

/// A user's second factor: an authenticator application, and recovery codes.
#[derive(Clone, PartialEq)]
pub struct SecondFactor {
    /// Whose it is.
    pub user_id: UserId,
    /// Which data key seals the seed.
    pub key_id: DataKeyId,
    /// The seed, sealed for its user.
    pub sealed: Vec<u8>,
    /// Whether it is asked for; one that was only set up is not.
    pub enabled: bool,
    /// The time step of the newest code that was used.
    pub last_step: i64,
    /// SHA-256 of the recovery codes that were not used.
    pub recovery: Vec<String>,
    /// When it was set up.
    pub created_at: DateTime<Utc>,
}

impl SecondFactor {
    /// Where a person's seed lies.
    pub fn place_of(user: UserId) -> Place {
        Place::of_user(user, "second_factors", "sealed")
    }
}

impl Sealed for SecondFactor {
    fn place(&self) -> Place {
        Self::place_of(self.user_id)
    }

    fn sealed(&self) -> Result<Option<(DataKeyId, Vec<u8>)>> {
        Ok(Some((self.key_id, self.sealed.clone())))
    }

    fn sealed_anew(&self, key_id: DataKeyId, sealed: Vec<u8>) -> Self {
        Self { key_id, sealed, ..self.clone() }
    }
}

/// A user's place in an organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// Where.
    pub organization_id: OrganizationId,
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: RoleKey,
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
    pub role: RoleKey,
    /// What it allows.
    #[serde(skip)]
    pub permissions: Permissions,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

words! {
    /// What became of an invitation.
    InvitationStatus {
        /// It can be accepted.
        Pending = "pending",
        /// It was.
        Accepted = "accepted",
        /// It was taken back, or another one replaced it.
        Revoked = "revoked",
        /// Nobody accepted it in time.
        Expired = "expired",
    }
}

/// An invitation to become a member. Whoever shows its token and has its address may accept it.
#[derive(Debug, Clone, PartialEq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// Where to.
    pub organization_id: OrganizationId,
    /// Whom: the address they sign in with.
    pub email: String,
    /// As what.
    pub role: RoleKey,
    /// Into which team.
    pub team_id: Option<TeamId>,
    /// By whom; `None`: by the process that embeds the engine.
    pub invited_by: Option<UserId>,
    /// SHA-256 of its token.
    pub token_hash: Vec<u8>,
    /// As it was last written: one that is pending may have run out since, see [`Invitation::status_at`].
    pub status: InvitationStatus,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl Invitation {
    /// What has become of it by `now`.
    pub fn status_at(&self, now: DateTime<Utc>) -> InvitationStatus {
        match self.status {
            InvitationStatus::Pending if self.expires_at <= now => InvitationStatus::Expired,
            status => status,
        }
    }
}

words! {
    /// By what somebody has shown who they are.
    Factor {
        /// Their password.
        Password = "password",
        /// The word of somebody who vouches for them: Google, GitHub, ….
        Provider = "provider",
        /// A code of their authenticator application.
        Totp = "totp",
        /// A recovery code, in the place of one.
        RecoveryCode = "recovery_code",
    }
}

/// So long after somebody has shown who they are, their session says so without further proof.
const FRESH: Duration = Duration::minutes(10);

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
    /// The network address that it was begun from, as far as the door knows.
    pub address: Option<String>,
    /// The network that this address counts as, where it is counted who fails to sign in.
    pub network: Option<String>,
    /// What the client called itself then.
    pub user_agent: Option<String>,
    /// By what its user has shown who they are: when it began, and since.
    pub factors: Vec<Factor>,
    /// When they last did.
    pub proven_at: DateTime<Utc>,
    /// When it began.
    pub created_at: DateTime<Utc>,
}

impl SignInSession {
    /// Whether whoever has it is who signed in, as it is so short a while ago.
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        (now - self.proven_at).abs() <= FRESH
    }

    /// Whether a second factor was shown.
    pub fn has_second_factor(&self) -> bool {
        self.factors.iter().any(|it| matches!(it, Factor::Totp | Factor::RecoveryCode))
    }

    /// Its factors and this one.
    pub fn factors_with(&self, factor: Factor) -> Vec<Factor> {
        let mut all = self.factors.clone();
        if !all.contains(&factor) {
            all.push(factor);
        }
        all
    }
}
