//! What may be asked to go out, and what may not: each refusal names the member that is wrong.

use dealwright::{
    id::{ContactId, Id, MessageId},
    ports::connector::Capabilities,
    services::messaging::SendMessage,
    testkit::provider::Provider,
};
use serde_json::json;

use crate::{
    harness::cases,
    world::{World, pointers, refused},
};

cases![
    a_message_names_where_it_goes,
    a_text_is_of_letters_and_not_endless,
    a_subject_is_for_a_message_that_begins_a_chat,
    an_answer_answers_a_message_of_its_chat,
    all_faults_are_named_at_once,
    what_a_platform_cannot_do_is_said,
    unknown_members_are_refused,
];

async fn faults(world: &World, input: SendMessage) -> Vec<(String, String)> {
    pointers(world.me.messages().send(input).await)
}

fn fault(pointer: &str, code: &str) -> (String, String) {
    (pointer.to_owned(), code.to_owned())
}

async fn a_message_names_where_it_goes(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let ada = world.contacts().await.remove(0).id;
    let (account, hi) = (world.account, || SendMessage { text: "Hi".into(), ..Default::default() });
    assert_eq!(faults(&world, hi()).await, [fault("/chat_id", "required")]);
    let input = SendMessage { account_id: Some(account), ..hi() };
    assert_eq!(faults(&world, input).await, [fault("/contact_id", "required")]);
    let input = SendMessage { contact_id: Some(ada), ..hi() };
    assert_eq!(faults(&world, input).await, [fault("/account_id", "required")]);
    let input = SendMessage { chat_id: Some(chat), account_id: Some(account), ..hi() };
    assert_eq!(faults(&world, input).await, [fault("/account_id", "invalid")]);
    let input = SendMessage { chat_id: Some(chat), contact_id: Some(ada), ..hi() };
    assert_eq!(faults(&world, input).await, [fault("/contact_id", "invalid")]);
    let nobody = Some(ContactId::from_uuid(world.una.uuid()));
    let input = SendMessage { account_id: Some(account), contact_id: nobody, ..hi() };
    refused(world.me.messages().send(input).await, 404, "not_found");
}

async fn a_text_is_of_letters_and_not_endless(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let says = |text: String| SendMessage { chat_id: Some(chat), text, ..Default::default() };
    for (text, code) in [
        (" \n\t ".to_owned(), "required"),
        ("a\u{0}b".to_owned(), "control_character"),
        ("a\u{1b}[2Jb".to_owned(), "control_character"),
        ("a\u{85}b".to_owned(), "control_character"),
        ("x".repeat((1 << 20) + 1), "too_long"),
    ] {
        let found = faults(&world, says(text)).await;
        assert!(found.contains(&fault("/text", code)), "{code}: {found:?}");
    }
    assert_eq!(world.texts(chat).await.len(), 1);
    world.me.messages().send(says("\u{1f469}\u{200d}\u{1f680} \u{202e}x\n".to_owned())).await.unwrap();
    world.me.messages().send(says("x".repeat(1 << 20))).await.unwrap();
}

async fn a_subject_is_for_a_message_that_begins_a_chat(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let input =
        SendMessage { chat_id: Some(chat), text: "Hi".into(), subject: Some("Prices".into()), ..Default::default() };
    assert_eq!(faults(&world, input).await, [fault("/subject", "invalid")]);
    let ada = world.contacts().await.remove(0).id;
    for (subject, code) in [("x".repeat(251), "too_long"), ("two\nlines".to_owned(), "control_character")] {
        let input = SendMessage {
            account_id: Some(world.account),
            contact_id: Some(ada),
            text: "Hi".into(),
            subject: Some(subject),
            ..Default::default()
        };
        assert_eq!(faults(&world, input).await, [fault("/subject", code)]);
    }
}

async fn an_answer_answers_a_message_of_its_chat(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let other = dealwright::testkit::provider::message("2", "ben@globex.example", "Hi", world.crm.env().now());
    world.receive([other]).await.unwrap();
    let elsewhere = world.chats().await.into_iter().find(|it| it.chat_id != chat).unwrap().chat_id;
    let elsewhere = world.messages(elsewhere).await.remove(0).id;
    for reply_to in [elsewhere, MessageId::from_uuid(world.una.uuid())] {
        let input =
            SendMessage { chat_id: Some(chat), text: "Hi".into(), reply_to: Some(reply_to), ..Default::default() };
        assert_eq!(faults(&world, input).await, [fault("/reply_to", "unknown")]);
    }
    let ada = world.contacts().await.remove(0).id;
    let input = SendMessage {
        account_id: Some(world.account),
        contact_id: Some(ada),
        text: "Hi".into(),
        reply_to: Some(elsewhere),
        ..Default::default()
    };
    assert_eq!(faults(&world, input).await, [fault("/reply_to", "invalid")]);
}

async fn all_faults_are_named_at_once(world: World) {
    let input = SendMessage { subject: Some("x".repeat(251)), text: " ".into(), ..Default::default() };
    let found: Vec<_> = faults(&world, input).await.into_iter().map(|it| it.0).collect();
    assert_eq!(found, ["/chat_id", "/subject", "/text"]);
}

async fn what_a_platform_cannot_do_is_said(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let ada = world.contacts().await.remove(0).id;
    let can = async |capabilities: Capabilities| {
        let crm = world.engine_with(&Provider::new("email").with_capabilities(capabilities)).await;
        crm.as_user(world.organization, world.una).await.unwrap()
    };
    let answer = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    let begin =
        SendMessage { account_id: Some(world.account), contact_id: Some(ada), text: "Hi".into(), ..Default::default() };
    let mute = can(Capabilities::default()).await;
    refused(mute.messages().send(answer.clone()).await, 501, "unsupported");
    let shy = can(Capabilities { send: true, ..Default::default() }).await;
    refused(shy.messages().send(begin).await, 501, "unsupported");
    shy.messages().send(answer).await.unwrap();
}

async fn unknown_members_are_refused(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let wrong = json!({ "chat_id": chat, "text": "Hi", "txet": "Hi" });
    assert_eq!(world.me.call("messages.send", wrong).await.unwrap_err().kind().status(), 422);
    let wrong = json!({ "chat_id": "nonsense", "text": "Hi" });
    assert_eq!(pointers(world.me.call("messages.send", wrong).await)[0].0, "/chat_id");
    assert_eq!(world.texts(chat).await, ["Hello"]);
}
