//! Time rules: a timer per entry into a stage, fired at the first instant at which the whole condition holds.

use chrono::Duration;
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, noon},
};

cases! {
    a_timer_fires_when_its_time_has_come,
    leaving_the_stage_cancels,
    coming_back_counts_anew,
    the_other_rule_of_the_source_fires_by_timer,
    a_response_after_the_time_fires_at_once,
    a_rule_fires_once_per_entry,
    parts_of_an_hour,
    the_hour_of_the_day_is_waited_for,
    silence_is_waited_for,
    several_stages_and_several_rules,
    a_stage_of_any_pipeline,
    what_is_due_late_fires_late,
    deleting_cancels_and_restoring_plants,
    one_who_comes_back_is_not_asked_twice,
    an_entry_of_long_ago_is_overdue,
}

/// A rule that acts on contacts that are in `lead` for `hours`.
fn waiting(hours: f64) -> Value {
    json!({ "name": "cold", "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": hours },
            "actions": [{ "add_tag": "cold" }] })
}

async fn a_timer_fires_when_its_time_has_come(world: World) {
    let rule = world.rule(waiting(24.0)).await;
    let ada = world.settled("Ada").await;
    world.until(ada.stage_entered_at + Duration::hours(24) - Duration::microseconds(1)).await;
    assert!(world.contact_now(ada.id).await.tags.is_empty());
    world.until(ada.stage_entered_at + Duration::hours(24)).await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["cold"]);
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.event_kind.as_str(), run.event_id), ("time.elapsed", ada.stage_entry_id));
    assert_eq!(run.facts["elapsed_hours"], 24.0);
}

async fn leaving_the_stage_cancels(world: World) {
    let rule = world.rule(waiting(24.0)).await;
    let ada = world.settled("Ada").await;
    world.hours(20.0).await;
    world.go(ada.id, world.stage("qualified").id).await;
    world.settle().await;
    world.hours(100.0).await;
    assert!(world.outcomes(rule).await.is_empty());
}

async fn coming_back_counts_anew(world: World) {
    let rule = world.rule(waiting(24.0)).await;
    let ada = world.settled("Ada").await;
    world.hours(20.0).await;
    world.go(ada.id, world.stage("qualified").id).await;
    world.hours(1.0).await;
    world.go(ada.id, world.stage("lead").id).await;
    world.settle().await;
    world.hours(20.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.hours(4.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn the_other_rule_of_the_source_fires_by_timer(world: World) {
    let account = world.mailbox().await;
    let rule = world
        .rule(json!({ "id": "time-based-lead-to-qualified", "trigger": "time_elapsed",
                      "condition": { "stage": "lead", "elapsed_hours": 24, "has_response": true },
                      "action": { "move_to_stage": "qualified" } }))
        .await;
    let silent = world.settled("Silent").await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    world.hours(23.9).await;
    assert_eq!(world.stage_of(ada.id).await, "lead");
    world.hours(0.2).await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    world.hours(100.0).await;
    assert_eq!(world.stage_of(silent.id).await, "lead");
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn a_response_after_the_time_fires_at_once(world: World) {
    let account = world.mailbox().await;
    let rule = world
        .rule(json!({ "name": "late", "trigger": "time_elapsed",
                      "condition": { "stage": "lead", "elapsed_hours": 24, "has_response": true },
                      "action": { "move_to_stage": "qualified" } }))
        .await;
    let ada = world.contact_with_email("Ada", "ada@globex.example").await.unwrap();
    world.hours(30.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.receive(account, world.note("ada@globex.example", "Sorry for the delay")).await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.event_kind.as_str(), run.event_id), ("message.received", ada.stage_entry_id));
}

async fn a_rule_fires_once_per_entry(world: World) {
    let rule = world.rule(waiting(1.0)).await;
    let ada = world.settled("Ada").await;
    world.hours(2.0).await;
    world.me.call("contacts.update", json!({ "id": ada.id, "patch": { "source": "fair" } })).await.unwrap();
    world.hours(2.0).await;
    world.edit(rule, json!({ "condition": { "stage": "lead", "elapsed_hours": 2 } })).await;
    world.hours(2.0).await;
    world.edit(rule, json!({ "enabled": false })).await;
    world.edit(rule, json!({ "enabled": true })).await;
    world.hours(2.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn parts_of_an_hour(world: World) {
    let rule = world.rule(waiting(0.1)).await;
    let ada = world.settled("Ada").await;
    world.until(ada.stage_entered_at + Duration::seconds(359)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(ada.stage_entered_at + Duration::seconds(360)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn the_hour_of_the_day_is_waited_for(world: World) {
    let rule = world
        .rule(json!({ "name": "morning", "trigger": "time_elapsed",
                      "condition": { "stage": "lead", "elapsed_hours": 10, "now.hour": { "gte": 9 }, "now.weekday": ["mon", "tue"] },
                      "actions": [{ "add_tag": "cold" }] }))
        .await;
    // Noon of a Sunday: ten hours later it is night.
    assert_eq!(world.env.now(), noon());
    world.settled("Ada").await;
    world.hours(10.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(noon() + Duration::hours(21) - Duration::seconds(1)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(noon() + Duration::hours(21)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn silence_is_waited_for(world: World) {
    let account = world.mailbox().await;
    let rule = world
        .rule(json!({ "name": "quiet", "trigger": "time_elapsed",
                      "condition": { "stage": "lead", "elapsed_hours": 2, "hours_since_last_message": { "gte": 5 } },
                      "actions": [{ "add_tag": "quiet" }] }))
        .await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    world.hours(4.0).await;
    world.receive(account, world.note("ada@globex.example", "Still there?")).await;
    world.hours(4.9).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.hours(0.1).await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["quiet"]);
}

async fn several_stages_and_several_rules(world: World) {
    let any = world
        .rule(json!({ "name": "any", "trigger": "time_elapsed", "condition": { "stage": ["lead", "qualified"], "elapsed_hours": 1 },
                      "actions": [{ "add_tag": "any" }] }))
        .await;
    let lead = world.rule(waiting(2.0)).await;
    let (ada, bob, cyd) = (world.contact("Ada").await, world.contact("Bob").await, world.contact("Cyd").await);
    world.go(bob.id, world.stage("qualified").id).await;
    world.go(cyd.id, world.stage("won").id).await;
    world.settle().await;
    world.hours(3.0).await;
    let mut contacts: Vec<_> = world.runs_of(any).await.iter().map(|run| run.contact_id.unwrap()).collect();
    contacts.sort();
    assert_eq!(contacts, [ada.id, bob.id]);
    assert_eq!(world.runs_of(lead).await.iter().map(|run| run.contact_id.unwrap()).collect::<Vec<_>>(), [ada.id]);
}

async fn a_stage_of_any_pipeline(world: World) {
    let new = json!({ "name": "Partners", "stages": [{ "name": "lead" }, { "name": "signed" }] });
    let partners = world.me.call("pipelines.create", new).await.unwrap();
    let rule = world.rule(waiting(1.0)).await;
    let ada = world.contact("Ada").await;
    world.go(ada.id, partners["stages"][0]["id"].as_str().unwrap().parse().unwrap()).await;
    world.settle().await;
    world.hours(1.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    assert_eq!(world.runs_of(rule).await[0].facts["stage"]["pipeline"], "Partners");
}

async fn what_is_due_late_fires_late(world: World) {
    let rule = world.rule(waiting(24.0)).await;
    let ada = world.settled("Ada").await;
    // Nobody was running for a week.
    world.hours(24.0 * 7.0).await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.contact_id, Some(ada.id));
    assert!(run.facts["elapsed_hours"].as_f64().unwrap() >= 24.0 * 7.0);
}

async fn deleting_cancels_and_restoring_plants(world: World) {
    let rule = world.rule(waiting(24.0)).await;
    let ada = world.settled("Ada").await;
    world.hours(1.0).await;
    world.me.call("contacts.delete", json!({ "id": ada.id })).await.unwrap();
    world.hours(40.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    world.settle().await;
    // Counted from the entry, which is long ago.
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn one_who_comes_back_is_not_asked_twice(world: World) {
    let rule = world.rule(waiting(1.0)).await;
    let ada = world.settled("Ada").await;
    world.hours(1.0).await;
    world.me.call("contacts.delete", json!({ "id": ada.id })).await.unwrap();
    world.settle().await;
    world.me.contacts().restore(ada.id.into()).await.unwrap();
    world.settle().await;
    world.hours(10.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    // Nothing is left over that would come up again and again.
    assert_eq!(world.settle().await, 0);
    world.hours(1.0).await;
    let before = world.events(ada.id).await.len();
    world.hours(100.0).await;
    assert_eq!(world.events(ada.id).await.len(), before);
}

async fn an_entry_of_long_ago_is_overdue(world: World) {
    let account = world.mailbox().await;
    let rule = world.rule(waiting(24.0)).await;
    let old =
        dealwright::testkit::provider::message("old", "ada@globex.example", "Hi", world.env.now() - Duration::days(30));
    let ada = world.receive(account, old).await;
    assert_eq!(ada.tags, ["cold"]);
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}
