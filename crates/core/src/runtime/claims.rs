//! One loop that claims due work of some lanes and has it carried out, several items at once.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio_util::sync::CancellationToken;

use crate::{
    domain::{
        event::Event,
        job::{Claim, Lane},
    },
    engine::Engine,
    error::Result,
    id::{Id, JobId, OrganizationId},
    runtime::{dispatcher, retain, scheduler, sealer, worker},
};

/// How long a claim holds without being renewed: the time after which the work of a dead process is free.
pub(super) const LEASE: TimeDelta = TimeDelta::seconds(15);
/// Items carried out at once by one loop.
const AT_ONCE: usize = 64;
/// The longest sleep: what other processes planted without this one hearing of it is found after this long.
const POLL: Duration = Duration::from_secs(1);
/// How long to wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long an item waits after it failed for a reason of the store's or a defect's.
pub(super) const ITEM_RETRY: TimeDelta = TimeDelta::seconds(5);

/// A claimed item; for the dispatch of a subject, the events that wait, if they were read already.
type Item = (Claim, Option<Vec<Event>>);

pub(super) struct Claims {
    engine: Arc<Engine>,
    lanes: &'static [Lane],
    freed: Option<Instant>,
}

impl Claims {
    pub(super) fn new(engine: Arc<Engine>, lanes: &'static [Lane]) -> Self {
        Self { engine, lanes, freed: None }
    }

    /// Claims and carries out until `shutdown`; sleeps until the next item is due or the bell rings.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let mut bell = self.engine.bell.listen(self.lanes);
        let mut running = FuturesUnordered::new();
        while !shutdown.is_cancelled() {
            bell.hush();
            let room = AT_ONCE.saturating_sub(running.len());
            let (pause, wants_room) = match self.claim(room).await {
                Ok(claims) if claims.len() < room => {
                    let pause = self.pause().await;
                    let items = self.pass_over(claims).await;
                    running.extend(items.into_iter().map(|item| tokio::spawn(carry_out(self.engine.clone(), item))));
                    (pause, false)
                }
                Ok(claims) => {
                    let items = self.pass_over(claims).await;
                    running.extend(items.into_iter().map(|item| tokio::spawn(carry_out(self.engine.clone(), item))));
                    if running.len() < AT_ONCE {
                        continue;
                    }
                    (POLL, true)
                }
                Err(error) => {
                    tracing::warn!(%error, "work cannot be claimed");
                    (AFTER_FAILURE, false)
                }
            };
            let woken = async {
                tokio::select! {
                    () = bell.rung(), if !wants_room => {}
                    () = tokio::time::sleep(pause) => {}
                }
            };
            tokio::pin!(woken);
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = &mut woken => break,
                    Some(_) = running.next(), if !running.is_empty() => {
                        while let Some(Some(_)) = running.next().now_or_never() {}
                        if wants_room {
                            break;
                        }
                    }
                }
            }
        }
        while running.next().await.is_some() {}
    }

    /// Claims and carries out until nothing is due; answers how many items there were.
    pub(super) async fn drain(mut self) -> Result<u64> {
        let mut done = 0;
        loop {
            let claims = self.claim(AT_ONCE).await?;
            if claims.is_empty() {
                return Ok(done);
            }
            done += claims.len() as u64;
            let items = self.pass_over(claims).await;
            futures::future::join_all(items.into_iter().map(|item| carry_out(self.engine.clone(), item))).await;
        }
    }

    /// Claims what is due, and every now and then frees before what dead processes had.
    async fn claim(&mut self, limit: usize) -> Result<Vec<Claim>> {
        if self.freed.is_none_or(|at| at.elapsed() >= POLL) {
            self.engine.store.free(self.lanes, self.engine.env.now(), LEASE).await?;
            self.freed = Some(Instant::now());
        }
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        if limit == 0 { Ok(Vec::new()) } else { claim(&self.engine, self.lanes, LEASE, limit).await }
    }

    /// Ends at once, all of an organisation in one commit, what is claimed of subjects whose events no rule is for, and
    /// what asks for seals; answers the others.
    async fn pass_over(&self, claims: Vec<Claim>) -> Vec<Item> {
        let (dispatches, others): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| claim.lane == Lane::Dispatch);
        let (audits, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|claim| claim.lane == Lane::Audit);
        let sealed = by_organization(audits).into_iter().map(|(id, claims)| sealer::seal(&self.engine, id, claims));
        futures::future::join_all(sealed).await;
        let dispatches = by_organization(dispatches).into_iter();
        let passed = dispatches.map(|(id, claims)| dispatcher::pass_over(&self.engine, id, claims));
        let kept = futures::future::join_all(passed).await;
        others.into_iter().map(|claim| (claim, None)).chain(kept.into_iter().flatten()).collect()
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

fn by_organization(claims: Vec<Claim>) -> BTreeMap<OrganizationId, Vec<Claim>> {
    let mut organizations: BTreeMap<OrganizationId, Vec<Claim>> = BTreeMap::new();
    for claim in claims {
        organizations.entry(claim.organization_id).or_default().push(claim);
    }
    organizations
}

/// Claims due work, each time as a new owner: what was removed, planted and claimed again is no claim of before, though
/// the same process has both and the clock stood still.
pub(super) async fn claim(engine: &Engine, lanes: &[Lane], lease: TimeDelta, limit: u32) -> Result<Vec<Claim>> {
    let owner = engine.env.id::<JobId>()?.uuid();
    engine.store.claim(lanes, owner, engine.env.now(), lease, limit).await
}

/// Carries out one item, its lease renewed meanwhile. What fails for now comes up again; nothing is lost.
async fn carry_out(engine: Arc<Engine>, (claim, events): Item) {
    let work = async {
        match claim.lane {
            Lane::Dispatch => dispatcher::dispatch(&engine, &claim, events).await,
            Lane::Timer => scheduler::timer(&engine, &claim).await,
            Lane::Task => scheduler::task(&engine, &claim).await,
            Lane::Schedule => scheduler::schedule(&engine, &claim).await,
            Lane::Job => worker::job(&engine, &claim).await,
            Lane::Retention => retain::retain(&engine, &claim).await,
            // Held by the supervisor, in its own way; sealed together.
            Lane::Account | Lane::Audit => Ok(()),
        }
    };
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = keep(&engine, &claim) => return,
    };
    // It may be due again already, or have been put again while it was in hand.
    engine.bell.ring([claim.lane]);
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
