//! What waits to go out: for its time, for its account; and taking it back.

use dealwright::{
    Error,
    domain::{account::AccountStatus, event::EventKind, message::MessageStatus},
    id::ChatId,
    ports::connector::SendError,
    services::messaging::{SendMessage, WaitsFor},
};

use crate::{
    harness::cases,
    world::{World, at, pointers, refused},
};

cases![
    a_message_goes_at_its_time,
    a_time_that_has_passed_is_now,
    a_message_that_waits_can_be_taken_back,
    what_has_gone_cannot_be_taken_back,
    what_was_taken_back_is_no_newest_message,
    a_message_between_two_tries_can_be_taken_back,
    of_taking_back_and_sending_one_wins,
    a_message_waits_for_its_account,
    a_message_waits_for_its_account_for_a_day,
    a_message_waits_for_a_connector_that_is_not_here,
];

fn in_time(chat: ChatId, seconds: i64) -> SendMessage {
    SendMessage { chat_id: Some(chat), text: "Later".into(), send_at: Some(at(seconds)), ..Default::default() }
}

async fn report(world: &World, status: AccountStatus, reason: &str) {
    let inbox = world.crm.inbox(world.organization, world.account).await.unwrap();
    inbox.status(status, Some(reason.to_owned())).await.unwrap();
}

async fn a_message_goes_at_its_time(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let later = world.me.messages().send(in_time(chat, 3600)).await.unwrap();
    assert_eq!((later.status, later.send_at, later.timestamp), (MessageStatus::Scheduled, Some(at(3600)), at(3600)));
    let why = world.me.messages().explain(later.id).await.unwrap();
    assert_eq!((why.waits_for, why.until), (Some(WaitsFor::Schedule), Some(at(3600))));
    world.clock.set(at(3599));
    world.drain().await;
    assert!(world.provider.outgoing().is_empty());
    world.clock.set(at(3600));
    world.drain().await;
    let sent = world.message(later.id).await;
    assert_eq!((sent.status, sent.timestamp), (MessageStatus::Sent, at(3600)));
}

async fn a_time_that_has_passed_is_now(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let now = world.me.messages().send(in_time(chat, -10)).await.unwrap();
    assert_eq!((now.status, now.send_at), (MessageStatus::Queued, None));
    let far = world.me.messages().send(in_time(chat, 367 * 86_400)).await;
    assert_eq!(pointers(far), [("/send_at".to_owned(), "out_of_range".to_owned())]);
}

async fn a_message_that_waits_can_be_taken_back(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let queued = world.send(chat, "Now").await;
    let scheduled = world.me.messages().send(in_time(chat, 60)).await.unwrap();
    for message in [&queued, &scheduled] {
        world.me.messages().cancel(message.id).await.unwrap();
        // Twice is once.
        world.me.messages().cancel(message.id).await.unwrap();
        assert_eq!(world.message_status(message.id).await, MessageStatus::Cancelled);
        assert_eq!(world.me.messages().explain(message.id).await.unwrap().waits_for, None);
    }
    let updated = world.events_about(queued.contact_id.unwrap(), EventKind::MessageUpdated).await;
    assert_eq!(updated.iter().map(|it| &it.data["status"]).collect::<Vec<_>>(), ["cancelled", "cancelled"]);
    world.later(3600);
    world.drain().await;
    assert!(world.provider.outgoing().is_empty());
}

async fn what_has_gone_cannot_be_taken_back(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let sent = world.send(chat, "Now").await;
    world.drain().await;
    refused(world.me.messages().cancel(sent.id).await, 409, "already_sent");
    let theirs = world.messages(chat).await.remove(0);
    refused(world.me.messages().cancel(theirs.id).await, 409, "already_sent");
}

async fn what_was_taken_back_is_no_newest_message(world: World) {
    let chat = world.ada_writes("Hello").await;
    let queued = world.send(chat.chat_id, "Now").await;
    world.me.messages().cancel(queued.id).await.unwrap();
    world.drain().await;
    assert_eq!(world.chat(chat.chat_id).await, chat);
    assert_eq!(world.texts(chat.chat_id).await, ["Hello", "Now"]);
}

async fn a_message_between_two_tries_can_be_taken_back(world: World) {
    let error = Error::unavailable("the line is busy");
    world.provider.answer_send(Err(SendError::Temporary { error, retry_after: None }));
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Now").await;
    world.drain().await;
    world.me.messages().cancel(message.id).await.unwrap();
    world.later(3600);
    world.drain().await;
    assert_eq!(world.message_status(message.id).await, MessageStatus::Cancelled);
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn of_taking_back_and_sending_one_wins(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    for round in 1..=10 {
        let gone = world.provider.outgoing().len();
        let message = world.send(chat, &round.to_string()).await;
        let (room, runtime) = (world.me.messages(), world.crm.runtime());
        let (taken_back, drained) = tokio::join!(room.cancel(message.id), runtime.drain());
        drained.unwrap();
        let went = world.provider.outgoing().len() > gone;
        assert_eq!(taken_back.is_err(), went, "round {round}: {taken_back:?}");
        let status = if went { MessageStatus::Sent } else { MessageStatus::Cancelled };
        assert_eq!(world.message_status(message.id).await, status);
    }
}

async fn a_message_waits_for_its_account(world: World) {
    report(&world, AccountStatus::Disconnected, "by its owner").await;
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Hi").await;
    world.drain().await;
    let waiting = world.message(message.id).await;
    assert_eq!(waiting.status, MessageStatus::Queued);
    let why = world.me.messages().explain(message.id).await.unwrap();
    assert_eq!((why.waits_for, why.attempts), (Some(WaitsFor::Account), 0));
    assert!(why.last_error.unwrap().contains("by its owner"));
    report(&world, AccountStatus::Active, "").await;
    world.later(301);
    world.drain().await;
    assert_eq!(world.message_status(message.id).await, MessageStatus::Sent);
}

async fn a_message_waits_for_its_account_for_a_day(world: World) {
    report(&world, AccountStatus::Banned, "for good").await;
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Hi").await;
    for _ in 0..23 {
        world.later(3600);
        world.drain().await;
    }
    assert_eq!(world.message_status(message.id).await, MessageStatus::Queued);
    world.later(2 * 3600);
    world.drain().await;
    let failed = world.message(message.id).await;
    assert_eq!(failed.status, MessageStatus::Failed);
    assert!(failed.error.unwrap().contains("banned: for good"));
    assert!(world.provider.outgoing().is_empty());
}

async fn a_message_waits_for_a_connector_that_is_not_here(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Hi").await;
    // A replica that was put together without this platform comes upon it first.
    let bare = world.engine_with(&dealwright::testkit::provider::Provider::new("telegram")).await;
    bare.runtime().drain().await.unwrap();
    assert_eq!(world.message_status(message.id).await, MessageStatus::Queued);
    world.later(60);
    world.drain().await;
    assert_eq!(world.message_status(message.id).await, MessageStatus::Sent);
}
