//! Refresh tokens: the session's id, 256 secret bits and a code that proves that we made it. The store keeps only the
//! SHA-256. The code tells a spent token, whose hash is long forgotten, from a guessed one.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    env::Env,
    error::Result,
    id::{Id, SessionId},
    services::identity::TokenKeys,
};

const SECRET: usize = 32;
const CODE: usize = 16;

/// A refresh token's bytes.
pub(super) struct RefreshToken {
    session: SessionId,
    secret: [u8; SECRET],
    code: [u8; CODE],
}

impl RefreshToken {
    /// The first token of a session.
    pub fn first(keys: &TokenKeys, env: &Env, session: SessionId) -> Result<Self> {
        Self::with_secret(keys, session, env.bytes()?)
    }

    /// The token that follows this one. Always the same, so that a client that refreshes twice in one moment (two tabs,
    /// a lost answer) holds one family, not two halves; without the key it cannot be told from a random one.
    pub fn next(&self, keys: &TokenKeys) -> Result<Self> {
        let secret = keys.mac(&[b"next", self.session.uuid().as_bytes(), &self.secret])?;
        Self::with_secret(keys, self.session, secret)
    }

    fn with_secret(keys: &TokenKeys, session: SessionId, secret: [u8; SECRET]) -> Result<Self> {
        let whole = keys.mac(&[b"code", session.uuid().as_bytes(), &secret])?;
        let mut code = [0; CODE];
        code.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        Ok(Self { session, secret, code })
    }

    /// Reads a token's text.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        let (session, rest) = bytes.split_first_chunk::<16>()?;
        let (secret, code) = rest.split_first_chunk::<SECRET>()?;
        let code = code.try_into().ok()?;
        Some(Self { session: SessionId::from_uuid(uuid::Uuid::from_bytes(*session)), secret: *secret, code })
    }

    /// Its text.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes())
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.bytes()).to_vec()
    }

    /// The session it says it belongs to.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Whether one of these keys made it.
    pub fn is_ours(&self, keys: &TokenKeys) -> Result<bool> {
        keys.mac_matches(&[b"code", self.session.uuid().as_bytes(), &self.secret], &self.code)
    }

    fn bytes(&self) -> Vec<u8> {
        [self.session.uuid().as_bytes().as_slice(), &self.secret, &self.code].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 7.2.3.
    #[test]
    fn only_our_own_tokens_prove_it() {
        let env = Env::system();
        let keys = || TokenKeys::from_key_file(&TokenKeys::new_key_file(&env).unwrap()).unwrap();
        let (ours, theirs) = (keys(), keys());
        let first = RefreshToken::first(&ours, &env, env.id().unwrap()).unwrap();
        let next = first.next(&ours).unwrap();
        assert_eq!(next.text(), first.next(&ours).unwrap().text());
        assert_ne!(next.hash(), first.hash());
        for token in [first, next] {
            let read = RefreshToken::read(&token.text()).unwrap();
            assert_eq!((read.session(), read.hash()), (token.session(), token.hash()));
            assert!(read.is_ours(&ours).unwrap());
            assert!(!read.is_ours(&theirs).unwrap());
        }
        assert!(RefreshToken::read("").is_none());
        assert!(RefreshToken::read("AAAA").is_none());
    }
}
