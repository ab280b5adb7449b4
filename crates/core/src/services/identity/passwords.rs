//! Passwords: argon2id, away from the threads that answer calls, and few at once, so that a flood of sign-ins stalls
//! nothing but itself.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use tokio::sync::Semaphore;

use crate::{
    env::Env,
    error::{Error, Result},
};

/// Memory in KiB, passes, lanes: the OWASP Password Storage Cheat Sheet's first choice for argon2id with 19 MiB.
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// How many are computed at the same time. Each takes 19 MiB.
const AT_ONCE: usize = 2;
/// How many may wait for their turn, about two seconds' worth; more are sent away.
const WAITING: usize = 64;

pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Passwords {
    pub fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }

    /// The PHC string of a password under a fresh salt.
    pub async fn hash(&self, env: &Env, password: &str) -> Result<String> {
        let salt = env.bytes::<16>()?;
        let password = password.to_owned();
        self.compute(move || {
            let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            Ok(hash.map_err(|e| Error::internal(format!("argon2 failed: {e}")))?.to_string())
        })
        .await
    }

    /// Whether the password is the hashed one. Without a hash the answer is no, and takes as long.
    pub async fn matches(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let password = password.to_owned();
        self.compute(move || {
            let Some(hash) = hash else {
                argon2()?
                    .hash_password_with_salt(password.as_bytes(), &[0; 16])
                    .map_err(|e| Error::internal(format!("argon2 failed: {e}")))?;
                return Ok(false);
            };
            Ok(argon2()?.verify_password(password.as_bytes(), &*hash).is_ok())
        })
        .await
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _place = self.queue.try_acquire().map_err(|_| {
            Error::unavailable("too many people sign in at this moment: try again in a second")
                .with_retry_after(std::time::Duration::from_secs(1))
        })?;
        let turn = self.turns.clone().acquire_owned().await;
        let turn = turn.map_err(|e| Error::internal("the engine is ending").with_source(e))?;
        tokio::task::spawn_blocking(move || {
            // Kept until the work is done, even if the caller is gone.
            let _turn = turn;
            work()
        })
        .await
        .map_err(|e| Error::internal("argon2 did not end").with_source(e))?
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|e| Error::internal(format!("argon2 refuses its parameters: {e}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash(&Env::system(), "correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.matches("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches("correct horsf", Some(hash)).await.unwrap());
        assert!(!passwords.matches("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn a_flood_is_sent_away() {
        let passwords = Passwords::new();
        let all = futures::future::join_all((0..100).map(|_| passwords.matches("x", None))).await;
        let refused = all.iter().filter(|it| it.as_ref().is_err_and(|e| e.code() == "unavailable")).count();
        assert_eq!(refused, 100 - AT_ONCE - WAITING);
    }
}
