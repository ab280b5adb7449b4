//! Time rules and those who are in the stage already when the rule is saved.

use dealwright::domain::job::JobState;
use serde_json::{Value, json};

use crate::{cases, world::World};

cases! {
    saving_plants_for_those_inside_from_their_entry,
    those_overdue_fire_at_once,
    new_ones_only_if_the_rule_says_so,
    many_are_planted_in_steps,
    switching_off_cancels_and_on_plants,
    removing_a_rule_cancels,
    an_edited_time_counts,
    a_planting_can_be_taken_back,
    planting_is_the_rules_own_organisation,
}

fn waiting(hours: u32) -> Value {
    json!({ "name": "cold", "trigger": "time_elapsed", "condition": { "stage": "lead", "elapsed_hours": hours },
            "actions": [{ "add_tag": "cold" }] })
}

async fn saving_plants_for_those_inside_from_their_entry(world: World) {
    let ada = world.settled("Ada").await;
    world.hours(10.0).await;
    let rule = world.rule(waiting(24)).await;
    world.settle().await;
    world.hours(13.9).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.hours(0.1).await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["cold"]);
}

async fn those_overdue_fire_at_once(world: World) {
    let ada = world.settled("Ada").await;
    world.hours(30.0).await;
    let rule = world.rule(waiting(24)).await;
    world.settle().await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["cold"]);
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn new_ones_only_if_the_rule_says_so(world: World) {
    let ada = world.settled("Ada").await;
    world.hours(30.0).await;
    let mut new = waiting(24);
    new["apply_to"] = json!("new");
    let rule = world.rule(new).await;
    world.settle().await;
    let bob = world.settled("Bob").await;
    world.hours(30.0).await;
    assert!(world.contact_now(ada.id).await.tags.is_empty());
    assert_eq!(world.contact_now(bob.id).await.tags, ["cold"]);
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn many_are_planted_in_steps(world: World) {
    let contacts: Vec<Value> = (0..450).map(|number| json!({ "name": format!("Contact {number}") })).collect();
    for contact in contacts {
        world.me.call("contacts.create", contact).await.unwrap();
    }
    world.settle().await;
    let rule = world.rule(waiting(24)).await;
    world.settle().await;
    let jobs = world.me.call("jobs.list", json!({})).await.unwrap();
    assert_eq!((&jobs["data"][0]["kind"], &jobs["data"][0]["state"]), (&json!("plant_timers"), &json!("done")));
    assert_eq!(jobs["data"][0]["progress"], 450);
    world.hours(24.0).await;
    let mut ran = std::collections::HashSet::new();
    let mut cursor = Value::Null;
    loop {
        let page = json!({ "rule_id": rule, "limit": 200, "cursor": cursor });
        let page = world.me.call("runs.list", page).await.unwrap();
        ran.extend(page["data"].as_array().unwrap().iter().map(|run| run["contact_id"].to_string()));
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(ran.len(), 450);
}

async fn switching_off_cancels_and_on_plants(world: World) {
    let rule = world.rule(waiting(24)).await;
    world.settled("Ada").await;
    world.edit(rule, json!({ "enabled": false })).await;
    world.hours(30.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.edit(rule, json!({ "enabled": true })).await;
    world.settle().await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn removing_a_rule_cancels(world: World) {
    let rule = world.rule(waiting(24)).await;
    let ada = world.settled("Ada").await;
    world.me.rules().delete(rule.into()).await.unwrap();
    world.hours(30.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    assert!(world.events(ada.id).await.iter().all(|event| event.kind.as_str() != "time.elapsed"));
}

async fn an_edited_time_counts(world: World) {
    let rule = world.rule(waiting(24)).await;
    world.settled("Ada").await;
    world.edit(rule, json!({ "condition": { "stage": "lead", "elapsed_hours": 2 } })).await;
    world.settle().await;
    world.hours(2.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.settled("Bob").await;
    world.edit(rule, json!({ "condition": { "stage": "lead", "elapsed_hours": 48 } })).await;
    world.settle().await;
    world.hours(47.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.hours(1.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied", "applied"]);
}

async fn a_planting_can_be_taken_back(world: World) {
    world.settled("Ada").await;
    let rule = world.rule(waiting(1)).await;
    let jobs = world.me.call("jobs.list", json!({ "state": "queued" })).await.unwrap();
    let job = jobs["data"][0]["id"].clone();
    world.me.call("jobs.cancel", job.clone()).await.unwrap();
    world.me.call("jobs.cancel", job.clone()).await.unwrap();
    world.hours(10.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    let job = world.me.jobs().get(job.as_str().unwrap().parse().unwrap()).await.unwrap();
    assert_eq!(job.state, JobState::Cancelled);
}

async fn planting_is_the_rules_own_organisation(world: World) {
    let (_, other) = world.other_organization().await;
    let theirs = other.call("contacts.create", json!({ "name": "Theirs" })).await.unwrap();
    world.settle().await;
    let rule = world.rule(waiting(1)).await;
    world.settle().await;
    world.hours(10.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    let theirs = other.call("contacts.get", theirs["id"].clone()).await.unwrap();
    assert_eq!(theirs["tags"], json!([]));
}
