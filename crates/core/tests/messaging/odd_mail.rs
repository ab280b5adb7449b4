//! What strangers may send: nothing is refused, nothing breaks, nothing is lost that can be kept.

use chrono::TimeDelta;
use dealwright::{
    ports::connector::{Address, Incoming},
    testkit::provider::message,
};
use serde_json::json;

use crate::{
    harness::cases,
    world::{ADA, World, noon, note},
};

cases![
    a_message_without_a_text_is_a_message,
    a_very_long_text_is_cut_and_said_to_be,
    control_characters_are_left_out,
    very_long_ids_are_kept_apart,
    a_sender_without_anything_is_somebody,
    odd_metadata_is_kept_as_far_as_it_can_be,
    a_date_of_another_age_is_kept,
];

async fn a_message_without_a_text_is_a_message(world: World) {
    world.receive([message("1", ADA, "", noon())]).await.unwrap();
    let chat = world.chats().await.remove(0);
    assert_eq!((world.texts(chat.chat_id).await, chat.unread_count), (vec![String::new()], 1));
    assert_eq!(chat.last_message.unwrap().text.as_deref(), Some(""));
}

async fn a_very_long_text_is_cut_and_said_to_be(world: World) {
    let long = "ä".repeat(3 << 20);
    // Several of them, which no commit holds together.
    let steps = ["1", "2", "3"].map(|id| message(id, ADA, &long, noon()));
    world.receive(steps.into_iter().chain([note("short", noon())])).await.unwrap();
    let chat = world.chats().await.remove(0);
    let messages = world.messages(chat.chat_id).await;
    assert_eq!(messages.len(), 4);
    for message in &messages[..3] {
        let text = &message.content.as_ref().unwrap().text;
        assert!(long.starts_with(text.as_str()) && text.len() == 1 << 20, "{} bytes", text.len());
        assert_eq!(message.metadata["truncated"], true);
    }
    assert!(!messages[3].metadata.contains_key("truncated"));
    assert_eq!(chat.last_message.unwrap().text.as_deref(), Some("short"));
}

async fn control_characters_are_left_out(world: World) {
    let odd = Incoming {
        chat: Some("a\u{0}b".into()),
        title: Some("\u{0}Prices\u{7}".into()),
        sender: Address { name: Some("Ada\u{0}\u{1b}".into()), ..note("", noon()).sender },
        ..message("1\u{0}", ADA, "a\u{0}\r\nb\rc\td\u{1b}[2J", noon())
    };
    world.receive([odd.clone()]).await.unwrap();
    // Cleaned, it is still the same one.
    world.receive([odd]).await.unwrap();
    let [chat] = &world.chats().await[..] else { panic!("one chat") };
    assert_eq!(chat.title.as_deref(), Some("Prices"));
    assert_eq!(world.texts(chat.chat_id).await, ["a\nb\nc\td[2J"]);
    assert_eq!(world.contacts().await[0].name, "Ada");
}

async fn very_long_ids_are_kept_apart(world: World) {
    let long = |tail: &str| {
        let id = format!("{}{tail}", "x".repeat(5000));
        Incoming { chat: None, reference: Some(id.clone()), ..message(&id, ADA, tail, noon()) }
    };
    world.receive([long("1"), long("2"), long("1")]).await.unwrap();
    world.receive([long("2")]).await.unwrap();
    assert_eq!(world.chats().await.len(), 2);
    let answer = Incoming { chat: None, replies_to: vec![format!("{}2", "x".repeat(5000))], ..note("3", noon()) };
    world.receive([answer]).await.unwrap();
    let mut texts = Vec::new();
    for chat in world.chats().await {
        texts.push(world.texts(chat.chat_id).await);
    }
    texts.sort();
    assert_eq!(texts, [vec!["1"], vec!["2", "3"]]);
}

async fn a_sender_without_anything_is_somebody(world: World) {
    let nobody = Incoming { sender: Address::default(), ..note("1", noon()) };
    let odd = Address { id: "?".into(), email: Some("no address".into()), ..Default::default() };
    let odd = Incoming { sender: odd, chat: Some("2".into()), ..note("2", noon()) };
    world.receive([nobody, odd]).await.unwrap();
    let mut names: Vec<_> = world.contacts().await.into_iter().map(|it| it.name).collect();
    names.sort();
    assert_eq!(names, ["email", "no address"]);
    assert_eq!(world.account_status().await.skipped, []);
}

async fn odd_metadata_is_kept_as_far_as_it_can_be(world: World) {
    let mut odd = note("1", noon());
    odd.metadata.insert("spam\u{0}score".into(), json!({ "a\u{0}": [1, "x\u{0}y"] }));
    odd.metadata.insert("huge".into(), json!("x".repeat(1 << 20)));
    world.receive([odd]).await.unwrap();
    let kept = world.messages(world.chats().await[0].chat_id).await.remove(0).metadata;
    assert_eq!(kept["spam score"], json!({ "a": [1, "xy"] }));
    assert!(kept["huge"].as_str().unwrap().len() <= 8 << 10);
}

async fn a_date_of_another_age_is_kept(world: World) {
    let ages = ["1", "2"].map(|id| Incoming { chat: Some(id.into()), ..note(id, noon()) });
    let [mut past, mut future] = ages;
    past.sent_at = chrono::DateTime::UNIX_EPOCH - TimeDelta::days(365 * 100);
    future.sent_at = noon() + TimeDelta::days(365 * 100);
    world.receive([past.clone(), future]).await.unwrap();
    let times: Vec<_> = world.chats().await.into_iter().map(|it| it.last_message_at).collect();
    assert_eq!(times, [noon(), past.sent_at]);
}
