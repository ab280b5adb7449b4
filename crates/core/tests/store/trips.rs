//! How often a call waits for PostgreSQL: counted by a proxy on the loopback interface.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use chrono::{DateTime, TimeDelta};
use dealwright::{
    Crm, Registry,
    domain::{event::EventKind, pipeline::StageKind},
    env::{Env, ManualClock},
    ports::store::{Batch, ContactReads, Store, Write},
    services::{
        batch::BatchItem,
        companies::NewCompany,
        contacts::{ContactBatch, NewContact},
        deals::DealBatch,
        identity::{NewOrganization, NewUser},
    },
    store::sql::{SqlStore, StoreOptions},
    testkit::samples::{Samples, contact_rows},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use uuid::Uuid;

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

/// What the run with the fewest needs; tells all of them. A question or an answer that comes in two pieces counts one too
/// many, which a busy machine makes of most.
fn fewest(what: &str, runs: &[usize]) -> usize {
    let fewest = runs.iter().copied().min().unwrap();
    println!("  {what:24} {fewest:3}   {runs:?}");
    fewest
}

/// A contact made through the doors, alone and five hundred at once, and read again.
pub async fn a_contact_takes_four_trips_to_make_and_one_to_read() {
    let urls = database("door_trips").await;
    let (before, rest) = urls.app.rsplit_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address.to_owned()).await;
    let url = format!("{before}@127.0.0.1:{}/{name}", proxy.port);
    let store = SqlStore::open(&url, StoreOptions::default().connections(1)).await.unwrap();
    let crm = Crm::builder().store(Arc::new(store)).build().await.unwrap();
    let owner = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
    let acme = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await.unwrap();
    let me = crm.as_user(acme.organization.id, acme.owner.id).await.unwrap();
    let (mut make, mut read, mut batch, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut companies, mut teams) = (Vec::new(), Vec::new());
    for number in 0..50 {
        let new = NewCompany { name: format!("Company {number}"), ..Default::default() };
        companies.push(me.companies().create(new).await.unwrap().id);
        let new = serde_json::from_value(json!({"name": format!("Team {number}")})).unwrap();
        teams.push(me.teams().create(new).await.unwrap().id);
    }
    for round in 0..6 {
        let new = |number: usize| NewContact {
            name: format!("Contact {number}"),
            emails: vec![format!("c{number}.{round}@acme.example")],
            tags: vec!["vip".into()],
            ..Default::default()
        };
        let start = proxy.turns.load(Ordering::SeqCst);
        let contact = me.contacts().create(new(0)).await.unwrap();
        make.push(proxy.since(start));
        let start = proxy.turns.load(Ordering::SeqCst);
        assert_eq!(me.contacts().get(contact.id).await.unwrap(), contact);
        read.push(proxy.since(start));
        let item = |number: usize| {
            let (company, team) = (companies[number % 50], teams[number % 50]);
            let (name, emails) = (format!("Contact {number}"), [format!("c{number}.{round}@acme.example")]);
            BatchItem(json!({"name": name, "emails": emails, "tags": ["vip"], "company_id": company, "team_id": team}))
        };
        let items = (1..=100).map(item).collect();
        let start = proxy.turns.load(Ordering::SeqCst);
        let made = me.contacts().create_batch(ContactBatch { items }).await.unwrap();
        batch.push(proxy.since(start));
        assert!(made.items.iter().all(|it| it.id.is_some()), "{made:?}");
        // Nobody and nothing that is there.
        let item = |number: u128| {
            let id = Uuid::from_u128(number);
            BatchItem(json!({"name": "Deal", "contact_id": id, "company_id": id, "team_id": id, "assigned_to": id}))
        };
        let items = (1..=100).map(item).collect();
        let start = proxy.turns.load(Ordering::SeqCst);
        let made = me.deals().create_batch(DealBatch { items }).await.unwrap();
        refused.push(proxy.since(start));
        assert!(made.items.iter().all(|it| it.error.as_ref().unwrap().errors.len() == 4), "{made:?}");
    }
    println!("round trips to PostgreSQL, awaited: what, the fewest, each run");
    assert_eq!(fewest("make a contact", &make), 4, "{make:?}");
    assert_eq!(fewest("read it by id", &read), 1, "{read:?}");
    // However many there are; large questions and answers come in pieces, of which each may count.
    assert!(fewest("make a hundred at once", &batch) < 20, "{batch:?}");
    assert!(fewest("refuse a hundred at once", &refused) < 10, "{refused:?}");
}

/// A schedule rule about deals asks for their contacts' facts: each page's contacts are read together.
pub async fn a_schedule_reads_the_contacts_of_deals_at_once() {
    let urls = database("schedule_trips").await;
    let (before, rest) = urls.app.rsplit_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address.to_owned()).await;
    let url = format!("{before}@127.0.0.1:{}/{name}", proxy.port);
    let store = SqlStore::open(&url, StoreOptions::default().connections(1)).await.unwrap();
    let clock = ManualClock::at(DateTime::UNIX_EPOCH);
    let mut registry = Registry::new();
    registry.rule_engine(dealwright_rules::declarative::Declarative);
    let env = Env::system().with_clock(clock.clone());
    let crm = Crm::builder().store(Arc::new(store)).env(env).registry(registry).build().await.unwrap();
    let owner = NewUser { email: "una@acme.example".into(), name: "Una".into(), password: None };
    let acme = crm.organizations().create(NewOrganization { name: "Acme".into(), owner }).await.unwrap();
    let me = crm.as_user(acme.organization.id, acme.owner.id).await.unwrap();
    let rule = json!({ "name": "daily", "subject": "deal", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                       "condition": { "contact.source": "fair" }, "action": { "notify_team": true } });
    me.call("rules.create", rule).await.unwrap();
    let mut trips = Vec::new();
    for count in [1, 1, 100] {
        for number in 0..count {
            let contact = me.call("contacts.create", json!({ "name": format!("{number}") })).await.unwrap();
            let deal = json!({ "name": format!("{number}"), "contact_id": contact["id"] });
            me.call("deals.create", deal).await.unwrap();
        }
        crm.runtime().drain().await.unwrap();
        clock.advance(TimeDelta::days(1));
        let start = proxy.turns.load(Ordering::SeqCst);
        crm.runtime().drain().await.unwrap();
        trips.push(proxy.since(start));
    }
    // The first has statements to prepare. A large answer comes in pieces, of which each may count.
    assert!(trips[2] < trips[1] + 50, "{trips:?}");
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
    let (commits, reads): (Vec<usize>, Vec<usize>) = trips.into_iter().unzip();
    assert_eq!(fewest("commit a contact", &commits), 2, "{commits:?}");
    assert_eq!(fewest("read a row", &reads), 1, "{reads:?}");
}
