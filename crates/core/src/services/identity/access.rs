//! Access tokens: what they claim, and how one becomes a scope. The signature says who signed in; whether the session
//! still stands and what the member may do is what the store says at every call. It is asked again unless this process
//! alone writes to it and has written nothing since that could matter.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Duration, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        organization::{Membership, SignInSession},
        role::RecordVisibility,
    },
    engine::Engine,
    error::{Error, Result},
    id::{OrganizationId, SessionId, UserId},
    ports::store::Seat,
    scope::{RoleKey, Scope},
    services::identity::{Identity, PublicKeys, api_keys, sessions::ended},
};

/// How long an access token counts.
pub(super) const LIFETIME: Duration = Duration::minutes(15);
/// How far the clocks of replicas may be apart: a token that begins to count later than that was not issued by them.
const SKEW: Duration = Duration::minutes(1);
/// How many verified tokens are remembered, each with its claims and the scope that it came to.
const REMEMBERED: usize = 4096;

/// The claims of an access token (RFC 7519, RFC 9068).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Claims {
    iss: Party,
    /// It is for ourselves alone.
    aud: Party,
    sub: UserId,
    org: OrganizationId,
    sid: SessionId,
    /// Two tokens of one session in one second are two tokens.
    jti: uuid::Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Who says so, and to whom.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Party {
    #[serde(rename = "dealwright")]
    Us,
}

/// Tokens whose signature was checked: the check costs more than everything else a small call does.
#[derive(Default)]
pub(super) struct VerifiedTokens(Mutex<HashMap<[u8; 32], Verified>>);

/// A token whose signature was checked.
#[derive(Clone)]
struct Verified {
    digest: [u8; 32],
    claims: Claims,
    /// What its session came to when it was last looked at.
    seated: Option<Seated>,
}

/// What a session came to.
#[derive(Clone)]
struct Seated {
    scope: Scope,
    /// When the session ends.
    until: DateTime<Utc>,
    /// The store's count of changes before it was asked.
    epoch: u64,
}

impl VerifiedTokens {
    fn get(&self, digest: &[u8; 32]) -> Option<Verified> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn put(&self, verified: Verified, now: DateTime<Utc>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.retain(|_, it| it.claims.exp > now.timestamp());
        }
        if all.len() >= REMEMBERED {
            // All still count: begin again rather than choose.
            all.clear();
        }
        all.insert(verified.digest, verified);
    }
}

/// What `verify` says of an access token; only `active` if it does not count.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TokenState {
    /// Whether it counts.
    pub active: bool,
    /// Who signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// For which organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
    /// The member's role at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleKey>,
    /// Until when it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A new access token of a session.
pub(super) fn issue(engine: &Engine, session: &SignInSession, now: DateTime<Utc>) -> Result<String> {
    engine.identity.keys.sign(&Claims {
        iss: Party::Us,
        aud: Party::Us,
        sub: session.user_id,
        org: session.organization_id,
        sid: session.id,
        jti: uuid::Uuid::from_bytes(engine.env.bytes()?),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + LIFETIME).timestamp(),
    })
}

fn verified(engine: &Engine, token: &str) -> Result<Verified> {
    let state = &engine.identity;
    let now = engine.env.now();
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    let verified = match state.verified.get(&digest) {
        Some(verified) => verified,
        None => {
            let claims: Claims = state.keys.verify(token).ok_or_else(|| {
                Error::unauthenticated("invalid_token", "this access token is not one of ours: sign in")
            })?;
            let verified = Verified { digest, claims, seated: None };
            state.verified.put(verified.clone(), now);
            verified
        }
    };
    let claims = verified.claims;
    if claims.nbf > (now + SKEW).timestamp() {
        let message = "this access token does not count yet: set the clock of the machine that issued it, or sign in";
        return Err(Error::unauthenticated("token_not_yet_valid", message));
    }
    if claims.exp <= now.timestamp() {
        return Err(Error::unauthenticated("token_expired", "this access token has expired: refresh it, or sign in"));
    }
    Ok(verified)
}

/// The scope of a token that counts at this moment.
async fn scope(engine: &Engine, mut verified: Verified) -> Result<Scope> {
    let epoch = engine.store.seats_epoch();
    let now = engine.env.now();
    if let Some(seated) = verified.seated.take()
        && Some(seated.epoch) == epoch
        && now < seated.until
    {
        return Ok(seated.scope);
    }
    let (scope, until) = read_scope(engine, verified.claims).await?;
    if let Some(epoch) = epoch {
        verified.seated = Some(Seated { scope: scope.clone(), until, epoch });
        engine.identity.verified.put(verified, now);
    }
    Ok(scope)
}

/// The same as the store says, and when the session ends.
async fn read_scope(engine: &Engine, claims: Claims) -> Result<(Scope, DateTime<Utc>)> {
    let (session, seat) = engine.store.signed_in(claims.sid).await?.ok_or_else(ended)?;
    let belongs = session.user_id == claims.sub && session.organization_id == claims.org;
    if !belongs || session.revoked_at.is_some() || session.expires_at <= engine.env.now() {
        return Err(ended());
    }
    let seat = seat.ok_or_else(ended)?;
    // One that was begun before there was a second factor shows no more than one without any (OWASP ASVS 5.0, 10.3.4).
    let lacks_two_factor = seat.lacks_two_factor || seat.needs_two_factor && !session.has_second_factor();
    let scope = Scope { session_id: Some(claims.sid), lacks_two_factor, ..seated(engine, seat).await? };
    Ok((scope, session.expires_at))
}

/// The scope of a member, by what their seat comes to.
pub(crate) async fn seated(engine: &Engine, seat: Seat) -> Result<Scope> {
    let Membership { organization_id, user_id, role, .. } = seat.membership;
    let teams = match seat.grant.record_visibility {
        RecordVisibility::Team => engine.store.teams_of(organization_id, &[user_id]).await?,
        RecordVisibility::Own | RecordVisibility::Organization => Vec::new(),
    };
    let sight = seat.grant.sight(user_id, teams.into_iter().map(|(_, team)| team));
    let (permissions, fields) = (seat.grant.permissions, seat.grant.fields);
    Ok(Scope::member(organization_id, user_id, role, permissions, sight, fields))
}

impl Identity<'_> {
    /// The scope of the caller who shows this access token or API key. The session or the key, and the role, are what
    /// the store says now, so what was revoked counts no more at the very next call.
    ///
    /// # Errors
    /// `invalid_token`, `token_not_yet_valid`, `token_expired` or `session_ended`; of a key `invalid_api_key` or `api_key_expired`; all of kind
    /// `unauthenticated`.
    pub async fn authenticate(&self, credential: &str) -> Result<Scope> {
        let engine = &self.0;
        if api_keys::is_one(credential) {
            return api_keys::authenticate(engine, credential).await;
        }
        scope(engine, verified(engine, credential)?).await
    }

    /// The keys by which others can tell our access tokens from forged ones.
    pub fn public_keys(&self) -> PublicKeys {
        self.0.identity.keys.public()
    }

    /// Whether an access token counts, and whose it is.
    ///
    /// # Errors
    /// Only if the store fails: a token that does not count is an answer.
    pub async fn verify(&self, access_token: &str) -> Result<TokenState> {
        let engine = &self.0;
        let answer = async {
            let verified = verified(engine, access_token)?;
            let claims = verified.claims;
            let scope = scope(engine, verified).await?;
            Ok(TokenState {
                active: true,
                user_id: Some(claims.sub),
                organization_id: Some(claims.org),
                role: scope.role,
                expires_at: DateTime::from_timestamp(claims.exp, 0),
            })
        };
        match answer.await {
            Err(error) if Error::kind(&error) == crate::ErrorKind::Unauthenticated => {
                Ok(TokenState { active: false, user_id: None, organization_id: None, role: None, expires_at: None })
            }
            answer => answer,
        }
    }
}
