//! The port to whoever vouches for people who sign in: Google, GitHub, …. A provider speaks its own protocol and says who
//! came back. Whose account that is, is not for it to say.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::Result;

/// One try to sign in: random texts of 256 bits each, which nobody but us and, sealed, the store knows beforehand.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Comes back with the browser (RFC 6749, 10.12).
    pub state: String,
    /// Comes back inside what the provider signs (OpenID Connect Core 1.0, 3.1.2.1).
    pub nonce: String,
    /// Proves that whoever redeems a code also asked for it (RFC 7636).
    pub verifier: String,
    /// Where the provider sends the browser back to.
    pub callback: String,
    /// The engine's present.
    pub now: DateTime<Utc>,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("callback", &self.callback).finish_non_exhaustive()
    }
}

/// What a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// What it calls the person, for ever.
    pub subject: String,
    /// Their e-mail address, if it tells one.
    pub email: Option<String>,
    /// Whether it says that this address is theirs.
    pub email_verified: bool,
    /// What they are called.
    pub name: Option<String>,
    /// For a proof that is bound to no attempt: whoever else got hold of it could show it too, so it counts once.
    pub once: Option<Once>,
}

/// A proof that counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What the proof says, the same however it was written.
    pub proof: String,
    /// From here on it counts for nothing anyway.
    pub until: DateTime<Utc>,
}

/// Somebody who vouches for people.
#[async_trait]
pub trait SignInProvider: Send + Sync {
    /// Its name in addresses and rows, for example `google`.
    fn name(&self) -> &'static str;

    /// Whether its answer stands behind the `#` of the callback, where no server sees it: a page of ours brings it then.
    fn answers_behind_hash(&self) -> bool {
        false
    }

    /// The address that the browser is sent to.
    ///
    /// # Errors
    /// `unavailable` if the provider does not tell how to sign in.
    async fn begin(&self, attempt: &Attempt) -> Result<String>;

    /// Who came back, by the parameters of the callback; its `state` was compared already.
    ///
    /// # Errors
    /// `access_denied` if the person or the provider refused; `invalid_provider_answer` for an answer that proves nothing;
    /// `unavailable` if the provider does not answer.
    async fn finish(&self, attempt: &Attempt, answer: &BTreeMap<String, String>) -> Result<Vouched>;
}
