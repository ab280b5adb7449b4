//! What is PostgreSQL's own: the second wall, roles, connections.

use chrono::Duration;
use dealwright::{
    domain::{event::EventKind, job::Lane, pipeline::StageKind},
    env::{Env, ManualClock},
    id::Id,
    ports::store::{Batch, ContactReads, Store, TABLES, Update, WorkItem, WorkQueue, Write},
    store::sql::{Finding, Level, SqlStore, StoreOptions, migrate},
    testkit::samples::{Samples, contact_rows},
};
use dealwright_peers::{Fault, Place, Postgres, Proxy, shared_postgres};

use crate::places::{connect, database, superuser};

async fn open(url: &str) -> dealwright::Result<SqlStore> {
    SqlStore::open(url, StoreOptions::default()).await
}

/// An organisation with a contact in a stage.
async fn fill(store: &SqlStore, seed: u64) -> (Samples, dealwright::domain::contact::Contact) {
    let mut samples = Samples::new(seed);
    let pipeline = samples.pipeline();
    let stage = samples.stage(&pipeline, 0, StageKind::Open);
    let contact = samples.contact(&stage);
    let mut writes = contact_rows(&contact);
    writes.extend([Write::insert(&samples.organization()), Write::insert(&pipeline), Write::insert(&stage)]);
    let mut batch = Batch::default();
    batch.fact(writes, samples.event(EventKind::ContactCreated, contact.id));
    store.commit(samples.organization_id, batch).await.unwrap();
    (samples, contact)
}

/// ASVS 8.4.1.
pub async fn raw_sql_sees_the_set_organisation_alone() {
    let urls = database("raw").await;
    let store = open(&urls.app).await.unwrap();
    let (ours, contact) = fill(&store, 1).await;
    let (theirs, _) = fill(&store, 2).await;
    let mut raw = connect(&urls.app).await;
    let count = "SELECT count(*) FROM contacts";
    for (organization, seen) in [(None, 0), (Some(ours.organization_id), 1), (Some(theirs.organization_id), 1)] {
        let transaction = raw.transaction().await.unwrap();
        if let Some(organization) = organization {
            let set = format!("SET LOCAL app.organization_id = '{organization}'");
            transaction.batch_execute(&set).await.unwrap();
        }
        // No predicate at all: the database is the wall.
        assert_eq!(transaction.query_one(count, &[]).await.unwrap().get::<_, i64>(0), seen);
        let changed = transaction.execute("UPDATE contacts SET score = score + 1", &[]).await.unwrap();
        assert_eq!(changed, seen as u64);
        transaction.rollback().await.unwrap();
    }
    // The setting does not outlive its transaction.
    assert_eq!(raw.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);

    // Every table: what is ours cannot be seen, changed, removed or made from theirs.
    let tables: Vec<_> = TABLES.iter().filter(|it| !it.global).map(|it| it.name).chain(["subjects"]).collect();
    let transaction = raw.transaction().await.unwrap();
    let set = format!("SET LOCAL app.organization_id = '{}'", theirs.organization_id);
    transaction.batch_execute(&set).await.unwrap();
    for table in tables {
        let own = format!("SELECT count(*) FROM {table} WHERE organization_id = $1");
        let id = ours.organization_id.uuid();
        assert_eq!(transaction.query_one(&own, &[&id]).await.unwrap().get::<_, i64>(0), 0, "{table}");
        // Out of the audit log the role removes nothing, whosever it is.
        if table == "audit_entries" {
            continue;
        }
        let delete = format!("DELETE FROM {table} WHERE organization_id = $1");
        assert_eq!(transaction.execute(&delete, &[&id]).await.unwrap(), 0, "{table}");
    }
    let steal = "INSERT INTO contact_tags (organization_id, tag, contact_id) VALUES ($1, 'stolen', $2)";
    let error = transaction.execute(steal, &[&ours.organization_id.uuid(), &contact.id.uuid()]).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501");
}

fn sentences(findings: &[Finding], level: Level) -> String {
    findings.iter().filter(|it| it.level == level).map(|it| format!("{}: {}\n", it.subject, it.sentence)).collect()
}

/// ASVS 13.2.2.
pub async fn a_role_that_the_wall_does_not_bind_is_refused() {
    let urls = database("roles").await;
    for (url, why) in [(&superuser(&urls), "superuser"), (&urls.owner, "owns tables")] {
        let error = open(url).await.unwrap_err();
        assert!(error.code() == "role_unfit" && error.message().contains(why), "{error}");
        let findings = SqlStore::examine(url, StoreOptions::default(), &Env::system()).await.unwrap();
        let broken = sentences(&findings, Level::Broken);
        assert!(broken.starts_with("role: ") && broken.contains(why), "{broken}");
    }
    let error = open(&urls.app.replace("crm_app:app", "crm_app:wrong")).await.unwrap_err();
    assert!(error.code() == "unavailable" && error.message().contains("password"), "{error}");
}

/// ASVS 8.4.1.
pub async fn doctor_finds_what_opens_the_wall() {
    let urls = database("doctor").await;
    let store = open(&urls.app).await.unwrap();
    let findings = store.doctor(&Env::system()).await.unwrap();
    assert!(findings.iter().all(|it| it.level == Level::Fine) && findings.len() == 4, "{findings:?}");
    let owner = connect(&urls.owner).await;
    owner
        .batch_execute(
            "ALTER TABLE contacts DISABLE ROW LEVEL SECURITY; ALTER TABLE events NO FORCE ROW LEVEL SECURITY; \
             DROP POLICY tenant ON jobs; CREATE POLICY everybody ON chats USING (true); CREATE TABLE extra (id uuid); \
             DROP POLICY tenant ON rules; CREATE POLICY tenant ON rules USING (true); \
             GRANT UPDATE (action) ON audit_entries TO crm_app",
        )
        .await
        .unwrap();
    let broken = sentences(&store.doctor(&Env::system()).await.unwrap(), Level::Broken);
    for wrong in [
        "is off for contacts",
        "does not bind the owner of events",
        "of jobs lacks the policy",
        "of chats has a further policy",
        "the table extra is none of this program's",
        "of rules lacks the policy",
        "may remove or rewrite what the audit log tells",
    ] {
        assert!(broken.contains(wrong), "{wrong} is missing in\n{broken}");
    }
    assert_eq!(broken.lines().count(), 7, "{broken}");
    owner
        .batch_execute(
            "ALTER TABLE notes DROP COLUMN text; ALTER TABLE tasks ADD COLUMN mood text; DROP INDEX contacts_created; \
             DROP TABLE media CASCADE",
        )
        .await
        .unwrap();
    let clock = ManualClock::at(Env::system().now() + chrono::TimeDelta::seconds(90));
    let broken = sentences(&store.doctor(&Env::system().with_clock(clock)).await.unwrap(), Level::Broken);
    for wrong in [
        "the column notes.text is gone",
        "tasks.mood is no column of this program's",
        "the index contacts_created is gone: CREATE INDEX contacts_created ON contacts",
        "the table media is gone",
        "clock: the database's clock and this machine's are",
    ] {
        assert!(broken.contains(wrong), "{wrong} is missing in\n{broken}");
    }
    let owner_of_edits = connect(&urls.owner).await;
    owner_of_edits.batch_execute("DELETE FROM schema_migrations").await.unwrap();
    assert!(sentences(&store.doctor(&Env::system()).await.unwrap(), Level::Broken).starts_with("schema: "));
}

/// ASVS 16.4.2: whoever has the engine's role adds to the audit log, and takes nothing out of it.
pub async fn the_engines_role_cannot_rewrite_the_audit_log() {
    let urls = database("log").await;
    let client = connect(&urls.app).await;
    let organization = uuid::Uuid::from_u128(1);
    client.batch_execute(&format!("SET app.organization_id = '{organization}'")).await.unwrap();
    let add = format!(
        "INSERT INTO audit_entries (id, organization_id, at, actor, action, object_kind, object_id, payload, payload_digest) \
         VALUES ('{organization}', '{organization}', 1, '{{}}', 'teams.create', 'team', '{organization}', '{{}}', '')"
    );
    client.batch_execute(&add).await.unwrap();
    for refused in [
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_entries SET action = 'nothing'",
        "UPDATE audit_entries SET at = 2, payload = NULL",
    ] {
        let error = client.batch_execute(refused).await.unwrap_err();
        let code = error.code().map(|it| it.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    // It is sealed, and cleared where a person is erased.
    client.batch_execute("UPDATE audit_entries SET payload = NULL, seq = 1, seal = ''").await.unwrap();
}

/// ASVS 13.2.2.
pub async fn an_application_role_that_cannot_be_bound_is_refused() {
    let urls = shared_postgres().unwrap().fresh_database("approle").unwrap();
    for (role, why) in
        [("nobody_knows", "there is no role"), ("postgres", "does not bind"), ("crm_owner", "owns the tables")]
    {
        let error = migrate(&urls.owner, role, &StoreOptions::default()).await.unwrap_err();
        assert!(error.fields()[0].pointer == "/app_role" && error.message().contains(why), "{error}");
    }
    // Nothing was left behind.
    assert_eq!(migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap(), ["0001_init"]);
}

pub async fn a_connection_that_breaks_is_replaced() {
    let server = Postgres::start().unwrap();
    let urls = server.fresh_database("breaks").unwrap();
    migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
    let store = open(&urls.app).await.unwrap();
    let (samples, contact) = fill(&store, 1).await;
    server.stop().unwrap();
    let error = store.contact(samples.organization_id, contact.id).await.unwrap_err();
    assert_eq!(error.code(), "unavailable", "{error}");
    let change = || {
        let mut batch = samples.clone().batch([Write::Update(Update::of(&contact).add("score", 1))]);
        batch.plant(WorkItem {
            lane: Lane::Job,
            id: contact.id.uuid(),
            organization_id: samples.organization_id,
            due_at: Samples::epoch(),
        });
        store.commit(samples.organization_id, batch)
    };
    assert_eq!(change().await.unwrap_err().code(), "unavailable");
    assert_eq!(store.ping().await.unwrap_err().code(), "unavailable");
    server.start_again().unwrap();
    assert_eq!(store.contact(samples.organization_id, contact.id).await.unwrap(), Some(contact.clone()));
    change().await.unwrap();
}

pub async fn opposite_orders_of_rows_do_not_deadlock_for_good() {
    let urls = database("orders").await;
    let store = std::sync::Arc::new(open(&urls.app).await.unwrap());
    let (mut samples, first) = fill(&store, 1).await;
    let organization = samples.organization_id;
    let second = dealwright::domain::contact::Contact { id: samples.id(), ..first.clone() };
    store.commit(organization, samples.batch([Write::insert(&second)])).await.unwrap();
    let mut tasks = Vec::new();
    for turn in 0..40 {
        let mut pair = [first.clone(), second.clone()];
        pair.rotate_left(turn % 2);
        let mut batch = Batch::default();
        for contact in &pair {
            let event = samples.event(EventKind::ContactUpdated, contact.id);
            batch.fact([Write::Update(Update::of(contact).add("score", 1))], event);
        }
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.commit(organization, batch).await }));
    }
    // The subjects are locked in one order first, so the rows' own order cannot hurt.
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let now = store.contact(organization, second.id).await.unwrap().unwrap();
    assert_eq!(now.score, second.score + 40);
}

pub async fn the_claims_of_other_replicas_stay_theirs() {
    let urls = database("replicas").await;
    let store = open(&urls.app).await.unwrap();
    let (samples, contact) = fill(&store, 1).await;
    let (now, lease) = (Samples::epoch() + Duration::days(9), Duration::seconds(15));
    let [other, own] = [contact.id.uuid(), samples.organization_id.uuid()];
    assert!(!store.claim(&[Lane::Dispatch], other, now, lease, 9).await.unwrap().is_empty());
    // Another replica starts: the others may well be alive.
    let store = open(&urls.app).await.unwrap();
    assert!(store.claim(&[Lane::Dispatch], own, now, lease, 9).await.unwrap().is_empty());
}

/// A network that swallows everything closes no connection: whoever waits is told, and nobody waits on that one again.
/// ASVS 15.2.2.
pub async fn a_server_that_falls_silent_is_given_up() {
    let urls = database("silence").await;
    let (before, rest) = urls.app.rsplit_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(address.rsplit_once(':').unwrap().1.parse().unwrap()).unwrap();
    let patience = std::time::Duration::from_millis(400);
    let options = StoreOptions::default().connections(1).timeouts(patience, patience);
    let url = format!("{before}@127.0.0.1:{}/{name}", proxy.port());
    let store = SqlStore::open(&url, options).await.unwrap();
    let mut samples = Samples::new(1);
    let organization = samples.organization_id;
    let pipeline = samples.pipeline();
    // One call waits for its answer, the next one for a connection.
    for _ in 0..2 {
        proxy.arm(Place::Now, Fault::Silence);
        let began = std::time::Instant::now();
        let read = store.ping().await.unwrap_err();
        let write = store.commit(organization, samples.batch([Write::insert(&pipeline)])).await.unwrap_err();
        let claim = store
            .claim(
                &[Lane::Job],
                samples.id::<dealwright::id::JobId>().uuid(),
                Samples::epoch(),
                Duration::seconds(9),
                1,
            )
            .await;
        for error in [read, write, claim.unwrap_err()] {
            assert_eq!(error.kind(), dealwright::ErrorKind::Unavailable, "{error}");
        }
        assert!(began.elapsed() < patience * 20, "{:?}", began.elapsed());
        // What was swallowed comes through late, into connections that nobody reads any more.
        proxy.lift();
        while store.ping().await.is_err() {
            assert!(began.elapsed() < patience * 40, "it does not come back");
        }
    }
    store.commit(organization, samples.batch([Write::insert(&pipeline)])).await.unwrap();
}
