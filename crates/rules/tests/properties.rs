//! What holds for every rule: compiling never panics, storing changes nothing, and negation is negation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dealwright::{
    domain::rule::{Action, Facts},
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const LEAD: &str = "00000000-0000-7000-8000-0000000000a1";
const WON: &str = "00000000-0000-7000-8000-0000000000a4";
const SALES: &str = "00000000-0000-7000-8000-0000000000a0";
const UNA: &str = "00000000-0000-7000-8000-0000000000c1";

fn directory() -> Directory {
    let of = |value: Value| value;
    Directory {
        pipelines: serde_json::from_value(of(json!([[SALES, "Sales"]]))).unwrap(),
        stages: serde_json::from_value(of(json!([[LEAD, SALES, "lead"], [WON, SALES, "won"]]))).unwrap(),
        users: serde_json::from_value(of(json!([[UNA, "una@acme.example", "Una"]]))).unwrap(),
        ..Directory::default()
    }
}

fn evaluate(condition: &Value, facts: &Facts) -> Option<bool> {
    let rule = json!({ "trigger": "message.received", "condition": condition, "action": { "stop": true } });
    let compiled = Declarative.compile(rule.as_object().unwrap(), &directory()).ok()?.compiled;
    let direct = Declarative.load(&compiled).unwrap().evaluate(facts).unwrap();
    let kept: Value = serde_json::from_str(&compiled.to_string()).unwrap();
    let stored = Declarative.load(&kept).unwrap().evaluate(facts).unwrap();
    assert_eq!(direct, stored, "storing {condition} changed it");
    assert!(direct.is_empty() || direct == [Action::Stop]);
    Some(!direct.is_empty())
}

/// A leaf that always compiles.
fn comparison() -> impl Strategy<Value = Value> {
    let number = prop_oneof![(-5i32..60).prop_map(f64::from), (0i32..240).prop_map(|n| f64::from(n) / 4.0)];
    let text = prop::sample::select(vec!["Ada", "ada", "email", "vip", "", "ß", "price?", "a|b"]);
    let search = prop::sample::select(vec!["Ada", "e", "VIP", "ß", "(", "price?"]);
    prop_oneof![
        prop::sample::select(vec!["lead", "won", LEAD]).prop_map(|stage| json!({ "stage": { "ne": stage } })),
        prop::bool::ANY.prop_map(|exists| json!({ "stage": { "exists": exists } })),
        prop::bool::ANY.prop_map(|flag| json!({ "has_response": flag })),
        (0.0..50.0f64).prop_map(|hours| json!({ "elapsed_hours": hours })),
        (prop::sample::select(vec!["gt", "gte", "lt", "lte", "ne"]), number)
            .prop_map(|(operator, number)| json!({ "contact.score": { operator: number } })),
        prop::collection::vec(text, 1..3)
            .prop_map(|list| json!({ "contact.tags": list, "contact.name": { "ne": list } })),
        (prop::sample::select(vec!["contains", "starts_with"]), search.clone()).prop_map(
            |(operator, text)| json!({ "message.text": { operator: text }, "contact.tags": { operator: [text] } })
        ),
        search.prop_map(|text| json!({ "contact.source": { "exists": text.len() > 1 } })),
        Just(json!({ "contact.created_at": { "gte": "2026-11-01T09:00:00+01:00" } })),
        Just(json!({ "contact.assigned_to": "una" })),
        Just(json!({})),
    ]
}

fn condition() -> impl Strategy<Value = Value> {
    comparison().prop_recursive(4, 24, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            some.clone().prop_map(|all| json!({ "all": all })),
            some.prop_map(|any| json!({ "any": any })),
            inner.clone().prop_map(|not| json!({ "not": not })),
            (inner, comparison()).prop_map(|(not, beside)| {
                let mut members = beside.as_object().unwrap().clone();
                members.insert("not".to_owned(), not);
                Value::Object(members)
            }),
        ]
    })
}

fn facts() -> impl Strategy<Value = Facts> {
    let some_text =
        prop::option::of(prop::sample::select(vec!["Ada", "email", "vip", "", "SS", "What is the price?", "a|b"]));
    let tags = prop::collection::vec(prop::sample::select(vec!["vip", "VIP", "eu", "ß"]), 0..3);
    let times = prop::sample::select(vec![
        json!("2026-11-01T08:00:00Z"),
        json!("2026-10-01T08:00:00Z"),
        json!("?"),
        json!(null),
    ]);
    (
        (prop::option::of(prop::sample::select(vec![LEAD, WON])), prop::option::of(0.0..50.0f64), prop::bool::ANY),
        (some_text.clone(), some_text, tags, prop::option::of(-5i64..60), times),
    )
        .prop_map(|((stage, elapsed, flag), (name, text, tags, score, time))| {
            let stage = stage.map(|id| json!({ "id": id, "name": "x", "pipeline_id": SALES, "pipeline": "Sales" }));
            serde_json::from_value(json!({
                "stage": stage, "elapsed_hours": elapsed, "has_response": flag, "is_first_response": !flag,
                "hours_since_last_message": elapsed, "hours_since_last_response": null,
                "message": { "text": text }, "account": {}, "event": {},
                "contact": { "name": name, "source": text, "tags": tags, "score": score, "created_at": time, "assigned_to": UNA },
                "now": { "at": "2026-11-22T10:00:00Z", "hour": 11, "weekday": "sun" },
            }))
            .unwrap()
        })
}

/// Any JSON, with the language's own words in it often enough to reach every corner.
fn anything() -> impl Strategy<Value = Value> {
    let words = vec![
        "stage",
        "pipeline",
        "elapsed_hours",
        "has_response",
        "message.text",
        "contact.tags",
        "contact.score",
        "now.weekday",
        "contact.assigned_to",
        "contact.created_at",
        "deal.value",
        "all",
        "any",
        "not",
        "gt",
        "gte",
        "lt",
        "ne",
        "in",
        "contains",
        "matches",
        "starts_with",
        "exists",
        "lead",
        "won",
        "Una",
        "move_to_stage",
        "notify_team",
        "assign_to",
        "add_tag",
        "set_field",
        "send_message",
        "stop",
        "text",
        "score",
        "name",
        "trigger",
        "condition",
        "actions",
        "action",
        "subject",
        "apply_to",
        "causes",
        "on",
        "cron",
        "time_zone",
        "message.received",
        "time_elapsed",
        "schedule",
        "organization",
        "new",
        "import",
        "* * * * *",
        "0 9 * * 1#6",
        "L W ? * 7L",
        "@daily * * * *",
        "1-0/0 + # L 0",
        "Europe/Berlin",
        "{{contact.name}}",
        "{{",
        "(?i)",
        "[",
        "2026-11-22T10:00:00Z",
        "",
    ];
    let word = prop::sample::select(words).prop_map(str::to_owned);
    let text = prop_oneof![4 => word, 1 => ".{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            3 => prop::collection::btree_map(text.clone(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn definition() -> impl Strategy<Value = Map<String, Value>> {
    let trigger = prop_oneof![
        2 => prop::sample::select(vec!["message.received", "time_elapsed", "account.status_changed"]).prop_map(Value::from),
        1 => ".{0,20}".prop_map(|cron| json!({ "on": "schedule", "cron": cron })),
        1 => "[0-9*/,LW#?+-]{1,5}( [0-9A-Z*/,LW#?+-]{1,7}){4}".prop_map(|cron| json!({ "on": "schedule", "cron": cron })),
        1 => anything(),
    ];
    let condition = prop_oneof![anything(), condition()];
    (trigger, prop::option::of(condition), anything(), prop::option::of(anything())).prop_map(
        |(trigger, condition, action, more)| {
            let mut members = Map::new();
            members.insert("trigger".to_owned(), trigger);
            members.insert("action".to_owned(), action);
            members.extend(condition.map(|condition| ("condition".to_owned(), condition)));
            members.extend(more.and_then(|more| more.as_object().cloned()).unwrap_or_default());
            members
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compiling_never_panics_and_what_compiles_loads(definition in definition(), facts in facts()) {
        match Declarative.compile(&definition, &directory()) {
            Ok(compiled) => {
                let rule = Declarative.load(&compiled.compiled);
                prop_assert!(rule.is_ok(), "{:?}", rule.err());
                let _ = rule.unwrap().evaluate(&facts).unwrap();
            }
            Err(error) => {
                prop_assert_eq!(error.kind().status(), 422);
                prop_assert_eq!(error.fields().len(), 1);
                let pointer = error.fields()[0].pointer.as_str();
                prop_assert!(pointer.is_empty() || pointer.starts_with('/'), "{}", pointer);
            }
        }
    }

    #[test]
    fn not_not_is_the_condition_itself(condition in condition(), facts in facts()) {
        let held = evaluate(&condition, &facts);
        prop_assert!(held.is_some(), "a sound condition was refused");
        let negated = evaluate(&json!({ "not": condition }), &facts);
        let twice = evaluate(&json!({ "not": { "not": condition } }), &facts);
        prop_assert_eq!(negated, held.map(|held| !held));
        prop_assert_eq!(twice, held);
    }

    #[test]
    fn all_and_any_of_two_are_and_and_or(left in condition(), right in condition(), facts in facts()) {
        let (l, r) = (evaluate(&left, &facts).unwrap(), evaluate(&right, &facts).unwrap());
        prop_assert_eq!(evaluate(&json!({ "all": [left, right] }), &facts), Some(l && r));
        prop_assert_eq!(evaluate(&json!({ "any": [left, right] }), &facts), Some(l || r));
    }
}
