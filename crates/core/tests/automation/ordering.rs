//! One subject's events go in their order, and the rules on one event in theirs.

use dealwright::services::contacts::DeleteContact;
use serde_json::json;

use crate::{cases, world::World};

cases! {
    rules_on_one_event_go_by_position,
    rules_of_one_position_go_by_age,
    a_later_rule_sees_what_an_earlier_one_did,
    among_many_rules_too,
    stop_keeps_later_rules_from_the_event,
    stop_is_for_this_event_only,
    the_events_of_a_contact_go_in_their_order,
    more_events_than_are_taken_at_once,
}

async fn rules_on_one_event_go_by_position(world: World) {
    for (tag, position) in [("c", 30), ("a", 10), ("b", 20)] {
        world
            .rule(json!({ "name": tag, "trigger": "contact.created", "position": position,
                          "actions": [{ "set_field": { "source": tag } }] }))
            .await;
    }
    let ada = world.settled("Ada").await;
    assert_eq!(ada.source.as_deref(), Some("c"));
    let seen: Vec<_> = world.runs().await.iter().map(|run| run.facts["contact"]["source"].clone()).collect();
    assert_eq!(seen, [json!(null), json!("a"), json!("b")]);
}

async fn rules_of_one_position_go_by_age(world: World) {
    for tag in ["z", "y", "x"] {
        world.later(1);
        world
            .rule(json!({ "name": tag, "trigger": "contact.created", "actions": [{ "set_field": { "source": tag } }] }))
            .await;
    }
    assert_eq!(world.settled("Ada").await.source.as_deref(), Some("x"));
}

async fn a_later_rule_sees_what_an_earlier_one_did(world: World) {
    world
        .rule(json!({ "name": "late", "trigger": "contact.created", "position": 2,
                      "condition": { "contact.tags": { "contains": "early" } }, "actions": [{ "add_tag": "late" }] }))
        .await;
    world
        .rule(json!({ "name": "early", "trigger": "contact.created", "position": 1, "actions": [{ "add_tag": "early" }] }))
        .await;
    assert_eq!(world.settled("Ada").await.tags, ["early", "late"]);
}

async fn among_many_rules_too(world: World) {
    let rule = |tag: &str, position: u32, condition| {
        json!({ "name": tag, "trigger": "contact.created", "position": position, "condition": condition,
                "actions": [{ "add_tag": tag }] })
    };
    for number in 0..20 {
        world.rule(rule(&format!("never {number}"), number, json!({ "contact.source": "nowhere" }))).await;
    }
    world.rule(rule("early", 4, json!({ "not": { "contact.tags": "late" } }))).await;
    world.rule(rule("late", 8, json!({ "contact.tags": { "contains": "early" } }))).await;
    // Held before the others acted, and holds no longer.
    world.rule(rule("first of all", 12, json!({ "not": { "contact.tags": "early" } }))).await;
    world.rule(rule("last", 30, json!({ "contact.tags": { "contains": "late" } }))).await;
    assert_eq!(world.settled("Ada").await.tags, ["early", "last", "late"]);
    let contact = world.settled("Bob").await;
    world.me.contacts().delete(DeleteContact { id: contact.id, if_version: None }).await.unwrap();
    world.settle().await;
    assert_eq!(world.runs().await.len(), 6);
}

async fn stop_keeps_later_rules_from_the_event(world: World) {
    let first = world
        .rule(json!({ "name": "first", "trigger": "contact.created", "position": 1,
                      "actions": [{ "add_tag": "first" }, { "stop": true }] }))
        .await;
    let second = world
        .rule(json!({ "name": "second", "trigger": "contact.created", "position": 2, "actions": [{ "add_tag": "second" }] }))
        .await;
    assert_eq!(world.settled("Ada").await.tags, ["first"]);
    assert!(world.runs_of(first).await[0].stopped);
    assert!(world.outcomes(second).await.is_empty());
}

async fn stop_is_for_this_event_only(world: World) {
    world
        .rule(json!({ "name": "first", "trigger": "contact.created", "condition": { "contact.source": "spam" },
                      "actions": [{ "stop": true }] }))
        .await;
    world
        .rule(json!({ "name": "second", "trigger": "contact.created", "position": 2, "actions": [{ "add_tag": "seen" }] }))
        .await;
    let (spam, ada) = (world.contact_from("Spam", "spam").await, world.contact_from("Ada", "web").await);
    world.settle().await;
    assert!(world.contact_now(spam.id).await.tags.is_empty());
    assert_eq!(world.contact_now(ada.id).await.tags, ["seen"]);
}

async fn the_events_of_a_contact_go_in_their_order(world: World) {
    let rule =
        world.rule(json!({ "name": "note", "trigger": "stage.changed", "actions": [{ "notify_team": true }] })).await;
    let ada = world.contact("Ada").await;
    let way = ["qualified", "proposal", "lead", "won"];
    for stage in way {
        world.go(ada.id, world.stage(stage).id).await;
    }
    world.settle().await;
    let moves = world.history(ada.id).await;
    let asked: Vec<_> = world.runs_of(rule).await.iter().map(|run| run.event_id).collect();
    assert_eq!(asked, moves.iter().skip(1).map(|it| it.id).collect::<Vec<_>>());
}

async fn more_events_than_are_taken_at_once(world: World) {
    let rule = world
        .rule(
            json!({ "name": "note", "trigger": "contact.updated", "condition": { "contact.source": { "exists": true } },
                      "actions": [{ "remove_tag": "none" }] }),
        )
        .await;
    let ada = world.contact("Ada").await;
    for number in 0..150 {
        let change = json!({ "id": ada.id, "patch": { "source": format!("source {number}") } });
        world.me.call("contacts.update", change).await.unwrap();
    }
    world.settle().await;
    let events: Vec<_> = world.events(ada.id).await.iter().skip(1).map(|event| event.id).collect();
    assert_eq!(events.len(), 150);
    let asked: Vec<_> = world.runs_of(rule).await.iter().map(|run| run.event_id).collect();
    assert_eq!(asked, events);
}
