//! How often a call waits for PostgreSQL: counted by a proxy on the loopback interface.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use dealwright::{
    domain::{event::EventKind, pipeline::StageKind},
    ports::store::{Batch, ContactReads, Store, Write},
    store::sql::{SqlStore, StoreOptions},
    testkit::samples::{Samples, contact_rows},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use crate::places::database;

/// Counts how often the client speaks after the server has.
struct Proxy {
    port: u16,
    turns: Arc<AtomicUsize>,
}

impl Proxy {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = turns.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let answered = Arc::new(AtomicBool::new(true));
                let (turns, spoken) = (counted.clone(), answered.clone());
                tokio::spawn(carry(from_client, to_server, move || {
                    if answered.swap(false, Ordering::SeqCst) {
                        turns.fetch_add(1, Ordering::SeqCst);
                    }
                }));
                tokio::spawn(carry(from_server, to_client, move || spoken.store(true, Ordering::SeqCst)));
            }
        });
        Self { port, turns }
    }

    fn since(&self, before: usize) -> usize {
        self.turns.load(Ordering::SeqCst) - before
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, heard: impl Fn()) {
    let mut buffer = vec![0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        heard();
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

pub async fn a_commit_is_two_trips_and_a_read_is_one() {
    let urls = database("trips").await;
    let (before, rest) = urls.app.rsplit_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address.to_owned()).await;
    let url = format!("{before}@127.0.0.1:{}/{name}", proxy.port);
    // One connection, so that what it has prepared is known.
    let store = SqlStore::open(&url, StoreOptions::default().connections(1)).await.unwrap();
    let mut samples = Samples::new(1);
    let organization = samples.organization_id;
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, StageKind::Open);
    store.commit(organization, samples.batch([Write::insert(&pipeline), Write::insert(&stage)])).await.unwrap();
    let mut trips = Vec::new();
    for _ in 0..20 {
        let mut contact = samples.contact(&stage);
        contact.tags = vec!["a".into(), "b".into()];
        let mut batch = Batch::default();
        batch.fact(contact_rows(&contact), samples.event(EventKind::ContactCreated, contact.id));
        let start = proxy.turns.load(Ordering::SeqCst);
        store.commit(organization, batch).await.unwrap();
        let commit = proxy.since(start);
        let start = proxy.turns.load(Ordering::SeqCst);
        assert_eq!(store.contact(organization, contact.id).await.unwrap(), Some(contact));
        trips.push((commit, proxy.since(start)));
    }
    // A call that waits speaks again only after it has heard, so no trip is missed; an answer that comes in two pieces
    // while the rest of a question is still on its way counts one too many. Hence the fewest of many.
    assert_eq!(trips.iter().map(|(commit, _)| *commit).min(), Some(2), "{trips:?}");
    assert_eq!(trips.iter().map(|(_, read)| *read).min(), Some(1), "{trips:?}");
}
