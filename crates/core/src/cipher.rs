//! The authenticated cipher for secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under one of a ring of
//! keys. What is sealed is bound to its [`Place`] (owner, table, column and row), so that it opens in no other.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    env::Env,
    error::{Error, Result},
    id::{OrganizationId, UserId},
};

/// Length of the nonce that stands before the ciphertext.
const NONCE: usize = 24;

/// Where a secret lies. It is authenticated with it: whoever can write to the database and copies a sealed value into
/// another row, column, table or organisation has one that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(Vec<u8>);

impl Place {
    /// In a row of an organisation.
    pub fn of_organization(owner: OrganizationId, table: &str, column: &str, row: &str) -> Self {
        Self::new(["organization", &owner.to_string(), table, column, row])
    }

    /// In the row that a table keeps of a person. People belong to no organisation: the keys of the installation seal
    /// what is theirs.
    pub fn of_user(owner: UserId, table: &str, column: &str) -> Self {
        let owner = owner.to_string();
        Self::new(["user", &owner, table, column, &owner])
    }

    /// In a row that is nobody's yet, as long as it is not known who signs in.
    pub fn of_nobody(table: &str, column: &str, row: &str) -> Self {
        Self::new(["nobody", "", table, column, row])
    }

    /// Each part stands behind its length, so that no two places read the same.
    fn new(parts: [&str; 5]) -> Self {
        let counted = |part: &str| [&(part.len() as u64).to_be_bytes(), part.as_bytes()].concat();
        Self(parts.into_iter().flat_map(counted).collect())
    }
}

/// The keys of this installation: the first one seals, all of them open.
#[derive(Clone)]
pub struct Cipher {
    current: String,
    keys: BTreeMap<String, XChaCha20Poly1305>,
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
            let key = Zeroizing::new(STANDARD.decode(line).map_err(|_| wrong())?);
            let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| wrong())?;
            let id = key_id(&key);
            current.get_or_insert_with(|| id.clone());
            keys.insert(id, cipher);
        }
        let current = current.ok_or_else(|| Error::invalid("/key_file", "required", "the key file holds no key"))?;
        Ok(Self { current, keys })
    }

    /// The text of a new key file with one fresh key.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn new_key_file(env: &Env) -> Result<String> {
        Ok(format!("{}\n", STANDARD.encode(env.bytes::<32>()?)))
    }

    /// Seals `plain` for one place; answers the key's id and nonce with ciphertext.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn seal(&self, env: &Env, place: &Place, plain: &[u8]) -> Result<(String, Vec<u8>)> {
        let nonce: [u8; NONCE] = env.bytes()?;
        let sealed = self
            .key(&self.current)?
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &place.0 })
            .map_err(|_| Error::internal("the cipher refused to seal"))?;
        Ok((self.current.clone(), [nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// `internal` if the key is not in the ring, or if the text was changed or belongs to another place.
    pub fn open(&self, place: &Place, key_id: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || Error::internal("a sealed secret does not open: it was changed, or it belongs elsewhere");
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        self.key(key_id)?.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &place.0 }).map_err(|_| broken())
    }

    fn key(&self, id: &str) -> Result<&XChaCha20Poly1305> {
        self.keys.get(id).ok_or_else(|| {
            Error::internal(format!("the key {id} is not in the key file: put it back below the newest one"))
        })
    }
}

/// The public name of a key: the beginning of its SHA-256.
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
        assert_eq!(cipher.open(&place("1"), &id, &sealed).unwrap(), b"secret");
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
        assert_eq!(rotated.open(&place("1"), &id, &sealed).unwrap(), b"secret");
        assert_ne!(rotated.seal(&env, &place("1"), b"secret").unwrap().0, id);
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
