//! API keys: secrets that let machines in, for the organisation or for a member. Of a secret only the SHA-256 is kept.
//! A slow hash such as argon2id guards what people choose; nobody tries 256 random bits one after the other, and a key is
//! shown at every call.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Duration, SubsecRound, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        api_key::ApiKey,
        event::EventKind,
        text::{self, Flaws},
    },
    engine::Engine,
    env::Env,
    error::{Error, Result},
    id::{ApiKeyId, UserId},
    page::{Page, PageRequest},
    ports::store::{Batch, Update, Write},
    scope::{Actor, Permission, Permissions, Resource, Scope},
    services::{identity::access, team::grantable, unit::Unit},
};

/// What every secret begins with, so that scanners of code and logs know one when they see it.
const MARK: &str = "dw_";
/// Characters of a secret that are shown afterwards, behind [`MARK`].
const SHOWN: usize = 8;
/// Random characters of a secret: 43 of 62 different ones are 256 bits.
const RANDOM: usize = 43;
/// Characters of its checksum, by which a mistyped secret, and what only looks like one, is told without asking anybody.
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A use is written at most this often.
const NOTED_EVERY: Duration = Duration::minutes(1);
/// How many keys' latest uses are remembered.
const REMEMBERED: usize = 4096;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiKey {
    /// What people call it, 1…200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// The most that it may do, for example `contacts:read`: nothing that its maker may not.
    #[schemars(with = "Permissions", length(min = 1))]
    pub scopes: Vec<String>,
    /// Until when it counts; until it is revoked if left out.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
    /// The member that it acts for, and never does more than their role allows at that moment; the organisation itself if
    /// left out. Whoever may not write the team makes keys for themselves alone.
    #[serde(default)]
    pub acts_for: Option<UserId>,
}

/// A key as clients see it.
#[derive(Clone, PartialEq, Serialize, JsonSchema)]
pub struct ApiKeyView {
    /// Its id.
    pub id: ApiKeyId,
    /// What people call it.
    pub name: String,
    /// What its secret begins with.
    pub prefix: String,
    /// The most that it may do.
    pub scopes: Permissions,
    /// The member that it acts for; `null`: the organisation.
    pub acts_for: Option<UserId>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// Until when it counts.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// The key itself, to be shown as `Authorization: Bearer …`: told once, to whom made it; `null` from then on.
    pub secret: Option<String>,
}

impl fmt::Debug for ApiKeyView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyView").field("id", &self.id).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn view(key: ApiKey) -> ApiKeyView {
    ApiKeyView {
        id: key.id,
        name: key.name,
        prefix: key.prefix,
        scopes: key.scopes,
        acts_for: key.acts_for,
        created_by: key.created_by,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
        created_at: key.created_at,
        secret: None,
    }
}

/// The secret of a key: `dw_<8 shown characters>_<43 random ones><6 of checksum>`.
struct Secret(String);

impl Secret {
    fn new(env: &Env) -> Result<Self> {
        let mut text = format!("{MARK}{}_{}", random_word(env, SHOWN)?, random_word(env, RANDOM)?);
        text.push_str(&checksum(&text));
        Ok(Self(text))
    }

    /// `None` for what is none, known or not.
    fn read(text: &str) -> Option<Self> {
        let (shown, rest) = text.strip_prefix(MARK)?.split_once('_')?;
        let ours = |part: &str| part.bytes().all(|byte| ALPHABET.contains(&byte));
        let (body, check) = text.split_at_checked(text.len().checked_sub(CHECK)?)?;
        let fits = shown.len() == SHOWN && rest.len() == RANDOM + CHECK && ours(shown) && ours(rest);
        (fits && checksum(body) == check).then(|| Self(text.to_owned()))
    }

    /// What is shown of it for ever.
    fn prefix(&self) -> String {
        self.0.chars().take(MARK.len() + SHOWN).collect()
    }

    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

/// Random characters of the alphabet, each as likely as the others.
fn random_word(env: &Env, length: usize) -> Result<String> {
    let mut word = String::with_capacity(length);
    while word.len() < length {
        // 248 is the largest multiple of 62 in a byte: what is above would make some characters likelier.
        let bytes = env.bytes::<64>()?.into_iter().filter(|byte| *byte < 248);
        let chars = bytes.filter_map(|byte| ALPHABET.get(usize::from(byte % 62)).map(|it| char::from(*it)));
        word.extend(chars.take(length - word.len()));
    }
    Ok(word)
}

/// The first 32 bits of the text's SHA-256 to the base of 62, the highest digit first.
fn checksum(text: &str) -> String {
    let mut number = Sha256::digest(text.as_bytes()).iter().take(4).fold(0_u64, |sum, it| sum << 8 | u64::from(*it));
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(number % 62).ok().and_then(|it| ALPHABET.get(it)).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// Whether a credential means to be an API key; else it is an access token.
pub(super) fn is_one(credential: &str) -> bool {
    credential.starts_with(MARK)
}

/// When each key's use was last written by this process.
#[derive(Default)]
pub(super) struct NotedUses(Mutex<HashMap<ApiKeyId, DateTime<Utc>>>);

impl NotedUses {
    /// Whether a use at `now` is to be written: by whom asks first.
    fn is_due(&self, key: &ApiKey, now: DateTime<Utc>) -> bool {
        let fresh = |at: DateTime<Utc>| now - at < NOTED_EVERY;
        if key.last_used_at.is_some_and(fresh) {
            return false;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&key.id).copied().is_some_and(fresh) {
            return false;
        }
        if all.len() >= REMEMBERED {
            all.retain(|_, at| fresh(*at));
        }
        all.insert(key.id, now);
        true
    }
}

/// Writes that a key was used, beside the call that uses it: the call neither waits for it nor fails with it. Of several
/// replicas that do so at once one is not heard.
fn note_use(engine: &Arc<Engine>, key: &ApiKey) {
    let now = engine.env.now();
    if !engine.identity.key_uses.is_due(key, now) {
        return;
    }
    let update = Update::of(key).set("last_used_at", &Some(now)).expect("last_used_at", &key.last_used_at);
    let mut batch = Batch::default();
    let noted = batch.note(Write::Update(update));
    let (engine, id, organization) = (engine.clone(), key.id, key.organization_id);
    tokio::spawn(async move {
        let written = match noted {
            Ok(()) => engine.store.commit(organization, batch).await,
            error => error,
        };
        if let Err(error) = written {
            tracing::debug!(%error, %id, "the use of an API key was not written");
        }
    });
}

/// The scope of whoever shows a key that counts at this moment, by one look-up.
///
/// # Errors
/// `invalid_api_key` or `api_key_expired`, of kind `unauthenticated`.
pub(super) async fn authenticate(engine: &Arc<Engine>, credential: &str) -> Result<Scope> {
    let unknown = || {
        Error::unauthenticated("invalid_api_key", "this API key does not count: it was revoked, or is not one of ours")
    };
    let secret = Secret::read(credential).ok_or_else(unknown)?;
    let (key, seat) = engine.store.api_key_by_hash(&secret.hash()).await?.ok_or_else(unknown)?;
    if key.expires_at.is_some_and(|at| at <= engine.env.now()) {
        return Err(Error::unauthenticated("api_key_expired", "this API key has run out: make another one"));
    }
    let (whose, lacks_two_factor) = match (key.acts_for, seat) {
        (None, _) => (Scope::system(key.organization_id), false),
        (Some(_), Some(seat)) => {
            let lacks_two_factor = seat.lacks_two_factor;
            (access::seated(engine, seat).await?, lacks_two_factor)
        }
        (Some(_), None) => return Err(unknown()),
    };
    note_use(engine, &key);
    Ok(Scope {
        actor: Actor::ApiKey { id: key.id, acts_for: key.acts_for },
        permissions: key.scopes.and(whose.permissions),
        // Else a key made before the organisation asked for it would be the way round.
        lacks_two_factor,
        // What is somebody's own they open to a key themselves.
        person: key.acts_for.filter(|_| key.acts_for == key.created_by),
        ..whose
    })
}

/// Whose keys the caller sees: everybody's (`None`), or those that act for one person.
fn seen(scope: &Scope) -> Result<Option<UserId>> {
    match scope.permissions.contains(Permission::write(Resource::Team)) {
        true => Ok(None),
        false => scope.require_person().map(Some),
    }
}

async fn find(unit: &Unit, id: ApiKeyId) -> Result<ApiKey> {
    let whose = seen(unit.scope())?;
    let found = unit.store().api_key(unit.organization_id(), id).await?;
    let found = found.filter(|key| whose.is_none() || key.acts_for == whose);
    found.ok_or_else(|| Error::not_found("API key", id))
}

/// Fails unless the caller may make such a key.
fn require_maker(scope: &Scope, acts_for: Option<UserId>, scopes: Permissions) -> Result<()> {
    if matches!(scope.actor, Actor::ApiKey { .. }) {
        // One that is about to run out, or to be revoked, would live on in it.
        return Err(Error::forbidden("a key makes no keys: sign in as a user"));
    }
    let own = acts_for.is_some() && acts_for == scope.user_id();
    if !own && !scope.permissions.contains(Permission::write(Resource::Team)) {
        let message = "you make keys that act for yourself alone: set acts_for to your own id, or ask an admin";
        return Err(Error::forbidden(message));
    }
    scope.require_all(scopes)
}

pub(crate) async fn create(unit: &mut Unit, input: NewApiKey) -> Result<ApiKeyView> {
    let organization = unit.organization_id();
    let mut flaws = Flaws::default();
    let name = flaws.take("/name", text::name(&input.name)).unwrap_or_default();
    let scopes = grantable(&mut flaws, "/scopes", &input.scopes);
    if input.scopes.is_empty() {
        flaws.add("/scopes", "required", "name at least one scope, for example contacts:read");
    }
    if input.expires_at.is_some_and(|at| at <= unit.now()) {
        flaws.add("/expires_at", "invalid", "this is past: name a time to come, or leave it out");
    }
    require_maker(unit.scope(), input.acts_for, scopes)?;
    if let Some(user) = input.acts_for
        && unit.store().membership(organization, user).await?.is_none()
    {
        flaws.add("/acts_for", "unknown", format!("{user} is no member of the organisation"));
    }
    flaws.end()?;
    let secret = Secret::new(unit.env())?;
    let key = ApiKey {
        id: unit.id()?,
        organization_id: organization,
        name,
        prefix: secret.prefix(),
        secret_hash: secret.hash(),
        scopes,
        acts_for: input.acts_for,
        created_by: unit.scope().user_id(),
        // As the store keeps it.
        expires_at: input.expires_at.map(|at| at.trunc_subsecs(6)),
        last_used_at: None,
        created_at: unit.now(),
    };
    let view = view(key.clone());
    unit.fact(EventKind::ApiKeyChanged, organization)?
        .data("what", "api_key.created")
        .data("api_key_id", key.id)
        .changes(None, &view)
        .insert(&key);
    Ok(ApiKeyView { secret: Some(secret.0), ..view })
}

pub(crate) async fn list(unit: &mut Unit, page: PageRequest) -> Result<Page<ApiKeyView>> {
    let whose = seen(unit.scope())?;
    Ok(unit.store().api_keys(unit.organization_id(), whose, &page).await?.map(view))
}

pub(crate) async fn get(unit: &mut Unit, id: ApiKeyId) -> Result<ApiKeyView> {
    Ok(view(find(unit, id).await?))
}

/// Ends a key: it counts no more at the very next call.
pub(crate) async fn revoke(unit: &mut Unit, id: ApiKeyId) -> Result<()> {
    let key = find(unit, id).await?;
    unit.fact(EventKind::ApiKeyChanged, key.organization_id)?
        .data("what", "api_key.revoked")
        .data("api_key_id", key.id)
        .change("name", &key.name, ())
        .change("prefix", &key.prefix, ())
        .delete(&key);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_and_no_other_text_does() {
        let secret = Secret::new(&Env::system()).unwrap();
        assert_eq!(secret.0.len(), 3 + 8 + 1 + 43 + 6);
        assert_eq!(Secret::read(&secret.0).unwrap().hash(), secret.hash());
        assert!(secret.0.starts_with(&secret.prefix()) && secret.prefix().len() == 11);
        for place in 0..secret.0.len() {
            let mut changed = secret.0.clone().into_bytes();
            changed[place] = if changed[place] == b'x' { b'y' } else { b'x' };
            assert!(Secret::read(&String::from_utf8(changed).unwrap()).is_none(), "{place}");
        }
        for odd in ["", "dw_", "dw_12345678", "dw_12345678_", "dw__", "dw_ä_ä", "eyJhbGciOiJFZERTQSJ9.e30.x"] {
            assert!(Secret::read(odd).is_none(), "{odd}");
        }
    }

    /// ASVS 5, 11.5.1: at least 128 bits of a secure source; here 256, each character as likely as the others.
    #[test]
    fn secrets_use_the_whole_alphabet_and_never_repeat() {
        let env = Env::system();
        let all: std::collections::BTreeSet<_> = (0..200).map(|_| random_word(&env, RANDOM).unwrap()).collect();
        assert_eq!(all.len(), 200);
        let used: std::collections::BTreeSet<u8> = all.iter().flat_map(|word| word.bytes()).collect();
        assert_eq!(used, ALPHABET.iter().copied().collect());
        assert!(62_f64.powi(RANDOM as i32).log2() >= 256.0);
    }

    #[test]
    fn a_checksum_can_be_made_by_anybody() {
        // By hand: the first four bytes of SHA-256("dw_") to the base of 62.
        let digest = Sha256::digest(b"dw_");
        let number = u32::from_be_bytes(digest[..4].try_into().unwrap());
        let read = checksum("dw_")
            .bytes()
            .fold(0_u64, |sum, digit| sum * 62 + ALPHABET.iter().position(|it| *it == digit).unwrap() as u64);
        assert_eq!(read, u64::from(number));
    }
}
