//! Time, ids and randomness: the only way in. Nothing else in the workspace may ask the machine for them (clippy's
//! `disallowed-methods` holds the line), so tests, simulations and the demo's history own the clock.

use std::{fmt, sync::Arc};

use chrono::{DateTime, SubsecRound, Utc};

use crate::{
    error::{Error, Result},
    id::Id,
};

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> DateTime<Utc>;
}

/// Where randomness comes from.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// `internal` if the source is broken; nobody may go on without randomness.
    fn fill(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The machine's own randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for randomness")]
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        getrandom::fill(bytes).map_err(|e| Error::internal(format!("the machine gives no randomness: {e}")))
    }
}

/// A clock that stands still until it is moved: for tests, simulations and made histories.
///
/// ```
/// use dealwright::env::{Clock, ManualClock};
/// use chrono::{Duration, TimeZone, Utc};
/// let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap());
/// clock.advance(Duration::hours(24));
/// assert_eq!(clock.now().to_rfc3339(), "2026-11-23T10:00:00+00:00");
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<std::sync::Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(std::sync::Mutex::new(now)))
    }

    /// Moves the clock by `by`; a negative duration moves it back.
    pub fn advance(&self, by: chrono::Duration) {
        *self.lock() += by;
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.lock() = now;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, DateTime<Utc>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }
}

/// What the engine knows of the world outside: the clock and the dice.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Env {
    /// The machine's clock and randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }

    /// The same, with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The same, with other randomness.
    #[must_use]
    pub fn with_random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// The present instant in whole microseconds, the resolution of the store.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A new id: UUIDv7 whose `rand_a` carries the fraction of the millisecond (RFC 9562, 6.2, method 3), so that ids
    /// made one after the other sort that way.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn id<T: Id>(&self) -> Result<T> {
        let now = self.now();
        let [fraction_high, fraction_low] =
            u16::try_from(now.timestamp_subsec_micros() % 1000 * 4096 / 1000).unwrap_or_default().to_be_bytes();
        let [a, b, c, d, e, f, g, h] = self.bytes::<8>()?;
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let counter_and_random = [fraction_high, fraction_low, a, b, c, d, e, f, g, h];
        Ok(T::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &counter_and_random).into_uuid()))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("now", &self.now()).finish_non_exhaustive()
    }
}
