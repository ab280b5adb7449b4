//! Somebody who vouches for whomever a test says: the engine's side of signing in by a provider, without one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::Duration;
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    ports::sign_in_provider::{Attempt, Once, SignInProvider, Vouched},
};

/// A provider whose `code` says whom it vouches for: see [`code_for`].
#[derive(Debug, Clone)]
pub struct Voucher {
    name: &'static str,
    begun: Arc<Mutex<HashMap<String, Attempt>>>,
}

/// The code for somebody: what the provider calls them, their address, and whether that is theirs. With `once` beside them
/// it is a proof that counts once, for five minutes.
pub fn code_for(subject: &str, email: Option<&str>, email_verified: bool) -> String {
    json!({ "subject": subject, "email": email, "email_verified": email_verified }).to_string()
}

impl Voucher {
    /// A provider of this name.
    pub fn new(name: &'static str) -> Self {
        Self { name, begun: Arc::default() }
    }
}

#[async_trait]
impl SignInProvider for Voucher {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn begin(&self, attempt: &Attempt) -> Result<String> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt.state.clone(), attempt.clone());
        Ok(format!("https://provider.example/authorize?state={}", attempt.state))
    }

    async fn finish(&self, attempt: &Attempt, answer: &BTreeMap<String, String>) -> Result<Vouched> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).get(&attempt.state).cloned();
        let same = begun.is_some_and(|it| Attempt { now: attempt.now, ..it } == *attempt);
        let code: Value = answer.get("code").and_then(|code| serde_json::from_str(code).ok()).unwrap_or_default();
        let text = |name: &str| code.get(name).and_then(Value::as_str).map(str::to_owned);
        match text("subject") {
            Some(subject) if same => Ok(Vouched {
                subject,
                email: text("email"),
                email_verified: code.get("email_verified") == Some(&Value::Bool(true)),
                name: text("name"),
                once: text("once").map(|proof| Once { proof, until: attempt.now + Duration::minutes(5) }),
            }),
            _ => Err(Error::unauthenticated("invalid_provider_answer", "this code is of another attempt, or none")),
        }
    }
}
