//! What becomes of a message that does not simply go.

use std::time::Duration;

use dealwright::{
    Error, ErrorKind,
    domain::{
        account::AccountStatus,
        event::EventKind,
        message::{Message, MessageStatus},
    },
    ports::connector::{Incoming, SendError, Sent, Settled},
    services::messaging::WaitsFor,
    testkit::provider::message,
};

use crate::{
    harness::cases,
    process::Process,
    world::{UNA, World, at},
};

cases![
    a_fault_for_now_is_tried_again_later_and_later,
    the_providers_wish_to_be_left_alone_is_granted,
    a_refused_message_is_not_tried_again,
    a_message_is_given_up_in_the_end,
    a_doubtful_message_is_never_sent_again,
    a_doubtful_message_is_settled_by_its_traces,
    a_doubtful_message_is_settled_by_its_echo,
    a_doubtful_message_is_looked_for_for_a_while,
    a_message_that_was_going_out_when_its_worker_died_is_doubtful,
    refused_credentials_cut_the_account_off_and_lose_nothing,
    a_fault_of_one_message_keeps_no_other_back,
];

fn for_now(text: &str) -> SendError {
    SendError::Temporary { error: Error::unavailable(text), retry_after: None }
}

async fn to_ada(world: &World, text: &str) -> Message {
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, text).await;
    world.drain().await;
    message
}

/// Advances the clock until the provider is asked again, at most `limit` seconds; answers by how much.
async fn until_asked_again(world: &World, limit: i64) -> i64 {
    let before = world.provider.outgoing().len();
    for seconds in 1..=limit {
        world.later(1);
        world.drain().await;
        if world.provider.outgoing().len() > before {
            return seconds;
        }
    }
    panic!("not asked again within {limit} s");
}

async fn a_fault_for_now_is_tried_again_later_and_later(world: World) {
    for _ in 0..3 {
        world.provider.answer_send(Err(for_now("the line is busy")));
    }
    let hello = to_ada(&world, "Hi").await;
    let waiting = world.message(hello.id).await;
    assert_eq!((waiting.status, waiting.error.as_deref()), (MessageStatus::Queued, Some("the line is busy")));
    let why = world.me.messages().explain(hello.id).await.unwrap();
    assert_eq!(
        (why.waits_for, why.attempts, why.last_error.as_deref()),
        (Some(WaitsFor::Retry), 1, Some("the line is busy"))
    );
    // Up to a fifth more than twice the wait before, each time.
    for wait in [30, 60, 120] {
        let waited = until_asked_again(&world, wait * 2).await;
        assert!((wait..=wait + wait / 5 + 1).contains(&waited), "{waited} s instead of {wait} s");
    }
    let sent = world.message(hello.id).await;
    assert_eq!((sent.status, sent.error), (MessageStatus::Sent, None));
    let references: Vec<_> = world.provider.outgoing().into_iter().map(|it| it.reference).collect();
    assert_eq!(references.iter().filter(|it| **it == references[0]).count(), 4, "the same at every try");
}

async fn the_providers_wish_to_be_left_alone_is_granted(world: World) {
    let retry_after = Some(Duration::from_secs(600));
    world.provider.answer_send(Err(SendError::Temporary { error: Error::unavailable("slow down"), retry_after }));
    let hello = to_ada(&world, "Hi").await;
    world.later(599);
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
    world.later(600 / 5 + 2);
    world.drain().await;
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Sent);
}

async fn a_refused_message_is_not_tried_again(world: World) {
    let refusal = Error::new(ErrorKind::Invalid, "no such mailbox\u{0}");
    world.provider.answer_send(Err(SendError::Permanent(refusal)));
    let hello = to_ada(&world, "Hi").await;
    let failed = world.message(hello.id).await;
    assert_eq!((failed.status, failed.error.as_deref()), (MessageStatus::Failed, Some("no such mailbox")));
    world.later(86_400);
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
    let updated = world.events_about(hello.contact_id.unwrap(), EventKind::MessageUpdated).await;
    assert_eq!((&updated[0].data["status"], &updated[0].data["error"]), (&"failed".into(), &"no such mailbox".into()));
    // It never was the newest message of its chat.
    assert_eq!(world.chats().await[0].last_message.as_ref().unwrap().text.as_deref(), Some("Hello"));
}

async fn a_message_is_given_up_in_the_end(world: World) {
    for _ in 0..50 {
        world.provider.answer_send(Err(for_now("the line is busy")));
    }
    let hello = to_ada(&world, "Hi").await;
    for _ in 0..40 {
        world.later(3600 + 3600 / 5 + 1);
        world.drain().await;
    }
    let failed = world.message(hello.id).await;
    assert_eq!(failed.status, MessageStatus::Failed);
    let error = failed.error.unwrap();
    assert!(error.starts_with("given up after") && error.ends_with("the line is busy"), "{error}");
    let tries = world.provider.outgoing().len();
    assert!((10..=20).contains(&tries), "{tries} tries");
}

async fn a_doubtful_message_is_never_sent_again(world: World) {
    world.provider.answer_send(Err(SendError::Doubtful(Error::unavailable("the line was cut"))));
    let hello = to_ada(&world, "Hi").await;
    for _ in 0..200 {
        world.later(1800);
        world.drain().await;
    }
    assert_eq!(world.provider.outgoing().len(), 1);
    let unknown = world.message(hello.id).await;
    let why = unknown.error.as_deref();
    assert_eq!(
        (unknown.status, why),
        (MessageStatus::Unknown, Some("the line was cut; it was not found at the provider"))
    );
    assert_eq!(world.me.messages().explain(hello.id).await.unwrap().waits_for, None);
    let cancel = world.me.messages().cancel(hello.id).await;
    assert_eq!(cancel.unwrap_err().code(), "already_sent");
    // A person who asks sends another message.
    world.send(hello.chat_id, "Hi").await;
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 2);
}

async fn a_doubtful_message_is_settled_by_its_traces(world: World) {
    world.provider.answer_send(Err(SendError::Doubtful(Error::unavailable("the line was cut"))));
    world.provider.answer_settle(Ok(Settled::Unknown));
    world.provider.answer_settle(Err(Error::unavailable("the line is busy")));
    world.provider.answer_settle(Ok(Settled::Sent(Sent { provider_id: "found".into() })));
    let hello = to_ada(&world, "Hi").await;
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Unknown);
    let why = world.me.messages().explain(hello.id).await.unwrap();
    assert_eq!((why.waits_for, why.until), (Some(WaitsFor::Settlement), Some(at(31))));
    for _ in 0..3 {
        world.later(120);
        world.drain().await;
    }
    assert_eq!((world.message_status(hello.id).await, world.provider.settled()), (MessageStatus::Sent, 3));
    assert_eq!(world.events_about(hello.contact_id.unwrap(), EventKind::MessageSent).await.len(), 1);
    // What is found is known from then on.
    world.receive([message("found", UNA, "Hi", at(1))]).await.unwrap();
    assert_eq!(world.texts(hello.chat_id).await.len(), 2);
    assert_eq!(world.account_status().await.skipped, []);
}

async fn a_doubtful_message_is_settled_by_its_echo(world: World) {
    world.provider.answer_send(Err(SendError::Doubtful(Error::unavailable("the line was cut"))));
    let hello = to_ada(&world, "Hi").await;
    let reference = Some(world.provider.outgoing()[0].reference.clone());
    world.receive([Incoming { reference, ..message("echo", UNA, "Hi", at(1)) }]).await.unwrap();
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Sent);
    assert_eq!(world.texts(hello.chat_id).await.len(), 2);
    world.later(3600);
    world.drain().await;
    assert_eq!(world.provider.settled(), 0, "nothing is left to be found out");
}

async fn a_doubtful_message_is_looked_for_for_a_while(world: World) {
    world.provider.answer_send(Err(SendError::Doubtful(Error::unavailable("the line was cut"))));
    let hello = to_ada(&world, "Hi").await;
    for _ in 0..60 {
        world.later(300);
        world.drain().await;
    }
    assert_eq!((world.provider.settled(), world.message_status(hello.id).await), (10, MessageStatus::Unknown));
}

async fn a_message_that_was_going_out_when_its_worker_died_is_doubtful(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let hello = world.send(chat, "Hi").await;
    world.provider.hold_sends();
    let process = Process::idle(&world).await;
    let draining = process.drain();
    world.provider.handed_over(1).await.unwrap();
    process.die();
    assert!(draining.await.unwrap_err().is_cancelled());
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Sending);
    world.provider.resume_sends();
    // Its lease ends, and somebody else comes upon the message.
    world.later(16);
    world.drain().await;
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Unknown);
    world.later(86_400);
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn refused_credentials_cut_the_account_off_and_lose_nothing(world: World) {
    world.provider.change_password("new");
    let hello = to_ada(&world, "Hi").await;
    let status = world.account_status().await;
    assert_eq!(status.status, AccountStatus::Disconnected);
    assert_eq!(status.reason.as_deref(), Some("sending: the password is wrong"));
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Queued);
    assert_eq!(world.me.messages().explain(hello.id).await.unwrap().waits_for, Some(WaitsFor::Account));
    world.me.accounts().connect(world.provider.account(UNA)).await.unwrap();
    world.later(301);
    world.drain().await;
    assert_eq!(world.message_status(hello.id).await, MessageStatus::Sent);
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn a_fault_of_one_message_keeps_no_other_back(world: World) {
    world.provider.answer_send(Err(for_now("the line is busy")));
    let first = to_ada(&world, "1").await;
    let second = world.send(first.chat_id, "2").await;
    world.drain().await;
    let states = (world.message_status(first.id).await, world.message_status(second.id).await);
    assert_eq!(states, (MessageStatus::Queued, MessageStatus::Sent));
}
