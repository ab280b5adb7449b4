//! One organisation, a member who sees some records alone, and a colleague's that are out of their sight: the same questions
//! as between two organisations, about those.

use std::collections::{BTreeMap, BTreeSet};

use dealwright::{Effect, Handle, OutputKind, Result, scope::Permissions, services::identity::NewUser};
use serde_json::{Value, json};

use crate::{
    attempts::{Attempt, attempts, questions},
    numbers::timeless,
    support::{
        things::Side,
        world::{MARKER, World},
    },
    sweep::{Found, rows, told, words},
};

/// What belongs to a contact or deal, or is one.
const OF_RECORDS: &[&str] =
    &["contact", "deal", "note", "task", "run", "chat", "message", "outgoing", "job", "own job", "notification"];
/// Of those, what a call may name and a limited member must not find.
const HIDDEN: &[&str] = &["contact", "deal", "note", "task", "chat", "message", "outgoing"];
/// The tables of those.
const TABLES: &[&str] = &["contacts", "deals", "notes", "tasks", "stage_history", "chats", "messages", "runs"];
/// Rooms whose answers are about records, numbers included.
const ABOUT_RECORDS: &[&str] =
    &["contacts", "deals", "notes", "tasks", "timelines", "analytics", "chats", "messages", "runs"];
/// What the organisation has once, for both.
const FRAME: &[&str] = &["pipeline", "stage", "other stage"];

struct Insider {
    asks: Handle,
    /// Ids of what is out of sight.
    ids: BTreeSet<String>,
    /// What it is called.
    names: Vec<String>,
}

impl Insider {
    fn is_told(&self, text: &str, sent: &BTreeSet<String>) -> bool {
        let text = text.to_lowercase();
        self.names.iter().any(|name| text.contains(name))
            || words(&text).any(|it| self.ids.contains(&it) && !sent.contains(&it))
    }

    /// Why an answer is a leak, if it is one.
    fn judge(&self, attempt: &Attempt, input: &Value, answer: &Result<Value>) -> Option<String> {
        let sent = words(&input.to_string()).collect();
        let text = answer.as_ref().map_or_else(told, Value::to_string);
        let tests = !attempt.tested.is_empty();
        let expected = match answer {
            Err(error) => match error.kind().status() {
                404 => tests,
                422 => error.fields().iter().any(|field| field.code == "unknown" || field.code == "read_only"),
                _ => false,
            },
            Ok(value) => {
                let page = attempt.operation.output_kind == OutputKind::Page || value["data"] == json!([]);
                !tests || (page && attempt.operation.effect == Effect::Query) || text.contains(r#""code":"unknown""#)
            }
        };
        (!expected || self.is_told(&text, &sent)).then_some(text)
    }
}

/// Somebody new of a role that may do whatever goes with seeing some records alone.
async fn insider(world: &World, visibility: &str) -> Handle {
    let wide = |words: &str| words.parse::<dealwright::scope::Permission>().unwrap().is_wide();
    let permissions: Vec<_> = Permissions::ALL.words().into_iter().filter(|it| !wide(it)).collect();
    let me = &world.ours.me;
    let new = json!({ "name": "Insider", "permissions": permissions, "record_visibility": visibility });
    let role = me.call("roles.create", new).await.unwrap();
    let new = NewUser { email: "insider@acme.example".to_owned(), name: "Insider".to_owned(), password: None };
    let organization = world.ours.organization;
    let user =
        world.crm.organizations().add_member(organization, new, dealwright::scope::Role::Viewer).await.unwrap().user_id;
    me.call("members.set_role", json!({ "id": user, "role": role["id"] })).await.unwrap();
    let team = me.call("teams.create", json!({ "name": "The insider's" })).await.unwrap();
    me.call("teams.add_member", json!({ "id": team["id"], "user_id": user })).await.unwrap();
    world.crm.as_user(organization, user).await.unwrap()
}

/// The ids and names of a colleague's records.
async fn out_of_sight(side: &Side, before: &BTreeMap<&'static str, Vec<String>>) -> (BTreeSet<String>, Vec<String>) {
    let after = rows(side).await;
    let all = |rows: Vec<&String>| -> BTreeSet<String> {
        rows.into_iter().flat_map(|row| words(row).collect::<Vec<_>>()).collect()
    };
    let of_records = |table: &&str| TABLES.contains(table);
    let new = after.iter().filter(|(table, _)| of_records(table));
    let new = new.flat_map(|(table, rows)| rows.iter().filter(|row| !before[table].contains(row))).collect();
    // What everybody sees besides.
    let shared =
        ["users", "memberships", "teams", "companies", "pipelines", "stages", "accounts", "rules", "organizations"];
    let shared = shared.iter().flat_map(|table| &after[table]).collect();
    let ids = &(&all(new) - &all(shared)) - &all(before.values().flatten().collect());
    let nouns = ["contact", "deal", "note", "task", "chat", "message", "outgoing", "run"];
    let called = |number| nouns.map(|noun| format!("{noun} {number} {MARKER}"));
    let names = (1_000..=side.made()).flat_map(called).chain([format!("nobody's {MARKER}")]).collect();
    (ids, names)
}

impl World {
    /// Everything that a member asks who sees some records alone.
    pub async fn sweep_within(mut self, visibility: &str, database: &str) -> Found {
        let asks = insider(&self, visibility).await;
        self.ours.fill().await;
        let mut colleague = self.colleague();
        colleague.share(&self.ours, FRAME);
        colleague.fill().await;
        self.ours.look_after(asks.clone());
        self.ours.share(&colleague, FRAME);
        self.ours.fill().await;
        let (mut found, settled) = (Found::default(), rows(&self.ours).await);

        // More that is out of sight changes no answer.
        let mut answers = Vec::new();
        for question in questions().into_iter().filter(is_about_records) {
            let input = self.ours.resolved(&question.input).await;
            let answer = asks.call(question.operation.name, input.clone()).await;
            answers.push((question, input, answer.map_or_else(|error| json!(told(&error)), timeless)));
        }
        colleague.forget_those(OF_RECORDS);
        colleague.fill().await;
        colleague.wait().await;
        for (question, input, before) in &answers {
            found.attempts += 1;
            let answer = asks.call(question.operation.name, input.clone()).await;
            let after = answer.map_or_else(|error| json!(told(&error)), timeless);
            if after != *before {
                found.leaks.push(format!("{}: numbers {input}: {before} has become {after}", question.operation.name));
            }
        }

        let (ids, names) = out_of_sight(&colleague, &settled).await;
        assert!(ids.len() > 20, "the colleague has hardly anything: {ids:?}");
        let insider = Insider { asks, ids, names };
        let theirs = |rows: BTreeMap<&'static str, Vec<String>>| -> BTreeSet<String> {
            rows.into_values().flatten().filter(|row| words(row).any(|it| insider.ids.contains(&it))).collect()
        };
        let before = theirs(rows(&self.ours).await);
        for attempt in attempts() {
            let names_theirs = attempt.tested.iter().any(|noun| HIDDEN.contains(&noun.as_str()));
            let may = insider.asks.scope().permissions.contains(attempt.operation.permission);
            if may && (names_theirs || attempt.tested.is_empty()) {
                self.attempt(&attempt, &mut colleague, &insider, &mut found).await;
            }
        }
        let after = theirs(rows(&self.ours).await);
        let changed =
            before.symmetric_difference(&after).map(|row| format!("out of sight, and yet changed or named: {row}"));
        if found.leaks.is_empty() {
            found.leaks.extend(changed);
        }
        println!("sweep: {} attempts within, {} leaks ({database}, {visibility})", found.attempts, found.leaks.len());
        found
    }

    /// One question about what is out of sight; the same about one's own must succeed.
    async fn attempt(&mut self, attempt: &Attempt, colleague: &mut Side, insider: &Insider, found: &mut Found) {
        let name = attempt.operation.name;
        found.attempts += 1;
        let input = self.with_theirs(&attempt.input, Some(colleague)).await;
        let answer = insider.asks.call(name, input.clone()).await;
        if let Some(why) = insider.judge(attempt, &input, &answer) {
            found.leaks.push(format!("{name} {input}: {why}"));
        }
        if !attempt.tested.is_empty() {
            let input = self.with_theirs(&attempt.input, None).await;
            match insider.asks.call(name, input.clone()).await {
                Err(error) => found.flaws.push(format!("{name} {input}: {}", told(&error))),
                Ok(value) if insider.is_told(&value.to_string(), &BTreeSet::new()) => {
                    found.leaks.push(format!("{name} {input}: with their own: {value}"));
                }
                Ok(_) => {}
            }
        }
        if attempt.operation.effect == Effect::Command {
            self.ours.forget_after(attempt.operation);
            self.ours.share(colleague, FRAME);
        }
    }

    /// An input with a colleague's ids in the places of `@`, or with ours.
    async fn with_theirs(&mut self, input: &Value, mut colleague: Option<&mut Side>) -> Value {
        let mut texts = BTreeMap::new();
        crate::support::valid::gather(input, &mut texts);
        for (text, into) in &mut texts {
            *into = match (text.split_at_checked(1), &mut colleague) {
                (Some(("@", noun)), Some(colleague)) => colleague.id(noun).await,
                (Some(("@" | "$", noun)), _) => self.ours.id(noun).await,
                _ if text.contains('#') => text.replace('#', &self.ours.number().to_string()),
                _ => text.clone(),
            };
        }
        crate::support::valid::replaced(input, &texts)
    }
}

fn is_about_records(question: &Attempt) -> bool {
    let name = question.operation.name;
    name == "pipelines.board" || name.split_once('.').is_some_and(|(room, _)| ABOUT_RECORDS.contains(&room))
}
