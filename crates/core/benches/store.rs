//! Commits a second on SQLite: a batch of six rows through the store, with 1 and with 64 callers, beside what a person
//! would write by hand: rusqlite, one row, each insert its own transaction. `cargo bench -p dealwright`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use dealwright::{
    domain::{
        event::{Event, EventKind},
        pipeline::{StageKind, StageMove},
    },
    env::Env,
    ports::store::{Batch, Store, Write},
    store::sql::{SqlStore, StoreOptions},
    testkit::samples::{Samples, contact_rows},
};

/// How long each measurement lasts.
const LASTING: Duration = Duration::from_secs(5);

fn main() {
    // `cargo test --benches` only wants to know that it builds and runs.
    let lasting = if std::env::args().any(|it| it == "--bench") { LASTING } else { Duration::from_millis(50) };
    let folder = tempfile::tempdir().unwrap();
    let bare = bare(&folder.path().join("bare.db"), lasting);
    println!("bare rusqlite, one row, autocommit, 1 caller       {bare:>9.0} commits/s");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (callers, durable) in [(1, false), (64, false), (1, true), (64, true)] {
        let file = folder.path().join(format!("store-{callers}-{durable}.db"));
        let rate = runtime.block_on(store(&file, callers, durable, lasting));
        let how = if durable { "synced" } else { "      " };
        println!(
            "store, six rows with an event {how} {callers:>2} callers       {rate:>9.0} commits/s   {:>5.1} times bare",
            rate / bare
        );
    }
}

fn bare(file: &Path, lasting: Duration) -> f64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
             CREATE TABLE contacts (id BLOB PRIMARY KEY, organization_id BLOB, name TEXT, emails TEXT, created_at INTEGER)",
        )
        .unwrap();
    let mut samples = Samples::new(1);
    let organization =
        *samples.id::<dealwright::id::OrganizationId>().to_string().as_bytes().first_chunk::<16>().unwrap();
    let start = Instant::now();
    let mut commits = 0;
    while start.elapsed() < lasting {
        let id = samples.next().to_be_bytes();
        let mut insert = connection.prepare_cached("INSERT INTO contacts VALUES (?, ?, ?, ?, ?)").unwrap();
        insert.execute((&id[..], &organization[..], "Ada", "[\"ada@acme.example\"]", commits)).unwrap();
        commits += 1;
    }
    commits as f64 / start.elapsed().as_secs_f64()
}

/// The contact, an identity, a tag, its history, the event and the count of its subject's events; and the work item that
/// puts the subject up for dispatch.
async fn store(file: &Path, callers: u64, durable: bool, lasting: Duration) -> f64 {
    let url = format!("sqlite://{}", file.display());
    let store = Arc::new(SqlStore::open(&url, StoreOptions::default().durable(durable)).await.unwrap());
    let mut samples = Samples::new(1);
    let organization = samples.organization_id;
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, StageKind::Open);
    store.commit(organization, samples.batch([Write::insert(&pipeline), Write::insert(&stage)])).await.unwrap();
    let start = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, stage) = (store.clone(), stage.clone());
            let (mut samples, env) = (Samples::new(1000 + caller), Env::system());
            samples.organization_id = organization;
            tokio::spawn(async move {
                let mut commits = 0u64;
                while start.elapsed() < lasting {
                    let mut contact = samples.contact(&stage);
                    // Ids and times as the engine makes them: in their order. Those of the samples are in none.
                    contact.id = env.id().unwrap();
                    contact.stage_entry_id = env.id().unwrap();
                    contact.created_at = env.now();
                    (contact.updated_at, contact.stage_entered_at) = (contact.created_at, contact.created_at);
                    contact.emails = vec![format!("{}@acme.example", contact.id)];
                    contact.phones.clear();
                    contact.handles = Default::default();
                    contact.tags = vec!["vip".into()];
                    let mut writes = contact_rows(&contact);
                    let entry = samples.stage_move(&contact, None, &stage, contact.created_at);
                    writes.push(Write::insert(&StageMove { id: contact.stage_entry_id, ..entry }));
                    let event = samples.event(EventKind::ContactCreated, contact.id);
                    let mut batch = Batch::default();
                    batch.fact(writes, Event { id: contact.stage_entry_id, occurred_at: contact.created_at, ..event });
                    store.commit(organization, batch).await.unwrap();
                    commits += 1;
                }
                commits
            })
        })
        .collect();
    let mut commits = 0;
    for caller in callers {
        commits += caller.await.unwrap();
    }
    commits as f64 / start.elapsed().as_secs_f64()
}
