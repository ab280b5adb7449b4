//! What goes out: to whom, by what steps, and once.

use dealwright::{
    Result,
    domain::{
        contact::Contact,
        event::EventKind,
        message::{Direction, Message, MessageStatus, SenderType},
    },
    ports::connector::Incoming,
    scope::{Actor, Role},
    services::{
        contacts::{ContactPatch, DeleteContact, UpdateContact},
        messaging::SendMessage,
    },
    testkit::provider::message,
};
use serde_json::json;

use crate::{
    harness::cases,
    world::{ADA, UNA, World, at, noon, note, refused},
};

cases![
    a_message_to_a_contact_begins_a_chat,
    an_answer_goes_into_its_chat,
    a_message_goes_by_its_steps,
    an_answer_names_what_it_answers,
    an_answer_to_an_older_message_names_that_one,
    an_answer_goes_where_the_contact_last_wrote_from,
    what_the_provider_shows_of_ours_is_no_second_message,
    what_comes_back_while_it_goes_out_is_no_second_message,
    one_key_sends_once,
    messages_of_a_chat_go_in_their_order,
    messages_of_a_chat_go_in_their_order_by_several_replicas,
    a_message_that_is_slow_keeps_other_chats_going,
    a_contact_without_an_address_is_not_written_to,
    a_deleted_contact_is_not_written_to,
    a_chat_of_a_removed_account_is_not_written_to,
    viewers_send_nothing,
    line_ends_and_blanks_of_a_text_are_kept,
];

fn to(world: &World, contact: &Contact, text: &str) -> SendMessage {
    SendMessage {
        account_id: Some(world.account),
        contact_id: Some(contact.id),
        text: text.to_owned(),
        ..Default::default()
    }
}

async fn a_message_to_a_contact_begins_a_chat(world: World) {
    let ada = world.contact_with_email("Ada", ADA).await.unwrap();
    let new = SendMessage { subject: Some("Prices".into()), ..to(&world, &ada, "Hello") };
    let sent = world.me.messages().send(new).await.unwrap();
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!((chat.chat_id, chat.title.as_deref(), chat.unread_count), (sent.chat_id, Some("Prices"), 0));
    assert_eq!((chat.contact.as_ref().unwrap().id, chat.assigned_to), (ada.id, Some(world.una)));
    assert_eq!(chat.last_message, None, "nothing was sent yet");
    world.drain().await;
    let out = world.provider.outgoing().remove(0);
    assert_eq!((&*out.from.id, &*out.to.id, out.to.name.as_deref()), (UNA, ADA, Some("Ada")));
    assert_eq!((out.title.as_deref(), &*out.text, out.references.len()), (Some("Prices"), "Hello", 0));
    assert_eq!(out.message_id, sent.id);
    assert_eq!(world.chats().await[0].last_message.as_ref().unwrap().id, sent.id);
}

async fn an_answer_goes_into_its_chat(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let sent = world.send(chat, "Hi").await;
    assert_eq!((sent.chat_id, sent.direction, sent.sender.sender_type), (chat, Direction::Outgoing, SenderType::Bd));
    assert_eq!((&*sent.sender.id, sent.read), (UNA, true));
    world.drain().await;
    assert_eq!(world.texts(chat).await, ["Hello", "Hi"]);
    assert_eq!(world.provider.outgoing()[0].chat.as_deref(), Some(ADA));
}

async fn a_message_goes_by_its_steps(world: World) {
    let chat = world.ada_writes("Hello").await;
    let queued = world.send(chat.chat_id, "Hi").await;
    assert_eq!(queued.status, MessageStatus::Queued);
    world.later(5);
    world.provider.hold_sends();
    let crm = world.crm.clone();
    let draining = tokio::spawn(async move { crm.runtime().drain().await });
    world.provider.handed_over(1).await.unwrap();
    assert_eq!(world.message_status(queued.id).await, MessageStatus::Sending);
    world.provider.resume_sends();
    draining.await.unwrap().unwrap();
    let sent = world.message(queued.id).await;
    // It is of the moment at which it went.
    assert_eq!((sent.status, sent.timestamp, sent.error), (MessageStatus::Sent, at(6), None));
    let contact = chat.contact.unwrap().id;
    let [queued_event] = &world.events_about(contact, EventKind::MessageQueued).await[..] else { panic!("one") };
    let [sent_event] = &world.events_about(contact, EventKind::MessageSent).await[..] else { panic!("one") };
    for event in [queued_event, sent_event] {
        assert_eq!(event.actor, Actor::User { id: world.una });
        assert_eq!(event.data["message_id"], queued.id.to_string());
    }
}

async fn an_answer_names_what_it_answers(world: World) {
    let mail = |id: &str, seconds| Incoming {
        chat: None,
        reference: Some(id.into()),
        title: Some("Prices".into()),
        ..note(id, at(seconds))
    };
    world.later(9);
    world.receive([mail("1", 1), Incoming { replies_to: vec!["1".into()], ..mail("2", 2) }]).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let sent = world.send(chat, "Hi").await;
    assert_eq!(sent.metadata["subject"], "Re: Prices");
    world.drain().await;
    assert_eq!(world.provider.outgoing()[0].references, ["1", "2"]);
    world.later(1);
    world.send(chat, "And one thing more").await;
    world.drain().await;
    let first = world.provider.outgoing()[0].reference.clone();
    assert_eq!(world.provider.outgoing()[1].references, ["1".to_owned(), "2".to_owned(), first]);
}

async fn an_answer_to_an_older_message_names_that_one(world: World) {
    world.later(9);
    let mail = |id: &str, seconds| Incoming { reference: Some(id.into()), ..note(id, at(seconds)) };
    world.receive([mail("1", 1), mail("2", 2)]).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let first = world.messages(chat).await.remove(0).id;
    let reply = SendMessage { chat_id: Some(chat), reply_to: Some(first), text: "Hi".into(), ..Default::default() };
    world.me.messages().send(reply).await.unwrap();
    world.drain().await;
    assert_eq!(world.provider.outgoing()[0].references, ["2", "1"]);
}

async fn an_answer_goes_where_the_contact_last_wrote_from(world: World) {
    let chat = world.ada_writes("Hello").await;
    let home = "ada@home.example";
    let patch = json!({ "emails": [ADA, home] });
    let patch: ContactPatch = serde_json::from_value(patch).unwrap();
    let input = UpdateContact { id: chat.contact.unwrap().id, patch, if_version: None };
    world.me.contacts().update(input).await.unwrap();
    world.later(1);
    world.receive([Incoming { chat: Some(ADA.into()), ..message("2", home, "From home", at(2)) }]).await.unwrap();
    world.send(chat.chat_id, "Hi").await;
    world.drain().await;
    assert_eq!(world.provider.outgoing()[0].to.id, home);
    assert_eq!(world.chats().await.len(), 1);
}

/// The provider shows a message of ours, as another client of the mailbox would see it.
fn echo(world: &World, place: usize) -> Incoming {
    let out = world.provider.outgoing().remove(place);
    let provider_id = format!("echo/{}", out.reference);
    let shown = message(&provider_id, UNA, &out.text, out.written_at);
    Incoming { reference: Some(out.reference), chat: out.chat, ..shown }
}

async fn what_the_provider_shows_of_ours_is_no_second_message(world: World) {
    let chat = world.ada_writes("Hello").await;
    let sent = world.send(chat.chat_id, "Hi").await;
    world.drain().await;
    let out = world.provider.outgoing().remove(0);
    // By the id that it was accepted under, and by another one.
    let same = Incoming { provider_id: format!("sent/{}", out.reference), ..echo(&world, 0) };
    world.receive([same, echo(&world, 0)]).await.unwrap();
    world.receive([echo(&world, 0)]).await.unwrap();
    assert_eq!(world.texts(chat.chat_id).await, ["Hello", "Hi"]);
    assert_eq!(world.message_status(sent.id).await, MessageStatus::Sent);
    let contact = chat.contact.unwrap().id;
    assert_eq!(world.events_about(contact, EventKind::MessageSent).await.len(), 1);
    assert_eq!(world.events_about(contact, EventKind::MessageReceived).await.len(), 1);
}

async fn what_comes_back_while_it_goes_out_is_no_second_message(world: World) {
    let chat = world.ada_writes("Hello").await;
    let sent = world.send(chat.chat_id, "Hi").await;
    world.provider.hold_sends();
    let crm = world.crm.clone();
    let draining = tokio::spawn(async move { crm.runtime().drain().await });
    world.provider.handed_over(1).await.unwrap();
    world.receive([echo(&world, 0)]).await.unwrap();
    assert_eq!(world.message_status(sent.id).await, MessageStatus::Sent);
    world.provider.resume_sends();
    draining.await.unwrap().unwrap();
    assert_eq!(world.texts(chat.chat_id).await, ["Hello", "Hi"]);
    assert_eq!(world.events_about(chat.contact.unwrap().id, EventKind::MessageSent).await.len(), 1);
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn one_key_sends_once(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let send = async |text: &str| -> Result<Message> {
        let me = world.me.clone().with_idempotency_key("once");
        let answer = me.call("messages.send", json!({ "chat_id": chat, "text": text })).await?;
        Ok(world.message(answer["id"].as_str().unwrap().parse().unwrap()).await)
    };
    let first = send("Hi").await.unwrap();
    world.drain().await;
    assert_eq!(send("Hi").await.unwrap().id, first.id);
    refused(send("Something else").await, 422, "idempotency_key_reused");
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
}

async fn messages_of_a_chat_go_in_their_order(world: World) {
    let chat = world.ada_writes("0").await.chat_id;
    let texts: Vec<_> = (10..22).map(|n| n.to_string()).collect();
    for text in &texts {
        world.send(chat, text).await;
    }
    world.drain().await;
    let went: Vec<_> = world.provider.outgoing().into_iter().map(|it| it.text).collect();
    assert_eq!(went, texts);
    assert_eq!(world.texts(chat).await[1..], texts);
}

async fn messages_of_a_chat_go_in_their_order_by_several_replicas(world: World) {
    let chat = world.ada_writes("0").await.chat_id;
    let texts: Vec<_> = (10..18).map(|n| n.to_string()).collect();
    let (one, two) = (world.replica().await.runtime().start().await, world.replica().await.runtime().start().await);
    for text in &texts {
        world.send(chat, text).await;
    }
    world.provider.handed_over(texts.len()).await.unwrap();
    tokio::join!(one.unwrap().stop(), two.unwrap().stop());
    let went: Vec<_> = world.provider.outgoing().into_iter().map(|it| it.text).collect();
    assert_eq!(went, texts);
}

async fn a_message_that_is_slow_keeps_other_chats_going(world: World) {
    let slow = world.ada_writes("Hello").await.chat_id;
    world.receive([message("2", "ben@globex.example", "Hello", noon())]).await.unwrap();
    let other = world.chats().await.into_iter().find(|it| it.chat_id != slow).unwrap().chat_id;
    world.provider.hold_sends();
    for (chat, text) in [(slow, "1"), (slow, "2"), (other, "3")] {
        world.send(chat, text).await;
    }
    let crm = world.crm.clone();
    let draining = tokio::spawn(async move { crm.runtime().drain().await });
    // Neither has an answer yet, and the second one of the slow chat is not handed over before the first one has.
    let mut went: Vec<_> = world.provider.handed_over(2).await.unwrap().into_iter().map(|it| it.text).collect();
    went.sort();
    assert_eq!(went, ["1", "3"]);
    world.provider.resume_sends();
    draining.await.unwrap().unwrap();
    assert_eq!(world.provider.outgoing().last().unwrap().text, "2");
}

async fn a_contact_without_an_address_is_not_written_to(world: World) {
    let new = dealwright::services::contacts::NewContact { name: "Ada".into(), ..Default::default() };
    let ada = world.me.contacts().create(new).await.unwrap();
    refused(world.me.messages().send(to(&world, &ada, "Hello")).await, 409, "no_address");
    assert_eq!(world.chats().await, []);
}

async fn a_deleted_contact_is_not_written_to(world: World) {
    let chat = world.ada_writes("Hello").await;
    let ada = world.contacts().await.remove(0);
    let queued = world.send(chat.chat_id, "Hi").await;
    world.me.contacts().delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();
    refused(world.me.messages().send(to(&world, &ada, "Hello")).await, 404, "not_found");
    let input = SendMessage { chat_id: Some(chat.chat_id), text: "Hi".into(), ..Default::default() };
    refused(world.me.messages().send(input).await, 409, "no_contact");
    // What waited does not go either.
    world.drain().await;
    let failed = world.message(queued.id).await;
    assert_eq!((failed.status, failed.error.as_deref()), (MessageStatus::Failed, Some("the contact is gone")));
    assert!(world.provider.outgoing().is_empty());
}

async fn a_chat_of_a_removed_account_is_not_written_to(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let queued = world.send(chat, "Hi").await;
    world.me.accounts().delete(world.account.into()).await.unwrap();
    let input = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    refused(world.me.messages().send(input).await, 409, "account_removed");
    world.drain().await;
    assert_eq!(world.message_status(queued.id).await, MessageStatus::Failed);
    assert!(world.provider.outgoing().is_empty());
    assert_eq!(world.texts(chat).await, ["Hello", "Hi"]);
}

async fn viewers_send_nothing(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let (_, viewer) = world.member("vera", Role::Viewer).await;
    let input = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    refused(viewer.messages().send(input).await, 403, "forbidden");
    let mine = world.send(chat, "Hi").await;
    refused(viewer.messages().cancel(mine.id).await, 403, "forbidden");
    assert_eq!(viewer.messages().explain(mine.id).await.unwrap().status, MessageStatus::Queued);
}

async fn line_ends_and_blanks_of_a_text_are_kept(world: World) {
    world.receive([note("Hello", noon())]).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let sent = world.send(chat, "  Dear Ada,\r\n\r\n\tthank you.\r").await;
    assert_eq!(sent.content.unwrap().text, "  Dear Ada,\n\n\tthank you.\n");
}
