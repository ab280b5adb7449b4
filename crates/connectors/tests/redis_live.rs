//! Counting in a real Redis: by several processes at once, and while it is away.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{sync::Arc, time::Duration};

use dealwright::{
    env::Env,
    ports::limiter::{Charge, Key, Limiter, Quota, Subject},
    testkit::limiter_cases,
};
use dealwright_connectors::redis::RedisLimiter;
use dealwright_peers::Redis;
use futures::future::join_all;

fn limiter(url: &str) -> Arc<RedisLimiter> {
    Arc::new(RedisLimiter::new(url, Env::system()).unwrap())
}

fn charge(id: u128, burst: u32) -> Charge {
    Charge::one(Key { subject: Subject::FailedAccount, id }, Quota::new(burst, Duration::from_secs(900)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_to_what_every_limiter_must() {
    let redis = Redis::start().unwrap();
    limiter_cases(limiter(&redis.url()), 1).await.unwrap();
}

/// ASVS 2.4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_at_many_replicas_as_many_get_through_as_may() {
    let redis = Redis::start().unwrap();
    let replicas: Vec<_> = (0..4).map(|_| limiter(&redis.url())).collect();
    for replica in &replicas {
        assert_eq!(replica.take(&[charge(1, 1000)]).await.refused, None);
    }
    let asked = (0..200).map(|place| {
        let replica = replicas[place % replicas.len()].clone();
        async move { replica.take(&[charge(2, 5)]).await.refused.is_none() }
    });
    assert_eq!(join_all(asked).await.into_iter().filter(|it| *it).count(), 5);
}

/// ASVS 16.5.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_each_process_counts_for_itself() {
    let redis = Redis::start().unwrap();
    let limiter = limiter(&redis.url());
    assert_eq!(limiter.take(&[charge(1, 3)]).await.left[0], 2);
    redis.stop();
    for _ in 0..3 {
        assert_eq!(limiter.take(&[charge(1, 3)]).await.refused, None);
    }
    assert!(limiter.take(&[charge(1, 3)]).await.refused.is_some(), "nobody gets through uncounted");
    redis.start_again().unwrap();
    // It began empty: asked until it is the one that counts.
    let mut asked = 0;
    while limiter.take(&[charge(1, 3)]).await.refused.is_some() {
        asked += 1;
        assert!(asked < 1_500, "it does not come back within half a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// ASVS 16.2.5.
#[tokio::test]
async fn a_wrong_url_is_refused_without_its_password() {
    let error = RedisLimiter::new("http://:hunter2@redis", Env::system()).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
