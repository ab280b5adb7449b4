//! Rules that make tasks, and rules that look when one has fallen due.

use chrono::Duration;
use dealwright::{domain::task::Task, services::activities::ListTasks};
use serde_json::json;

use crate::{cases, world::World};

cases! {
    a_rule_makes_a_task_for_whoever_looks_after_the_contact,
    a_task_that_falls_due_is_seen_by_rules_once,
    a_deal_s_task_is_seen_by_rules_about_deals,
}

async fn tasks(world: &World) -> Vec<Task> {
    let input = ListTasks { sort: Some("created_at".into()), ..ListTasks::default() };
    world.me.tasks().list(input).await.unwrap().data
}

async fn a_rule_makes_a_task_for_whoever_looks_after_the_contact(world: World) {
    world
        .rule(json!({ "name": "call", "trigger": "contact.created", "actions": [
            { "assign_to": "owner-of-Acme@people.example" },
            { "create_task": { "title": "Call {{contact.name}}", "due_in_hours": 24, "remind_in_hours": 23.5 } },
            { "create_task": "Look up {{contact.source|nobody}}" } ] }))
        .await;
    let ada = world.settled("Ada").await;
    let [call, look] = &tasks(&world).await[..] else { panic!("two tasks") };
    assert_eq!((call.title.as_str(), call.contact_id, call.assigned_to), ("Call Ada", Some(ada.id), Some(world.una)));
    assert_eq!(call.due_at, Some(call.created_at + Duration::hours(24)));
    assert_eq!(call.remind_at, Some(call.created_at + Duration::minutes(1410)));
    assert_eq!((look.title.as_str(), look.due_at, look.created_by), ("Look up nobody", None, None));
    let event = world.events(ada.id).await.into_iter().find(|it| it.kind.as_str() == "task.created").unwrap();
    assert_eq!(event.cause.chain.len(), 1);
}

async fn a_task_that_falls_due_is_seen_by_rules_once(world: World) {
    let rule = world
        .rule(json!({ "name": "late", "trigger": "task.due", "condition": { "stage": "lead", "event.title": "Call" },
                      "actions": [{ "add_tag": "late" }] }))
        .await;
    world
        .rule(json!({ "name": "call", "trigger": "contact.created",
                      "actions": [{ "create_task": { "title": "Call", "due_in_hours": 2 } }] }))
        .await;
    let ada = world.settled("Ada").await;
    world.hours(1.9).await;
    assert!(world.contact_now(ada.id).await.tags.is_empty());
    world.hours(0.2).await;
    assert_eq!(world.contact_now(ada.id).await.tags, ["late"]);
    world.hours(48.0).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn a_deal_s_task_is_seen_by_rules_about_deals(world: World) {
    let about = |subject: &str, reason: &str| {
        json!({ "name": reason, "trigger": "task.due", "subject": subject,
                "actions": [{ "notify_team": { "text": reason } }] })
    };
    let (of_deal, of_contact) =
        (world.rule(about("deal", "a deal")).await, world.rule(about("contact", "nobody")).await);
    world
        .rule(json!({ "name": "offer", "trigger": "deal.created",
                      "actions": [{ "create_task": { "title": "Offer", "due_in_hours": 1 } }] }))
        .await;
    let ada = world.settled("Ada").await;
    let new = serde_json::from_value(json!({ "name": "Licence", "contact_id": ada.id })).unwrap();
    let deal = world.me.deals().create(new).await.unwrap();
    world.settle().await;
    let [offer] = &tasks(&world).await[..] else { panic!("one task") };
    assert_eq!((offer.deal_id, offer.contact_id), (Some(deal.id), None));
    world.hours(1.0).await;
    assert_eq!((world.outcomes(of_deal).await, world.outcomes(of_contact).await), (vec!["applied"], vec![]));
}
