//! What a limiter must keep to.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use super::{Outcome, ensure, ensure_eq};
use crate::ports::limiter::{Charge, Key, Limiter, Quota, Subject};

/// Tries everything that a limiter must keep to. Other users of it are not disturbed: all keys are made from `seed`.
///
/// # Errors
/// What does not hold.
pub async fn limiter_cases(limiter: Arc<dyn Limiter>, seed: u64) -> Outcome {
    let key = |subject, place: u64| Key { subject, id: u128::from(seed) << 64 | u128::from(place) };
    let hour = |burst| Quota::new(burst, Duration::from_secs(3600));

    // So much, and no more.
    let charge = Charge::one(key(Subject::User, 1), hour(5));
    for left in (0..5).rev() {
        let verdict = limiter.take(&[charge]).await;
        ensure_eq!((verdict.refused, verdict.left[0]), (None, left));
    }
    let refused = limiter.take(&[charge]).await.refused;
    ensure!(
        refused.is_some_and(|(place, after)| place == 0 && after <= Duration::from_secs(720) && !after.is_zero()),
        "{refused:?}"
    );

    // What is given back is there again; who is forgotten begins anew.
    limiter.give_back(charge).await;
    ensure_eq!(limiter.take(&[charge]).await.refused, None);
    limiter.forget(charge.key).await;
    ensure_eq!(limiter.take(&[charge]).await.left[0], 4);

    // Keys of other subjects are others.
    ensure_eq!(limiter.take(&[Charge::one(key(Subject::Address, 1), hour(5))]).await.left[0], 4);

    // All or none.
    let (full, spent) =
        (Charge::one(key(Subject::User, 2), hour(5)), Charge::one(key(Subject::Organization, 2), hour(1)));
    ensure_eq!(limiter.take(&[full, spent]).await.refused, None);
    ensure!(limiter.take(&[full, spent]).await.refused.is_some_and(|(place, _)| place == 1), "the second is spent");
    ensure_eq!(limiter.take(&[full]).await.left[0], 3);

    // A price is taken as a whole; one above everything is everything.
    let dear = Charge { cost: 4, ..Charge::one(key(Subject::User, 3), hour(5)) };
    ensure_eq!(limiter.take(&[dear]).await.left[0], 1);
    ensure!(limiter.take(&[dear]).await.refused.is_some(), "two of four are missing");
    ensure_eq!(limiter.take(&[Charge { cost: 100, ..Charge::one(key(Subject::User, 4), hour(5)) }]).await.left[0], 0);

    // Of many at once as many get through as may.
    let crowded =
        [Charge::one(key(Subject::FailedAccount, 5), hour(7)), Charge::one(key(Subject::User, 5), hour(1000))];
    let asked = (0..200).map(|_| {
        let limiter = limiter.clone();
        async move { limiter.take(&crowded).await.refused.is_none() }
    });
    let through = join_all(asked).await.into_iter().filter(|it| *it).count();
    ensure_eq!(through, 7);
    ensure_eq!(limiter.take(&crowded[1..]).await.left[0], 1000 - 7 - 1);

    // What was spent comes back: asked until it is there.
    let quick = Charge::one(key(Subject::User, 6), Quota::new(100, Duration::from_secs(1)).burst(1));
    for _ in 0..3 {
        let mut asked = 0;
        while limiter.take(&[quick]).await.refused.is_some() {
            asked += 1;
            ensure!(asked < 10_000_000, "it never comes back");
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
