//! When a time rule that did not hold is asked again: as soon as time alone may make it hold, and never for nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use chrono::TimeDelta;
use dealwright::{
    domain::rule::Facts,
    ports::rule_engine::{CompiledRule, Directory, RuleEngine},
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

const LEAD: &str = "00000000-0000-7000-8000-0000000000a1";
const SALES: &str = "00000000-0000-7000-8000-0000000000a0";

fn rule(rest: Value) -> Box<dyn CompiledRule> {
    let directory = Directory {
        pipelines: serde_json::from_value(json!([[SALES, "Sales"]])).unwrap(),
        stages: serde_json::from_value(json!([[LEAD, SALES, "lead"]])).unwrap(),
        ..Directory::default()
    };
    let trigger = json!({ "on": "time_elapsed", "stage": "lead", "elapsed_hours": 24 });
    let rule = json!({ "trigger": trigger, "condition": rest, "action": { "stop": true } });
    Declarative.load(&Declarative.compile(rule.as_object().unwrap(), &directory).unwrap().compiled).unwrap()
}

fn facts(elapsed: f64, since_message: Option<f64>, has_response: bool) -> Facts {
    serde_json::from_value(json!({
        "stage": { "id": LEAD, "name": "lead", "pipeline_id": SALES, "pipeline": "Sales" },
        "elapsed_hours": elapsed, "has_response": has_response, "is_first_response": false,
        "hours_since_last_message": since_message, "hours_since_last_response": null,
        "message": {}, "contact": {}, "account": {}, "event": {},
        "now": { "at": "2026-11-22T10:07:30Z", "hour": 11, "weekday": "sun" },
    }))
    .unwrap()
}

/// To the millisecond: hours as floats are a microsecond off now and then.
fn hours_to_wait(rule: &dyn CompiledRule, facts: &Facts) -> Option<f64> {
    rule.ask_again(facts).map(|wait| (wait.num_microseconds().unwrap() as f64 / 1000.0).round() / 3.6e6)
}

#[test]
fn the_time_in_the_stage_is_waited_for() {
    let rule = rule(json!({}));
    assert_eq!(hours_to_wait(&*rule, &facts(20.0, None, false)), Some(4.0));
    assert!(rule.evaluate(&facts(20.0, None, false)).unwrap().is_empty());
}

#[test]
fn what_an_event_must_change_is_not_waited_for() {
    let rule = rule(json!({ "has_response": true, "hours_since_last_message": 48 }));
    assert_eq!(rule.ask_again(&facts(24.0, Some(2.0), false)), None);
    assert_eq!(hours_to_wait(&*rule, &facts(24.0, Some(2.0), true)), Some(46.0));
    assert_eq!(rule.ask_again(&facts(24.0, None, true)), None, "there is no message that could grow old");
}

#[test]
fn the_nearest_of_several_instants_comes_first() {
    let any =
        json!({ "any": [{ "hours_since_last_message": 10 }, { "hours_since_last_message": 5, "contact.tags": "x" }] });
    let mut facts = facts(30.0, Some(2.0), false);
    assert_eq!(hours_to_wait(&*rule(any.clone()), &facts), Some(8.0), "the other branch waits for its tag");
    facts.contact.insert("tags".to_owned(), json!(["x"]));
    assert_eq!(hours_to_wait(&*rule(any), &facts), Some(3.0));
}

#[test]
fn the_hour_of_the_day_is_looked_at_every_quarter() {
    let quarter = Some(TimeDelta::seconds(7 * 60 + 30));
    assert_eq!(rule(json!({ "now.hour": { "lt": 9 } })).ask_again(&facts(30.0, None, false)), quarter);
    assert_eq!(rule(json!({ "not": { "now.weekday": ["sat", "sun"] } })).ask_again(&facts(30.0, None, false)), quarter);
    assert_eq!(
        rule(json!({ "now.hour": { "lt": 9 }, "has_response": true })).ask_again(&facts(30.0, None, false)),
        None
    );
}

#[test]
fn a_date_is_waited_for() {
    let wait = rule(json!({ "now.at": { "gte": "2026-11-22T12:07:30Z" } })).ask_again(&facts(30.0, None, false));
    assert_eq!(wait, Some(TimeDelta::hours(2) + TimeDelta::microseconds(1)));
    let past = rule(json!({ "now.at": { "lt": "2026-11-22T10:00:00Z" } }));
    assert_eq!(past.ask_again(&facts(30.0, None, false)), None);
}

#[test]
fn waiting_as_long_as_told_makes_it_hold() {
    let rule = rule(json!({ "hours_since_last_message": 33.333_333 }));
    for since in [0.0, 0.1, 1.0 / 3.0, 7.7, 33.333_332] {
        let wait = rule.ask_again(&facts(24.0, Some(since), false)).unwrap();
        let waited = wait.num_microseconds().unwrap() as f64 / 3.6e9;
        assert!(!rule.evaluate(&facts(24.0 + waited, Some(since + waited), false)).unwrap().is_empty(), "{since}");
    }
}
