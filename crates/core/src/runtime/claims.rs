//! One loop that claims due work of some lanes and has it carried out, several items at once.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::job::{Claim, Lane},
    engine::Engine,
    error::Result,
    id::{Id, JobId},
    runtime::{dispatcher, scheduler, worker},
};

/// How long a claim holds without being renewed: the time after which the work of a dead process is free.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(15);
/// Items carried out at once by one loop.
const AT_ONCE: u32 = 64;
/// The longest sleep: what other processes planted without this one hearing of it is found after this long.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long an item waits after it failed for a reason of the store's or a defect's.
const ITEM_RETRY: TimeDelta = TimeDelta::seconds(5);

pub(super) struct Claims {
    engine: Arc<Engine>,
    lanes: &'static [Lane],
}

impl Claims {
    pub(super) fn new(engine: Arc<Engine>, lanes: &'static [Lane]) -> Self {
        Self { engine, lanes }
    }

    /// Claims and carries out until `shutdown`; sleeps until the next item is due or the bell rings.
    pub(super) async fn run(self, shutdown: CancellationToken) {
        let mut bell = self.engine.bell.subscribe();
        let mut running = FuturesUnordered::new();
        while !shutdown.is_cancelled() {
            bell.mark_unchanged();
            let room = AT_ONCE.saturating_sub(u32::try_from(running.len()).unwrap_or(AT_ONCE));
            let pause = match self.claim(room).await {
                Ok(claims) if claims.is_empty() => self.pause().await,
                Ok(claims) => {
                    running.extend(claims.into_iter().map(|claim| tokio::spawn(carry_out(self.engine.clone(), claim))));
                    if running.len() < AT_ONCE as usize { Duration::ZERO } else { POLL }
                }
                Err(error) => {
                    tracing::warn!(%error, "work cannot be claimed");
                    AFTER_FAILURE
                }
            };
            if pause.is_zero() {
                continue;
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = bell.changed() => {}
                Some(_) = running.next(), if !running.is_empty() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        while running.next().await.is_some() {}
    }

    /// Claims and carries out until nothing is due; answers how many items there were.
    pub(super) async fn drain(&self) -> Result<u64> {
        let mut done = 0;
        loop {
            let claims = self.claim(AT_ONCE).await?;
            if claims.is_empty() {
                return Ok(done);
            }
            done += claims.len() as u64;
            futures::future::join_all(claims.into_iter().map(|claim| carry_out(self.engine.clone(), claim))).await;
        }
    }

    async fn claim(&self, limit: u32) -> Result<Vec<Claim>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        claim(&self.engine, self.lanes, LEASE, limit).await
    }

    /// How long to sleep when nothing is due.
    async fn pause(&self) -> Duration {
        match self.engine.store.next_due(self.lanes).await {
            Ok(Some(due)) => (due - self.engine.env.now())
                .to_std()
                .unwrap_or(Duration::from_millis(1))
                .clamp(Duration::from_millis(1), POLL),
            Ok(None) => POLL,
            Err(_) => AFTER_FAILURE,
        }
    }
}

/// Claims due work, each time as a new owner: what was removed, planted and claimed again is no claim of before, though
/// the same process has both and the clock stood still.
pub(super) async fn claim(engine: &Engine, lanes: &[Lane], lease: TimeDelta, limit: u32) -> Result<Vec<Claim>> {
    let owner = engine.env.id::<JobId>()?.uuid();
    engine.store.claim(lanes, owner, engine.env.now(), lease, limit).await
}

/// Carries out one item, its lease renewed meanwhile. What fails for now comes up again; nothing is lost.
async fn carry_out(engine: Arc<Engine>, claim: Claim) {
    let work = async {
        match claim.lane {
            Lane::Dispatch => dispatcher::dispatch(&engine, &claim).await,
            Lane::Timer => scheduler::timer(&engine, &claim).await,
            Lane::Task => scheduler::task(&engine, &claim).await,
            Lane::Schedule => scheduler::schedule(&engine, &claim).await,
            Lane::Job => worker::job(&engine, &claim).await,
            // Held by the supervisor, in its own way.
            Lane::Account => Ok(()),
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = keep(&engine, &claim) => return,
    };
    let Err(error) = outcome else { return };
    if error.code() == "lease_lost" {
        tracing::info!(lane = %claim.lane, id = %claim.id, "somebody else has the claim now");
        return;
    }
    tracing::warn!(lane = %claim.lane, id = %claim.id, organization = %claim.organization_id, %error, "work failed for now");
    if let Err(error) = engine.store.release(&claim, engine.env.now() + ITEM_RETRY).await {
        tracing::warn!(%error, "a claim could not be given back; its lease will run out");
    }
}

/// Renews a claim at a third of its lease; returns when it is lost.
async fn keep(engine: &Engine, claim: &Claim) {
    loop {
        tokio::time::sleep(LEASE.to_std().unwrap_or_default() / 3).await;
        match engine.store.renew(claim, engine.env.now() + LEASE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "a claim could not be renewed"),
        }
    }
}
