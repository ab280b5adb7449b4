//! Which chat a message belongs to: the provider's, or the one whose messages it answers.

use dealwright::{ports::connector::Incoming, testkit::provider::message};

use crate::{
    harness::cases,
    world::{ADA, World, at, noon, note},
};

cases![
    two_chats_of_one_contact_stay_two,
    a_group_is_one_chat_of_several_contacts,
    answers_follow_what_they_answer,
    an_answer_to_ours_comes_into_its_chat,
    an_answer_to_what_nobody_knows_begins_a_chat,
    a_reused_reference_begins_another_chat,
    a_message_opens_what_was_closed,
    the_first_message_names_the_chat,
];

/// A mail: no chat of the provider's, a reference of its own, and what it answers.
fn mail(id: &str, answers: &[&str]) -> Incoming {
    let replies_to = answers.iter().map(|it| (*it).to_owned()).collect();
    Incoming { chat: None, reference: Some(format!("<{id}>")), replies_to, ..note(id, noon()) }
}

async fn two_chats_of_one_contact_stay_two(world: World) {
    let other = Incoming { chat: Some("elsewhere".into()), ..note("2", at(1)) };
    world.later(2);
    world.receive([note("1", noon()), other, note("3", at(2))]).await.unwrap();
    assert_eq!(world.contacts().await.len(), 1);
    let [first, second] = &world.chats().await[..] else { panic!("two chats") };
    assert_eq!(world.texts(first.chat_id).await, ["1", "3"]);
    assert_eq!(world.texts(second.chat_id).await, ["2"]);
    assert_eq!((first.unread_count, second.unread_count), (2, 1));
}

async fn a_group_is_one_chat_of_several_contacts(world: World) {
    let says = |id: &str, who: &str| Incoming { chat: Some("group".into()), ..message(id, who, id, noon()) };
    world.receive([says("1", ADA), says("2", "ben@globex.example"), says("3", ADA)]).await.unwrap();
    let contacts = world.contacts().await;
    let id = |name: &str| contacts.iter().find(|it| it.name == name).unwrap().id;
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    // The chat stays with whom it began; each message is its writer's.
    assert_eq!(chat.contact.as_ref().unwrap().id, id(ADA));
    let writers: Vec<_> = world.messages(chat.chat_id).await.into_iter().map(|it| it.contact_id.unwrap()).collect();
    assert_eq!(writers, [id(ADA), id("ben@globex.example"), id(ADA)]);
}

async fn answers_follow_what_they_answer(world: World) {
    world.receive([mail("1", &[]), mail("2", &["<1>"]), mail("3", &["<unknown>", "<2>"])]).await.unwrap();
    world.receive([mail("4", &["<3>", "<1>"]), mail("5", &[])]).await.unwrap();
    let chats = world.chats().await;
    let mut texts = Vec::new();
    for chat in &chats {
        texts.push(world.texts(chat.chat_id).await);
    }
    texts.sort();
    assert_eq!(texts, [vec!["1", "2", "3", "4"], vec!["5"]]);
}

async fn an_answer_to_ours_comes_into_its_chat(world: World) {
    world.receive([mail("1", &[])]).await.unwrap();
    let chat = world.chats().await.remove(0);
    world.send(chat.chat_id, "2").await;
    world.drain().await;
    let ours = world.provider.outgoing().remove(0);
    assert_eq!(ours.references, ["<1>"]);
    world.later(1);
    // Another person answers, and knows our message alone.
    let answer =
        Incoming { sender: message("", "ben@globex.example", "", noon()).sender, ..mail("3", &[&ours.reference]) };
    world.receive([answer]).await.unwrap();
    assert_eq!(world.texts(chat.chat_id).await.len(), 3);
    assert_eq!(world.chats().await.len(), 1);
}

async fn an_answer_to_what_nobody_knows_begins_a_chat(world: World) {
    world.receive([mail("1", &["<before the account>"])]).await.unwrap();
    world.receive([mail("2", &["<before the account>"]), mail("3", &["<1>"])]).await.unwrap();
    assert_eq!(world.chats().await.len(), 2);
}

async fn a_reused_reference_begins_another_chat(world: World) {
    let forged = Incoming { reference: Some("<1>".into()), ..mail("2", &[]) };
    world.receive([mail("1", &[])]).await.unwrap();
    world.receive([forged.clone(), Incoming { provider_id: "3".into(), ..forged }]).await.unwrap();
    let chats = world.chats().await;
    assert_eq!(chats.len(), 3);
    // An answer to it means the oldest.
    world.receive([mail("4", &["<1>"])]).await.unwrap();
    let mut counts = Vec::new();
    for chat in &chats {
        counts.push(world.texts(chat.chat_id).await);
    }
    assert!(counts.contains(&vec!["1".to_owned(), "4".to_owned()]), "{counts:?}");
}

async fn a_message_opens_what_was_closed(world: World) {
    let chat = world.ada_writes("1").await.chat_id;
    for patch in [
        serde_json::json!({ "state": "closed" }),
        serde_json::json!({ "state": "snoozed", "snoozed_until": at(86_400) }),
    ] {
        world.me.call("chats.update", serde_json::json!({ "id": chat, "patch": patch })).await.unwrap();
        let woken = world.ada_writes(&patch.to_string()).await;
        assert_eq!((woken.state.as_str(), woken.snoozed_until), ("open", None), "{patch}");
    }
}

async fn the_first_message_names_the_chat(world: World) {
    let titled = |title: &str, incoming: Incoming| Incoming { title: Some(title.into()), ..incoming };
    world
        .receive([titled(" Prices\r\n", mail("1", &[])), titled("Something else", mail("2", &["<1>"]))])
        .await
        .unwrap();
    let chat = world.chats().await.remove(0);
    assert_eq!(chat.title.as_deref(), Some("Prices"));
    let subjects: Vec<_> =
        world.messages(chat.chat_id).await.into_iter().map(|it| it.metadata["subject"].clone()).collect();
    assert_eq!(subjects, ["Prices", "Something else"]);
}
