//! The keys that sign tokens: Ed25519 for access tokens (RFC 8037), and HMAC-SHA-256 keys derived from them for refresh
//! tokens. The newest key signs, all of them verify.

use std::fmt;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode, jwk::Jwk};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    env::Env,
    error::{Error, Result},
};

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Who issues access tokens, and whom they are for.
const ISSUER: &str = "dealwright";
/// The `typ` of an access token (RFC 9068, 2.1): no other kind of token passes for one.
const TYPE: &str = "at+jwt";

/// The keys that verify our access tokens: a JWK set (RFC 7517) of Ed25519 keys (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublicKeys {
    /// The newest first.
    pub keys: Vec<PublicKey>,
}

/// A key that verifies access tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PublicKey {
    /// Always `OKP`.
    pub kty: &'static str,
    /// Always `Ed25519`.
    pub crv: &'static str,
    /// Always `EdDSA`.
    pub alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub purpose: &'static str,
    /// The `kid` in the header of the tokens that it verifies.
    pub kid: String,
    /// The key: 32 bytes as base64url.
    pub x: String,
}

/// The keys that sign and verify tokens. Every replica needs the same ones.
#[derive(Clone)]
pub struct TokenKeys {
    newest: Key,
    older: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: String,
    public: String,
    sign: EncodingKey,
    verify: DecodingKey,
    mac: Zeroizing<[u8; 32]>,
}

impl TokenKeys {
    /// Keys from the text of a key file: one base64 key of 32 bytes a line, the newest first; `#` begins a comment.
    ///
    /// # Errors
    /// `validation_failed` if there is no key or one is not 32 bytes long.
    pub fn from_key_file(text: &str) -> Result<Self> {
        let mut keys = Vec::new();
        let lines =
            text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        for (number, line) in lines {
            let wrong = || {
                Error::invalid("/key_file", "invalid", format!("line {} is not a base64 key of 32 bytes", number + 1))
            };
            let seed = Zeroizing::new(STANDARD.decode(line).map_err(|_| wrong())?);
            keys.push(Key::from_seed(seed.as_slice().try_into().map_err(|_| wrong())?)?);
        }
        let mut keys = keys.into_iter();
        let newest = keys.next().ok_or_else(|| Error::invalid("/key_file", "required", "the key file holds no key"))?;
        Ok(Self { newest, older: keys.collect() })
    }

    /// The text of a new key file with one fresh key.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn new_key_file(env: &Env) -> Result<String> {
        Ok(format!("{}\n", STANDARD.encode(env.bytes::<32>()?)))
    }

    /// What anybody may know of them.
    pub(super) fn public(&self) -> PublicKeys {
        let public = |key: &Key| PublicKey {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            purpose: "sig",
            kid: key.id.clone(),
            x: key.public.clone(),
        };
        PublicKeys { keys: self.all().map(public).collect() }
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// A signed token with these claims.
    pub(super) fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let (typ, kid) = (Some(TYPE.to_owned()), Some(self.newest.id.clone()));
        let header = Header { typ, kid, ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.newest.sign)
            .map_err(|e| Error::internal("the access token cannot be signed").with_source(e))
    }

    /// The claims of an access token that one of these keys signed, issued by us and for us. Times are the caller's to
    /// check.
    pub(super) fn verify<T: DeserializeOwned>(&self, token: &str) -> Option<T> {
        let header = decode_header(token).ok().filter(|header| header.typ.as_deref() == Some(TYPE))?;
        let key = self.all().find(|key| Some(&key.id) == header.kid.as_ref())?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        // The engine's clock decides, not the machine's.
        validation.validate_exp = false;
        decode(token, &key.verify, &validation).ok().map(|data| data.claims)
    }

    /// An authentication code under the newest key.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> Result<[u8; 32]> {
        Ok(self.newest.mac(parts)?.finalize().into_bytes().into())
    }

    /// Whether any key made a code that begins with `code`.
    pub(super) fn mac_matches(&self, parts: &[&[u8]], code: &[u8]) -> Result<bool> {
        for key in self.all() {
            if key.mac(parts)?.verify_truncated_left(code).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Key {
    fn from_seed(seed: &[u8; 32]) -> Result<Self> {
        let broken = |e| Error::internal("an Ed25519 key cannot be made").with_source(e);
        let sign = EncodingKey::from_ed_der(&Zeroizing::new([PKCS8_PREFIX.as_slice(), seed].concat()));
        let public = Jwk::from_encoding_key(&sign, Algorithm::EdDSA).map_err(broken)?;
        let verify = DecodingKey::from_jwk(&public).map_err(broken)?;
        let public = verify.try_get_as_bytes().map_err(broken)?;
        let id = Sha256::digest(public).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let public = URL_SAFE_NO_PAD.encode(public);
        let mac = Sha256::new().chain_update(b"dealwright refresh tokens").chain_update(seed).finalize().into();
        Ok(Self { id, public, sign, verify, mac: Zeroizing::new(mac) })
    }

    fn mac(&self, parts: &[&[u8]]) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::new_from_slice(self.mac.as_slice())
            .map_err(|e| Error::internal("a key of 32 bytes was refused").with_source(e))?;
        parts.iter().for_each(|part| mac.update(part));
        Ok(mac)
    }
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("newest", &self.newest.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn keys(text: &str) -> TokenKeys {
        TokenKeys::from_key_file(text).unwrap()
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "aud": ISSUER, "sub": "una"})
    }

    #[test]
    fn a_token_verifies_under_the_key_that_signed_it() {
        let env = Env::system();
        let old = TokenKeys::new_key_file(&env).unwrap();
        let new = TokenKeys::new_key_file(&env).unwrap();
        let token = keys(&old).sign(&claims()).unwrap();

        assert_eq!(keys(&old).verify::<Value>(&token), Some(claims()));
        assert_eq!(keys(&format!("{new}{old}")).verify::<Value>(&token), Some(claims()));
        assert_eq!(keys(&new).verify::<Value>(&token), None);
    }

    /// ASVS 9.1.1, 9.1.2 and 9.1.3.
    #[test]
    fn a_changed_or_unsigned_token_does_not_verify() {
        let keys = keys(&TokenKeys::new_key_file(&Env::system()).unwrap());
        let token = keys.sign(&claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        // {"alg":"none"} and {"sub":"eve"}
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
        let changed = format!("{}.eyJzdWIiOiJldmUifQ.{}", parts[0], parts[2]);
        assert_eq!(keys.verify::<Value>(&token), Some(claims()));
        for wrong in [unsigned.as_str(), changed.as_str(), "", "x", "a.b.c"] {
            assert_eq!(keys.verify::<Value>(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_file_without_a_key_is_refused() {
        for text in ["", "# nothing", "abcd", "not base64!"] {
            assert_eq!(TokenKeys::from_key_file(text).unwrap_err().code(), "validation_failed", "{text}");
        }
    }
}
