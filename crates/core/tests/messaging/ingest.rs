//! What comes in: who wrote it, where it lands, and that it lands once.

use dealwright::{
    domain::{
        account::Account,
        contact::IdentityKind,
        event::EventKind,
        message::{Direction, MessageStatus, SenderType},
    },
    ports::{
        connector::{Address, Delivery, Incoming},
        store::ContactReads,
    },
    scope::{Actor, Cause},
    services::contacts::{DeleteContact, NewContact},
    testkit::provider::message,
};
use futures::future::join_all;

use crate::{
    harness::cases,
    world::{ADA, UNA, World, at, noon, note, refused},
};

cases![
    a_stranger_becomes_a_contact_in_the_first_stage,
    all_that_a_message_brings_has_one_cause,
    a_stranger_is_called_by_the_name_that_the_provider_shows,
    a_known_address_is_the_contact_that_claims_it,
    a_deleted_contact_is_not_revived_by_a_message,
    a_message_is_one_however_often_it_comes,
    a_message_that_comes_by_several_ways_at_once_is_one,
    concurrent_messages_of_one_stranger_make_one_contact,
    messages_keep_their_order_whatever_their_clock_says,
    what_the_account_wrote_elsewhere_is_passed_over_and_said,
    what_the_connector_passes_over_is_said,
    what_was_passed_over_is_said_once,
    a_removed_account_takes_nothing_in,
    a_step_is_taken_in_whole_however_long_it_is,
];

async fn a_stranger_becomes_a_contact_in_the_first_stage(world: World) {
    world.receive([message("1", ADA, "Hello", at(5))]).await.unwrap();
    let [ada] = &world.contacts().await[..] else { panic!("one contact") };
    assert_eq!((&*ada.name, &ada.emails[..], ada.source.as_deref()), (ADA, &[ADA.to_owned()][..], Some("email")));
    let sales = world.me.pipelines().list(Default::default()).await.unwrap().data.remove(0);
    assert_eq!((ada.stage_id, ada.pipeline_id), (sales.stages[0].id, sales.pipeline.id));
    let identity = [(IdentityKind::Email, ADA.to_owned())];
    let holders = world.store.holders(world.organization, &identity).await.unwrap();
    assert_eq!(holders.iter().map(|it| (it.contact_id, it.claimed)).collect::<Vec<_>>(), [(ada.id, true)]);

    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!((chat.account_id, &*chat.platform, chat.unread_count), (world.account, "email", 1));
    assert_eq!(chat.contact.as_ref().unwrap().id, ada.id);
    let [hello] = &world.messages(chat.chat_id).await[..] else { panic!("one message") };
    assert_eq!((hello.direction, hello.status, hello.read), (Direction::Incoming, MessageStatus::Delivered, false));
    assert_eq!((&*hello.sender.id, hello.sender.sender_type), (ADA, SenderType::Client));
    assert_eq!((hello.contact_id, hello.content.as_ref().unwrap().text.as_str()), (Some(ada.id), "Hello"));
    // A sender's clock that is ahead of ours is ours.
    assert_eq!(hello.timestamp, noon());
}

async fn all_that_a_message_brings_has_one_cause(world: World) {
    world.receive([message("1", ADA, "Hello", noon())]).await.unwrap();
    let ada = world.contacts().await.remove(0);
    let events = world.events(ada.id).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::ContactCreated, EventKind::MessageReceived]);
    for event in &events {
        assert_eq!(event.actor, Actor::Account { id: world.account });
        assert_eq!(event.cause, Cause::default());
    }
    let message = world.messages(world.chats().await[0].chat_id).await.remove(0);
    assert_eq!(events[1].data["message_id"], message.id.to_string());
    assert_eq!(events[1].data["chat_id"], message.chat_id.to_string());
    assert_eq!(events[1].data["account_id"], world.account.to_string());
}

async fn a_stranger_is_called_by_the_name_that_the_provider_shows(world: World) {
    let named = |id: &str, name: &str| {
        let incoming = message(id, id, "Hello", noon());
        Incoming { sender: Address { name: Some(name.to_owned()), ..incoming.sender.clone() }, ..incoming }
    };
    world
        .receive([named("ada@globex.example", " Ada\r\nLovelace\u{0}"), named("ben@globex.example", " ")])
        .await
        .unwrap();
    let mut names: Vec<_> = world.contacts().await.into_iter().map(|contact| contact.name).collect();
    names.sort();
    assert_eq!(names, ["Ada  Lovelace", "ben@globex.example"]);
}

async fn a_known_address_is_the_contact_that_claims_it(world: World) {
    let ada = world.contact_with_email("Ada", ADA).await.unwrap();
    world.later(1);
    let twin =
        NewContact { name: "Twin".into(), emails: vec![ADA.into()], allow_duplicate: true, ..Default::default() };
    world.me.contacts().create(twin).await.unwrap();
    world.receive([message("1", "ADA@Globex.example", "Hello", noon())]).await.unwrap();
    assert_eq!(world.contacts().await.len(), 2);
    assert_eq!(world.chats().await[0].contact.as_ref().unwrap().id, ada.id);
    assert_eq!(world.events_about(ada.id, EventKind::MessageReceived).await.len(), 1);
}

async fn a_deleted_contact_is_not_revived_by_a_message(world: World) {
    world.receive([message("1", ADA, "Hello", noon())]).await.unwrap();
    let before = world.contacts().await.remove(0);
    world.later(1);
    world.me.contacts().delete(DeleteContact { id: before.id, if_version: None }).await.unwrap();
    world.later(1);
    world.receive([message("2", ADA, "Still there?", at(2))]).await.unwrap();
    let [after] = &world.contacts().await[..] else { panic!("one contact") };
    assert_ne!(after.id, before.id);
    // The chat is the same one, with the contact that writes in it now.
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!(chat.contact.as_ref().unwrap().id, after.id);
    assert_eq!(world.texts(chat.chat_id).await, ["Hello", "Still there?"]);
}

async fn a_message_is_one_however_often_it_comes(world: World) {
    let hello = message("1", ADA, "Hello", noon());
    world.receive([hello.clone(), hello.clone()]).await.unwrap();
    world.receive([hello.clone()]).await.unwrap();
    // What comes beside it is taken in all the same.
    world.receive([hello, message("2", ADA, "Again", noon())]).await.unwrap();
    let chat = world.chats().await.remove(0);
    assert_eq!((world.texts(chat.chat_id).await, chat.unread_count), (vec!["Hello".to_owned(), "Again".to_owned()], 2));
    let ada = world.contacts().await.remove(0);
    assert_eq!(world.events_about(ada.id, EventKind::MessageReceived).await.len(), 2);
}

async fn a_message_that_comes_by_several_ways_at_once_is_one(world: World) {
    let hello = message("1", ADA, "Hello", noon());
    let ways = (0..8).map(|_| world.receive([hello.clone()]));
    for outcome in join_all(ways).await {
        outcome.unwrap();
    }
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!((world.texts(chat.chat_id).await.len(), chat.unread_count), (1, 1));
    let [ada] = &world.contacts().await[..] else { panic!("one contact") };
    assert_eq!(world.events_about(ada.id, EventKind::MessageReceived).await.len(), 1);
}

async fn concurrent_messages_of_one_stranger_make_one_contact(world: World) {
    let ids: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    for outcome in join_all(ids.iter().map(|id| world.receive([note(id, noon())]))).await {
        outcome.unwrap();
    }
    let [ada] = &world.contacts().await[..] else { panic!("one contact") };
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!((world.texts(chat.chat_id).await.len(), chat.unread_count), (5, 5));
    let received = world.events_about(ada.id, EventKind::MessageReceived).await;
    let firsts = received.iter().filter(|event| event.data["is_first_response"] == true).count();
    assert_eq!((received.len(), firsts), (5, 1));
}

async fn messages_keep_their_order_whatever_their_clock_says(world: World) {
    // A provider that dates in whole seconds gives a busy chat many messages of one instant.
    let ids: Vec<_> = (10..40).map(|n| n.to_string()).collect();
    world.receive(ids.iter().map(|id| note(id, noon()))).await.unwrap();
    let chat = world.chats().await.remove(0);
    assert_eq!(world.texts(chat.chat_id).await, ids);
    assert_eq!(chat.last_message.unwrap().text.as_deref(), Some("39"));
    // One that comes late, and is older, takes its place and is not the newest.
    world.later(10);
    world.receive([note("new", at(10))]).await.unwrap();
    world.receive([note("late", at(5))]).await.unwrap();
    assert_eq!(world.texts(chat.chat_id).await[30..], ["late", "new"]);
    let chat = world.chat(chat.chat_id).await;
    assert_eq!((chat.last_message.unwrap().text.as_deref(), chat.last_message_at), (Some("new"), at(10)));
}

/// What the account's status says of messages that were not taken in: provider's id and reason, newest first.
async fn skipped(world: &World) -> Vec<(String, String)> {
    let skipped = world.account_status().await.skipped;
    skipped.into_iter().map(|it| (it.provider_id, it.reason)).collect()
}

async fn what_the_account_wrote_elsewhere_is_passed_over_and_said(world: World) {
    world.receive([message("1", "Una@Acme.example", "From my telephone", noon())]).await.unwrap();
    assert_eq!(world.contacts().await, []);
    assert_eq!(world.chats().await, []);
    assert_eq!(skipped(&world).await, [("1".to_owned(), "written by the account itself, elsewhere".to_owned())]);
}

async fn what_the_connector_passes_over_is_said(world: World) {
    let skipped_one = Delivery::Skipped { provider_id: "7".into(), reason: "it has\u{0} 200 MB".into() };
    world.receive([skipped_one, note("8", noon()).into()]).await.unwrap();
    assert_eq!(skipped(&world).await, [("7".to_owned(), "it has  200 MB".to_owned())]);
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["8"]);
}

async fn what_was_passed_over_is_said_once(world: World) {
    for seconds in 0..3 {
        world.later(seconds);
        let reason = "too large".to_owned();
        world.receive([Delivery::Skipped { provider_id: "7".into(), reason }]).await.unwrap();
    }
    let first = world.account_status().await.skipped;
    assert_eq!(first.iter().map(|it| it.skipped_at).collect::<Vec<_>>(), [noon()]);
}

async fn a_removed_account_takes_nothing_in(world: World) {
    let inbox = world.crm.inbox(world.organization, world.account).await.unwrap();
    world.me.accounts().delete(world.account.into()).await.unwrap();
    let late = vec![Delivery::from(note("1", noon()))];
    refused(inbox.deliver(late, serde_json::json!(1)).await, 404, "not_found");
    refused(world.crm.inbox(world.organization, world.account).await.map(drop), 404, "not_found");
    assert_eq!(world.chats().await, []);
    // Connected again it is the same account.
    let again: Account = world.me.accounts().connect(world.provider.account(UNA)).await.unwrap().account.account;
    assert_eq!(again.id, world.account);
    world.receive([note("1", noon())]).await.unwrap();
    assert_eq!(world.chats().await.len(), 1);
}

async fn a_step_is_taken_in_whole_however_long_it_is(world: World) {
    let people: Vec<_> = (0..130).map(|n| format!("p{n:03}@globex.example")).collect();
    world.receive(people.iter().map(|who| message(who, who, "Hello", noon()))).await.unwrap();
    let input = dealwright::services::messaging::ListChats { limit: Some(200), ..Default::default() };
    assert_eq!(world.me.chats().list(input).await.unwrap().data.len(), 130);
    assert_eq!(world.account_status().await.last_sync_at, Some(noon()));
}
