//! The process is killed (`kill -9`) at random instants, again and again, while mails come in, rules move contacts, answers
//! go out, and people make contacts and deals. Afterwards everything is counted: nothing lost, nothing ingested, made or
//! moved twice, no mail sent twice, no hole in the history of anything.
//!
//! `DEALWRIGHT_KILLS` says how often in all, half on each database; `DEALWRIGHT_SEED` makes the instants of a run again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod clients;
mod history;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use dealwright::{domain::event::Subject, id::ContactId};
use dealwright_peers::{
    Mail, free_port,
    product::{Api, Server, StatusCode, eventually},
    shared_postgres, variable,
};
use serde_json::{Value, json};

use crate::clients::Clients;

/// Strangers that write, one mail each.
const STRANGERS: usize = 60;
/// Times the process is killed on both databases together, unless `DEALWRIGHT_KILLS` says otherwise.
const KILLS: usize = 60;
/// How long it lives after it takes connections, in milliseconds; every tenth lives longer, long enough for what the dead
/// had in hand to be taken up.
const LIFE: (u32, u32) = (100, 400);
const LONG_LIFE: (u32, u32) = (1_500, 4_000);

struct World {
    mail: Mail,
    ours: String,
    listen: SocketAddr,
    database: String,
    folder: tempfile::TempDir,
    _port: dealwright_peers::Port,
}

impl World {
    fn new(name: &str, database: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().unwrap();
        Self {
            mail: Mail::start().unwrap(),
            ours: format!("una@{name}.test"),
            listen: ([127, 0, 0, 1], port.number).into(),
            database: database(folder.path()),
            folder,
            _port: port,
        }
    }

    fn server(&self) -> Server {
        let mut server = self.launch();
        server.await_ready().unwrap();
        server
    }

    /// Starts the server and waits for nothing.
    fn launch(&self) -> Server {
        let program = Command::new(env!("CARGO_BIN_EXE_dealwright-server"));
        let ca = self.mail.ca_file.to_str().unwrap();
        Server::launch(
            program,
            self.listen,
            &self.database,
            &self.folder.path().join("data"),
            &["--extra-ca", ca, "--log-level", "warn", "--rate-limit-user", "off", "--rate-limit-organization", "off"],
        )
        .unwrap()
    }

    fn stranger(number: usize) -> String {
        format!("stranger{number:03}@elsewhere.test")
    }

    fn write(&self, number: usize) {
        let from = Self::stranger(number);
        let mail = format!(
            "From: Stranger {number} <{from}>\r\nTo: {}\r\nSubject: Question {number}\r\nMessage-ID: <q{number}@elsewhere.test>\r\n\
             Date: {}\r\nContent-Type: text/plain\r\n\r\nWhat about {number}?\r\n",
            self.ours,
            dealwright::env::Env::system().now().to_rfc2822()
        );
        self.mail.deliver(&from, &self.ours, mail.as_bytes()).unwrap();
    }
}

/// Every item of a list, page by page.
fn all(api: &Api, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let page = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let answer = api.get(&format!("{path}{separator}limit=200{page}")).unwrap();
        items.extend(answer["data"].as_array().unwrap().iter().cloned());
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return items,
        }
    }
}

/// Instants that can be had again: xorshift32.
struct Dice(u32);

impl Dice {
    fn new(name: &str) -> Self {
        let seed = variable("DEALWRIGHT_SEED").map(|it| it.parse().unwrap());
        let seed = seed.unwrap_or_else(|| u32::from_be_bytes(dealwright::env::Env::system().bytes().unwrap()) | 1);
        println!("{name}: DEALWRIGHT_SEED={seed}");
        Self(seed)
    }

    /// One of `from..to`.
    fn roll(&mut self, (from, to): (u32, u32)) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        from + self.0 % (to - from)
    }

    fn pause(&mut self, range: (u32, u32)) {
        sleep(Duration::from_millis(u64::from(self.roll(range))));
    }
}

/// Kills the server so often, each time at another instant; every fourth may die before it is ready.
fn kill(world: &World, mut server: Server, kills: usize, dice: &mut Dice) -> Server {
    let mut written = 0;
    for kill in 1..=kills {
        while written < STRANGERS * kill / kills {
            world.write(written);
            written += 1;
        }
        if dice.roll((0, 4)) > 0 {
            server.await_ready().unwrap();
        }
        dice.pause(if kill % 10 == 0 { LONG_LIFE } else { LIFE });
        drop(server);
        server = world.launch();
    }
    server.await_ready().unwrap();
    server
}

fn survive(name: &str, world: &World) {
    let mut dice = Dice::new(name);
    let kills = variable("DEALWRIGHT_KILLS").map_or(KILLS, |it| it.parse().unwrap()) / 2;
    let mut api = Api::new(&format!("http://{}", world.listen));
    let password = world.mail.add_user(&world.ours).unwrap();
    for number in 0..STRANGERS {
        world.mail.add_user(&World::stranger(number)).unwrap();
    }
    let server = world.server();
    let sign_up =
        json!({ "email": world.ours, "password": "correct horse battery", "name": "Una", "organization_name": "Acme" });
    let signed_up = api.post("/api/auth/signup", sign_up, StatusCode::CREATED).unwrap();
    api.sign_in(signed_up["access_token"].as_str().unwrap());
    let rule = json!({
        "id": "answer", "trigger": "message.received", "condition": { "stage": "lead", "is_first_response": true },
        "actions": [{ "move_to_stage": "qualified" }, { "send_message": { "text": "Dear {{contact.name}}, yes." } }],
    });
    let rule = api.post("/api/automation/rules", rule, StatusCode::CREATED).unwrap();
    let host = |port: u16| json!({ "host": "localhost", "port": port, "security": "tls", "username": world.ours, "password": password });
    let account = json!({ "platform": "email", "email": world.ours, "imap": host(world.mail.ports.imaps), "smtp": host(world.mail.ports.smtps) });
    let account = api.post("/api/bd-accounts/connect", account, StatusCode::CREATED).unwrap()["account"]["id"]
        .as_str()
        .unwrap()
        .to_owned();

    let clients = Clients::start(&api);
    let began = Instant::now();
    let server = kill(world, server, kills, &mut dice);
    let killing = began.elapsed();
    let done = clients.stop();

    // It settles: every stranger answered, or their answer in doubt.
    let contacts = eventually_long("every stranger is a contact that has moved", || {
        let mut contacts = all(&api, "/api/crm/clients");
        contacts.retain(|contact| contact["emails"][0].as_str().unwrap().starts_with("stranger"));
        let moved = contacts.iter().filter(|contact| contact["version"].as_i64() > Some(1)).count();
        (moved == STRANGERS).then_some(contacts)
    });
    let chats = all(&api, "/api/messaging/inbox");
    let settled = eventually_long("no answer is on its way", || {
        let messages: Vec<_> = chats
            .iter()
            .flat_map(|chat| {
                all(&api, &format!("/api/messaging/messages?chat_id={}", chat["chat_id"].as_str().unwrap()))
            })
            .collect();
        let waiting = messages.iter().any(|it| {
            it["direction"] == "outgoing" && matches!(it["status"].as_str(), Some("queued" | "sending" | "scheduled"))
        });
        (!waiting).then_some(messages)
    });

    let addresses: BTreeSet<_> =
        contacts.iter().map(|contact| contact["emails"][0].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        (contacts.len(), addresses.len(), chats.len()),
        (STRANGERS, STRANGERS, STRANGERS),
        "one contact and one chat a stranger"
    );
    let incoming = settled.iter().filter(|message| message["direction"] == "incoming").count();
    assert_eq!(incoming, STRANGERS, "each mail was taken in once");
    for contact in &contacts {
        let history = all(&api, &format!("/api/pipeline/clients/{}/history", contact["id"].as_str().unwrap()));
        assert_eq!(history.len(), 2, "into lead and once to qualified: {history:?}");
    }
    let runs = all(&api, &format!("/api/automation/runs?rule_id={}", rule["id"].as_str().unwrap()));
    assert_eq!(
        runs.iter().filter(|run| run["outcome"] == "applied").count(),
        STRANGERS,
        "the rule ran once a stranger: {runs:?}"
    );

    let mut counts = BTreeMap::<String, usize>::new();
    for chat in &chats {
        let answers: Vec<_> = settled
            .iter()
            .filter(|message| message["chat_id"] == chat["chat_id"] && message["direction"] == "outgoing")
            .collect();
        let [answer] = answers.as_slice() else { panic!("one answer a chat: {answers:?}") };
        let contact = contacts.iter().find(|contact| contact["id"] == chat["contact"]["id"]).unwrap();
        let address = contact["emails"][0].as_str().unwrap();
        let status = answer["status"].as_str().unwrap();
        let arrived = match status {
            "sent" => world.mail.await_mailbox(address, "INBOX", 1).unwrap().len(),
            _ => world.mail.mailbox(address, "INBOX").unwrap().len(),
        };
        match status {
            "sent" => assert_eq!(arrived, 1, "{address} got its answer once"),
            "unknown" => assert!(arrived <= 1, "{address}: in doubt, never twice"),
            other => panic!("{address}: the answer is {other}: {answer}"),
        }
        *counts.entry(format!("{status}, {arrived} arrived")).or_default() += 1;
    }
    let status = api.get(&format!("/api/bd-accounts/{account}/status")).unwrap();
    done.must_be_there_once(&api, STRANGERS);
    // What happened is read from the database itself: the process lets go of it.
    drop(server);
    let strangers = contacts.iter().map(|it| Subject::from(it["id"].as_str().unwrap().parse::<ContactId>().unwrap()));
    let subjects = done.subjects().chain(strangers);
    let events = history::must_have_no_holes(world, signed_up["organization"]["id"].as_str().unwrap(), subjects);
    println!(
        "{name}: {kills} kills in {killing:.0?}, {STRANGERS} mails: {incoming} taken in, {} moves, {} runs, answers {counts:?}, account {}; \
         {done}; {events} events without a hole; 0 lost, 0 doubled",
        contacts.len(),
        runs.len(),
        status["status"]
    );
    assert!(counts.keys().any(|key| key.starts_with("sent")), "most answers are sent");
}

/// As [`eventually`], for what may take two minutes: leases run out, back-off passes.
fn eventually_long<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        match eventually(what, || Ok(ask())) {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "{error:#}"),
        }
    }
}

#[test]
fn nothing_is_lost_or_doubled_on_sqlite() {
    survive("sqlite", &World::new("sqlite", |folder| format!("sqlite://{}", folder.join("kill.db").display())));
}

#[test]
fn nothing_is_lost_or_doubled_on_postgresql() {
    survive(
        "postgresql",
        &World::new("postgresql", |_| {
            let urls = shared_postgres().unwrap().fresh_database("kill").unwrap();
            let migrated = Command::new(env!("CARGO_BIN_EXE_dealwright-server"))
                .args(["migrate", "--database", &urls.owner, "--app-role", "crm_app"])
                .status()
                .unwrap();
            assert!(migrated.success());
            urls.app
        }),
    );
}
