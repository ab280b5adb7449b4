//! What is SQLite's own.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use chrono::Duration;
use dealwright::{
    domain::{event::EventKind, job::Lane},
    env::Env,
    id::{ContactId, Id, JobId},
    ports::store::{Batch, ContactReads, Store, Update, WorkItem, WorkQueue, Write},
    store::sql::{Level, SqlStore, StoreOptions},
    testkit::samples::{Samples, contact_rows},
};

use crate::places::sqlite_url;

async fn open(url: &str) -> dealwright::Result<SqlStore> {
    SqlStore::open(url, StoreOptions::default()).await
}

pub async fn only_one_process_may_have_the_file_open() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder);
    let first = open(&url).await.unwrap();
    let error = open(&url).await.unwrap_err();
    assert_eq!(error.code(), "database_in_use");
    assert!(error.message().contains("already open"), "{error}");
    // Whoever may not open it may still look whether it is sound.
    assert!(
        SqlStore::examine(&url, StoreOptions::default(), &Env::system())
            .await
            .unwrap()
            .iter()
            .all(|it| it.level == Level::Fine)
    );
    drop(first);
    open(&url).await.unwrap();
}

pub async fn a_url_that_names_no_database_is_refused() {
    for url in ["", "crm.db", "sqlite:crm.db", "sqlite://", "mysql://localhost/crm", "postgres://h:notaport/x"] {
        let error = open(url).await.unwrap_err();
        assert_eq!((error.code(), error.fields()[0].pointer.as_str()), ("validation_failed", "/database"), "{url}");
    }
    let error = open("sqlite:///nowhere/at/all/crm.db").await.unwrap_err();
    assert!(error.code() == "unavailable" && error.message().contains("folder"), "{error}");
}

pub const WRITE_UNTIL_KILLED: &str = "--write-until-killed";

/// Commits contacts for ever and says each one that is committed.
pub async fn write_until_killed(url: &str) {
    let store = open(url).await.unwrap();
    let mut samples = Samples::new(7);
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, dealwright::domain::pipeline::StageKind::Open);
    let batch = samples.batch([Write::insert(&pipeline), Write::insert(&stage)]);
    store.commit(samples.organization_id, batch).await.unwrap();
    loop {
        let contact = samples.contact(&stage);
        let mut batch = Batch::default();
        batch.fact(contact_rows(&contact), samples.event(EventKind::ContactCreated, contact.id));
        store.commit(samples.organization_id, batch).await.unwrap();
        println!("{}", contact.id);
    }
}

pub async fn commits_survive_a_killed_process() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder);
    let mut writer = Command::new(std::env::current_exe().unwrap());
    let mut writer = writer.args([WRITE_UNTIL_KILLED, &url]).stdout(Stdio::piped()).spawn().unwrap();
    let mut committed: Vec<ContactId> = Vec::new();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    committed.extend(lines.by_ref().take(500).map(|line| line.unwrap().parse::<ContactId>().unwrap()));
    // SIGKILL, in the middle of whatever it does.
    writer.kill().unwrap();
    writer.wait().unwrap();
    committed.extend(lines.map_while(Result::ok).filter_map(|line| line.parse::<ContactId>().ok()));
    let store = open(&url).await.unwrap();
    let organization = Samples::new(7).organization_id;
    for id in &committed {
        assert!(store.contact(organization, *id).await.unwrap().is_some(), "{id} was committed and is gone");
    }
    assert!(committed.len() >= 500);
    for finding in store.doctor(&Env::system()).await.unwrap() {
        assert_eq!(finding.level, Level::Fine, "{finding:?}");
    }
}

pub async fn a_stopped_process_leaves_no_claims() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder);
    let mut samples = Samples::new(1);
    let (now, lease) = (Samples::epoch(), Duration::days(9));
    let organization_id = samples.organization_id;
    let [before, after] = [samples.id::<JobId>(), samples.id()].map(Id::uuid);
    {
        let store = open(&url).await.unwrap();
        let mut batch = Batch::default();
        batch.plant(WorkItem { lane: Lane::Job, id: before, organization_id, due_at: now });
        store.commit(organization_id, batch).await.unwrap();
        assert_eq!(store.claim(&[Lane::Job], before, now, lease, 9).await.unwrap().len(), 1);
        assert!(store.claim(&[Lane::Job], after, now, lease, 9).await.unwrap().is_empty());
    }
    let store = open(&url).await.unwrap();
    assert_eq!(store.claim(&[Lane::Job], after, now, lease, 9).await.unwrap().len(), 1);
}

pub async fn readers_see_what_was_committed_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open(&sqlite_url(&folder), StoreOptions::default().readers(4)).await.unwrap();
    let mut samples = Samples::new(1);
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, dealwright::domain::pipeline::StageKind::Open);
    let id = samples.organization_id;
    store.commit(id, samples.batch([Write::insert(&pipeline), Write::insert(&stage)])).await.unwrap();
    for _ in 0..300 {
        let contact = samples.contact(&stage);
        store.commit(id, samples.batch(contact_rows(&contact))).await.unwrap();
        assert_eq!(store.contact(id, contact.id).await.unwrap(), Some(contact));
    }
}

/// By this count it is known for how long somebody who is signed in needs no other look.
pub async fn changes_of_who_may_what_are_counted() {
    let store = open("sqlite::memory:").await.unwrap();
    let mut samples = Samples::new(1);
    let id = samples.organization_id;
    let (organization, user) = (samples.organization(), samples.user());
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, dealwright::domain::pipeline::StageKind::Open);
    let mut epoch = store.seats_epoch().unwrap();
    store.commit(id, samples.batch([Write::insert(&organization), Write::insert(&user)])).await.unwrap();
    let now = store.seats_epoch().unwrap();
    assert!(now > epoch, "{epoch} and then {now}");
    epoch = now;
    store.commit(id, samples.batch([Write::insert(&pipeline), Write::insert(&stage)])).await.unwrap();
    let contact = samples.contact(&stage);
    store.commit(id, samples.batch(contact_rows(&contact))).await.unwrap();
    assert_eq!(store.seats_epoch().unwrap(), epoch);
    let (role, session, team) = (samples.own_role(), samples.session(&user), samples.team());
    let (membership, place) = (samples.membership(&user), samples.team_member(&team, user.id));
    for write in [
        Write::insert(&role),
        Write::insert(&membership),
        Write::insert(&session),
        Write::Update(Update::of(&session).set("revoked_at", &Some(Samples::epoch()))),
        Write::insert(&team),
        Write::insert(&place),
        Write::delete(&place),
        Write::delete(&membership),
    ] {
        store.commit(id, samples.batch([write])).await.unwrap();
        let now = store.seats_epoch().unwrap();
        assert!(now > epoch, "{epoch} and then {now}");
        epoch = now;
    }
}

pub async fn doctor_finds_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder);
    drop(open(&url).await.unwrap());
    let raw = rusqlite::Connection::open(folder.path().join("crm.db")).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = OFF; PRAGMA writable_schema = ON; \
         INSERT INTO contact_tags VALUES (x'01', 'lost', x'02'); \
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'users') WHERE name = 'media';",
    )
    .unwrap();
    drop(raw);
    let findings = SqlStore::examine(&url, StoreOptions::default(), &Env::system()).await.unwrap();
    let broken: Vec<_> = findings.iter().filter(|it| it.level == Level::Broken).map(|it| &it.sentence).collect();
    assert!(broken.iter().any(|it| it.contains("damaged")), "{findings:?}");
    assert!(broken.iter().any(|it| it.contains("contact_tags")), "{findings:?}");
}
