//! Runs that fail: nothing of them is applied, they are recorded, and a rule that keeps failing is paused.

use dealwright::{
    Crm, Error, Registry,
    domain::rule::{Action, Assignee},
    page::PageRequest,
    scope::Role,
};
use dealwright_rules::declarative::Declarative;
use serde_json::{Value, json};

use crate::{cases, world::World};

cases! {
    of_a_run_that_fails_nothing_is_applied,
    a_rule_that_fails_keeps_no_other_from_running,
    an_answer_needs_a_chat,
    an_assignee_who_is_no_member,
    an_evaluation_that_fails,
    a_rule_of_an_engine_that_this_process_lacks,
    after_ten_failures_in_a_row_a_rule_is_paused,
    of_a_rule_whose_author_has_left_owners_and_admins_hear,
    a_run_that_succeeds_ends_the_row,
    a_row_is_ended_by_the_next_event_at_once,
    a_paused_rule_starts_anew_when_switched_on,
}

/// Fails in pipelines that have no stage of this name.
fn over(name: &str, position: i64) -> Value {
    json!({ "name": name, "trigger": "contact.created", "position": position,
            "condition": { "contact.source": "partner" },
            "actions": [{ "add_tag": name }, { "notify_team": true }, { "move_to_stage": "signed" }] })
}

async fn with_partners(world: &World) {
    let new = json!({ "name": "Partners", "stages": [{ "name": "met" }, { "name": "signed" }] });
    world.me.call("pipelines.create", new).await.unwrap();
}

/// ASVS 2.3.3 and 16.5.3.
async fn of_a_run_that_fails_nothing_is_applied(world: World) {
    with_partners(&world).await;
    let rule = world.rule(over("over", 0)).await;
    let ada = world.contact_from("Ada", "partner").await;
    let before = world.contact_now(ada.id).await;
    world.settle().await;
    assert_eq!(world.contact_now(ada.id).await, before);
    assert!(world.me.notifications().list(PageRequest::default()).await.unwrap().data.is_empty());
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.outcome.as_str(), "failed");
    assert!(run.error.as_ref().unwrap().contains("signed"), "{run:?}");
    assert_eq!(run.actions.as_array().unwrap().len(), 3);
    assert_eq!(world.rule_now(rule).await.failures, 1);
    world.hours(1.0).await;
    assert_eq!(world.outcomes(rule).await, ["failed"], "it is not tried again");
}

async fn a_rule_that_fails_keeps_no_other_from_running(world: World) {
    with_partners(&world).await;
    world.rule(over("first", 1)).await;
    world.rule(json!({ "name": "second", "trigger": "contact.created", "position": 2, "actions": [{ "add_tag": "second" }] })).await;
    let ada = world.contact_from("Ada", "partner").await;
    world.settle().await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["second"]);
}

async fn an_answer_needs_a_chat(world: World) {
    let rule = world
        .rule(json!({ "name": "hello", "trigger": "contact.created", "actions": [{ "send_message": { "text": "Hello" } }] }))
        .await;
    world.settled("Ada").await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.outcome.as_str(), "failed");
    assert!(run.error.as_ref().unwrap().contains("chat"), "{run:?}");
    assert!(world.provider.outgoing().is_empty());
}

async fn an_assignee_who_is_no_member(world: World) {
    let (_, other) = world.other_organization().await;
    let stranger = other.scope().user_id().unwrap();
    world.script.does(move |_| Ok(vec![Action::AddTag("a".to_owned()), Action::AssignTo(Assignee::User(stranger))]));
    let rule = world.rule(json!({ "name": "to", "engine": "scripted" })).await;
    let ada = world.settled("Ada").await;
    assert_eq!(world.outcomes(rule).await, ["failed"]);
    assert_eq!((ada.assigned_to, ada.tags.len()), (None, 0));
}

async fn an_evaluation_that_fails(world: World) {
    world.script.does(|_| Err(Error::conflict("too_long", "the script used up its fuel")));
    let rule = world.rule(json!({ "name": "long", "engine": "scripted" })).await;
    world.settled("Ada").await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.outcome.as_str(), &run.actions), ("failed", &json!([])));
    assert!(run.error.as_ref().unwrap().contains("fuel"), "{run:?}");
    assert_eq!(world.rule_now(rule).await.failures, 1);
}

async fn a_rule_of_an_engine_that_this_process_lacks(world: World) {
    let lost = world.rule(json!({ "name": "lost", "engine": "scripted" })).await;
    world.rule(json!({ "name": "tag", "trigger": "contact.created", "actions": [{ "add_tag": "tagged" }] })).await;
    let ada = world.contact("Ada").await;
    let mut registry = Registry::new();
    registry.rule_engine(Declarative);
    let lacking = Crm::builder().store(world.store.clone()).env(world.env.clone()).registry(registry).build().await;
    lacking.unwrap().runtime().drain().await.unwrap();
    assert_eq!(world.contact_now(ada.id).await.tags, ["tagged"]);
    let [run] = &world.runs_of(lost).await[..] else { panic!() };
    assert_eq!(run.outcome.as_str(), "failed");
    assert!(run.error.as_ref().unwrap().contains("scripted"), "{run:?}");
}

async fn after_ten_failures_in_a_row_a_rule_is_paused(world: World) {
    with_partners(&world).await;
    let rule = world.rule(over("over", 0)).await;
    for number in 0..12 {
        world.contact_from(&format!("Contact {number}"), "partner").await;
        world.settle().await;
    }
    assert_eq!(world.outcomes(rule).await, ["failed"; 10]);
    let paused = world.rule_now(rule).await;
    assert!(!paused.enabled);
    assert!(paused.paused_reason.as_ref().unwrap().contains("signed"), "{paused:?}");
    let told = world.me.notifications().list(PageRequest::default()).await.unwrap().data;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind.as_str(), told[0].rule_id), ("rule.paused", Some(rule)));
    assert_eq!(told[0].title, "Rule over was paused");
}

async fn of_a_rule_whose_author_has_left_owners_and_admins_hear(world: World) {
    with_partners(&world).await;
    let (ann, anns) = world.member("ann", Role::Admin).await;
    let (_, bo) = world.member("bo", Role::Admin).await;
    let (_, cy) = world.member("cy", Role::Manager).await;
    anns.call("rules.create", over("over", 0)).await.unwrap();
    world.me.call("members.remove", json!({ "id": ann })).await.unwrap();
    for number in 0..10 {
        world.contact_from(&format!("Contact {number}"), "partner").await;
        world.settle().await;
    }
    for (who, count) in [(&world.me, 1), (&bo, 1), (&cy, 0)] {
        let told = who.notifications().list(PageRequest::default()).await.unwrap().data;
        assert_eq!(told.iter().filter(|it| it.kind == "rule.paused").count(), count, "{told:?}");
    }
}

async fn a_run_that_succeeds_ends_the_row(world: World) {
    with_partners(&world).await;
    let stages = world.me.call("pipelines.list", json!({})).await.unwrap();
    let partners = stages["data"].as_array().unwrap().iter().find(|it| it["name"] == "Partners").unwrap();
    let mut anywhere = over("over", 0);
    anywhere["trigger"] = json!("contact.updated");
    let rule = world.rule(anywhere).await;
    let inside = world.contact_from("Inside", "web").await;
    world.go(inside.id, partners["stages"][0]["id"].as_str().unwrap().parse().unwrap()).await;
    let outside = world.contact_from("Outside", "partner").await;
    world.settle().await;
    for number in 0..9 {
        let change = json!({ "id": outside.id, "patch": { "name": format!("Outside {number}") } });
        world.me.call("contacts.update", change).await.unwrap();
        world.settle().await;
    }
    assert_eq!(world.rule_now(rule).await.failures, 9);
    let change = json!({ "id": inside.id, "patch": { "source": "partner" } });
    world.me.call("contacts.update", change).await.unwrap();
    // Another process counts with this one.
    let (second, _) = world.second_engine().await;
    second.runtime().drain().await.unwrap();
    let now = world.rule_now(rule).await;
    assert_eq!((now.failures, now.enabled), (0, true));
    assert_eq!(now.version, 1, "counting is no save");
}

async fn a_row_is_ended_by_the_next_event_at_once(world: World) {
    let mut asked = 0;
    world.script.does(move |_| {
        asked += 1;
        match asked % 2 {
            0 => Ok(vec![Action::RemoveTag("none".to_owned())]),
            _ => Err(Error::conflict("too_long", "the script used up its fuel")),
        }
    });
    let rule = world.rule(json!({ "name": "every other", "engine": "scripted", "trigger": "contact.updated" })).await;
    let ada = world.contact("Ada").await;
    for number in 0..30 {
        let change = json!({ "id": ada.id, "patch": { "name": format!("Ada {number}") } });
        world.me.call("contacts.update", change).await.unwrap();
    }
    // All of them are taken at once.
    world.settle().await;
    assert_eq!(world.outcomes(rule).await, ["failed", "applied"].repeat(15));
    let now = world.rule_now(rule).await;
    assert_eq!((now.failures, now.enabled), (0, true));
}

async fn a_paused_rule_starts_anew_when_switched_on(world: World) {
    with_partners(&world).await;
    let rule = world.rule(over("over", 0)).await;
    for number in 0..10 {
        world.contact_from(&format!("Contact {number}"), "partner").await;
    }
    world.settle().await;
    assert!(!world.rule_now(rule).await.enabled);
    world.edit(rule, json!({ "enabled": true, "actions": [{ "add_tag": "over" }] })).await;
    let now = world.rule_now(rule).await;
    assert_eq!((now.enabled, now.failures, now.paused_reason), (true, 0, None));
    let ada = world.contact_from("Ada", "partner").await;
    world.settle().await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["over"]);
}
