//! Counts in Redis, so that replicas count together: one atomic script per question, by the clock of the Redis server.
//!
//! A Redis that does not answer keeps nobody waiting and lets nobody through uncounted: until it is back, each process
//! counts for itself.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use ::redis::{
    Client, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use async_trait::async_trait;
use dealwright::{
    Error, Result,
    env::Env,
    limiter::InProcess,
    ports::limiter::{Charge, Key, Limiter, MOST_CHARGES, Verdict},
};
use tracing::{info, warn};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long Redis is left alone after it did not answer.
const REST: Duration = Duration::from_secs(1);

/// Takes all charges or none. A key holds when it has everything back, in microseconds since the epoch; `%.0f`, for Lua
/// would write a number of sixteen digits with fourteen. Answers the refused charge and what is missing, or nothing and
/// what is left of each.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local after = {}
for i, key in ipairs(KEYS) do
  local whole, price = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local at = math.min(math.max(tonumber(redis.call('GET', key) or now), now), now + whole)
  after[i] = at + price
  local missing = after[i] - now - whole
  if missing > 0 then return {i, missing} end
end
local answer = {0}
for i, key in ipairs(KEYS) do
  local unit, whole = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  redis.call('SET', key, string.format('%.0f', after[i]), 'PX', math.ceil((after[i] - now) / 1000) + 1)
  answer[i + 1] = math.floor((whole - (after[i] - now)) / unit)
end
return answer
";

const GIVE_BACK: &str = "
local at = redis.call('GET', KEYS[1])
if at then redis.call('SET', KEYS[1], string.format('%.0f', at - ARGV[1]), 'KEEPTTL') end
";

const FORGET: &str = "redis.call('DEL', KEYS[1])";

/// Counts in Redis.
pub struct RedisLimiter {
    connection: ConnectionManager,
    take: Script,
    give_back: Script,
    forget: Script,
    /// What counts while Redis does not answer.
    own: InProcess,
    env: Env,
    /// Until when Redis is left alone, in microseconds since the epoch.
    rests_until: AtomicI64,
}

impl RedisLimiter {
    /// A limiter over the Redis at `redis://…` or, with TLS, `rediss://…`. Connects when it is first asked; must be called
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// `validation_failed` for a URL that is none.
    pub fn new(url: &str, env: Env) -> Result<Self> {
        // The URL may hold a password: it is not repeated.
        let invalid = |e| {
            let detail = "redis://:PASSWORD@HOST:6379 or rediss://… is expected";
            Error::invalid("/redis_url", "invalid", detail).with_source(e)
        };
        let client = Client::open(url).map_err(invalid)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(REST))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config).map_err(invalid)?,
            take: Script::new(TAKE),
            give_back: Script::new(GIVE_BACK),
            forget: Script::new(FORGET),
            own: InProcess::new(env.clone()),
            env,
            rests_until: AtomicI64::new(0),
        })
    }

    /// What Redis answers, if it does in time.
    async fn ask<T>(&self, asked: impl Future<Output = RedisResult<T>>) -> Option<T> {
        let now = self.env.now().timestamp_micros();
        let rests_until = self.rests_until.load(Ordering::Relaxed);
        // By a clock that was set back it would rest for ever.
        if now < rests_until && rests_until - now <= i64::try_from(REST.as_micros()).unwrap_or_default() {
            return None;
        }
        let why = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => {
                if rests_until != 0 && self.rests_until.swap(0, Ordering::Relaxed) != 0 {
                    info!("Redis answers again: replicas count together");
                }
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", PATIENCE.as_millis()),
        };
        let until = now + i64::try_from(REST.as_micros()).unwrap_or_default();
        if self.rests_until.swap(until, Ordering::Relaxed) == 0 {
            warn!(error = why, "Redis does not answer: this process counts for itself until it does");
        }
        None
    }
}

fn name(key: Key) -> String {
    format!("dealwright:limit:{}:{:032x}", key.subject.as_str(), key.id)
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(&self, charges: &[Charge]) -> Verdict {
        let mut script = self.take.prepare_invoke();
        for charge in charges.iter().take(MOST_CHARGES) {
            script.key(name(charge.key));
            script.arg(charge.quota.unit()).arg(charge.quota.whole()).arg(charge.price());
        }
        let mut connection = self.connection.clone();
        let answer: Option<Vec<i64>> = self.ask(script.invoke_async(&mut connection)).await;
        let mut verdict = Verdict { refused: None, left: [0; MOST_CHARGES] };
        match answer.as_deref() {
            Some([0, left @ ..]) => {
                for (to, from) in verdict.left.iter_mut().zip(left) {
                    *to = u32::try_from(*from).unwrap_or_default();
                }
                verdict
            }
            Some([place, missing]) => {
                let place = usize::try_from(*place - 1).unwrap_or_default();
                verdict.refused = Some((place, Duration::from_micros(missing.unsigned_abs())));
                verdict
            }
            _ => self.own.take(charges).await,
        }
    }

    async fn give_back(&self, charge: Charge) {
        let mut connection = self.connection.clone();
        let mut script = self.give_back.prepare_invoke();
        script.key(name(charge.key)).arg(charge.price());
        if self.ask::<()>(script.invoke_async(&mut connection)).await.is_none() {
            self.own.give_back(charge).await;
        }
    }

    async fn forget(&self, key: Key) {
        let mut connection = self.connection.clone();
        let mut script = self.forget.prepare_invoke();
        script.key(name(key));
        // What was counted here meanwhile is forgotten too.
        self.own.forget(key).await;
        let _counted_here = self.ask::<()>(script.invoke_async(&mut connection)).await;
    }
}

impl fmt::Debug for RedisLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimiter").finish_non_exhaustive()
    }
}
