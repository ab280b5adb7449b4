//! `cargo bench -p dealwright-rules`: what one evaluation of a declarative rule costs on facts that are ready. The aim is at
//! most 0.5 µs. Rounds are short, so that most of them are not interrupted; the fastest is what the work itself costs, the
//! median what it costs on this machine at this moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use dealwright::{
    domain::rule::Facts,
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

const ROUNDS: usize = 1001;
const EVALUATIONS: u32 = 1000;
const AIM: Duration = Duration::from_nanos(500);

fn main() {
    let world: Value = serde_json::from_str(include_str!("../cases/world.json").replace("\"$", "\"").as_str()).unwrap();
    let ids = &world["ids"];
    let id = |name: &str| ids[name].clone();
    let directory = Directory {
        pipelines: serde_json::from_value(json!([[id("sales"), "Sales"]])).unwrap(),
        stages: serde_json::from_value(json!([
            [id("lead"), id("sales"), "lead"],
            [id("qualified"), id("sales"), "qualified"],
            [id("won"), id("sales"), "won"]
        ]))
        .unwrap(),
        teams: Vec::new(),
        users: Vec::new(),
        fields: Vec::new(),
    };
    let mut facts = world["facts"].clone();
    facts["stage"]["id"] = id("lead");
    facts["stage"]["pipeline_id"] = id("sales");
    let facts: Facts = serde_json::from_value(facts).unwrap();
    let mut elsewhere = facts.clone();
    elsewhere.stage.as_mut().unwrap().name = "won".to_owned();
    elsewhere.stage.as_mut().unwrap().id = serde_json::from_value(id("won")).unwrap();

    let first_response = json!({ "trigger": "message.received", "condition": { "stage": "lead", "is_first_response": true },
        "action": { "move_to_stage": "qualified", "notify_team": true } });
    let a_day = json!({ "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": 24, "has_response": true },
        "action": { "move_to_stage": "qualified" } });
    let rich = json!({ "trigger": "message.received", "action": { "add_tag": "hot" }, "condition": {
        "stage": ["lead", "qualified"], "message.text": { "contains": ["price", "offer"] }, "contact.score": { "gte": 20, "lt": 90 },
        "contact.source": ["email", "telegram"], "now.hour": { "gte": 9, "lt": 18 },
        "any": [{ "contact.tags": { "contains": "vip" } }, { "contact.emails": { "matches": "@acme\\.example$" } }],
        "not": { "contact.tags": "lost" } } });

    let mut slowest = Duration::ZERO;
    println!("{:<46} {:>9} {:>9}", "", "fastest", "median");
    for (name, rule, facts) in [
        ("first response, holds", &first_response, &facts),
        ("first response, another stage", &first_response, &elsewhere),
        ("a day in lead, holds", &a_day, &facts),
        ("ten comparisons with searches, holds", &rich, &facts),
        ("ten comparisons with searches, another stage", &rich, &elsewhere),
    ] {
        let compiled = Declarative.compile(rule.as_object().unwrap(), &directory).unwrap();
        let rule = Declarative.load(&compiled.compiled).unwrap();
        assert_eq!(name.ends_with("holds"), !rule.evaluate(facts).unwrap().is_empty(), "{name}");
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..EVALUATIONS {
                    black_box(rule.evaluate(black_box(facts)).unwrap());
                }
                start.elapsed() / EVALUATIONS
            })
            .collect();
        rounds.sort();
        let (fastest, median) = (rounds[0], rounds[ROUNDS / 2]);
        slowest = slowest.max(fastest);
        println!("{name:<46} {:>6} ns {:>6} ns", fastest.as_nanos(), median.as_nanos());
    }
    println!("aim {} ns: {}", AIM.as_nanos(), if slowest <= AIM { "reached" } else { "missed" });
}
