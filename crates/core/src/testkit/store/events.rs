//! The order of events.

use std::sync::Arc;

use chrono::Duration;
use futures::future::join_all;

use super::Ground;
use crate::{
    domain::{
        event::{Event, EventKind},
        job::Lane,
    },
    id::Id,
    ports::store::{Batch, Store, Update, Write},
    testkit::{Outcome, ensure, ensure_code, ensure_eq, samples::Samples},
};

fn numbers(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.subject_seq).collect()
}

/// A batch of so many events about the contact.
fn stating(ground: &mut Ground, events: usize) -> Batch {
    let mut batch = Batch::default();
    for _ in 0..events {
        batch.fact([], ground.samples.event(EventKind::ContactUpdated, ground.contact.id));
    }
    batch
}

pub(super) async fn events_of_a_subject_are_numbered_without_holes(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let mut committers = Vec::new();
    for committer in 0..16 {
        let mut batches: Vec<_> = (0..6).map(|turn| stating(&mut ground, 1 + (committer + turn) % 3)).collect();
        for (turn, batch) in batches.iter_mut().enumerate() {
            // Another subject in the same batch, in whatever order, and now and then a conflict.
            let account = ground.samples.event(EventKind::AccountUpdated, ground.account.id);
            batch.events.insert(turn % 2, account);
            if (committer + turn).is_multiple_of(5) {
                batch.writes.push(Write::Update(Update::of(&ground.contact).expect("version", &9i64)));
            }
        }
        let (store, id) = (store.clone(), ground.id);
        committers.push(tokio::spawn(async move {
            let mut stated = 0;
            for batch in batches {
                let events = batch.events.len() as i64 - 1;
                stated += if store.commit(id, batch).await.is_ok() { events } else { 0 };
            }
            stated
        }));
    }
    let mut stated = 0;
    for committer in join_all(committers).await {
        stated += committer.map_err(|e| crate::Error::internal(e.to_string()))?;
    }
    let events = store.pending_events(ground.id, &[ground.contact.id.uuid()], 1000).await?;
    ensure_eq!(numbers(&events), (1..=stated).collect::<Vec<_>>());
    ensure!(stated > 100, "only {stated} events were stated");
    let of_account = store.pending_events(ground.id, &[ground.account.id.uuid()], 1000).await?;
    ensure_eq!(numbers(&of_account), (1..=of_account.len() as i64).collect::<Vec<_>>());
    Ok(())
}

pub(super) async fn pending_events_come_in_order_until_they_are_consumed(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let subject = ground.contact.id.uuid();
    let batch = stating(&mut ground, 5);
    let stated: Vec<_> = batch.events.iter().map(|event| event.id).collect();
    store.commit(ground.id, batch).await?;
    let pending = store.pending_events(ground.id, &[subject], 3).await?;
    ensure_eq!(numbers(&pending), [1, 2, 3]);
    let pending = store.pending_events(ground.id, &[subject], 9).await?;
    ensure_eq!(pending.iter().map(|event| event.id).collect::<Vec<_>>(), stated);

    // Marked by a batch that states a further one.
    let mut batch = stating(&mut ground, 1);
    batch.consume(subject, 3);
    store.commit(ground.id, batch).await?;
    ensure_eq!(numbers(&store.pending_events(ground.id, &[subject], 9).await?), [4, 5, 6]);
    let mut batch = Batch::default();
    batch.consume(subject, 6);
    store.commit(ground.id, batch).await?;
    ensure_eq!(store.pending_events(ground.id, &[subject], 9).await?, []);
    // The log keeps them.
    let first = stated.first().copied().unwrap_or_else(|| Samples::new(9).id());
    ensure!(store.event(ground.id, first).await?.is_some(), "a consumed event is gone");
    Ok(())
}

pub(super) async fn what_was_consumed_stays_consumed(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let subject = ground.contact.id.uuid();
    let batch = stating(&mut ground, 4);
    store.commit(ground.id, batch).await?;
    for (mark, left) in [(2, vec![3, 4]), (1, vec![3, 4]), (3, vec![4])] {
        let mut batch = Batch::default();
        batch.consume(subject, mark);
        store.commit(ground.id, batch).await?;
        ensure_eq!(numbers(&store.pending_events(ground.id, &[subject], 9).await?), left);
    }
    Ok(())
}

pub(super) async fn events_that_were_never_stated_cannot_be_consumed(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let subject = ground.contact.id.uuid();
    let batch = stating(&mut ground, 2);
    store.commit(ground.id, batch).await?;
    for (subject, mark) in [(subject, 3), (ground.stage.id.uuid(), 1)] {
        let mut batch = Batch::default();
        batch.consume(subject, mark);
        ensure_code!(store.commit(ground.id, batch).await, "internal");
    }
    ensure_eq!(store.pending_events(ground.id, &[subject], 9).await?.len(), 2);
    Ok(())
}

pub(super) async fn a_subject_with_events_comes_up_for_dispatch_once(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let first = Samples::epoch() + Duration::hours(2);
    for hours in [5, 2, 9] {
        let mut batch = stating(&mut ground, 2);
        for event in &mut batch.events {
            event.occurred_at = Samples::epoch() + Duration::hours(hours);
        }
        store.commit(ground.id, batch).await?;
    }
    let now = Samples::epoch() + Duration::days(9);
    let claims = store.claim(&[Lane::Dispatch], ground.id.uuid(), now, Duration::seconds(15), 99).await?;
    let mine: Vec<_> = claims.iter().filter(|claim| claim.id == ground.contact.id.uuid()).collect();
    // Due since the first of them, whatever came later.
    ensure_eq!(mine.iter().map(|claim| claim.due_at).collect::<Vec<_>>(), [first]);
    ensure!(mine.iter().all(|claim| claim.organization_id == ground.id), "it is not for the organisation");
    Ok(())
}
