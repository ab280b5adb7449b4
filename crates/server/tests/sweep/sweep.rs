//! Asks everything as our owner, and as members of weaker roles, and compares what is told and what is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use dealwright::{Effect, Error, OutputKind, Result, operations, scope::Role, testkit::rows_of};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    attempts::{Attempt, attempts},
    spots,
    support::{
        inputs::NAMES,
        things::Side,
        valid::{gather, replaced},
        world::{MARKER, World},
    },
};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub attempts: usize,
    pub leaks: Vec<String>,
    /// What is wrong with the sweep itself.
    pub flaws: Vec<String>,
}

impl Found {
    pub fn must_hold(self) {
        assert!(self.leaks.is_empty(), "{} leaks:\n{}", self.leaks.len(), self.leaks.join("\n"));
        assert!(self.flaws.is_empty(), "the same with our own ids must succeed:\n{}", self.flaws.join("\n"));
    }
}

/// Whose id is put to the test.
enum Whose {
    Ours,
    Theirs,
}

impl World {
    pub async fn sweep(mut self, database: &str, roles: &[Role]) -> Found {
        // Two of everything, so that their lists have more than a page of one.
        self.theirs.fill().await;
        self.theirs.forget();
        self.theirs.fill().await;
        let settled = rows(&self.theirs).await;
        // Our loops run while theirs have nothing to do.
        self.ours.fill().await;
        assert_eq!(rows(&self.theirs).await, settled, "what our rules and jobs do has changed theirs");
        self.theirs.wait().await;
        // As one who belongs to both is told something there.
        self.theirs.tell(self.ours.owner).await;
        let mut found = Found::default();
        let before = rows(&self.theirs).await;
        let ids = ids(&before, &rows(&self.ours).await);
        assert!(ids.len() > 50, "the other organisation has hardly anything");
        let entered = self.rooms().await;
        found.attempts += entered.asked;
        println!("sweep: {} rooms, {} leaks ({database})", entered.asked, entered.leaks.len());
        found.leaks.extend(entered.leaks);
        found.flaws.extend(entered.flaws);
        let answers = self.answers(&mut found.flaws).await;
        found.attempts += answers.len();
        let told_by_numbers = self.beside_a_twin(&answers).await;
        println!("sweep: {} answers beside a twin, {} leaks ({database})", answers.len(), told_by_numbers.len());
        found.leaks.extend(told_by_numbers);
        let twin = self.twin_rows().await;
        let mut everybody = Vec::new();
        for role in roles {
            if *role != Role::Owner {
                self.ours.let_ask(*role, None).await;
                let user = self.ours.asker.scope().user_id().unwrap();
                self.asks = self.crm.as_user(self.ours.organization, user).await.unwrap();
            }
            let sofar = found.attempts;
            let asked = self.ask_everything(*role, &ids, &mut found).await;
            if found.leaks.is_empty() {
                found.leaks.extend(self.traces(&before, &ids).await);
            }
            let (attempts, leaks) = (found.attempts - sofar, found.leaks.len());
            println!("sweep: {asked} operations, {attempts} attempts, {leaks} leaks ({database}, {role})");
            everybody.push(self.asks.clone());
        }
        // Last: from then on rows of ours are called like theirs.
        for asks in everybody {
            self.asks = asks;
            self.ask_by_name(&ids, &mut found).await;
        }
        self.compare(&ids, &mut found).await;
        if found.leaks.is_empty() {
            found.leaks.extend(self.changes(&before).await);
            let changed = self.twin_rows().await.into_iter().zip(twin).filter(|(now, before)| now != before);
            found.leaks.extend(changed.map(|(now, before)| format!("the twin's {before:#?} are {now:#?}")));
        }
        println!(
            "sweep: {} attempts by {} roles, {} leaks ({database})",
            found.attempts,
            roles.len(),
            found.leaks.len()
        );
        found
    }

    /// Everything that goes by what theirs are called.
    async fn ask_by_name(&mut self, ids: &BTreeSet<String>, found: &mut Found) {
        for (operation, text) in NAMES {
            found.attempts += 1;
            let input = self.named(text).await;
            let answer = self.asks.call(operation, input.clone()).await;
            let text = answer.map_or_else(|error| told(&error), |value| value.to_string());
            if ids.iter().any(|id| text.contains(id)) {
                found.leaks.push(format!("{operation} {input}: {text}"));
            }
        }
    }

    /// Conditions that compare with any id at all: that such a rule is made tells nothing, as it is made with an id that
    /// nobody has. Those rules keep the id, so they come last.
    async fn compare(&mut self, ids: &BTreeSet<String>, found: &mut Found) {
        self.asks = self.crm.as_user(self.ours.organization, self.ours.owner).await.unwrap();
        for attempt in spots::compared() {
            found.attempts += 1;
            let input = self.resolved(&attempt.input, &Whose::Theirs).await;
            let answer = self.asks.call(attempt.operation.name, input.clone()).await;
            let text = answer.map_or_else(|error| told(&error), |value| value.to_string());
            let sent = words(&input.to_string()).collect();
            let others = ids - &sent;
            if text.to_lowercase().contains(MARKER) || words(&text).any(|word| others.contains(&word)) {
                found.leaks.push(format!("{} {input}: {text}", attempt.operation.name));
            }
            self.control(&attempt, Role::Owner, ids, found).await;
        }
    }

    /// Everything that somebody of a role may ask, with theirs; what they may not ask is refused before it is looked at.
    async fn ask_everything(&mut self, role: Role, ids: &BTreeSet<String>, found: &mut Found) -> usize {
        let (mut asked, mut cursors) = (BTreeSet::new(), 0);
        for attempt in attempts() {
            let first = asked.insert(attempt.operation.name);
            found.attempts += 1;
            let input = self.resolved(&attempt.input, &Whose::Theirs).await;
            let answer = self.asks.call(attempt.operation.name, input.clone()).await;
            let what = format!("{} {input} by {role}", attempt.operation.name);
            let sent = words(&input.to_string()).collect();
            if attempt.is_closed_to(role) {
                let told = answer.map_or_else(|error| told(&error), |value| value.to_string());
                if !told.starts_with("403 forbidden ") || told.to_lowercase().contains(MARKER) {
                    found.leaks.push(format!("{what}: {told}"));
                }
                continue;
            }
            if let Some(why) = judge(&attempt, &answer, &(ids - &sent)) {
                found.leaks.push(format!("{what}: {why}"));
            }
            if attempt.tested.is_empty() {
                self.leave_behind(&attempt);
            } else if role == Role::Owner || first {
                // That it would succeed with our own is seen once for each weaker role: the owner has seen each of them.
                self.control(&attempt, role, ids, found).await;
            }
            if let Some(text) = self.beyond_their_page(&attempt).await {
                cursors += 1;
                if text.to_lowercase().contains(MARKER) || words(&text).any(|word| ids.contains(&word)) {
                    found.leaks.push(format!("{what}: after their cursor: {text}"));
                }
            }
        }
        assert_eq!(asked, operations().map(|it| it.name).collect(), "an operation was never asked");
        assert!(cursors > 20, "{cursors} lists of theirs have a second page");
        found.attempts += cursors;
        asked.len()
    }

    /// The same with our own ids must succeed, and tells of nobody else either.
    async fn control(&mut self, attempt: &Attempt, role: Role, ids: &BTreeSet<String>, found: &mut Found) {
        let input = self.resolved(&attempt.input, &Whose::Ours).await;
        let answer = self.asks.call(attempt.operation.name, input.clone()).await;
        let what = format!("{} {input} by {role}", attempt.operation.name);
        match answer {
            Err(error) => found.flaws.push(format!("{what}: {}", told(&error))),
            Ok(value) => {
                let text = value.to_string();
                if text.to_lowercase().contains(MARKER) || words(&text).any(|word| ids.contains(&word)) {
                    found.leaks.push(format!("{what}: with our own ids: {text}"));
                }
                // An item of a batch is refused by itself.
                if text.contains(r#""status":"failed""#) && attempt.operation.name.ends_with(".batch") {
                    found.flaws.push(format!("{what}: {text}"));
                }
            }
        }
        self.leave_behind(attempt);
    }

    /// What was changed or removed is no good for the next one.
    fn leave_behind(&mut self, attempt: &Attempt) {
        if attempt.operation.effect == Effect::Command {
            self.ours.forget_after(attempt.operation);
        }
    }

    /// What our list tells after the cursor that theirs has given them.
    async fn beyond_their_page(&mut self, attempt: &Attempt) -> Option<String> {
        if attempt.operation.output_kind != OutputKind::Page {
            return None;
        }
        let mut input = self.resolved(&attempt.input, &Whose::Theirs).await;
        input.as_object_mut()?.insert("limit".to_owned(), json!(1));
        let theirs = self.theirs.me.call(attempt.operation.name, input).await.ok()?;
        let mut input = self.resolved(&attempt.input, &Whose::Ours).await;
        input.as_object_mut()?.insert("cursor".to_owned(), theirs["next_cursor"].as_str()?.into());
        let answer = self.asks.call(attempt.operation.name, input).await;
        Some(answer.map_or_else(|error| told(&error), |value| value.to_string()))
    }

    /// What changed with them.
    async fn changes(&self, before: &BTreeMap<&'static str, Vec<String>>) -> Vec<String> {
        let changed = rows(&self.theirs).await.into_iter().filter(|(table, rows)| before[table] != *rows);
        let tell = |(table, rows)| format!("their {table} were\n{:#?}\nand are\n{rows:#?}", before[table]);
        changed.map(tell).collect()
    }

    /// What changed with them, and what with us tells of them.
    async fn traces(&self, before: &BTreeMap<&'static str, Vec<String>>, ids: &BTreeSet<String>) -> Vec<String> {
        let mut traces = self.changes(before).await;
        for (table, rows) in rows(&self.ours).await {
            let trace = rows.into_iter().filter(|row| words(row).any(|word| ids.contains(&word)));
            traces.extend(trace.map(|row| format!("our {table} refer to them: {row}")));
        }
        traces
    }

    /// An input with ids in the places of `$` and `@`.
    async fn resolved(&mut self, input: &Value, whose: &Whose) -> Value {
        let mut texts = BTreeMap::new();
        gather(input, &mut texts);
        for (text, into) in &mut texts {
            *into = match (text.split_at_checked(1), whose) {
                (Some(("@", noun)), Whose::Theirs) => self.theirs.id(noun).await,
                (Some(("@" | "$", noun)), _) => self.ours.id(noun).await,
                _ if text.contains('#') => text.replace('#', &self.ours.number().to_string()),
                _ => text.clone(),
            };
        }
        replaced(input, &texts)
    }

    /// An input with what theirs are called.
    async fn named(&mut self, text: &str) -> Value {
        let mut text = text.to_owned();
        while let Some((before, rest)) = text.split_once("\"{").filter(|_| text.contains(" /")) {
            let Some((inner, after)) = rest.split_once("}\"").filter(|(inner, _)| inner.contains(" /")) else { break };
            let (noun, pointer) = inner.split_once(' ').unwrap();
            let room = match noun {
                "company" => "companies".to_owned(),
                "user" => "members".to_owned(),
                noun => format!("{noun}s"),
            };
            let id = self.theirs.id(noun).await;
            let row = self.theirs.me.call(&format!("{room}.get"), Value::from(id)).await.unwrap();
            let value = row.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {row}"));
            text = format!("{before}{value}{after}");
        }
        serde_json::from_str(&text).unwrap()
    }
}

/// Why an answer is a leak, if it is one.
fn judge(attempt: &Attempt, answer: &Result<Value>, ids: &BTreeSet<String>) -> Option<String> {
    let tests = !attempt.tested.is_empty();
    match answer {
        Err(error) => {
            let text = told(error);
            let expected = match error.kind().status() {
                404 => tests,
                // What only the move changes is refused whosever it is.
                422 => error.fields().iter().any(|field| field.code == "unknown" || field.code == "read_only"),
                _ => false,
            };
            (text.to_lowercase().contains(MARKER) || !expected).then_some(text)
        }
        Ok(value) => {
            let text = value.to_string();
            let leaks = text.to_lowercase().contains(MARKER) || words(&text).any(|word| ids.contains(&word));
            // Only a list may answer something, that it has no such items, and a batch, that its items are refused.
            let list = attempt.operation.effect == Effect::Query
                && (attempt.operation.output_kind == OutputKind::Page || value["data"] == json!([]));
            let refused = text.contains(r#""code":"unknown""#);
            (leaks || (tests && !list && !refused)).then_some(text)
        }
    }
}

/// Everything that an error tells.
pub fn told(error: &Error) -> String {
    let mut text = format!("{} {} {}", error.kind().status(), error.code(), error.message());
    for field in error.fields() {
        write!(text, "; {} {} {}", field.pointer, field.code, field.detail).unwrap();
    }
    if let Some(details) = error.details() {
        write!(text, "; {details}").unwrap();
    }
    text
}

pub async fn rows(side: &Side) -> BTreeMap<&'static str, Vec<String>> {
    rows_of(&side.store, side.organization).await.unwrap()
}

/// The ids that one organisation's rows hold and the other's do not.
fn ids(theirs: &BTreeMap<&str, Vec<String>>, ours: &BTreeMap<&str, Vec<String>>) -> BTreeSet<String> {
    let all = |rows: &BTreeMap<&str, Vec<String>>| -> BTreeSet<String> {
        rows.values().flatten().flat_map(|row| words(row).collect::<Vec<_>>()).collect()
    };
    &all(theirs) - &all(ours)
}

/// The UUIDs in a text.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.filter(|word| word.len() == 36 && Uuid::try_parse(word).is_ok()).map(str::to_lowercase)
}
