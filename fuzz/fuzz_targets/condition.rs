//! Conditions of rules: `{"condition": …, "facts": {…}}`. One that is taken is evaluated on any facts; keeping it as text
//! changes nothing; `not` is negation, `all` and `any` of one are that one.
#![no_main]

use dealwright::{
    domain::rule::Facts,
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

const LEAD: &str = "00000000-0000-7000-8000-0000000000a1";
const WON: &str = "00000000-0000-7000-8000-0000000000a4";
const SALES: &str = "00000000-0000-7000-8000-0000000000a0";
const UNA: &str = "00000000-0000-7000-8000-0000000000c1";

fuzz_target!(|data: &[u8]| {
    let Ok(given) = serde_json::from_slice::<Value>(data) else { return };
    let (condition, facts) = (&given["condition"], facts(&given["facts"]));
    let Some(holds) = evaluate(condition, &facts) else { return };
    // Whatever nests too deep or compares too much is refused, nothing else.
    if let Some(negated) = evaluate(&json!({ "not": condition }), &facts) {
        assert_eq!(negated, !holds, "not {condition}");
    }
    for many in ["all", "any"] {
        if let Some(alone) = evaluate(&json!({ many: [condition] }), &facts) {
            assert_eq!(alone, holds, "{many} of {condition}");
        }
    }
});

/// Whether a condition holds; nothing if it is refused.
fn evaluate(condition: &Value, facts: &Facts) -> Option<bool> {
    if condition.is_null() {
        return None;
    }
    let rule = json!({ "trigger": "message.received", "condition": condition, "action": { "stop": true } });
    let compiled = match Declarative.compile(rule.as_object().unwrap(), &directory()) {
        Ok(compiled) => compiled.compiled,
        Err(error) => {
            assert_eq!(error.kind().status(), 422, "{error}");
            assert!(!error.fields().is_empty(), "{error}");
            for field in error.fields() {
                let found = rule.pointer(&field.pointer).is_some();
                assert!(found, "{} points to nothing in {rule}: {}", field.pointer, field.detail);
            }
            return None;
        }
    };
    let direct = Declarative.load(&compiled).unwrap().evaluate(facts).unwrap();
    let kept: Value = serde_json::from_str(&compiled.to_string()).unwrap();
    assert_eq!(kept, compiled, "keeping it as text changes it");
    let stored = Declarative.load(&kept).unwrap().evaluate(facts).unwrap();
    assert_eq!(direct, stored);
    Some(!direct.is_empty())
}

fn directory() -> Directory {
    Directory {
        pipelines: serde_json::from_value(json!([[SALES, "Sales"]])).unwrap(),
        stages: serde_json::from_value(json!([[LEAD, SALES, "lead"], [WON, SALES, "won"]])).unwrap(),
        users: serde_json::from_value(json!([[UNA, "una@acme.example", "Una"]])).unwrap(),
        ..Directory::default()
    }
}

/// Sound facts, with those that are given in their places.
fn facts(given: &Value) -> Facts {
    let sound = json!({
        "stage": { "id": LEAD, "name": "lead", "pipeline_id": SALES, "pipeline": "Sales" },
        "elapsed_hours": 25.5, "has_response": true, "is_first_response": false,
        "hours_since_last_message": 1.0, "hours_since_last_response": null,
        "message": { "text": "What is the price?", "platform": "email" }, "account": {}, "event": {}, "deal": {},
        "contact": { "name": "Ada", "tags": ["vip"], "score": 7, "created_at": "2026-11-01T08:00:00Z", "assigned_to": UNA },
        "now": { "at": "2026-11-22T10:00:00Z", "hour": 11, "weekday": "sun" },
    });
    let mut merged: Map<String, Value> = sound.as_object().unwrap().clone();
    for (name, value) in given.as_object().into_iter().flatten() {
        match (merged.get_mut(name), value) {
            (Some(Value::Object(members)), Value::Object(more)) => members.extend(more.clone()),
            (Some(old), value) => *old = value.clone(),
            (None, _) => {}
        }
    }
    serde_json::from_value(Value::Object(merged)).or_else(|_| serde_json::from_value(sound)).unwrap()
}
