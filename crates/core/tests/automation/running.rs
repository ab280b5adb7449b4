//! What a run is: once per event, all of its actions or none, linked to what it caused.

use dealwright::{domain::event::EventKind, scope::Actor};
use serde_json::json;

use crate::{cases, world::World};

cases! {
    a_run_moves_and_the_history_says_why,
    a_run_is_recorded_with_its_facts_and_actions,
    an_event_is_asked_about_once,
    two_processes_run_a_rule_once_per_event,
    a_condition_that_does_not_hold_leaves_no_run,
    a_rule_of_another_stage_is_not_asked,
    what_a_run_did_is_an_event_for_others,
    a_loop_ends_after_eight_links,
    a_move_to_where_the_contact_is_changes_nothing,
    a_deleted_contact_is_left_alone,
    a_move_into_another_pipeline,
}

async fn a_run_moves_and_the_history_says_why(world: World) {
    let rule = world
        .rule(json!({ "name": "on", "trigger": "contact.created", "actions": [{ "move_to_stage": "qualified" }] }))
        .await;
    let ada = world.settled("Ada").await;
    let run = world.runs_of(rule).await.remove(0);
    let history = world.history(ada.id).await;
    assert_eq!(history.len(), 2);
    assert_eq!(history[1].to_stage_id, world.stage("qualified").id);
    let events = world.events(ada.id).await;
    let moved = events.iter().find(|event| event.id == history[1].id).unwrap();
    assert_eq!(moved.actor, Actor::Rule { id: rule, run_id: run.id });
    assert_eq!(moved.data["auto_moved"], true);
    let [link] = moved.cause.chain[..] else { panic!("{:?}", moved.cause) };
    assert_eq!((link.rule_id, link.run_id, link.event_id), (rule, run.id, events[0].id));
}

async fn a_run_is_recorded_with_its_facts_and_actions(world: World) {
    let rule = world
        .rule(json!({ "name": "tag", "trigger": "contact.created", "condition": { "contact.source": "fair" },
                      "actions": [{ "add_tag": "met" }] }))
        .await;
    let ada = world.contact_from("Ada", "fair").await;
    world.settle().await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.event_id, world.events(ada.id).await[0].id);
    assert_eq!((run.event_kind.as_str(), run.outcome.as_str()), ("contact.created", "applied"));
    assert_eq!(run.facts["contact"]["name"], "Ada");
    assert_eq!(run.facts["stage"]["name"], "lead");
    assert_eq!(run.actions, json!([{ "add_tag": "met" }]));
    assert_eq!((run.error.as_ref(), run.stopped, run.rule_version), (None, false, 1));
}

async fn an_event_is_asked_about_once(world: World) {
    let rule = world
        .rule(
            json!({ "name": "mark", "trigger": "contact.created", "actions": [{ "set_field": { "source": "rule" } }] }),
        )
        .await;
    world.settled("Ada").await;
    for _ in 0..3 {
        world.hours(1.0).await;
    }
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn two_processes_run_a_rule_once_per_event(world: World) {
    let rule = world
        .rule(json!({ "name": "tag", "trigger": "contact.created", "actions": [{ "add_tag": "met" }, { "move_to_stage": "qualified" }] }))
        .await;
    let (second, _) = world.second_engine().await;
    let mut contacts = Vec::new();
    for place in 0..20 {
        contacts.push(world.contact(&format!("Contact {place}")).await);
    }
    let (here, there) = (world.crm.runtime(), second.runtime());
    let (first, second) = tokio::join!(here.drain(), there.drain());
    assert!(first.unwrap() + second.unwrap() > 0);
    world.settle().await;
    assert_eq!(world.runs_of(rule).await.len(), contacts.len());
    for contact in contacts {
        assert_eq!(world.history(contact.id).await.len(), 2);
    }
}

async fn a_condition_that_does_not_hold_leaves_no_run(world: World) {
    world
        .rule(json!({ "name": "tag", "trigger": "contact.created", "condition": { "contact.source": "fair" },
                      "actions": [{ "add_tag": "met" }] }))
        .await;
    world.contact_from("Ada", "web").await;
    world.settled("Bob").await;
    assert!(world.runs().await.is_empty());
}

async fn a_rule_of_another_stage_is_not_asked(world: World) {
    let rule = world
        .rule(json!({ "name": "won", "trigger": "contact.updated", "condition": { "stage": "won" },
                      "actions": [{ "add_tag": "customer" }] }))
        .await;
    let (ada, bob) = (world.contact("Ada").await, world.contact("Bob").await);
    world.go(bob.id, world.stage("won").id).await;
    for contact in [&ada, &bob] {
        let change = json!({ "id": contact.id, "patch": { "source": "fair" } });
        world.me.call("contacts.update", change).await.unwrap();
    }
    world.settle().await;
    assert!(world.contact_now(ada.id).await.tags.is_empty());
    assert_eq!(world.contact_now(bob.id).await.tags, ["customer"]);
    let contacts: Vec<_> = world.runs_of(rule).await.iter().map(|run| run.contact_id).collect();
    assert!(contacts.iter().all(|contact| *contact == Some(bob.id)), "{contacts:?}");
}

async fn what_a_run_did_is_an_event_for_others(world: World) {
    let first = world
        .rule(json!({ "name": "first", "trigger": "contact.created", "actions": [{ "move_to_stage": "qualified" }] }))
        .await;
    let second = world
        .rule(json!({ "name": "second", "trigger": "stage.changed",
                      "condition": { "stage": "qualified", "event.from_stage": "lead" },
                      "actions": [{ "move_to_stage": "proposal" }] }))
        .await;
    let ada = world.settled("Ada").await;
    assert_eq!(world.stage_of(ada.id).await, "proposal");
    let last =
        world.events(ada.id).await.into_iter().rev().find(|event| event.kind == EventKind::StageChanged).unwrap();
    assert_eq!(last.cause.chain.iter().map(|link| link.rule_id).collect::<Vec<_>>(), [first, second]);
}

async fn a_loop_ends_after_eight_links(world: World) {
    let mut rules = Vec::new();
    for (from, to) in [("lead", "qualified"), ("qualified", "lead")] {
        let rule = json!({ "name": format!("from {from}"), "trigger": "stage.changed", "condition": { "stage": from },
                           "actions": [{ "move_to_stage": to }] });
        rules.push(world.rule(rule).await);
    }
    let ada = world.settled("Ada").await;
    assert_eq!(world.history(ada.id).await.len(), 1);
    world.go(ada.id, world.stage("qualified").id).await;
    world.settle().await;
    let runs = world.runs().await;
    let (last, applied) = runs.split_last().unwrap();
    assert_eq!(applied.iter().map(|run| run.outcome.as_str()).collect::<Vec<_>>(), ["applied"; 8]);
    assert_eq!(last.outcome.as_str(), "refused");
    assert!(last.error.as_ref().unwrap().contains("loop"), "{last:?}");
    // Made, moved by hand, and eight times by the rules.
    assert_eq!(world.history(ada.id).await.len(), 10);
    world.hours(24.0).await;
    assert_eq!(world.runs().await.len(), runs.len());
}

async fn a_move_to_where_the_contact_is_changes_nothing(world: World) {
    let rule = world
        .rule(json!({ "name": "stay", "trigger": "contact.created", "actions": [{ "move_to_stage": "lead" }] }))
        .await;
    let ada = world.settled("Ada").await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    assert_eq!(world.history(ada.id).await.len(), 1);
}

async fn a_deleted_contact_is_left_alone(world: World) {
    let rule =
        world.rule(json!({ "name": "tag", "trigger": "contact.created", "actions": [{ "add_tag": "met" }] })).await;
    let ada = world.contact("Ada").await;
    world.me.call("contacts.delete", json!({ "id": ada.id })).await.unwrap();
    world.settle().await;
    assert!(world.outcomes(rule).await.is_empty());
    let back = world.me.contacts().restore(ada.id.into()).await.unwrap();
    world.settle().await;
    assert!(world.contact_now(back.id).await.tags.is_empty());
}

async fn a_move_into_another_pipeline(world: World) {
    let new = json!({ "name": "Partners", "stages": [{ "name": "met" }, { "name": "signed" }] });
    let partners = world.me.call("pipelines.create", new).await.unwrap();
    world
        .rule(json!({ "name": "over", "trigger": "contact.created", "condition": { "contact.source": "partner" },
                      "actions": [{ "move_to_stage": { "stage": "signed", "pipeline": "Partners" } }] }))
        .await;
    let ada = world.contact_from("Ada", "partner").await;
    world.settle().await;
    let ada = world.contact_now(ada.id).await;
    assert_eq!(json!(ada.pipeline_id), partners["id"]);
    assert_eq!(world.stage_of(ada.id).await, "signed");
}
