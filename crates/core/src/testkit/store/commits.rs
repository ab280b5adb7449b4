//! All or nothing, and what may stop a commit.

use std::{future::Future, sync::Arc, task::Poll};

use futures::future::{join_all, poll_fn};

use super::Ground;
use crate::{
    domain::{
        contact::Contact,
        event::EventKind,
        job::Lane,
        pipeline::{Stage, StageKind},
    },
    id::Id,
    ports::store::{
        Batch, Column, Guard, Must, Record, Store, Update, WorkItem, Write, idempotency::IdempotencyRecord,
    },
    testkit::{
        Outcome, ensure, ensure_code, ensure_eq,
        samples::{Samples, contact_rows},
    },
};

/// ASVS 2.3.3.
pub(super) async fn a_batch_is_written_whole_or_not_at_all(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let now = Samples::epoch();
    while !store
        .claim(Lane::ALL, ground.id.uuid(), now + chrono::Duration::days(9), chrono::Duration::days(99), 9)
        .await?
        .is_empty()
    {}
    let newcomer = ground.samples.contact(&ground.stage);
    let event = ground.samples.event(EventKind::ContactCreated, newcomer.id);
    let mut batch = Batch::default();
    batch.fact(contact_rows(&newcomer), event.clone());
    batch.plant(WorkItem { lane: Lane::Job, id: newcomer.id.uuid(), organization_id: ground.id, due_at: now });
    let mut bad = batch.clone();
    bad.writes.push(Write::Update(Update::of(&ground.contact).set("name", &"New".to_owned()).expect("version", &7i64)));
    ensure_code!(store.commit(ground.id, bad).await, "write_conflict");
    ensure_eq!(store.contact(ground.id, newcomer.id).await?, None);
    ensure_eq!(store.event(ground.id, event.id).await?, None);
    ensure_eq!(store.pending_events(ground.id, &[newcomer.id.uuid()], 9).await?, []);
    ensure_eq!(store.next_due(Lane::ALL).await?, None);
    ensure_eq!(ground.contact_now(&*store).await?, ground.contact);

    store.commit(ground.id, batch).await?;
    ensure_eq!(store.contact(ground.id, newcomer.id).await?, Some(newcomer.clone()));
    ensure_eq!(store.pending_events(ground.id, &[newcomer.id.uuid()], 9).await?.len(), 1);
    ensure_eq!(store.next_due(&[Lane::Job]).await?, Some(now));
    Ok(())
}

fn guard(must: Must, record: &Stage, column: &'static str, value: impl Column) -> Guard {
    Guard {
        table: Stage::TABLE,
        filter: vec![("organization_id", record.organization_id.to_value()), (column, value.to_value())],
        must,
        otherwise: ("stage_gone", "the stage is gone".to_owned()),
    }
}

pub(super) async fn a_guard_names_its_own_conflict(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let stage = &ground.stage;
    let missing = Samples::new(99).id::<crate::id::StageId>();
    let change = || Ground::quiet([Write::Update(Update::of(&ground.contact).add("score", 1))]);
    for (must, id, holds) in [
        (Must::BeLocked, stage.id, true),
        (Must::BeLocked, missing, false),
        (Must::BeAbsent, missing, true),
        (Must::BeAbsent, stage.id, false),
    ] {
        let mut batch = change();
        batch.guard(guard(must, stage, "id", id));
        match store.commit(ground.id, batch).await {
            Ok(()) => ensure!(holds, "{must:?} {id} holds"),
            Err(error) => ensure!(!holds && error.code() == "stage_gone", "{must:?}: {error}"),
        }
    }
    ensure_eq!(ground.contact_now(&*store).await?.score, ground.contact.score + 2);
    // A null matches a null.
    let mut batch = change();
    batch.guard(guard(Must::BeLocked, stage, "color", None::<String>));
    store.commit(ground.id, batch).await?;
    Ok(())
}

pub(super) async fn units_that_lock_the_same_row_take_turns(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    // Each wants the one stage of that name; no unique index helps.
    let mut batches = Vec::new();
    for _ in 0..16 {
        let stage = Stage { name: "Only".into(), ..ground.samples.stage(&ground.pipeline, 1, StageKind::Open) };
        let mut batch = Ground::quiet([Write::insert(&stage)]);
        let lock = guard(Must::BeLocked, &stage, "id", ground.stage.id);
        batch.guard(lock);
        batch.guard(guard(Must::BeAbsent, &stage, "name", "Only".to_owned()));
        batches.push(batch);
    }
    let results = join_all(batches.into_iter().map(|batch| store.commit(ground.id, batch))).await;
    ensure_eq!(results.iter().filter(|it| it.is_ok()).count(), 1);
    for error in results.into_iter().filter_map(Result::err) {
        ensure!(error.code() == "stage_gone", "{error}");
    }
    ensure_eq!(store.stages(ground.id).await?.len(), 2);
    Ok(())
}

/// Contacts to insert; every fifth refers to a stage that is not there.
fn newcomers(ground: &mut Ground, count: usize) -> Vec<(Contact, bool)> {
    let make = |place| {
        let contact = ground.samples.contact(&ground.stage);
        let good = place % 5 != 3;
        let stage_id = if good { contact.stage_id } else { ground.samples.id() };
        (Contact { stage_id, ..contact }, good)
    };
    (0..count).map(make).collect()
}

async fn ensure_the_good_ones(store: &dyn Store, ground: &Ground, newcomers: &[(Contact, bool)]) -> Outcome {
    for (contact, good) in newcomers {
        let found = store.contact(ground.id, contact.id).await?;
        ensure!(found.as_ref() == good.then_some(contact), "{} is there: {}", contact.id, found.is_some());
    }
    Ok(())
}

pub(super) async fn one_bad_commit_of_many_spoils_none_of_the_others(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let newcomers = newcomers(&mut ground, 100);
    let commits = newcomers.iter().map(|(contact, _)| ground.write(&*store, contact_rows(contact)));
    for ((_, good), result) in newcomers.iter().zip(join_all(commits).await) {
        ensure_eq!(result.is_ok(), *good);
    }
    ensure_the_good_ones(&*store, &ground, &newcomers).await
}

pub(super) async fn a_bad_batch_of_many_spoils_none_of_the_others(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let mut other = Ground::make(&*store, 2).await?;
    let newcomers = newcomers(&mut ground, 100);
    let mut batches: Vec<_> =
        newcomers.iter().map(|(contact, _)| (ground.id, ground.samples.batch(contact_rows(contact)))).collect();
    let stranger = other.samples.contact(&other.stage);
    batches.insert(50, (other.id, other.samples.batch(contact_rows(&stranger))));
    // Not even a batch that is refused before it reaches the database.
    batches.insert(51, (other.id, Ground::quiet(contact_rows(&ground.contact))));
    let mut results = store.commit_many(batches).await;
    ensure_eq!(results.len(), 102);
    ensure!(results.remove(51).is_err(), "a row of another organisation was written");
    results.remove(50)?;
    ensure_eq!(store.contact(other.id, stranger.id).await?, Some(stranger));
    for ((_, good), result) in newcomers.iter().zip(results) {
        ensure_eq!(result.is_ok(), *good);
    }
    ensure_the_good_ones(&*store, &ground, &newcomers).await?;
    // In their order: the events of the good ones have all the numbers.
    let events = store.pending_events(ground.id, &[ground.id.uuid()], 200).await?;
    let numbers: Vec<_> = events.iter().map(|event| event.subject_seq).collect();
    ensure_eq!(numbers, (1..=81).collect::<Vec<i64>>());
    Ok(())
}

pub(super) async fn what_was_handed_over_is_written_though_its_caller_is_gone(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let newcomers: Vec<_> = (0..20).map(|_| ground.samples.contact(&ground.stage)).collect();
    for contact in &newcomers {
        let mut commit = Box::pin(ground.write(&*store, contact_rows(contact)));
        // Handed over with the first poll, and dropped.
        poll_fn(|context| Poll::Ready(commit.as_mut().poll(context).is_ready())).await;
    }
    for contact in &newcomers {
        // As long as it takes; a test that hangs has failed.
        while store.contact(ground.id, contact.id).await?.is_none() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

pub(super) async fn rows_that_are_referred_to_are_written_first_and_removed_last(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let pipeline = ground.samples.pipeline();
    let stage = ground.samples.stage(&pipeline, 0, StageKind::Open);
    let contact = ground.samples.contact(&stage);
    let mut rows = contact_rows(&contact);
    rows.extend([Write::insert(&stage), Write::insert(&pipeline)]);
    ground.write(&*store, rows).await?;
    let moved = Update::of(&contact).set("stage_id", &ground.stage.id).set("pipeline_id", &ground.pipeline.id);
    let writes = [Write::delete(&pipeline), Write::delete(&stage), Write::Update(moved)];
    ground.write(&*store, writes).await?;
    ensure_eq!(store.pipelines(ground.id).await?.len(), 1);
    Ok(())
}

pub(super) async fn a_reference_to_a_missing_row_is_a_write_conflict(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let nowhere = ground.samples.stage(&ground.pipeline, 9, StageKind::Open);
    let lost = ground.samples.contact(&nowhere);
    ensure_code!(ground.write(&*store, [Write::insert(&lost)]).await, "write_conflict");
    ensure_code!(ground.write(&*store, [Write::delete(&ground.stage)]).await, "write_conflict");
    Ok(())
}

pub(super) async fn hundreds_of_rows_go_in_at_once(store: Arc<dyn Store>) -> Outcome {
    let mut ground = Ground::make(&*store, 1).await?;
    let contacts: Vec<_> = (0..500).map(|_| ground.samples.contact(&ground.stage)).collect();
    let mut batch = Batch::default();
    for contact in &contacts {
        batch.fact(contact_rows(contact), ground.samples.event(EventKind::ContactCreated, contact.id));
    }
    store.commit(ground.id, batch).await?;
    let ids: Vec<_> = contacts.iter().map(|contact| contact.id).collect();
    let mut found = store.contacts_by_ids(ground.id, &ids).await?;
    found.sort_by_key(|contact| ids.iter().position(|id| *id == contact.id));
    ensure!(found == contacts, "{} of 500 contacts are as they were written", found.len());
    for id in ids {
        let pending = store.pending_events(ground.id, &[id.uuid()], 9).await?;
        ensure_eq!(pending.iter().map(|event| event.subject_seq).collect::<Vec<_>>(), [1]);
    }
    Ok(())
}

pub(super) async fn a_text_that_cannot_be_kept_is_refused(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let name = Update::of(&ground.contact).set("name", &"A\0da".to_owned());
    ensure_code!(ground.write(&*store, [Write::Update(name)]).await, "malformed");
    Ok(())
}

pub(super) async fn idempotency_keys_are_forgotten_up_to_a_time(store: Arc<dyn Store>) -> Outcome {
    let ground = Ground::make(&*store, 1).await?;
    let other = Ground::make(&*store, 2).await?;
    let record = |organization_id, key: &str, hour| IdempotencyRecord {
        organization_id,
        actor: "system".into(),
        operation: "contacts.create".into(),
        key: key.into(),
        body_hash: vec![1, 2, 3],
        answer: serde_json::json!({ "id": key }),
        created_at: Samples::epoch() + chrono::Duration::hours(hour),
    };
    let [old, young] = [record(ground.id, "old", 1), record(ground.id, "young", 2)];
    ground.write(&*store, [Write::insert(&old), Write::insert(&young)]).await?;
    ensure_code!(ground.write(&*store, [Write::insert(&old)]).await, "write_conflict");
    other.write(&*store, [Write::insert(&record(other.id, "old", 1))]).await?;
    store.forget_idempotency(ground.id, old.created_at).await?;
    let found = |organization, key| store.idempotency(organization, "system", "contacts.create", key);
    ensure_eq!(found(ground.id, "old").await?, None);
    ensure_eq!(found(ground.id, "young").await?, Some(young));
    ensure!(found(other.id, "old").await?.is_some(), "another organisation's key was forgotten too");
    Ok(())
}
