//! What people did: messages, replies, how long contacts waited, deals won.

use chrono::Duration;
use dealwright::{
    Handle,
    id::{ChatId, ContactId, UserId},
    ports::connector::Incoming,
    scope::Role,
    services::{
        analytics::{Performance, PerformanceQuery, ResponseTimes, TeamPerformance},
        messaging::SendMessage,
    },
    testkit::provider::message,
};
use serde_json::{Value, json};

use crate::{
    harness::cases,
    world::{ADA, UNA, World, at, note, refused},
};

cases![
    each_member_has_what_they_sent_and_what_came_of_it,
    percentiles_are_waits_that_there_were,
    a_wait_begins_with_the_oldest_message_in_whatever_order_they_come,
    history_and_machines_wait_for_nothing,
    what_is_taken_in_late_fakes_no_times,
    an_answer_written_elsewhere_is_nobodys,
    a_scheduled_message_counts_when_it_goes,
    what_was_not_sent_counts_for_nothing,
    won_deals_are_those_of_the_period,
    teams_and_members_are_told_alone,
    another_organisations_members_and_teams_do_not_exist,
    a_period_is_checked_as_elsewhere,
];

async fn told(world: &World, query: Value) -> TeamPerformance {
    let query: PerformanceQuery = serde_json::from_value(query).unwrap();
    world.me.analytics().team_performance(query).await.unwrap()
}

/// What one member did of late.
async fn of(world: &World, user: UserId) -> Performance {
    let told = told(world, json!({})).await;
    told.data.into_iter().find(|line| line.user_id == user).unwrap().performance
}

/// Messages sent, replies and answers.
fn counts(it: &Performance) -> (i64, i64, i64) {
    (it.messages_sent, it.replies, it.answers)
}

fn times(p50: f64, p90: f64, p95: f64) -> Option<ResponseTimes> {
    Some(ResponseTimes { p50, p90, p95 })
}

/// A message of Ada's, written this many seconds after noon and taken in now.
async fn ada(world: &World, id: &str, seconds: i64) -> ChatId {
    world.receive([note(id, at(seconds))]).await.unwrap();
    world.chats().await.into_iter().find(|chat| chat.contact.as_ref().is_some_and(|it| it.name == ADA)).unwrap().chat_id
}

/// Sends a text at this many seconds after noon.
async fn send(world: &World, me: &Handle, chat: ChatId, seconds: i64) {
    world.clock.set(at(seconds));
    let new = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    me.messages().send(new).await.unwrap();
    world.drain().await;
}

/// A member who may write from the account.
async fn bob(world: &World) -> (UserId, Handle) {
    let patch = json!({ "id": world.account, "patch": { "visibility": "organization" } });
    world.me.call("accounts.update", patch).await.unwrap();
    world.member("bob", Role::Member).await
}

async fn each_member_has_what_they_sent_and_what_came_of_it(world: World) {
    let (bob, his) = bob(&world).await;
    world.clock.set(at(100));
    let chat = ada(&world, "1", 10).await;
    // Una answers after 110 s; a second message of hers answers nothing.
    send(&world, &world.me, chat, 120).await;
    send(&world, &world.me, chat, 130).await;
    // Two messages in a row are one reply, to her; Bob answers 40 s after the first.
    world.clock.set(at(200));
    ada(&world, "2", 150).await;
    ada(&world, "3", 160).await;
    send(&world, &his, chat, 190).await;
    world.clock.set(at(300));
    ada(&world, "4", 250).await;
    let told = told(&world, json!({})).await;
    let lines: Vec<_> = told.data.iter().map(|it| (it.user_id, counts(&it.performance))).collect();
    assert_eq!(lines, [(world.una, (2, 1, 1)), (bob, (1, 1, 1))]);
    assert_eq!(told.data[0].performance.response_seconds, times(110.0, 110.0, 110.0));
    assert_eq!(told.data[1].performance.response_seconds, times(40.0, 40.0, 40.0));
    assert_eq!((counts(&told.total), told.total.response_seconds), ((3, 2, 2), times(40.0, 110.0, 110.0)));
    assert_eq!((told.to - told.from, told.next_cursor), (Duration::days(90), None));
}

async fn percentiles_are_waits_that_there_were(world: World) {
    world.clock.set(at(100_000));
    let first = ada(&world, "0", 0).await;
    send(&world, &world.me, first, 100_000).await;
    // Waits of 1 s to 19 s beside that one: the tenth, eighteenth and nineteenth of twenty.
    for wait in 1..20 {
        let asked = 100_000 + wait * 100;
        world.clock.set(at(asked));
        ada(&world, &wait.to_string(), asked).await;
        send(&world, &world.me, first, asked + wait).await;
    }
    let mine = of(&world, world.una).await;
    assert_eq!((counts(&mine), mine.response_seconds), ((20, 19, 20), times(10.0, 18.0, 19.0)));
}

async fn a_wait_begins_with_the_oldest_message_in_whatever_order_they_come(world: World) {
    world.clock.set(at(100));
    let chat = ada(&world, "second", 50).await;
    ada(&world, "first", 20).await;
    ada(&world, "third", 80).await;
    send(&world, &world.me, chat, 100).await;
    assert_eq!(of(&world, world.una).await.response_seconds, times(80.0, 80.0, 80.0));
}

async fn history_and_machines_wait_for_nothing(world: World) {
    // Written before the account was connected.
    let chat = ada(&world, "old", -864_000).await;
    world.clock.set(at(50));
    world.receive([Incoming { automatic: Some("auto-replied".into()), ..note("absent", at(20)) }]).await.unwrap();
    send(&world, &world.me, chat, 60).await;
    world.clock.set(at(100));
    world.receive([Incoming { automatic: Some("auto-replied".into()), ..note("away", at(70)) }]).await.unwrap();
    let mine = of(&world, world.una).await;
    assert_eq!((counts(&mine), mine.response_seconds), ((1, 0, 0), None));
}

async fn what_is_taken_in_late_fakes_no_times(world: World) {
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    send(&world, &world.me, chat, 30).await;
    // Written before that answer, taken in an hour later: nobody waited an hour for the next one.
    world.clock.set(at(3600));
    ada(&world, "late", 20).await;
    send(&world, &world.me, chat, 3700).await;
    let mine = of(&world, world.una).await;
    assert_eq!((counts(&mine), mine.response_seconds), ((2, 0, 1), times(20.0, 20.0, 20.0)));
}

async fn an_answer_written_elsewhere_is_nobodys(world: World) {
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    world.clock.set(at(20));
    let elsewhere = Incoming { chat: Some(ADA.into()), ..message("2", UNA, "From my telephone", at(15)) };
    world.receive([elsewhere]).await.unwrap();
    send(&world, &world.me, chat, 5000).await;
    let mine = of(&world, world.una).await;
    assert_eq!((counts(&mine), mine.response_seconds), ((1, 0, 0), None));
}

async fn a_scheduled_message_counts_when_it_goes(world: World) {
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    let new =
        SendMessage { chat_id: Some(chat), text: "Later".into(), send_at: Some(at(500)), ..SendMessage::default() };
    world.me.messages().send(new).await.unwrap();
    world.drain().await;
    assert_eq!(counts(&of(&world, world.una).await), (0, 0, 0));
    world.clock.set(at(500));
    world.drain().await;
    assert_eq!(of(&world, world.una).await.response_seconds, times(490.0, 490.0, 490.0));
    assert_eq!(told(&world, json!({ "to": at(500) })).await.total, Performance::default());
    assert_eq!(told(&world, json!({ "from": at(500) })).await.total.messages_sent, 1);
}

async fn what_was_not_sent_counts_for_nothing(world: World) {
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    let sent = world.send(chat, "Hi").await;
    assert_eq!(counts(&of(&world, world.una).await), (0, 0, 0));
    world.me.messages().cancel(sent.id).await.unwrap();
    world.drain().await;
    assert_eq!(counts(&of(&world, world.una).await), (0, 0, 0));
    // The contact waits on.
    send(&world, &world.me, chat, 70).await;
    assert_eq!(of(&world, world.una).await.response_seconds, times(60.0, 60.0, 60.0));
}

/// A deal that is in a stage from now on.
async fn deal(world: &World, stage: &str, amount: Option<&str>, assigned_to: Option<UserId>) -> Value {
    let value = amount.map(|amount| json!({ "amount": amount, "currency": "EUR" }));
    let stage = world.stage(stage).id;
    let new = json!({ "name": "D", "stage_id": stage, "value": value, "assigned_to": assigned_to });
    world.me.call("deals.create", new).await.unwrap()
}

async fn won_deals_are_those_of_the_period(world: World) {
    let una = Some(world.una);
    deal(&world, "won", Some("100"), una).await;
    world.clock.set(at(100));
    deal(&world, "won", Some("10.50"), una).await;
    let reopened = deal(&world, "won", Some("1000"), una).await;
    deal(&world, "won", None, una).await;
    deal(&world, "won", Some("5"), None).await;
    deal(&world, "lost", Some("77"), una).await;
    deal(&world, "lead", Some("88"), una).await;
    let dollars = json!({ "name": "$", "stage_id": world.stage("won").id, "assigned_to": una,
        "value": { "amount": "3", "currency": "USD" } });
    world.me.call("deals.create", dollars).await.unwrap();
    let gone = deal(&world, "won", Some("9"), una).await;
    world.me.call("deals.delete", json!({ "id": gone["id"] })).await.unwrap();
    let back = json!({ "id": reopened["id"], "patch": { "stage_id": world.stage("lead").id } });
    world.me.call("deals.move", back).await.unwrap();
    let told = told(&world, json!({ "from": at(1) })).await;
    let mine = &told.data[0].performance;
    assert_eq!(mine.deals_won, 3);
    assert_eq!(
        json!(mine.won_value),
        json!([{ "amount": "10.50", "currency": "EUR", "count": 1 }, { "amount": "3.00", "currency": "USD", "count": 1 }])
    );
    assert_eq!(told.total.deals_won, 4);
    assert_eq!(json!(told.total.won_value[0]), json!({ "amount": "15.50", "currency": "EUR", "count": 2 }));
}

async fn teams_and_members_are_told_alone(world: World) {
    let (bob, his) = bob(&world).await;
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    send(&world, &world.me, chat, 20).await;
    world.clock.set(at(30));
    ada(&world, "2", 30).await;
    send(&world, &his, chat, 60).await;
    deal(&world, "won", Some("1"), Some(bob)).await;
    deal(&world, "won", Some("2"), Some(world.una)).await;
    let team = world.me.call("teams.create", json!({ "name": "North" })).await.unwrap();
    world.me.call("teams.add_member", json!({ "id": team["id"], "user_id": bob })).await.unwrap();
    for query in [json!({ "user_id": bob }), json!({ "team_id": team["id"] })] {
        let told = told(&world, query).await;
        let [line] = &told.data[..] else { panic!("one member") };
        assert_eq!((line.user_id, &line.performance), (bob, &told.total));
        assert_eq!((counts(&told.total), told.total.response_seconds), ((1, 0, 1), times(30.0, 30.0, 30.0)));
        assert_eq!(json!(told.total.won_value), json!([{ "amount": "1.00", "currency": "EUR", "count": 1 }]));
    }
    let nobody = told(&world, json!({ "user_id": world.una, "team_id": team["id"] })).await;
    assert_eq!((nobody.data.len(), nobody.total), (0, Performance::default()));
    // Who has left has no line, and their work is in the sum of all.
    world.me.call("members.remove", json!({ "id": bob })).await.unwrap();
    let told = told(&world, json!({})).await;
    assert_eq!((told.data.len(), counts(&told.data[0].performance)), (1, (1, 1, 1)));
    assert_eq!(counts(&told.total), (2, 1, 2));
}

async fn another_organisations_members_and_teams_do_not_exist(world: World) {
    world.clock.set(at(10));
    let chat = ada(&world, "1", 10).await;
    send(&world, &world.me, chat, 20).await;
    let team = world.me.call("teams.create", json!({ "name": "North" })).await.unwrap();
    let (_, them) = world.other_organization().await;
    let ask = async |query: Value| them.call("analytics.team_performance", query).await;
    refused(ask(json!({ "user_id": world.una })).await, 404, "not_found");
    refused(ask(json!({ "team_id": team["id"] })).await, 404, "not_found");
    let theirs = ask(json!({})).await.unwrap();
    assert_eq!((theirs["data"].as_array().unwrap().len(), &theirs["total"]["messages_sent"]), (1, &json!(0)));
    let ghost: ContactId = world.env.id().unwrap();
    refused(ask(json!({ "user_id": ghost })).await, 404, "not_found");
}

async fn a_period_is_checked_as_elsewhere(world: World) {
    let query = PerformanceQuery { from: Some(at(0)), to: Some(at(0)), ..Default::default() };
    refused(world.me.analytics().team_performance(query).await, 400, "invalid_parameter");
}
