//! What one evaluation of a declarative rule costs on facts that are ready. Rounds are short, so that most of them are not
//! interrupted: the fastest is what the work itself costs.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dealwright::{
    domain::rule::Facts,
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

use crate::figure::{Aim, Report};

const ROUNDS: usize = 1001;
const EVALUATIONS: u32 = 1000;

pub fn measure(report: &mut Report) -> Result<()> {
    let world: Value = serde_json::from_str(&include_str!("../../rules/cases/world.json").replace("\"$", "\""))?;
    let ids = &world["ids"];
    let id = |name: &str| ids[name].clone();
    let directory = Directory {
        pipelines: serde_json::from_value(json!([[id("sales"), "Sales"]]))?,
        stages: serde_json::from_value(json!([
            [id("lead"), id("sales"), "lead"],
            [id("qualified"), id("sales"), "qualified"],
            [id("won"), id("sales"), "won"]
        ]))?,
        ..Directory::default()
    };
    let mut facts = world["facts"].clone();
    facts["stage"]["id"] = id("lead");
    facts["stage"]["pipeline_id"] = id("sales");
    let facts: Facts = serde_json::from_value(facts)?;
    let mut elsewhere = facts.clone();
    let stage = elsewhere.stage.as_mut().context("the facts have a stage")?;
    stage.name = "won".to_owned();
    stage.id = serde_json::from_value(id("won"))?;

    let first_response = json!({ "trigger": "message.received", "condition": { "stage": "lead", "is_first_response": true },
        "action": { "move_to_stage": "qualified", "notify_team": true } });
    let a_day = json!({ "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": 24, "has_response": true },
        "action": { "move_to_stage": "qualified" } });
    let rich = json!({ "trigger": "message.received", "action": { "add_tag": "hot" }, "condition": {
        "stage": ["lead", "qualified"], "message.text": { "contains": ["price", "offer"] }, "contact.score": { "gte": 20, "lt": 90 },
        "contact.source": ["email", "telegram"], "now.hour": { "gte": 9, "lt": 18 },
        "any": [{ "contact.tags": { "contains": "vip" } }, { "contact.emails": { "matches": "@acme\\.example$" } }],
        "not": { "contact.tags": "lost" } } });

    for (name, rule, facts) in [
        ("first response, holds", &first_response, &facts),
        ("first response, another stage", &first_response, &elsewhere),
        ("a day in lead, holds", &a_day, &facts),
        ("ten comparisons with searches, holds", &rich, &facts),
        ("ten comparisons with searches, another stage", &rich, &elsewhere),
    ] {
        let definition = rule.as_object().context("a rule is an object")?;
        let rule = Declarative.load(&Declarative.compile(definition, &directory)?.compiled)?;
        ensure!(name.ends_with("holds") != rule.evaluate(facts)?.is_empty(), "{name}");
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            let start = Instant::now();
            for _ in 0..EVALUATIONS {
                let _ = black_box(rule.evaluate(black_box(facts)));
            }
            fastest = fastest.min(start.elapsed() / EVALUATIONS);
        }
        let name = format!("declarative rule: {name}");
        report.add(name, None, fastest.as_nanos() as f64 / 1000.0, "µs", Some(Aim::AtMost(0.5)));
    }
    Ok(())
}
