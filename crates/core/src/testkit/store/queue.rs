//! Work and who has it in hand.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use futures::future::join_all;
use uuid::Uuid;

use super::Ground;
use crate::{
    domain::job::{Claim, Lane},
    error::Result,
    ports::store::{Batch, Store, Update, WorkEnd, WorkItem, Write},
    testkit::{Failure, Outcome, ensure, ensure_code, ensure_eq, samples::Samples},
};

const LEASE: Duration = Duration::seconds(15);
const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);

fn at(seconds: i64) -> DateTime<Utc> {
    Samples::epoch() + Duration::seconds(seconds)
}

fn item(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Work of one organisation, and nothing else in the queue.
struct Queue {
    store: Arc<dyn Store>,
    ground: Ground,
}

impl Queue {
    async fn make(store: Arc<dyn Store>) -> Outcome<Self> {
        let ground = Ground::make(&*store, 1).await?;
        // What making the ground put up for dispatch is not looked at.
        let mut batch = Batch::default();
        batch.uproot(Lane::Dispatch, crate::id::Id::uuid(ground.id));
        store.commit(ground.id, batch).await?;
        Ok(Self { store, ground })
    }

    async fn commit(&self, change: impl FnOnce(&mut Batch)) -> Result<()> {
        let mut batch = Batch::default();
        change(&mut batch);
        self.store.commit(self.ground.id, batch).await
    }

    async fn plant(&self, lane: Lane, items: &[(u128, i64)]) -> Outcome {
        let organization_id = self.ground.id;
        let plant = |batch: &mut Batch| {
            for (id, due) in items {
                batch.plant(WorkItem { lane, id: item(*id), organization_id, due_at: at(*due) });
            }
        };
        Ok(self.commit(plant).await?)
    }

    async fn claim(&self, owner: Uuid, now: i64, limit: u32) -> Result<Vec<Claim>> {
        self.store.free(&[Lane::Job], at(now), LEASE).await?;
        self.store.claim(&[Lane::Job], owner, at(now), LEASE, limit).await
    }

    async fn one(&self, owner: Uuid, now: i64) -> Outcome<Claim> {
        let claims = self.claim(owner, now, 9).await?;
        match <[Claim; 1]>::try_from(claims) {
            Ok([claim]) => Ok(claim),
            Err(claims) => Err(Failure::new(format!("{} items were claimed instead of one", claims.len()))),
        }
    }

    async fn ensure_nothing_is_due(&self, now: i64) -> Outcome {
        ensure_eq!(self.claim(B, now, 9).await?, []);
        Ok(())
    }
}

fn ids(claims: &[Claim]) -> Vec<u128> {
    claims.iter().map(|claim| claim.id.as_u128()).collect()
}

pub(super) async fn due_items_are_claimed_oldest_first_and_once(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 30), (2, 10), (3, 20), (4, 40)]).await?;
    queue.plant(Lane::Timer, &[(5, 15), (6, 1)]).await?;
    let first = queue.claim(A, 100, 2).await?;
    ensure_eq!(ids(&first), [2, 3]);
    ensure!(first.iter().all(|it| it.organization_id == queue.ground.id && it.lane == Lane::Job), "{first:?}");
    ensure_eq!(first.iter().map(|it| it.due_at).collect::<Vec<_>>(), [at(10), at(20)]);
    ensure_eq!(ids(&queue.claim(B, 100, 9).await?), [1, 4]);
    queue.ensure_nothing_is_due(100).await?;
    // Several lanes at once, the oldest of all.
    queue.plant(Lane::Job, &[(7, 2), (8, 60)]).await?;
    let both = queue.store.claim(&[Lane::Timer, Lane::Job], A, at(100), LEASE, 3).await?;
    ensure_eq!(ids(&both), [6, 7, 5]);
    ensure_eq!(queue.store.claim(&[], A, at(100), LEASE, 9).await?, []);
    ensure_eq!(ids(&queue.claim(A, 100, 0).await?), []);
    ensure_eq!(ids(&queue.claim(A, 100, 9).await?), [8]);
    Ok(())
}

pub(super) async fn what_is_not_due_waits(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    ensure_eq!(queue.store.next_due(&[Lane::Job]).await?, None);
    queue.plant(Lane::Job, &[(1, 30), (2, 20)]).await?;
    ensure_eq!(queue.store.next_due(&[Lane::Job, Lane::Timer]).await?, Some(at(20)));
    ensure_eq!(queue.store.next_due(&[Lane::Timer]).await?, None);
    queue.ensure_nothing_is_due(19).await?;
    ensure_eq!(queue.one(A, 20).await?.id, item(2));
    // What is claimed is not looked at.
    ensure_eq!(queue.store.next_due(&[Lane::Job]).await?, Some(at(30)));
    Ok(())
}

pub(super) async fn the_work_of_a_dead_owner_is_claimed_by_another(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let dead = queue.one(A, 10).await?;
    queue.ensure_nothing_is_due(24).await?;
    let alive = queue.one(B, 26).await?;
    ensure_eq!(alive.id, dead.id);
    ensure!(alive.token > dead.token, "the token {} is not above {}", alive.token, dead.token);
    ensure!(!queue.store.renew(&dead, at(99)).await?, "a lost claim was renewed");
    queue.store.release(&dead, at(0)).await?;
    queue.ensure_nothing_is_due(30).await?;
    queue.commit(|batch| batch.end(WorkEnd::Done(alive))).await?;
    queue.ensure_nothing_is_due(1000).await
}

pub(super) async fn a_clock_set_back_holds_nothing_up(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 100_000), (2, 100_000)]).await?;
    let taken = queue.claim(A, 100_000, 9).await?;
    // A day before: one who is alive renews, one who is dead does not.
    queue.ensure_nothing_is_due(13_600).await?;
    let [alive, dead] = taken.as_slice() else { return Err(Failure::new("two items are due")) };
    ensure!(queue.store.renew(alive, at(13_605) + LEASE).await?, "the lease is lost though its owner lives");
    queue.ensure_nothing_is_due(13_614).await?;
    ensure_eq!(queue.one(B, 13_616).await?.id, dead.id);
    // What never waits for long is due at once, what waits for its time still waits.
    queue.plant(Lane::Dispatch, &[(3, 100_000)]).await?;
    queue.plant(Lane::Account, &[(4, 100_000), (5, 13_900)]).await?;
    queue.plant(Lane::Timer, &[(6, 100_000)]).await?;
    let lanes = [Lane::Dispatch, Lane::Account, Lane::Timer];
    queue.store.free(&lanes, at(13_616), LEASE).await?;
    let due = queue.store.claim(&lanes, B, at(13_616), LEASE, 99).await?;
    ensure_eq!(ids(&due).into_iter().filter(|id| *id < 100).collect::<Vec<_>>(), [3, 4]);
    Ok(())
}

pub(super) async fn a_commit_under_a_lost_claim_writes_nothing(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    let contact = &queue.ground.contact;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let dead = queue.one(A, 10).await?;
    let alive = queue.one(B, 30).await?;
    let under = |end: WorkEnd| {
        queue.commit(|batch| {
            batch.writes.push(Write::Update(Update::of(contact).add("score", 1)));
            batch.end(end);
        })
    };
    for end in [WorkEnd::Held(dead.clone()), WorkEnd::Done(dead.clone()), WorkEnd::Later(dead, at(99))] {
        ensure_code!(under(end).await, "lease_lost");
    }
    ensure_eq!(queue.ground.contact_now(&*queue.store).await?.score, contact.score);
    under(WorkEnd::Held(alive.clone())).await?;
    under(WorkEnd::Done(alive.clone())).await?;
    // What is done cannot be done again.
    ensure_code!(under(WorkEnd::Held(alive)).await, "lease_lost");
    ensure_eq!(queue.ground.contact_now(&*queue.store).await?.score, contact.score + 2);
    Ok(())
}

pub(super) async fn a_renewed_claim_stays_ones_own(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let claim = queue.one(A, 0).await?;
    for now in [10, 20, 30] {
        ensure!(queue.store.renew(&claim, at(now) + LEASE).await?, "the claim could not be renewed");
        queue.ensure_nothing_is_due(now + 14).await?;
    }
    ensure_eq!(queue.one(B, 45).await?.id, claim.id);
    ensure!(!queue.store.renew(&claim, at(99)).await?, "a lost claim was renewed");
    Ok(())
}

pub(super) async fn a_released_claim_is_due_when_it_was_said(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let claim = queue.one(A, 0).await?;
    queue.store.release(&claim, at(40)).await?;
    // Given back is given back.
    ensure_code!(queue.commit(|batch| batch.end(WorkEnd::Held(claim.clone()))).await, "lease_lost");
    ensure!(!queue.store.renew(&claim, at(99)).await?, "a released claim was renewed");
    queue.ensure_nothing_is_due(39).await?;
    ensure_eq!(queue.one(B, 40).await?.due_at, at(40));
    Ok(())
}

pub(super) async fn what_is_planted_again_while_claimed_is_not_done(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    for end in [WorkEnd::Done as fn(Claim) -> WorkEnd, |claim| WorkEnd::Later(claim, at(500))] {
        queue.plant(Lane::Job, &[(1, 0)]).await?;
        let claim = queue.one(A, 0).await?;
        queue.plant(Lane::Job, &[(1, 7)]).await?;
        // The claim holds all the same.
        queue.ensure_nothing_is_due(8).await?;
        queue.commit(|batch| batch.end(end(claim.clone()))).await?;
        queue.ensure_nothing_is_due(6).await?;
        let again = queue.one(B, 8).await?;
        ensure!(again.generation > claim.generation, "{again:?} comes after {claim:?}");
        queue.commit(|batch| batch.end(WorkEnd::Done(again))).await?;
        queue.ensure_nothing_is_due(1000).await?;
    }
    Ok(())
}

pub(super) async fn what_is_put_off_keeps_its_claim_until_then(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let claim = queue.one(A, 0).await?;
    queue.commit(|batch| batch.end(WorkEnd::Later(claim.clone(), at(60)))).await?;
    queue.ensure_nothing_is_due(59).await?;
    ensure_eq!(queue.store.next_due(&[Lane::Job]).await?, Some(at(60)));
    ensure_code!(queue.commit(|batch| batch.end(WorkEnd::Later(claim, at(0)))).await, "lease_lost");
    let again = queue.one(A, 60).await?;
    // Ended and planted by one batch: it comes up anew.
    let organization_id = queue.ground.id;
    queue
        .commit(|batch| {
            batch.plant(WorkItem { lane: Lane::Job, id: item(1), organization_id, due_at: at(70) });
            batch.end(WorkEnd::Done(again));
        })
        .await?;
    ensure_eq!(queue.one(B, 70).await?.due_at, at(70));
    Ok(())
}

pub(super) async fn planting_again_moves_the_time_and_uprooting_removes(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 10), (1, 50), (2, 10)]).await?;
    queue.plant(Lane::Timer, &[(1, 5)]).await?;
    let claim = queue.one(A, 20).await?;
    ensure_eq!(claim.id, item(2));
    ensure!(queue.store.renew(&claim, at(500)).await?, "the claim could not be renewed");
    queue.plant(Lane::Job, &[(1, 80)]).await?;
    queue.ensure_nothing_is_due(79).await?;
    queue.commit(|batch| batch.uproot(Lane::Job, item(1))).await?;
    // What is claimed too; the other lane's item of the same id stays.
    queue.commit(|batch| batch.uproot(Lane::Job, item(2))).await?;
    queue.ensure_nothing_is_due(1000).await?;
    ensure_eq!(queue.store.next_due(&[Lane::Timer]).await?, Some(at(5)));
    // In one batch the last word counts.
    let organization_id = queue.ground.id;
    queue
        .commit(|batch| {
            batch.plant(WorkItem { lane: Lane::Job, id: item(3), organization_id, due_at: at(0) });
            batch.uproot(Lane::Job, item(3));
            batch.uproot(Lane::Job, item(4));
            batch.plant(WorkItem { lane: Lane::Job, id: item(4), organization_id, due_at: at(0) });
        })
        .await?;
    ensure_eq!(ids(&queue.claim(A, 1000, 9).await?), [4]);
    Ok(())
}

pub(super) async fn a_claim_of_what_was_removed_and_planted_again_is_lost(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let old = queue.one(A, 0).await?;
    queue.commit(|batch| batch.uproot(Lane::Job, item(1))).await?;
    ensure_code!(queue.commit(|batch| batch.end(WorkEnd::Done(old.clone()))).await, "lease_lost");
    // In the same instant: the time of a claim tells nothing.
    queue.plant(Lane::Job, &[(1, 0)]).await?;
    let new = queue.one(B, 0).await?;
    ensure_code!(queue.commit(|batch| batch.end(WorkEnd::Done(old.clone()))).await, "lease_lost");
    ensure!(!queue.store.renew(&old, at(99)).await?, "a lost claim was renewed");
    queue.store.release(&old, at(0)).await?;
    queue.ensure_nothing_is_due(0).await?;
    queue.commit(|batch| batch.end(WorkEnd::Done(new))).await?;
    Ok(())
}

pub(super) async fn many_claimers_share_out_all_work(store: Arc<dyn Store>) -> Outcome {
    let queue = Queue::make(store).await?;
    let items: Vec<_> = (1..=300).map(|id| (id, 0)).collect();
    queue.plant(Lane::Job, &items).await?;
    let claimers = (0..12).map(|owner| {
        let (store, organization) = (queue.store.clone(), queue.ground.id);
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claims = store.claim(&[Lane::Job], item(1000 + owner), at(1), LEASE, 7).await?;
                if claims.is_empty() {
                    return Ok::<_, crate::Error>(mine);
                }
                for claim in claims {
                    mine.push(claim.id);
                    let mut batch = Batch::default();
                    batch.end(WorkEnd::Done(claim));
                    store.commit(organization, batch).await?;
                }
            }
        })
    });
    let mut all = Vec::new();
    for mine in join_all(claimers).await {
        all.extend(mine.map_err(|e| crate::Error::internal(e.to_string()))??);
    }
    ensure_eq!(all.len(), 300);
    ensure_eq!(all.iter().collect::<HashSet<_>>().len(), 300);
    queue.ensure_nothing_is_due(1000).await
}
