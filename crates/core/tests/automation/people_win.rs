//! Somebody acts while a rule is being asked: what they did stands.

use dealwright::{
    Handle,
    domain::rule::Action,
    id::{ContactId, StageId},
    services::contacts::MoveContact,
};
use serde_json::json;

use crate::{cases, world::World};

cases! {
    a_move_by_hand_makes_the_rules_move_stale,
    an_edit_by_hand_is_kept_beside_the_rules,
}

/// Waits for `work` in the middle of a rule's evaluation, which is no async code.
fn meanwhile<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

fn to_qualified(world: &World) -> Vec<Action> {
    let stages = vec![world.stage("qualified").id];
    vec![Action::MoveToStage { name: "qualified".to_owned(), stages, pipeline_id: None }]
}

async fn by_hand(me: &Handle, contact: ContactId, stage: StageId) {
    let to = MoveContact { contact_id: contact, stage_id: stage, reason: None, if_version: None };
    me.contacts().move_to(to).await.unwrap();
}

async fn a_move_by_hand_makes_the_rules_move_stale(world: World) {
    let rule = world.rule(json!({ "name": "on", "engine": "scripted" })).await;
    let (me, lost, wanted) = (world.me.clone(), world.stage("lost").id, to_qualified(&world));
    let ada = world.contact("Ada").await;
    let (contact, mut asked) = (ada.id, 0);
    world.script.does(move |_| {
        asked += 1;
        if asked == 1 {
            meanwhile(by_hand(&me, contact, lost));
        }
        Ok(wanted.clone())
    });
    world.settle().await;
    assert_eq!(world.stage_of(ada.id).await, "lost");
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.outcome.as_str(), "stale");
    assert!(run.error.as_ref().unwrap().contains("moved"), "{run:?}");
    assert_eq!(world.history(ada.id).await.len(), 2);
    assert_eq!(world.rule_now(rule).await.failures, 0, "being late is no failure");
}

async fn an_edit_by_hand_is_kept_beside_the_rules(world: World) {
    let rule = world.rule(json!({ "name": "on", "engine": "scripted" })).await;
    let (me, wanted) = (world.me.clone(), to_qualified(&world));
    let ada = world.contact("Ada").await;
    let (contact, mut seen) = (ada.id, Vec::new());
    world.script.does(move |facts| {
        seen.push(facts.contact["name"].clone());
        if seen.len() == 1 {
            let change = json!({ "id": contact, "patch": { "name": "Ada L." } });
            meanwhile(me.call("contacts.update", change)).unwrap();
        } else {
            assert_eq!(seen, ["Ada", "Ada L."], "the second try sees what was edited");
        }
        Ok(wanted.clone())
    });
    world.settle().await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    assert_eq!(world.contact_now(ada.id).await.name, "Ada L.");
    // Once for the contact's making; its edit is no trigger of this rule.
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}
