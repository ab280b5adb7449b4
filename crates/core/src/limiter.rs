//! Counts in this process: the limiter of whoever runs a single one, and the one to fall back on where a shared one does
//! not answer. Not the crate `governor`: that gives nothing back, forgets no single key and knows no clock of ours.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{
    env::Env,
    ports::limiter::{Charge, Key, Limiter, MOST_CHARGES, Verdict},
};

/// So that calls on several threads seldom meet.
const SHARDS: usize = 32;
/// Keys of a shard before those are looked for that have everything back.
const SWEPT_FROM: usize = 256;
/// Keys of a shard at most: about 20 MB for all of them.
const MOST_KEYS: usize = 8192;

/// Counts in this process.
pub struct InProcess {
    env: Env,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// When each key has everything back, in microseconds since the epoch.
struct Shard {
    full_at: HashMap<Key, i64>,
    sweep_at: usize,
}

impl InProcess {
    /// A limiter that has counted nothing yet.
    pub fn new(env: Env) -> Self {
        let shard = || Mutex::new(Shard { full_at: HashMap::new(), sweep_at: SWEPT_FROM });
        Self { env, hasher: RandomState::new(), shards: std::array::from_fn(|_| shard()) }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        let shard = self.shards.get(hash).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        self.env.now().timestamp_micros()
    }

    /// What is left afterwards, or how long until there is enough.
    fn take_one(&self, charge: &Charge, now: i64) -> Result<u32, Duration> {
        let mut shard = self.shard(&charge.key);
        let (unit, whole) = (charge.quota.unit(), charge.quota.whole());
        // Later than everything could take is possible only by a clock that was set back: it prolongs nothing.
        let kept = shard.full_at.get(&charge.key).copied().unwrap_or(now);
        let full_at = kept.clamp(now, now + whole);
        let after = full_at + charge.price();
        let missing = after - now - whole;
        if missing > 0 {
            if kept > full_at {
                shard.put(charge.key, full_at, now);
            }
            return Err(Duration::from_micros(missing.unsigned_abs()));
        }
        shard.put(charge.key, after, now);
        Ok(u32::try_from((whole - (after - now)) / unit).unwrap_or_default())
    }

    fn give_back_one(&self, charge: &Charge) {
        let mut shard = self.shard(&charge.key);
        if let Some(at) = shard.full_at.get_mut(&charge.key) {
            *at -= charge.price();
        }
    }

    /// How many keys are kept.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock().unwrap().full_at.len()).sum()
    }
}

impl Shard {
    fn put(&mut self, key: Key, at: i64, now: i64) {
        self.full_at.insert(key, at);
        if self.full_at.len() < self.sweep_at {
            return;
        }
        self.full_at.retain(|_, at| *at > now);
        if self.full_at.len() > MOST_KEYS {
            // Those who have spent least go first: they would be forgotten soonest anyway.
            let mut all: Vec<i64> = self.full_at.values().copied().collect();
            let (_, middle, _) = all.select_nth_unstable(MOST_KEYS / 2);
            let middle = *middle;
            self.full_at.retain(|_, at| *at > middle);
        }
        self.sweep_at = (self.full_at.len() * 2).clamp(SWEPT_FROM, MOST_KEYS + 1);
    }
}

#[async_trait]
impl Limiter for InProcess {
    async fn take(&self, charges: &[Charge]) -> Verdict {
        let now = self.now();
        let mut verdict = Verdict { refused: None, left: [0; MOST_CHARGES] };
        for (place, (charge, left)) in charges.iter().zip(&mut verdict.left).enumerate() {
            match self.take_one(charge, now) {
                Ok(rest) => *left = rest,
                Err(after) => {
                    // One key at a time is looked at and taken from in one step, so that nobody gets more than there is.
                    charges.iter().take(place).for_each(|taken| self.give_back_one(taken));
                    verdict.refused = Some((place, after));
                    break;
                }
            }
        }
        verdict
    }

    async fn give_back(&self, charge: Charge) {
        self.give_back_one(&charge);
    }

    async fn forget(&self, key: Key) {
        self.shard(&key).full_at.remove(&key);
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::{
        env::ManualClock,
        ports::limiter::{Quota, Subject},
    };

    fn limiter() -> (InProcess, ManualClock) {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
        (InProcess::new(Env::system().with_clock(clock.clone())), clock)
    }

    fn charge(id: u128, quota: Quota) -> Charge {
        Charge::one(Key { subject: Subject::User, id }, quota)
    }

    #[tokio::test]
    async fn what_was_spent_comes_back_evenly() {
        let (limiter, clock) = limiter();
        let one = charge(1, Quota::per_minute(60).burst(2));
        assert_eq!(limiter.take(&[one]).await.left[0], 1);
        assert_eq!(limiter.take(&[one]).await.left[0], 0);
        assert_eq!(limiter.take(&[one]).await.refused, Some((0, Duration::from_secs(1))));
        clock.advance(TimeDelta::milliseconds(999));
        assert_eq!(limiter.take(&[one]).await.refused, Some((0, Duration::from_millis(1))));
        clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(limiter.take(&[one]).await.refused, None);
    }

    #[tokio::test]
    async fn a_clock_that_was_set_back_keeps_nobody_waiting_longer() {
        let (limiter, clock) = limiter();
        let one = charge(1, Quota::per_minute(1));
        limiter.take(&[one]).await;
        clock.advance(-TimeDelta::days(1));
        assert_eq!(limiter.take(&[one]).await.refused, Some((0, Duration::from_secs(60))));
        clock.advance(TimeDelta::seconds(60));
        assert_eq!(limiter.take(&[one]).await.refused, None);
    }

    #[tokio::test]
    async fn whoever_has_everything_back_is_forgotten_and_there_is_an_end_to_memory() {
        let (limiter, clock) = limiter();
        for id in 0..20_000 {
            limiter.take(&[charge(id, Quota::per_minute(60))]).await;
            clock.advance(TimeDelta::milliseconds(10));
        }
        assert!(limiter.len() < SHARDS * SWEPT_FROM * 2, "{} keys", limiter.len());
        // Who has spent most is still known after more keys than fit.
        let hour = Quota::new(1, Duration::from_secs(3600));
        limiter.take(&[charge(1 << 80, hour)]).await;
        for id in 0..(SHARDS * MOST_KEYS * 2) as u128 {
            limiter.take(&[charge(1 << 81 | id, Quota::per_minute(60))]).await;
        }
        assert!(limiter.len() <= SHARDS * (MOST_KEYS + 1), "{} keys", limiter.len());
        assert!(limiter.take(&[charge(1 << 80, hour)]).await.refused.is_some());
    }
}
