//! The limiter of this process keeps to what every limiter must.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use dealwright::{env::Env, limiter::InProcess, testkit::limiter_cases};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_to_what_every_limiter_must() {
    limiter_cases(Arc::new(InProcess::new(Env::system())), 1).await.unwrap();
}
