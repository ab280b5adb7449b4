//! Rules on messages: the main job, and what is told apart in it.

use chrono::Duration;
use dealwright::{page::PageRequest, testkit::provider::message};
use serde_json::{Value, json};

use crate::{cases, world::World};

cases! {
    a_strangers_first_mail_moves_them_and_tells_the_team,
    only_the_first_response_is_the_first,
    an_automatic_mail_is_no_response,
    what_was_written_before_the_account_was_connected_is_muted,
    a_rule_that_asks_for_old_mail_gets_it,
    facts_of_the_message_and_the_account,
    a_message_that_went_out_is_a_trigger,
    an_answer_does_not_answer_itself,
    what_a_rule_writes_is_nobody_s_work,
}

fn responded() -> Value {
    json!({ "id": "client-responded", "trigger": "message.received", "condition": { "stage": "lead", "is_first_response": true },
            "action": { "move_to_stage": "qualified", "notify_team": true } })
}

async fn a_strangers_first_mail_moves_them_and_tells_the_team(world: World) {
    let account = world.mailbox().await;
    let rule = world.rule(responded()).await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    let told = world.me.notifications().list(PageRequest::default()).await.unwrap().data;
    assert_eq!(told.iter().map(|it| it.contact_id).collect::<Vec<_>>(), [Some(ada.id)]);
}

async fn only_the_first_response_is_the_first(world: World) {
    let account = world.mailbox().await;
    let rule = world.rule(responded()).await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    world.go(ada.id, world.stage("lead").id).await;
    world.receive(account, world.note("ada@globex.example", "Are you there?")).await;
    assert_eq!(world.stage_of(ada.id).await, "lead");
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn an_automatic_mail_is_no_response(world: World) {
    let account = world.mailbox().await;
    let rule = world.rule(responded()).await;
    let mut away = world.note("ada@globex.example", "I am on holiday");
    away.automatic = Some("Auto-Submitted: auto-replied".to_owned());
    let ada = world.receive(account, away).await;
    assert_eq!(world.stage_of(ada.id).await, "lead");
    assert!(world.outcomes(rule).await.is_empty());
    world.receive(account, world.note("ada@globex.example", "Back again")).await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
}

async fn what_was_written_before_the_account_was_connected_is_muted(world: World) {
    let account = world.mailbox().await;
    let rule = world.rule(responded()).await;
    let old = message("old", "ada@globex.example", "Last month", world.env.now() - Duration::days(30));
    let ada = world.receive(account, old).await;
    assert_eq!(world.stage_of(ada.id).await, "lead");
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!(run.outcome.as_str(), "muted");
    assert!(run.error.as_ref().unwrap().contains("backfill"), "{run:?}");
    assert!(world.me.notifications().list(PageRequest::default()).await.unwrap().data.is_empty());
}

async fn a_rule_that_asks_for_old_mail_gets_it(world: World) {
    let account = world.mailbox().await;
    let mut asking = responded();
    asking["causes"] = json!(["backfill"]);
    let rule = world.rule(asking).await;
    let old = message("old", "ada@globex.example", "Last month", world.env.now() - Duration::days(30));
    let ada = world.receive(account, old).await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn facts_of_the_message_and_the_account(world: World) {
    let account = world.mailbox().await;
    let rule = world
        .rule(json!({ "name": "price", "trigger": "message.received",
                      "condition": { "message.text": { "matches": "(?i)\\bprice\\b" }, "message.platform": "email",
                                     "account.handle": "una@acme.example", "message.sender.name": { "exists": true } },
                      "actions": [{ "add_tag": "asks for the price" }] }))
        .await;
    for (from, text) in [("ada@globex.example", "What is the PRICE?"), ("bob@globex.example", "Priceless!")] {
        let mut note = world.note(from, text);
        note.sender.name = Some("Somebody".to_owned());
        let who = world.receive(account, note).await;
        let tags: &[&str] = if from.starts_with("ada") { &["asks for the price"] } else { &[] };
        assert_eq!(who.tags, tags, "{from}");
    }
    let facts = world.runs_of(rule).await.remove(0).facts;
    assert_eq!(facts["message"]["text"], "What is the PRICE?");
    assert_eq!(facts["account"]["platform"], "email");
    assert!(!facts.to_string().contains("secret"), "{facts}");
}

async fn a_message_that_went_out_is_a_trigger(world: World) {
    let account = world.mailbox().await;
    let rule = world
        .rule(json!({ "name": "answered", "trigger": "message.sent", "condition": { "stage": "lead" },
                      "actions": [{ "move_to_stage": "qualified" }] }))
        .await;
    let ada = world.receive(account, world.note("ada@globex.example", "Hello")).await;
    assert_eq!(world.stage_of(ada.id).await, "lead");
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    world.me.call("messages.send", json!({ "chat_id": chat.chat_id, "text": "Hello Ada" })).await.unwrap();
    world.settle().await;
    assert_eq!(world.stage_of(ada.id).await, "qualified");
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn an_answer_does_not_answer_itself(world: World) {
    let account = world.mailbox().await;
    world
        .rule(json!({ "name": "echo", "trigger": "message.sent", "actions": [{ "send_message": { "text": "And another thing" } }] }))
        .await;
    world.receive(account, world.note("ada@globex.example", "Hello")).await;
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    world.me.call("messages.send", json!({ "chat_id": chat.chat_id, "text": "Hello Ada" })).await.unwrap();
    for _ in 0..5 {
        world.hours(1.0).await;
    }
    // The one by hand, and as many as a chain of rules has links.
    assert_eq!(world.provider.outgoing().len(), 9);
    assert_eq!(world.runs().await.last().unwrap().outcome.as_str(), "refused");
}

async fn what_a_rule_writes_is_nobody_s_work(world: World) {
    let account = world.mailbox().await;
    world
        .rule(json!({ "name": "receipt", "trigger": "message.received", "condition": { "is_first_response": true },
                      "actions": [{ "send_message": { "text": "We are on it" } }] }))
        .await;
    world.receive(account, world.note("ada@globex.example", "Hello")).await;
    assert_eq!(world.provider.outgoing().len(), 1);
    // The receipt is no answer, and what answers it replies to nobody: the wait goes on until a person writes.
    world.later(59);
    world.receive(account, world.note("ada@globex.example", "Are you?")).await;
    let chat = world.me.chats().list(Default::default()).await.unwrap().data.remove(0);
    world.later(60);
    world.me.call("messages.send", json!({ "chat_id": chat.chat_id, "text": "Hello Ada" })).await.unwrap();
    world.settle().await;
    let told = world.me.call("analytics.team_performance", json!({})).await.unwrap();
    let counts = ["messages_sent", "replies", "answers"].map(|member| told["total"][member].clone());
    assert_eq!(counts, [json!(1), json!(0), json!(1)]);
    assert_eq!(told["total"]["response_seconds"]["p50"], json!(120.0));
}
