//! What messages mean for their contact: first and last response, last message; and what history means.

use dealwright::{
    domain::event::EventKind,
    ports::connector::Incoming,
    services::messaging::{ListChats, SendMessage},
    testkit::provider::message,
};

use crate::{
    harness::cases,
    world::{ADA, World, at, noon, note},
};

cases![
    the_first_response_is_the_first_message_ever,
    what_a_machine_wrote_is_no_response,
    a_first_response_follows_what_a_machine_wrote,
    stamps_never_go_back,
    a_sent_message_is_a_last_message_and_no_response,
    activity_changes_no_version,
    history_is_taken_in_quietly,
    history_and_news_of_one_step_have_their_own_causes,
    history_is_a_response_all_the_same,
    a_clock_that_is_a_little_late_makes_no_history,
];

fn automatic(id: &str, seconds: i64) -> Incoming {
    Incoming { automatic: Some("auto-replied".into()), ..note(id, at(seconds)) }
}

/// Of every message of the one contact, oldest first: whether it was the first response, and the cause's word.
async fn received(world: &World) -> Vec<(bool, Option<String>)> {
    let ada = world.contacts().await.remove(0);
    let events = world.events_about(ada.id, EventKind::MessageReceived).await;
    events.into_iter().map(|it| (it.data["is_first_response"] == true, it.cause.quiet)).collect()
}

async fn the_first_response_is_the_first_message_ever(world: World) {
    world.later(60);
    world.receive([note("1", at(10)), note("2", at(20))]).await.unwrap();
    world.receive([note("3", at(30))]).await.unwrap();
    let ada = world.contacts().await.remove(0);
    assert_eq!(ada.first_response_at, Some(at(10)));
    assert_eq!((ada.last_response_at, ada.last_message_at), (Some(at(30)), Some(at(30))));
    assert_eq!(received(&world).await, [(true, None), (false, None), (false, None)]);
    let events = world.events_about(ada.id, EventKind::MessageReceived).await;
    let stamp = |n: usize| events[n].changes.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(stamp(0), ["first_response_at", "last_message_at", "last_response_at"]);
    assert_eq!(stamp(2), ["last_message_at", "last_response_at"]);
    assert_eq!(events[2].occurred_at, at(30));
}

async fn what_a_machine_wrote_is_no_response(world: World) {
    world.later(60);
    world.receive([automatic("1", 10)]).await.unwrap();
    let ada = world.contacts().await.remove(0);
    assert_eq!((ada.first_response_at, ada.last_response_at, ada.last_message_at), (None, None, Some(at(10))));
    assert_eq!(received(&world).await, [(false, None)]);
    let chat = world.chats().await.remove(0);
    let kept = world.messages(chat.chat_id).await.remove(0);
    assert_eq!((kept.metadata["automatic"].as_str(), chat.unread_count), (Some("auto-replied"), 1));
}

async fn a_first_response_follows_what_a_machine_wrote(world: World) {
    world.later(60);
    world.receive([automatic("1", 10), note("2", at(20))]).await.unwrap();
    assert_eq!(received(&world).await, [(false, None), (true, None)]);
    // A bounce comes from an address of its own, and is about the chat's contact.
    let bounce = Incoming { chat: Some(ADA.into()), ..message("3", "mailer-daemon@globex.example", "Bounce", at(30)) };
    world.receive([Incoming { automatic: Some("bounce".into()), ..bounce }]).await.unwrap();
    let [ada] = &world.contacts().await[..] else { panic!("one contact") };
    assert_eq!((ada.last_response_at, ada.last_message_at), (Some(at(20)), Some(at(30))));
}

async fn stamps_never_go_back(world: World) {
    world.later(60);
    world.receive([note("2", at(20))]).await.unwrap();
    world.receive([note("1", at(10))]).await.unwrap();
    let ada = world.contacts().await.remove(0);
    assert_eq!((ada.last_response_at, ada.last_message_at), (Some(at(20)), Some(at(20))));
    let events = world.events_about(ada.id, EventKind::MessageReceived).await;
    assert!(events[1].changes.is_empty(), "{:?}", events[1]);
}

async fn a_sent_message_is_a_last_message_and_no_response(world: World) {
    let ada = world.contact_with_email("Ada", ADA).await.unwrap();
    world.later(10);
    let new = SendMessage {
        account_id: Some(world.account),
        contact_id: Some(ada.id),
        text: "Hello".into(),
        ..Default::default()
    };
    world.me.messages().send(new).await.unwrap();
    assert_eq!(world.contacts().await[0].last_message_at, None);
    world.later(10);
    world.drain().await;
    let sent = world.contacts().await.remove(0);
    assert_eq!((sent.first_response_at, sent.last_response_at, sent.last_message_at), (None, None, Some(at(21))));
    let events = world.events_about(ada.id, EventKind::MessageSent).await;
    assert_eq!(events[0].changes.keys().collect::<Vec<_>>(), ["last_message_at"]);
}

async fn activity_changes_no_version(world: World) {
    let ada = world.contact_with_email("Ada", ADA).await.unwrap();
    world.later(10);
    world.receive([note("1", at(5)), note("2", at(10))]).await.unwrap();
    let after = world.contacts().await.remove(0);
    assert_eq!((after.version, after.updated_at), (ada.version, ada.updated_at));
    assert_eq!(world.chats().await[0].version, 1);
}

async fn history_is_taken_in_quietly(world: World) {
    world.receive([note("old", at(-3600))]).await.unwrap();
    assert_eq!(received(&world).await, [(true, Some("backfill".to_owned()))]);
    let ada = world.contacts().await.remove(0);
    let made = &world.events_about(ada.id, EventKind::ContactCreated).await[0];
    assert_eq!((made.cause.quiet.as_deref(), made.occurred_at), (Some("backfill"), at(-3600)));
}

async fn history_and_news_of_one_step_have_their_own_causes(world: World) {
    world.receive([note("old", at(-7200)), note("older", at(-3600)), note("new", noon())]).await.unwrap();
    let quiet = || Some("backfill".to_owned());
    assert_eq!(received(&world).await, [(true, quiet()), (false, quiet()), (false, None)]);
    assert_eq!(world.chats().await[0].unread_count, 3);
}

async fn history_is_a_response_all_the_same(world: World) {
    world.receive([note("old", at(-3600))]).await.unwrap();
    world.later(10);
    world.receive([note("new", at(10))]).await.unwrap();
    let ada = world.contacts().await.remove(0);
    assert_eq!((ada.first_response_at, ada.last_response_at), (Some(at(-3600)), Some(at(10))));
    assert!(!received(&world).await[1].0);
    // History that is read in late opens nothing that people have closed since, and is not the newest.
    let chat = world.chats().await.remove(0);
    let patch = serde_json::json!({ "id": chat.chat_id, "patch": { "state": "closed" } });
    world.me.call("chats.update", patch).await.unwrap();
    world.receive([note("older", at(-7200))]).await.unwrap();
    let closed = ListChats { state: Some("closed".parse().unwrap()), ..Default::default() };
    let [chat] = &world.me.chats().list(closed).await.unwrap().data[..] else { panic!("one closed chat") };
    assert_eq!(chat.last_message.as_ref().unwrap().text.as_deref(), Some("new"));
}

async fn a_clock_that_is_a_little_late_makes_no_history(world: World) {
    world.receive([note("1", at(-30))]).await.unwrap();
    assert_eq!(received(&world).await, [(true, None)]);
}
