//! Who may read and write what travels over somebody's private account.

use bytes::Bytes;
use dealwright::{
    domain::{account::Visibility, media::Attachment},
    id::ChatId,
    ports::connector::Incoming,
    scope::Role,
    services::{
        accounts::{AccountPatch, UpdateAccount},
        messaging::{ListChats, ListMessages, SendMessage},
    },
};

use crate::{
    harness::cases,
    world::{World, noon, note, refused},
};

cases![
    others_see_that_a_private_conversation_exists,
    others_read_no_private_message_away,
    others_open_no_private_file,
    nobody_writes_from_somebody_elses_private_account,
    an_account_is_made_private_by_its_owner_or_an_admin,
];

async fn show_to(world: &World, visibility: Visibility) {
    let patch = AccountPatch { visibility: visibility.into(), ..Default::default() };
    world.me.accounts().update(UpdateAccount { id: world.account, patch, if_version: None }).await.unwrap();
}

async fn chat(world: &World) -> ChatId {
    let file = Attachment { name: "a.txt".into(), media_type: "text/plain".into(), bytes: Bytes::from_static(b"1") };
    world.receive([Incoming { media: vec![file], ..note("Hello", noon()) }]).await.unwrap();
    world.chats().await.remove(0).chat_id
}

async fn others_see_that_a_private_conversation_exists(world: World) {
    let chat_id = chat(&world).await;
    // An admin too: privacy is not a matter of rank.
    let (_, max) = world.member("max", Role::Admin).await;
    for visibility in [Visibility::Owner, Visibility::Team] {
        show_to(&world, visibility).await;
        let listed = max.chats().list(ListChats::default()).await.unwrap().data.remove(0);
        for chat in [listed, max.chats().get(chat_id).await.unwrap()] {
            assert_eq!((chat.chat_id, chat.unread_count), (chat_id, 1));
            assert_eq!(chat.last_message.unwrap().text, None);
        }
        let messages = max.messages().list(ListMessages { chat_id, limit: None, cursor: None }).await.unwrap().data;
        assert_eq!((messages.len(), &messages[0].content), (1, &None));
        assert_eq!(max.messages().get(messages[0].id).await.unwrap().content, None);
        assert_eq!(world.texts(chat_id).await, ["Hello"]);
    }
    show_to(&world, Visibility::Organization).await;
    let messages = max.messages().list(ListMessages { chat_id, limit: None, cursor: None }).await.unwrap().data;
    assert_eq!(messages[0].content.as_ref().unwrap().text, "Hello");
}

async fn others_read_no_private_message_away(world: World) {
    let chat = chat(&world).await;
    show_to(&world, Visibility::Owner).await;
    let (_, max) = world.member("max", Role::Member).await;
    let hello = world.messages(chat).await.remove(0).id;
    refused(max.messages().read(hello).await, 403, "forbidden");
    assert_eq!(world.chat(chat).await.unread_count, 1);
}

async fn others_open_no_private_file(world: World) {
    let chat = chat(&world).await;
    let file = world.messages(chat).await.remove(0).content.unwrap().media.remove(0).id;
    let (_, max) = world.member("max", Role::Member).await;
    assert_eq!(&*max.media().download(file).await.unwrap().data, b"1");
    show_to(&world, Visibility::Owner).await;
    refused(max.media().get(file).await, 403, "forbidden");
    refused(max.media().download(file).await, 403, "forbidden");
    refused(max.media().open(file).await.map(drop), 403, "forbidden");
    world.me.media().get(file).await.unwrap();
}

async fn nobody_writes_from_somebody_elses_private_account(world: World) {
    let chat = chat(&world).await;
    let mine = world.send(chat, "Hi").await.id;
    show_to(&world, Visibility::Owner).await;
    let (_, max) = world.member("max", Role::Admin).await;
    let input = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    refused(max.messages().send(input.clone()).await, 403, "forbidden");
    refused(max.messages().cancel(mine).await, 403, "forbidden");
    // What the team may not read it may still answer: that is what `team` is for.
    show_to(&world, Visibility::Team).await;
    max.messages().send(input).await.unwrap();
}

async fn an_account_is_made_private_by_its_owner_or_an_admin(world: World) {
    let patch = AccountPatch { visibility: Visibility::Owner.into(), ..Default::default() };
    let input = UpdateAccount { id: world.account, patch, if_version: None };
    let (_, max) = world.member("max", Role::Member).await;
    refused(max.accounts().update(input.clone()).await, 403, "forbidden");
    refused(max.accounts().delete(world.account.into()).await, 403, "forbidden");
    let (_, eve) = world.member("eve", Role::Admin).await;
    let after = eve.accounts().update(input).await.unwrap().account;
    assert_eq!((after.visibility, after.owner_id, after.version), (Visibility::Owner, Some(world.una), 2));
}
