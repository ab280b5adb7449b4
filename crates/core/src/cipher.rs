//! The authenticated cipher for secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under one of a ring of
//! keys. What is sealed is bound to its [`Place`] (owner, table, column and row), so that it opens in no other.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    env::Env,
    error::{Error, Result},
    id::{OrganizationId, UserId},
};

/// Length of the nonce that stands before the ciphertext.
const NONCE: usize = 24;

/// Length of each fingerprint.
pub const FINGERPRINT: usize = 32;

/// Where a secret lies. It is authenticated with it: whoever can write to the database and copies a sealed value into
/// another row, column, table or organisation has one that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose it is, if it is an organisation's.
    owner: Option<OrganizationId>,
    bytes: Vec<u8>,
}

impl Place {
    /// In a row of an organisation.
    pub fn of_organization(owner: OrganizationId, table: &str, column: &str, row: &str) -> Self {
        Self::new(Some(owner), ["organization", &owner.to_string(), table, column, row])
    }

    /// In the row that a table keeps of a person. People belong to no organisation: a key that they have in common seals
    /// what is theirs.
    pub fn of_user(owner: UserId, table: &str, column: &str) -> Self {
        let owner = owner.to_string();
        Self::new(None, ["user", &owner, table, column, &owner])
    }

    /// In a row that is nobody's: the steps of whoever signs in, and the keys that people have in common.
    pub fn of_nobody(table: &str, column: &str, row: &str) -> Self {
        Self::new(None, ["nobody", "", table, column, row])
    }

    /// Each part stands behind its length, so that no two places read the same.
    fn new(owner: Option<OrganizationId>, parts: [&str; 5]) -> Self {
        let counted = |part: &str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
        Self { owner, bytes: parts.into_iter().flat_map(counted).collect() }
    }

    /// The organisation whose it is; none of what is a person's or nobody's.
    pub fn owner(&self) -> Option<OrganizationId> {
        self.owner
    }
}

/// One key. It is wiped from memory when it is dropped, and prints nothing of itself.
#[derive(Clone)]
pub struct Key {
    cipher: XChaCha20Poly1305,
    /// Another one, made of it, for fingerprints.
    mac: Zeroizing<[u8; 32]>,
}

impl Key {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// The key of these bytes.
    ///
    /// # Errors
    /// `internal` unless there are [`Key::LENGTH`] of them.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let wrong = |_| Error::internal(format!("a key has {} bytes, not {}", Self::LENGTH, bytes.len()));
        let cipher = XChaCha20Poly1305::new_from_slice(bytes).map_err(wrong)?;
        let mac = Sha256::new().chain_update("fingerprint").chain_update(bytes).finalize().into();
        Ok(Self { cipher, mac: Zeroizing::new(mac) })
    }

    /// Seals `plain` for one place; answers nonce and ciphertext.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn seal(&self, env: &Env, place: &Place, plain: &[u8]) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE] = env.bytes()?;
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &place.bytes })
            .map_err(|_| Error::internal("the cipher refused to seal"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for the same place; it is wiped from memory when it is dropped.
    ///
    /// # Errors
    /// `internal` if it was changed or belongs to another place.
    pub fn open(&self, place: &Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let broken = || Error::internal("a sealed secret does not open: it was changed, or it belongs elsewhere");
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let payload = Payload { msg: sealed, aad: &place.bytes };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| broken())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The master keys of this installation: the first one seals, all of them open. They seal data keys, and data keys seal
/// everything else.
#[derive(Clone)]
pub struct Cipher {
    current: String,
    keys: BTreeMap<String, Key>,
}

impl Cipher {
    /// A cipher from the text of a key file: one base64 key of 32 bytes a line, the newest first; `#` begins a comment.
    ///
    /// # Errors
    /// `validation_failed` if there is no key or one is not 32 bytes long.
    pub fn from_key_file(text: &str) -> Result<Self> {
        let mut current = None;
        let mut keys = BTreeMap::new();
        let lines =
            text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        for (number, line) in lines {
            let wrong = || {
                Error::invalid("/key_file", "invalid", format!("line {} is not a base64 key of 32 bytes", number + 1))
            };
            let bytes = Zeroizing::new(STANDARD.decode(line).map_err(|_| wrong())?);
            let key = Key::new(&bytes).map_err(|_| wrong())?;
            let id = key_id(&bytes);
            current.get_or_insert_with(|| id.clone());
            keys.insert(id, key);
        }
        let current = current.ok_or_else(|| Error::invalid("/key_file", "required", "the key file holds no key"))?;
        Ok(Self { current, keys })
    }

    /// The text of a new key file with one fresh key.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn new_key_file(env: &Env) -> Result<String> {
        Ok(format!("{}\n", STANDARD.encode(env.bytes::<{ Key::LENGTH }>()?)))
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// Whether a key is in the ring.
    pub fn has(&self, id: &str) -> bool {
        self.keys.contains_key(id)
    }

    /// Seals `plain` for one place; answers the key's id and nonce with ciphertext.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn seal(&self, env: &Env, place: &Place, plain: &[u8]) -> Result<(String, Vec<u8>)> {
        Ok((self.current.clone(), self.key(&self.current)?.seal(env, place, plain)?))
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// `internal` if the key is not in the ring, or if the text was changed or belongs to another place.
    pub fn open(&self, place: &Place, key_id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        self.key(key_id)?.open(place, sealed)
    }

    /// What tells texts apart without giving them away, not even to whoever can guess: their HMAC-SHA-256 under each key,
    /// one behind the other, the newest first.
    ///
    /// # Errors
    /// None in practice: keys of HMAC may have any length.
    pub fn fingerprints(&self, text: &[u8]) -> Result<Vec<u8>> {
        let newest = self.keys.get_key_value(&self.current);
        let older = self.keys.iter().filter(|(id, _)| **id != self.current);
        let mut all = Vec::with_capacity(FINGERPRINT * self.keys.len());
        for (_, key) in newest.into_iter().chain(older) {
            let mac = Hmac::<Sha256>::new_from_slice(key.mac.as_slice());
            let mut mac = mac.map_err(|e| Error::internal("no key for a fingerprint").with_source(e))?;
            mac.update(text);
            all.extend_from_slice(&mac.finalize().into_bytes());
        }
        Ok(all)
    }

    fn key(&self, id: &str) -> Result<&Key> {
        self.keys.get(id).ok_or_else(|| {
            Error::internal(format!("the key {id} is not in the key file: put it back below the newest one"))
        })
    }
}

/// The public name of a master key: the beginning of its SHA-256.
fn key_id(key: &[u8]) -> String {
    Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cipher").field("current", &self.current).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: &str) -> Place {
        Place::of_organization(OrganizationId::from(uuid::Uuid::from_u128(1)), "accounts", "sealed", row)
    }

    /// ASVS 11.2.2 and 11.3.3.
    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let env = Env::system();
        let old = Cipher::new_key_file(&env).unwrap();
        let cipher = Cipher::from_key_file(&old).unwrap();
        let (id, sealed) = cipher.seal(&env, &place("1"), b"secret").unwrap();
        assert_eq!(*cipher.open(&place("1"), &id, &sealed).unwrap(), b"secret");
        let (one, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        for elsewhere in [
            place("2"),
            Place::of_organization(other.into(), "accounts", "sealed", "1"),
            Place::of_organization(one.into(), "jobs", "sealed", "1"),
            Place::of_organization(one.into(), "accounts", "payload", "1"),
            // The same letters, parted elsewhere.
            Place::of_organization(one.into(), "account", "ssealed", "1"),
            Place::of_user(one.into(), "accounts", "sealed"),
            Place::of_nobody("accounts", "sealed", "1"),
        ] {
            assert!(cipher.open(&elsewhere, &id, &sealed).is_err(), "{elsewhere:?}");
        }
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(cipher.open(&place("1"), &id, &changed).is_err());

        let rotated = Cipher::from_key_file(&format!("{}{old}", Cipher::new_key_file(&env).unwrap())).unwrap();
        assert_eq!(*rotated.open(&place("1"), &id, &sealed).unwrap(), b"secret");
        assert_ne!(rotated.seal(&env, &place("1"), b"secret").unwrap().0, id);
    }

    #[test]
    fn fingerprints_tell_texts_apart_under_every_key_of_the_ring() {
        let env = Env::system();
        let old = Cipher::new_key_file(&env).unwrap();
        let before = Cipher::from_key_file(&old).unwrap().fingerprints(b"secret").unwrap();
        let both = Cipher::from_key_file(&format!("{}{old}", Cipher::new_key_file(&env).unwrap())).unwrap();
        let after = both.fingerprints(b"secret").unwrap();
        assert_eq!((before.len(), &after[FINGERPRINT..]), (FINGERPRINT, before.as_slice()));
        assert_ne!(after[..FINGERPRINT], before);
        assert_ne!(both.fingerprints(b"secreu").unwrap(), after);
    }

    #[test]
    fn keys_are_wiped_when_dropped_and_never_printed() {
        fn wiped<T: zeroize::ZeroizeOnDrop>() {}
        wiped::<XChaCha20Poly1305>();
        let text = Cipher::new_key_file(&Env::system()).unwrap();
        let debug = format!("{:?}", Cipher::from_key_file(&text).unwrap());
        let key = STANDARD.decode(text.trim()).unwrap();
        assert_eq!(debug, format!("Cipher {{ current: {:?}, .. }}", key_id(&key)));
    }

    #[test]
    fn a_key_file_without_a_key_is_refused() {
        for text in ["", "# nothing", "abcd", "not base64!"] {
            assert_eq!(Cipher::from_key_file(text).unwrap_err().code(), "validation_failed", "{text}");
        }
    }
}
