//! A rule is bounded in every direction, and the bound is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use dealwright::{
    Error,
    ports::rule_engine::{Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Map, Value, json};

fn compile(rule: Value) -> Result<(), Error> {
    let definition: Map<String, Value> = serde_json::from_value(rule).unwrap();
    Declarative.compile(&definition, &Directory::default()).map(drop)
}

fn condition(condition: Value) -> Result<(), Error> {
    compile(json!({ "trigger": "message.received", "condition": condition, "action": { "stop": true } }))
}

fn action(action: Value) -> Result<(), Error> {
    compile(json!({ "trigger": "message.received", "action": action }))
}

fn code(result: Result<(), Error>) -> String {
    result.unwrap_err().fields()[0].code.to_string()
}

/// ASVS 4.3.1.
#[test]
fn a_condition_compares_with_two_hundred_values_and_no_more() {
    let tags = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    condition(json!({ "contact.tags": tags(200) })).unwrap();
    assert_eq!(code(condition(json!({ "contact.tags": tags(201) }))), "too_many");
    assert_eq!(code(condition(json!({ "contact.tags": tags(100), "contact.name": { "ne": tags(101) } }))), "too_many");
    let any = |count: usize| json!({ "any": vec![json!({ "contact.name": { "contains": "a" } }); count] });
    condition(any(200)).unwrap();
    assert_eq!(code(condition(any(201))), "too_many");
}

#[test]
fn a_rule_has_fifty_actions_and_no_more() {
    let tags = |count: usize| (0..count).map(|n| format!("tag {n}")).collect::<Vec<_>>();
    action(json!({ "add_tag": tags(49), "stop": true })).unwrap();
    assert_eq!(code(action(json!({ "add_tag": tags(50), "stop": true }))), "too_many");
    let rule = |count: usize| json!({ "trigger": "message.sent", "actions": vec![json!({ "stop": true }); count] });
    compile(rule(50)).unwrap();
    assert_eq!(code(compile(rule(51))), "too_many");
}

#[test]
fn texts_are_as_long_as_their_use_allows() {
    let text = |length: usize| "ü".repeat(length);
    condition(json!({ "contact.name": text(1000) })).unwrap();
    assert_eq!(code(condition(json!({ "contact.name": text(1001) }))), "too_long");
    condition(json!({ "contact.name": { "contains": text(200) } })).unwrap();
    assert_eq!(code(condition(json!({ "contact.name": { "contains": text(201) } }))), "too_long");
    assert_eq!(code(condition(json!({ "contact.name": { "matches": text(201) } }))), "too_long");
    action(json!({ "add_tag": text(200), "set_field": { "name": text(200) } })).unwrap();
    assert_eq!(code(action(json!({ "add_tag": text(201) }))), "too_long");
    assert_eq!(code(action(json!({ "set_field": { "source": text(201) } }))), "too_long");
    action(json!({ "send_message": text(10_000), "notify_team": { "text": text(1000) } })).unwrap();
    assert_eq!(code(action(json!({ "send_message": text(10_001) }))), "too_long");
    assert_eq!(code(action(json!({ "notify_team": { "text": text(1001) } }))), "too_long");
    let schedule = json!({ "on": "schedule", "cron": "0 ".repeat(60) });
    assert_eq!(code(compile(json!({ "trigger": schedule, "action": { "stop": true } }))), "too_long");
}

#[test]
fn many_words_are_searched_for_together_but_not_without_end() {
    let words =
        |count: usize, length: usize| (0..count).map(|n| format!("{n}{}", "ß".repeat(length))).collect::<Vec<_>>();
    condition(json!({ "message.text": { "contains": words(200, 20) } })).unwrap();
    assert_eq!(code(condition(json!({ "message.text": { "contains": words(150, 190) } }))), "invalid");
}

#[test]
fn a_compiled_rule_of_another_form_is_none_of_ours() {
    for compiled in [
        json!(null),
        json!({ "v": 2, "condition": { "all": [] }, "actions": [] }),
        json!({ "v": 1, "condition": { "some": [] }, "actions": [] }),
        json!({ "v": 1, "condition": { "test": { "fact": "deal.value", "op": { "exists": true } } }, "actions": [] }),
        json!({ "v": 1, "condition": { "test": { "fact": "message.text", "op": { "matches": ["("] } } }, "actions": [] }),
        json!({ "v": 1, "condition": { "all": [] }, "actions": [{ "jump": true }] }),
    ] {
        let error = Declarative.load(&compiled).err().unwrap_or_else(|| panic!("accepted {compiled}"));
        assert_eq!(error.code(), "internal");
    }
}
