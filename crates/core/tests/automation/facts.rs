//! What rules know: every trigger has the facts that its event settles, and those of the contact, the account and the
//! present.

use chrono::Duration;
use dealwright::domain::account::AccountStatus;
use serde_json::{Value, json};

use crate::{cases, world::World};

cases! {
    every_trigger_has_its_facts,
}

async fn every_trigger_has_its_facts(world: World) {
    // What holds of each trigger when a contact has written, was answered and moved, at three in the afternoon.
    let of_contact = json!({ "has_response": true, "contact.source": { "exists": true }, "now.hour": [12, 13, 14, 15],
                             "now.weekday": "sun", "event.cause": { "exists": false }, "event.at": { "gte": "2026-11-22T12:00:00Z" } });
    let of_message = json!({ "account.status": { "exists": true }, "account.platform": "email", "message.platform": "email",
                             "hours_since_last_message": { "lt": 1 }, "hours_since_last_response": { "gte": 0 } });
    let rules = [
        (
            "message.received",
            "contact",
            json!({ "all": [of_contact, of_message], "is_first_response": true, "event.kind": "message.received",
                                     "message.direction": "incoming", "message.automatic": false }),
        ),
        (
            "message.sent",
            "contact",
            json!({ "all": [of_contact, of_message], "is_first_response": false, "message.text": "Hello Ada",
                                 "event.status": "sent" }),
        ),
        (
            "contact.created",
            "contact",
            json!({ "now.hour": 12, "contact.name": "Bob", "is_first_response": false, "has_response": false,
                                    "hours_since_last_message": { "exists": false }, "message.text": { "exists": false } }),
        ),
        (
            "contact.updated",
            "contact",
            json!({ "all": [of_contact], "event.changed": "source", "hours_since_last_message": { "gte": 0 } }),
        ),
        (
            "stage.changed",
            "contact",
            json!({ "all": [of_contact], "event.from_stage": "lead", "event.to_stage": "qualified",
                                  "stage": "qualified", "elapsed_hours": { "lt": 1 } }),
        ),
        (
            "task.due",
            "contact",
            json!({ "all": [of_contact], "event.title": "Call", "hours_since_last_response": { "gte": 1 } }),
        ),
        (
            "time_elapsed",
            "contact",
            json!({ "all": [of_contact], "stage": "qualified", "elapsed_hours": 2, "hours_since_last_message": 1,
                                 "hours_since_last_response": 1, "event.kind": "time.elapsed" }),
        ),
        (
            "schedule",
            "contact",
            json!({ "all": [of_contact], "hours_since_last_message": { "gt": 1 }, "event.kind": "schedule.due",
                             "account.status": { "exists": false } }),
        ),
        ("deal.created", "deal", json!({ "all": [of_contact], "deal.status": "open" })),
        ("deal.updated", "deal", json!({ "all": [of_contact], "event.changed": ["probability"] })),
        ("deal.won", "deal", json!({ "all": [of_contact], "deal.status": "won", "stage": "won" })),
        ("deal.lost", "deal", json!({ "all": [of_contact], "deal.status": "lost", "deal.lost_reason": "price" })),
        (
            "account.status_changed",
            "organization",
            json!({ "account.status": "limited", "event.status": "limited", "now.hour": [12, 13],
                                                "account.handle": "una@acme.example" }),
        ),
    ];
    let mut saved = Vec::new();
    for (trigger, subject, condition) in rules {
        let when = match trigger {
            "schedule" => json!({ "on": "schedule", "cron": "45 14 * * *" }),
            trigger => json!(trigger),
        };
        let rule = json!({ "name": trigger, "trigger": when, "subject": subject, "condition": condition, "action": { "notify_team": true } });
        saved.push((trigger, world.rule(rule).await));
    }
    let account = world.mailbox().await;
    let mut note = world.note("ada@globex.example", "Hello");
    note.sender.name = Some("Ada".to_owned());
    let ada = world.receive(account, note).await;
    let ask = async |operation: &str, input: Value| {
        world.later(1);
        let answer = world.me.call(operation, input).await.unwrap();
        world.settle().await;
        answer
    };
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    ask("messages.send", json!({ "chat_id": chat.chat_id, "text": "Hello Ada" })).await;
    ask("contacts.create", json!({ "name": "Bob" })).await;
    ask("contacts.update", json!({ "id": ada.id, "patch": { "source": "fair" } })).await;
    ask("contacts.move", json!({ "contact_id": ada.id, "stage_id": world.stage("qualified").id })).await;
    let due = world.env.now() + Duration::minutes(90);
    ask("tasks.create_for_contact", json!({ "contact_id": ada.id, "title": "Call", "due_at": due })).await;
    let deal = ask("deals.create", json!({ "name": "Licence", "contact_id": ada.id })).await["id"].clone();
    ask("deals.update", json!({ "id": deal, "patch": { "probability": 0.5 } })).await;
    for (stage, reason) in [("won", Value::Null), ("lost", json!("price"))] {
        let patch = json!({ "stage_id": world.stage(stage).id, "reason": reason });
        ask("deals.move", json!({ "id": deal, "patch": patch })).await;
    }
    let inbox = world.crm.inbox(world.organization, account).await.unwrap();
    inbox.status(AccountStatus::Limited, Some("slow down".to_owned())).await.unwrap();
    world.settle().await;
    for _ in 0..5 {
        world.hours(0.6).await;
    }
    for (trigger, rule) in saved {
        assert_eq!(world.outcomes(rule).await, ["applied"], "{trigger}");
    }
}
