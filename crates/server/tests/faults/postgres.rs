//! Between the engine and PostgreSQL.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use dealwright::{
    Crm, Registry,
    cipher::Cipher,
    env::{Env, ManualClock},
    id::{AccountId, OrganizationId, UserId},
    services::identity::{NewOrganization, NewUser},
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::provider::{Provider, message},
};
use dealwright_peers::{Proxy, psql, shared_postgres, variable};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

use crate::steps::{Fault, Place, break_at, chosen, insist};

const FAULTS: [Fault; 5] =
    [Fault::Cut, Fault::Truncate, Fault::Silence, Fault::Refuse, Fault::Delay(Duration::from_millis(700))];
/// Shorter than an outage together.
const PATIENCE: Duration = Duration::from_millis(300);

/// One database, reached directly and over a line that breaks.
struct Bench {
    proxy: Arc<Proxy>,
    broken_url: String,
    superuser: String,
    direct: Crm,
    provider: Provider,
    cipher: Cipher,
    clock: ManualClock,
}

/// An organisation of its own for each run: what the others left behind is not in it.
struct Firm {
    organization: OrganizationId,
    owner: UserId,
    account: AccountId,
    qualified: String,
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    state: String,
    steps: u64,
    struck: bool,
    told: u64,
    /// Nobody could record that a message was not handed over: it is not sent again, and a person is told so.
    doubtful: bool,
}

impl Bench {
    async fn new() -> Self {
        let server = shared_postgres().unwrap();
        let urls = server.fresh_database("faults").unwrap();
        migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
        let (before, rest) = urls.app.rsplit_once('@').unwrap();
        let (address, name) = rest.split_once('/').unwrap();
        let proxy = Arc::new(Proxy::to(address.rsplit_once(':').unwrap().1.parse().unwrap()).unwrap());
        let broken_url = format!("{before}@127.0.0.1:{}/{name}", proxy.port());
        let superuser = format!("{}/{name}", server.superuser().rsplit_once('/').unwrap().0);
        let cipher = Cipher::from_key_file(&Cipher::new_key_file(&Env::system()).unwrap()).unwrap();
        let (provider, clock) = (Provider::new("email"), ManualClock::at(Env::system().now()));
        let store = Arc::new(SqlStore::open(&urls.app, StoreOptions::default()).await.unwrap());
        let direct = engine(store, &provider, &cipher, &clock).await.unwrap();
        Self { proxy, broken_url, superuser, direct, provider, cipher, clock }
    }

    async fn firm(&self) -> Firm {
        let id = Env::system().id::<UserId>().unwrap();
        let owner = NewUser { email: format!("una@{id}.example"), name: "Una".into(), password: None };
        let made = self.direct.organizations().create(NewOrganization { name: "Acme".into(), owner }).await.unwrap();
        let (organization, owner) = (made.organization.id, made.owner.id);
        let me = self.direct.as_user(organization, owner).await.unwrap();
        let rule = json!({
            "id": "answer", "trigger": "message.received", "condition": { "stage": "lead" },
            "actions": [{ "move_to_stage": "qualified" }, { "send_message": { "text": "Dear {{contact.name}}, yes." } }],
        });
        me.call("rules.create", rule).await.unwrap();
        let account = me.accounts().connect(self.provider.account("una@acme.example")).await.unwrap();
        let pipelines = me.call("pipelines.list", json!({})).await.unwrap();
        let stages = pipelines["data"][0]["stages"].as_array().unwrap();
        let qualified = stages.iter().find(|stage| stage["name"] == "qualified").unwrap()["id"].as_str().unwrap();
        self.settle(&self.direct, organization, &mut 0).await;
        Firm { organization, owner, account: account.account.account.id, qualified: qualified.to_owned() }
    }

    /// The whole story over the line, from the opening of the store to when nothing is due any more.
    async fn run(&self, fault: Option<(Place, Fault)>) -> Ended {
        let firm = self.firm().await;
        let lifted = fault.map(|(place, fault)| break_at(&self.proxy, place, fault));
        if fault.is_none() {
            self.proxy.count();
        }
        let mut told = 0;
        let options = StoreOptions::default().connections(1).timeouts(PATIENCE, PATIENCE);
        let store =
            insist(&mut told, async || SqlStore::open(&self.broken_url, options.clone()).await.map(Arc::new)).await;
        let crm = engine(store, &self.provider, &self.cipher, &self.clock).await.unwrap();
        let me = insist(&mut told, async || crm.as_user(firm.organization, firm.owner).await).await;
        let call = async |told: &mut u64, key: &str, name: &str, input: Value| {
            insist(told, async || me.clone().with_idempotency_key(key).call(name, input.clone()).await).await
        };
        let bob = json!({ "name": "Bob", "emails": ["bob@globex.example"], "tags": ["vip"] });
        let bob = call(&mut told, "make", "contacts.create", bob).await["id"].clone();
        let there = json!({ "contact_id": bob, "stage_id": firm.qualified });
        call(&mut told, "move", "contacts.move", there).await;
        let (provider_id, now) = (format!("{}", firm.organization), crm.env().now());
        insist(&mut told, async || {
            let inbox = crm.inbox(firm.organization, firm.account).await?;
            let mail = message(&provider_id, "ada@globex.example", "Hello", now);
            inbox.deliver(vec![mail.into()], json!({ "seen": 1 })).await
        })
        .await;
        let before = self.provider.outgoing().len();
        self.settle(&crm, firm.organization, &mut told).await;
        let counts = self.proxy.lift();
        if let Some(lifted) = lifted {
            lifted.abort();
        }
        let outgoing = self.provider.outgoing().len() - before;
        let state = format!("{}\nhanded over: {outgoing}", self.state(firm.organization));
        let doubtful = outgoing <= 1 && state.contains("message|outgoing|unknown|1");
        Ended { state, steps: counts.steps, struck: counts.struck || told > 0, told, doubtful }
    }

    /// Does what is due and lets time pass, until nothing is left to do.
    async fn settle(&self, crm: &Crm, organization: OrganizationId, told: &mut u64) {
        let left = format!("select * from work where organization_id = '{organization}' and lane <> 'account'");
        let mut work = String::new();
        // The traces of a message that may have gone are looked for over an hour and a half.
        for _ in 0..120 {
            insist(told, async || crm.runtime().drain().await).await;
            work = psql(&self.superuser, &left).unwrap();
            if work.trim().is_empty() {
                return;
            }
            self.clock.advance(TimeDelta::seconds(60));
        }
        let jobs = format!("select * from jobs where organization_id = '{organization}'");
        let jobs = psql(&self.superuser, &jobs).unwrap();
        panic!("at {} there is still work to do:\n{work}\n{jobs}", crm.env().now());
    }

    /// Everything that must be as after a sound run, without what differs from run to run.
    fn state(&self, organization: OrganizationId) -> String {
        let of = format!("where organization_id = '{organization}'");
        psql(
            &self.superuser,
            &format!(
                "select 'contact', name, version from contacts {of} order by name;
                 select 'tags', count(*) from contact_tags {of};
                 select 'move', auto_moved, count(*) from stage_history {of} group by 2 order by 2;
                 select 'run', outcome, count(*) from runs {of} group by 2;
                 select 'message', direction, status, count(*) from messages {of} group by 2, 3 order by 2;
                 select 'unread', sum(unread_count) from chats {of};
                 select 'job', kind, state, count(*) from jobs {of} group by 2, 3 order by 2;
                 select 'key', count(*) from idempotency_keys {of};
                 select 'events', string_agg(kind, ' ' order by subject_seq)
                     from events {of} and kind <> 'message.updated' group by subject_kind, subject_id order by 2;
                 select 'gaps', count(*) from (select 1 from events {of} group by subject_id
                     having count(*) <> max(subject_seq) or min(subject_seq) <> 1) as it;"
            ),
        )
        .unwrap()
    }
}

async fn engine(
    store: Arc<SqlStore>,
    provider: &Provider,
    cipher: &Cipher,
    clock: &ManualClock,
) -> dealwright::Result<Crm> {
    let mut registry = Registry::new();
    registry.connector(provider.clone()).rule_engine(Declarative);
    let env = Env::system().with_clock(clock.clone());
    Crm::builder().store(store).registry(registry).cipher(cipher.clone()).env(env).build().await
}

/// A state but for what a message in doubt has in it.
fn beside_messages(state: &str) -> Vec<&str> {
    let of_messages = ["message|", "job|", "events|", "handed over"];
    state.lines().filter(|line| !of_messages.iter().any(|it| line.starts_with(it))).collect()
}

/// What became of all runs.
#[derive(Default)]
struct Tally {
    tried: u64,
    struck: u64,
    told: u64,
    doubtful: u64,
    wrong: Vec<String>,
}

impl Tally {
    async fn run(&mut self, bench: &Bench, sound: &Ended, place: Place, fault: Fault) -> bool {
        let ended = bench.run(Some((place, fault))).await;
        self.tried += 1;
        self.struck += u64::from(ended.struck);
        self.told += ended.told;
        if ended.doubtful && beside_messages(&ended.state) == beside_messages(&sound.state) {
            self.doubtful += 1;
        } else if ended.state != sound.state {
            self.wrong.push(format!("{place:?} {fault:?}: {}", ended.state));
        }
        ended.struck
    }

    fn must_be_sound(&self, sound: &Ended, what: &str) {
        let Self { tried, struck, told, doubtful, wrong } = self;
        let bad = wrong.len();
        println!(
            "faults: postgres {what}: {tried} tried, {struck} struck, {told} calls told to try again, {doubtful} left in \
             doubt, {bad} lost or doubled"
        );
        // Only where the machine has no time to try six times within six seconds.
        assert!(doubtful * 50 <= *tried, "{doubtful} of {tried} messages were left in doubt");
        assert!(wrong.is_empty(), "a sound run ends as\n{}\nand these do not:\n{}", sound.state, wrong.join("\n\n"));
    }
}

/// ASVS 16.5.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_to_postgresql_breaks() {
    let bench = Bench::new().await;
    // What comes in how many pieces differs a little from run to run: the fewest are there each time.
    let mut sound = bench.run(None).await;
    for _ in 0..3 {
        let again = bench.run(None).await;
        assert_eq!(again.state, sound.state);
        sound.steps = sound.steps.min(again.steps);
    }
    let mut tally = Tally::default();
    let wanted = variable("DEALWRIGHT_FAULT");
    let faults = FAULTS.into_iter().filter(|it| wanted.as_ref().is_none_or(|name| format!("{it:?}").starts_with(name)));
    for (turn, fault) in faults.enumerate() {
        let lasts = !matches!(fault, Fault::Cut | Fault::Truncate);
        for step in chosen(sound.steps, if lasts { 12 } else { 40 }, turn) {
            tally.run(&bench, &sound, Place::Step(step), fault).await;
        }
        println!("{fault:?}: {} tried so far, {} wrong", tally.tried, tally.wrong.len());
    }
    tally.must_be_sound(&sound, &format!("{} steps × {} faults", sound.steps, FAULTS.len()));
    let Tally { tried, struck, .. } = tally;
    assert!(struck * 4 >= tried * 3, "{struck} of {tried} faults struck: the steps are not what was counted");
}

/// What was asked for has happened and nobody was told: the next try must find it done.
/// ASVS 16.5.3.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_commit_to_postgresql_loses_its_answer() {
    let bench = Bench::new().await;
    let sound = bench.run(None).await;
    let (mut tally, mut commits) = (Tally::default(), 0);
    for fault in [Fault::Cut, Fault::Silence] {
        commits = 0;
        while tally.run(&bench, &sound, Place::Answer(b"COMMIT\0", commits + 1), fault).await {
            commits += 1;
        }
    }
    tally.must_be_sound(&sound, &format!("{commits} commits × 2 faults"));
    assert!(commits >= 8, "{commits} commits make no story");
}
