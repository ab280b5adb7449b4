//! The steps of signing in by a provider: each waits for the next one under a token, of which only the SHA-256 is kept, in
//! the browser that began, for some minutes, and once. What a step knows is sealed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    domain::linked_identity::LoginState,
    env::Env,
    error::{Error, Result},
    id::LoginStateId,
    ports::store::{Update, Write},
    services::{unit::Unit, vault},
};

/// How long a step waits: long enough to find a password manager, too short to be of use to whoever reads a log later.
pub const KEPT: Duration = Duration::minutes(10);
/// Bytes of a token.
const BYTES: usize = 32;

/// A new token: 256 random bits.
pub(super) fn token(env: &Env) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(env.bytes::<BYTES>()?))
}

/// Whether a text may be one of ours.
pub(super) fn is_token(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == BYTES)
}

/// The SHA-256 of a token of a kind: one kind never passes for another.
fn hash(kind: &str, token: &str) -> Vec<u8> {
    Sha256::new().chain_update(kind).chain_update([0]).chain_update(token).finalize().to_vec()
}

/// Writes a step that knows something and waits for `token` from `browser`.
pub(super) async fn wait(
    unit: &mut Unit,
    kind: &str,
    token: &str,
    browser: &str,
    knows: &(impl Serialize + Sync),
) -> Result<()> {
    let id: LoginStateId = unit.id()?;
    let plain = serde_json::to_vec(knows).map_err(|e| Error::internal("a step is no JSON").with_source(e))?;
    let plain = Zeroizing::new(plain);
    let (key_id, sealed) = vault::seal(unit, &LoginState::place_of(id), &plain).await?;
    unit.note(Write::insert(&LoginState {
        id,
        token_hash: hash(kind, token),
        browser_hash: Some(hash("browser", browser)),
        key_id,
        sealed,
        used_at: None,
        expires_at: unit.now() + KEPT,
        created_at: unit.now(),
    }))
}

/// Remembers what counts once, until it counts for nothing; false if it was shown before. Of two who show it at once one
/// finds it here.
pub(super) async fn shown_first(unit: &mut Unit, kind: &str, proof: &str, until: DateTime<Utc>) -> Result<bool> {
    let token_hash = hash(kind, proof);
    if unit.store().login_state(&token_hash).await?.is_some() {
        return Ok(false);
    }
    let id: LoginStateId = unit.id()?;
    let (key_id, sealed) = vault::seal(unit, &LoginState::place_of(id), &[]).await?;
    unit.note(Write::insert(&LoginState {
        id,
        token_hash,
        browser_hash: None,
        key_id,
        sealed,
        used_at: Some(unit.now()),
        expires_at: until,
        created_at: unit.now(),
    }))?;
    Ok(true)
}

/// The step that waits for this token from this browser, and what it knows; `None` if there is none, or it counts no more.
pub(super) async fn find<T: DeserializeOwned>(
    unit: &Unit,
    kind: &str,
    token: &str,
    browser: &str,
) -> Result<Option<(LoginState, T)>> {
    let Some((found, key)) = unit.store().login_state(&hash(kind, token)).await? else { return Ok(None) };
    let counts = found.used_at.is_none()
        && found.expires_at > unit.now()
        && found.browser_hash == Some(hash("browser", browser));
    if !counts {
        return Ok(None);
    }
    let plain = unit.engine().vault.open(&key, &LoginState::place_of(found.id), &found.sealed)?;
    let knows = serde_json::from_slice(&plain).map_err(|e| Error::internal("a step cannot be read").with_source(e))?;
    Ok(Some((found, knows)))
}

/// Goes on with a step: nobody does so again. Of two who do at once one finds it used.
pub(super) fn spend(unit: &mut Unit, state: &LoginState) -> Result<()> {
    let update = Update::of(state).set("used_at", &Some(unit.now())).expect("used_at", &state.used_at);
    unit.note(Write::Update(update))
}
