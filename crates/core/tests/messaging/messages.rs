//! Reading a chat.

use dealwright::{
    id::{ChatId, Id, MessageId},
    services::messaging::ListMessages,
};

use crate::{
    harness::cases,
    world::{World, at, note, refused},
};

cases![
    messages_are_listed_newest_first,
    a_page_of_messages_follows_the_other_without_gaps,
    messages_of_one_instant_are_paged_in_their_order,
    one_message_is_as_it_is_listed,
    what_is_not_there_is_not_found,
];

async fn chat_of(world: &World, count: i64) -> ChatId {
    world.later(count);
    world.receive((1..=count).map(|n| note(&n.to_string(), at(n)))).await.unwrap();
    world.chats().await.remove(0).chat_id
}

/// All texts of a chat, by pages of `limit`.
async fn paged(world: &World, chat_id: ChatId, limit: u32) -> Vec<String> {
    let (mut texts, mut cursor) = (Vec::new(), None);
    loop {
        let input = ListMessages { chat_id, limit: Some(limit), cursor };
        let page = world.me.messages().list(input).await.unwrap();
        assert!(page.data.len() <= limit as usize);
        texts.extend(page.data.into_iter().map(|message| message.content.unwrap().text));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return texts;
        }
    }
}

async fn messages_are_listed_newest_first(world: World) {
    let chat = chat_of(&world, 3).await;
    assert_eq!(paged(&world, chat, 50).await, ["3", "2", "1"]);
}

async fn a_page_of_messages_follows_the_other_without_gaps(world: World) {
    let chat = chat_of(&world, 7).await;
    let input = ListMessages { chat_id: chat, limit: Some(3), cursor: None };
    let first = world.me.messages().list(input).await.unwrap();
    // What comes in meanwhile shifts nothing.
    world.ada_writes("8").await;
    let input = ListMessages { chat_id: chat, limit: Some(3), cursor: first.next_cursor.clone() };
    let second = world.me.messages().list(input).await.unwrap();
    let texts: Vec<_> = first.data.into_iter().chain(second.data).map(|it| it.content.unwrap().text).collect();
    assert_eq!(texts, ["7", "6", "5", "4", "3", "2"]);
    let other = ListMessages { chat_id: ChatId::from_uuid(world.una.uuid()), limit: None, cursor: first.next_cursor };
    refused(world.me.messages().list(other).await, 404, "not_found");
}

async fn messages_of_one_instant_are_paged_in_their_order(world: World) {
    let ids: Vec<_> = (100..150).map(|n| n.to_string()).collect();
    world.receive(ids.iter().map(|id| note(id, at(0)))).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let newest_first: Vec<_> = ids.into_iter().rev().collect();
    for limit in [1, 7, 200] {
        assert_eq!(paged(&world, chat, limit).await, newest_first);
    }
}

async fn one_message_is_as_it_is_listed(world: World) {
    let chat = chat_of(&world, 2).await;
    for listed in world.messages(chat).await {
        assert_eq!(world.message(listed.id).await, listed);
    }
}

async fn what_is_not_there_is_not_found(world: World) {
    let nobody = world.una.uuid();
    refused(world.me.messages().get(MessageId::from_uuid(nobody)).await, 404, "not_found");
    refused(world.me.messages().read(MessageId::from_uuid(nobody)).await, 404, "not_found");
    refused(world.me.messages().cancel(MessageId::from_uuid(nobody)).await, 404, "not_found");
    refused(world.me.messages().explain(MessageId::from_uuid(nobody)).await, 404, "not_found");
    refused(world.me.chats().get(ChatId::from_uuid(nobody)).await, 404, "not_found");
}
