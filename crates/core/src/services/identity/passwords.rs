//! Passwords: argon2id, away from the threads that answer calls, few at once, and on threads that give way to all others,
//! so that a flood of sign-ins stalls nothing but itself.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
};

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

/// By how much threads that compute give way (setpriority(2)): of a core that others want too they get about a tenth.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

pub(super) struct Passwords {
    /// Nothing but a pool of threads.
    pool: Option<Runtime>,
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

/// What the comparison of a password came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is another one.
    Wrong,
    /// It is the one.
    Right {
        /// Its hash under today's parameters, if the one that was compared with is under weaker ones.
        renewed: Option<String>,
    },
}

impl Passwords {
    /// # Errors
    /// `unavailable` if the machine has no room for a pool of threads.
    pub fn new() -> Result<Self> {
        let pool = Builder::new_current_thread()
            .thread_name("dealwright-argon2")
            .max_blocking_threads(AT_ONCE)
            .on_thread_start(give_way)
            .build()
            .map_err(|e| Error::unavailable("the machine gives no threads for passwords").with_source(e))?;
        Ok(Self {
            pool: Some(pool),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            computed: Arc::default(),
        })
    }

    /// How many computations of argon2id there were.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    /// The PHC string of a password under a fresh salt.
    pub async fn hash(&self, env: &Env, password: &str) -> Result<String> {
        let salt = env.bytes::<16>()?;
        let (password, computed) = (password.to_owned(), self.computed.clone());
        self.compute(move || hash(&computed, &password, &salt)).await
    }

    /// Whether the password is the hashed one. Without a hash the answer is no, and takes as long.
    pub async fn compare(&self, env: &Env, password: &str, hashed: Option<String>) -> Result<Verdict> {
        let salt = env.bytes::<16>()?;
        let (password, computed) = (password.to_owned(), self.computed.clone());
        self.compute(move || {
            let hashed = hashed.as_deref().and_then(|text| PasswordHash::new(text).ok());
            let Some(hashed) = hashed else {
                hash(&computed, &password, &salt)?;
                return Ok(Verdict::Wrong);
            };
            computed.fetch_add(1, Ordering::Relaxed);
            if argon2()?.verify_password(password.as_bytes(), &hashed).is_err() {
                return Ok(Verdict::Wrong);
            }
            let renewed = is_weak(&hashed).then(|| hash(&computed, &password, &salt)).transpose()?;
            Ok(Verdict::Right { renewed })
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
        let pool = self.pool.as_ref().ok_or_else(|| Error::internal("the engine is ending"))?;
        pool.spawn_blocking(move || {
            // Kept until the work is done, even if the caller is gone.
            let _turn = turn;
            work()
        })
        .await
        .map_err(|e| Error::internal("argon2 did not end").with_source(e))?
    }
}

impl Drop for Passwords {
    /// The engine may end where nobody may wait for threads.
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.shutdown_background();
        }
    }
}

/// Lets every other thread go first. Linux alone has priorities of threads; a machine that refuses loses nothing by it.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "passwords are computed at the same priority as everything else");
    }
}

/// The PHC string of a password under today's parameters, which it names.
fn hash(computed: &AtomicU64, password: &str, salt: &[u8]) -> Result<String> {
    computed.fetch_add(1, Ordering::Relaxed);
    let hash = argon2()?.hash_password_with_salt(password.as_bytes(), salt);
    Ok(hash.map_err(|e| Error::internal(format!("argon2 failed: {e}")))?.to_string())
}

/// Whether a hash is under parameters that are weaker than today's.
fn is_weak(hash: &PasswordHash) -> bool {
    let (memory, passes, _) = COST;
    let of_today = hash.algorithm == Algorithm::Argon2id.ident() && hash.version == Some(Version::V0x13.into());
    !of_today || !Params::try_from(hash).is_ok_and(|it| it.m_cost() >= memory && it.t_cost() >= passes)
}

fn argon2() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None)
        .map_err(|e| Error::internal(format!("argon2 refuses its parameters: {e}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const RIGHT: Verdict = Verdict::Right { renewed: None };

    /// ASVS 15.2.2: what is dear keeps nobody else from a core.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn threads_that_compute_give_way() {
        let niceness = || Ok(rustix::process::getpriority_process(None).unwrap());
        let before = niceness().unwrap();
        let computing = Passwords::new().unwrap().compute(niceness).await.unwrap();
        assert!(computing >= NICENESS, "{computing}");
        assert_eq!(niceness().unwrap(), before);
    }

    /// ASVS 6.2.8 and 11.4.2.
    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let (passwords, env) = (Passwords::new().unwrap(), Env::system());
        let hash = passwords.hash(&env, "correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        for (password, hash, expected) in [
            ("correct horse", Some(hash.clone()), RIGHT),
            ("correct horsf", Some(hash), Verdict::Wrong),
            ("correct horse", Some("nonsense".to_owned()), Verdict::Wrong),
            ("correct horse", None, Verdict::Wrong),
        ] {
            let before = passwords.computed();
            assert_eq!(passwords.compare(&env, password, hash).await.unwrap(), expected);
            assert_eq!(passwords.computed() - before, 1);
        }
    }

    #[tokio::test]
    async fn what_was_hashed_with_less_is_hashed_anew() {
        let (passwords, env) = (Passwords::new().unwrap(), Env::system());
        for (memory, passes, weak) in [(19_456, 1, true), (8_192, 2, true), (19_456, 2, false), (32_768, 3, false)] {
            let params = Params::new(memory, passes, 1, None).unwrap();
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let old = argon2.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string();
            let verdict = passwords.compare(&env, "correct horse", Some(old.clone())).await.unwrap();
            let Verdict::Right { renewed } = verdict else { panic!("{verdict:?}") };
            assert_eq!(renewed.is_some(), weak, "{memory} KiB, {passes} passes");
            if let Some(renewed) = renewed {
                assert_eq!(passwords.compare(&env, "correct horse", Some(renewed)).await.unwrap(), RIGHT);
            }
        }
    }

    /// ASVS 15.2.2.
    #[tokio::test]
    async fn a_flood_is_sent_away() {
        let (passwords, env) = (Passwords::new().unwrap(), Env::system());
        let all = futures::future::join_all((0..100).map(|_| passwords.compare(&env, "x", None))).await;
        let refused = all.iter().filter(|it| it.as_ref().is_err_and(|e| e.code() == "unavailable")).count();
        assert_eq!(refused, 100 - AT_ONCE - WAITING);
        assert_eq!(passwords.computed(), (AT_ONCE + WAITING) as u64);
    }

    /// Memory is bounded by it: each computation takes 19 MiB.
    /// ASVS 15.2.2.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn few_are_computed_at_the_same_time() {
        let (passwords, busy, most) =
            (Passwords::new().unwrap(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let all = (0..16).map(|_| {
            let (busy, most, computed) = (busy.clone(), most.clone(), passwords.computed.clone());
            passwords.compute(move || {
                most.fetch_max(busy.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                hash(&computed, "x", &[0; 16])?;
                busy.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            })
        });
        for done in futures::future::join_all(all).await {
            done.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }
}
