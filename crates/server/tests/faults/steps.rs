//! Which steps are broken, and what counts as told.

use std::{sync::Arc, time::Duration};

use dealwright::{Error, ErrorKind, Result};
use dealwright_peers::{Proxy, variable};

pub use dealwright_peers::{Fault, Place};

/// How long an outage lasts from when it strikes: past every patience of these tests.
pub const OUTAGE: Duration = Duration::from_millis(1000);

/// The steps of `count` that are broken, the first and the last among them: all, or about `some` of them, `turn` by
/// `turn` others.
pub fn chosen(count: u64, some: u64, turn: usize) -> Vec<u64> {
    if variable("DEALWRIGHT_FAULTS").as_deref() == Some("all") || count <= some {
        return (1..=count).collect();
    }
    let stride = count.div_ceil(some);
    let mut steps: Vec<_> = (1..=count).filter(|step| step % stride == turn as u64 % stride).collect();
    steps.extend([1, count]);
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Breaks a line; what lasts is lifted a while after it has struck.
pub fn break_at(proxy: &Arc<Proxy>, place: Place, fault: Fault) -> tokio::task::JoinHandle<()> {
    proxy.arm(place, fault);
    let proxy = proxy.clone();
    tokio::spawn(async move {
        while !proxy.counts().struck {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !matches!(fault, Fault::Cut | Fault::Truncate) {
            tokio::time::sleep(OUTAGE).await;
            proxy.lift();
        }
    })
}

/// Whether a caller who is told this knows to ask again.
pub fn says_try_again(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable || error.is_write_conflict()
}

/// Asks until there is an answer, as a client does that is told to try again; counts how often it was told so.
pub async fn insist<T>(told: &mut u64, mut ask: impl AsyncFnMut() -> Result<T>) -> T {
    for _ in 0..100 {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(says_try_again(&error), "this is no answer to a fault of the line: {error:?}"),
        }
        *told += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("told to try again a hundred times");
}
