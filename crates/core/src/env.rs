//! Time, ids and randomness: the only way in. Nothing else in the workspace may ask the machine for them (clippy's
//! `disallowed-methods` holds the line), so tests, simulations and the demo's history own the clock.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves the clock by `by`; a negative duration moves it back.
    pub fn advance(&self, by: chrono::Duration) {
        *self.lock() += by;
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.lock() = now;
    }

    fn lock(&self) -> MutexGuard<'_, DateTime<Utc>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    newest_id: Arc<NewestId>,
}

impl Env {
    /// The machine's clock and randomness.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom), newest_id: Arc::default() }
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

    /// A new id: UUIDv7 whose `rand_a` carries the fraction of the millisecond (RFC 9562, 6.2, method 3). Ids made one
    /// after the other sort that way, also while the clock stands still (method 2): lists that fall back on the id show
    /// what was written in one instant in the order in which it was.
    ///
    /// # Errors
    /// `internal` if the machine gives no randomness.
    pub fn id<T: Id>(&self) -> Result<T> {
        let now = self.now();
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        let fraction = u64::from(now.timestamp_subsec_micros() % 1000 * 4096 / 1000);
        let random = self.newest_id.follow((millis, fraction), u64::from_be_bytes(self.bytes()?));
        let [.., high, low] = fraction.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = random.to_be_bytes();
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &[high, low, a, b, c, d, e, f, g, h]);
        Ok(T::from_uuid(id.into_uuid()))
    }
}

/// The newest id's instant and random part.
#[derive(Default)]
struct NewestId(Mutex<((u64, u64), u64)>);

impl NewestId {
    /// The random part of the next id: above the last one's if that was made in the same instant.
    fn follow(&self, instant: (u64, u64), random: u64) -> u64 {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let random = match *newest {
            (last, below) if last == instant => below + 1 + (random >> 32),
            // 61 of the 62 bits: room for a milliard ids above it.
            _ => random >> 3,
        };
        *newest = (instant, random);
        random
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("now", &self.now()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::EventId;

    #[test]
    fn ids_of_one_instant_sort_as_they_were_made() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + chrono::Duration::days(20_000));
        let env = Env::system().with_clock(clock.clone());
        let mut ids = Vec::new();
        for instant in 0..100 {
            clock.set(DateTime::UNIX_EPOCH + chrono::Duration::microseconds(1_700_000_000_000_000 + instant));
            ids.extend((0..100).map(|_| env.id::<EventId>().unwrap()));
        }
        assert!(ids.is_sorted_by(|one, next| one < next));
        let uuid = ids[0].uuid();
        assert_eq!((uuid.get_version_num(), uuid.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanos), (1_700_000_000, 0));
    }
}
