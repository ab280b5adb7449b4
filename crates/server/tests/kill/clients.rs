//! People who make contacts and deals meanwhile. Whoever hears nothing asks again with the same key until there is an answer.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep, spawn},
    time::{Duration, Instant},
};

use dealwright::{
    domain::event::Subject,
    id::{ContactId, DealId},
};
use dealwright_peers::product::{Api, Method};
use serde_json::{Value, json};

use crate::all;

/// How many people there are.
const PEOPLE: usize = 2;
/// What each does in a row: a pause, so that the machine has time for the mails.
const PAUSE: Duration = Duration::from_millis(20);

/// The people at work.
pub struct Clients {
    over: Arc<AtomicBool>,
    people: Vec<JoinHandle<Done>>,
}

/// What was answered with success.
#[derive(Default)]
pub struct Done {
    /// Ids by name.
    contacts: BTreeMap<String, String>,
    deals: BTreeMap<String, String>,
    moves: usize,
    /// How often somebody had to ask again, by what was heard.
    again: BTreeMap<String, usize>,
}

impl Clients {
    pub fn start(api: &Api) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let pipelines = api.get("/api/pipeline").unwrap();
        let stages = pipelines["data"][0]["stages"].as_array().unwrap();
        let qualified = &stages.iter().find(|stage| stage["name"] == "qualified").unwrap()["id"];
        let person = |number| {
            let (api, over, stage) = (api.clone(), over.clone(), qualified.clone());
            spawn(move || work(&api, number, &stage, &over))
        };
        Self { people: (0..PEOPLE).map(person).collect(), over }
    }

    /// Lets everybody end what they have begun.
    pub fn stop(self) -> Done {
        self.over.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        for person in self.people {
            let done = person.join().unwrap();
            all.contacts.extend(done.contacts);
            all.deals.extend(done.deals);
            all.moves += done.moves;
            for (heard, times) in done.again {
                *all.again.entry(heard).or_default() += times;
            }
        }
        all
    }
}

/// A contact, its move, a deal with it, and again.
fn work(api: &Api, person: usize, stage: &Value, over: &AtomicBool) -> Done {
    let mut done = Done::default();
    for turn in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("Client {person}.{turn}");
        let new = json!({ "name": name, "emails": [format!("client{person}.{turn}@made.test")] });
        let contact =
            insist(api, &mut done, Method::POST, "/api/crm/clients", &new, &format!("contact-{person}.{turn}"));
        let id = contact["id"].as_str().unwrap();
        done.contacts.insert(name.clone(), id.to_owned());
        let path = format!("/api/pipeline/clients/{id}/stage");
        insist(api, &mut done, Method::PUT, &path, &json!({ "stage_id": stage }), &format!("move-{person}.{turn}"));
        done.moves += 1;
        let new = json!({ "name": name, "contact_id": id, "value": { "amount": "12.50", "currency": "EUR" } });
        let deal = insist(api, &mut done, Method::POST, "/api/crm/deals", &new, &format!("deal-{person}.{turn}"));
        done.deals.insert(name, deal["id"].as_str().unwrap().to_owned());
        sleep(PAUSE);
    }
    done
}

/// Asks until it is done.
fn insist(api: &Api, done: &mut Done, method: Method, path: &str, body: &Value, key: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let heard = match api.try_once(method.clone(), path, body, key) {
            Ok((status, answer)) if status.is_success() => return answer,
            Ok((status, answer)) => {
                let code = answer["code"].as_str().unwrap_or_default().to_owned();
                let is_for_now = ["unavailable", "write_conflict", "idempotency_in_flight"].contains(&code.as_str());
                assert!(is_for_now, "{method} {path} with {body}: {status} {answer}");
                code
            }
            Err(error) if error.chain().any(|it| it.to_string().contains("refused")) => "not there".to_owned(),
            // It died before it answered.
            Err(_) => "no answer".to_owned(),
        };
        assert!(Instant::now() < deadline, "{method} {path} was not answered for two minutes");
        *done.again.entry(heard).or_default() += 1;
        sleep(Duration::from_millis(20));
    }
}

impl Done {
    /// All that was made.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let contacts = self.contacts.values().map(|id| Subject::from(id.parse::<ContactId>().unwrap()));
        contacts.chain(self.deals.values().map(|id| Subject::from(id.parse::<DealId>().unwrap())))
    }

    /// What was answered is there once, and nothing else beside `others` contacts.
    pub fn must_be_there_once(&self, api: &Api, others: usize) {
        for (path, made, others) in [("/api/crm/clients", &self.contacts, others), ("/api/crm/deals", &self.deals, 0)] {
            let found = all(api, path);
            let mut ids = BTreeMap::<&str, Vec<&str>>::new();
            for row in &found {
                ids.entry(row["name"].as_str().unwrap()).or_default().push(row["id"].as_str().unwrap());
            }
            for (name, id) in made {
                assert_eq!(ids.get(name.as_str()), Some(&vec![id.as_str()]), "{path}: {name}");
            }
            assert_eq!(found.len(), made.len() + others, "{path}: nothing that nobody asked for");
        }
        for id in self.contacts.values() {
            let history = all(api, &format!("/api/pipeline/clients/{id}/history"));
            assert_eq!(history.len(), 2, "into lead and once to qualified: {history:?}");
        }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { contacts, deals, moves, again } = self;
        write!(
            f,
            "{PEOPLE} people: {} contacts, {moves} moves, {} deals, each once, asked again {again:?}",
            contacts.len(),
            deals.len()
        )
    }
}
