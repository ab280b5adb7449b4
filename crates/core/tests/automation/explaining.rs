//! Why a contact is where it is.

use dealwright::services::automation::{Explain, Explanation};
use serde_json::json;

use crate::{
    cases,
    world::{World, refused},
};

cases! {
    made_by_hand,
    moved_by_hand,
    came_in_by_a_message,
    moved_by_a_chain_of_rules,
    moved_by_a_rule_that_is_gone,
    the_contacts_of_others_are_not_explained,
}

async fn explain(world: &World, contact: dealwright::id::ContactId) -> Explanation {
    world.me.rules().explain(Explain { contact_id: Some(contact), deal_id: None }).await.unwrap()
}

async fn made_by_hand(world: World) {
    let ada = world.settled("Ada").await;
    let why = explain(&world, ada.id).await;
    assert_eq!((why.summary.as_str(), why.chain.len()), ("made here by hand", 0));
    assert_eq!(why.entry.id, ada.stage_entry_id);
}

async fn moved_by_hand(world: World) {
    let ada = world.settled("Ada").await;
    world.go(ada.id, world.stage("won").id).await;
    let why = explain(&world, ada.id).await;
    assert_eq!((why.summary.as_str(), why.chain.len()), ("moved by hand", 0));
    assert_eq!((why.entry.from_stage_id, why.entry.to_stage_id), (Some(world.stage("lead").id), world.stage("won").id));
}

async fn came_in_by_a_message(world: World) {
    let account = world.mailbox().await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    assert_eq!(explain(&world, ada.id).await.summary, "came in by a message");
}

async fn moved_by_a_chain_of_rules(world: World) {
    let account = world.mailbox().await;
    let first = world
        .rule(json!({ "name": "responded", "trigger": "message.received", "condition": { "stage": "lead" },
                      "actions": [{ "move_to_stage": "qualified" }] }))
        .await;
    let second = world
        .rule(json!({ "name": "onwards", "trigger": "stage.changed", "condition": { "stage": "qualified" },
                      "actions": [{ "move_to_stage": "proposal" }] }))
        .await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    let why = explain(&world, ada.id).await;
    assert_eq!(why.summary, "stage.changed → rule onwards v1 → this stage");
    let chain: Vec<_> = why.chain.iter().map(|link| (link.rule_id, link.event_kind.as_deref().unwrap())).collect();
    assert_eq!(chain, [(second, "stage.changed"), (first, "message.received")]);
    assert_eq!(why.chain[1].facts["message"]["text"], "Hello");
    assert_eq!(why.chain[1].actions[0]["move_to_stage"]["name"], "qualified");
    assert!(why.chain.iter().all(|link| link.occurred_at.is_some()));
}

async fn moved_by_a_rule_that_is_gone(world: World) {
    let rule = world
        .rule(json!({ "name": "on", "trigger": "contact.created", "actions": [{ "move_to_stage": "qualified" }] }))
        .await;
    let ada = world.settled("Ada").await;
    world.me.rules().delete(rule.into()).await.unwrap();
    let why = explain(&world, ada.id).await;
    assert_eq!(why.summary, "contact.created → rule (removed) v1 → this stage");
    assert_eq!((why.chain[0].rule_id, why.chain[0].rule_name.as_ref()), (rule, None));
}

async fn the_contacts_of_others_are_not_explained(world: World) {
    let ada = world.settled("Ada").await;
    let (_, other) = world.other_organization().await;
    refused(other.rules().explain(Explain { contact_id: Some(ada.id), deal_id: None }).await, 404, "not_found");
}
