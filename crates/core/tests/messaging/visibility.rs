//! Who may read and write what travels over somebody's private account.

use bytes::Bytes;
use dealwright::{
    Handle,
    domain::{account::Visibility, media::Attachment},
    id::{ChatId, TeamId, UserId},
    ports::connector::Incoming,
    scope::Role,
    services::{
        accounts::{AccountPatch, ConnectAccount, UpdateAccount},
        activities::ContactTimeline,
        messaging::{ListChats, ListMessages, SendMessage},
        team::{AddTeamMember, NewTeam, RemoveMember, RemoveTeamMember},
    },
};

use crate::{
    harness::cases,
    world::{World, noon, note, refused},
};

cases![
    others_see_that_a_private_conversation_exists,
    an_owners_teams_read_what_is_for_teams,
    an_account_goes_to_whoever_takes_over,
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

/// ASVS 8.2.3.
async fn others_see_that_a_private_conversation_exists(world: World) {
    let chat_id = chat(&world).await;
    // An admin in another team too: privacy is not a matter of rank.
    let (id, max) = world.member("max", Role::Admin).await;
    team(&world, "Openers", &[id]).await;
    team(&world, "Closers", &[world.una]).await;
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

async fn team(world: &World, name: &str, members: &[UserId]) -> TeamId {
    let id = world.me.teams().create(NewTeam { name: name.into() }).await.unwrap().id;
    for user_id in members {
        world.me.teams().add_member(AddTeamMember { id, user_id: *user_id }).await.unwrap();
    }
    id
}

async fn an_owners_teams_read_what_is_for_teams(world: World) {
    let chat_id = chat(&world).await;
    show_to(&world, Visibility::Team).await;
    let (max_id, max) = world.member("max", Role::Member).await;
    let (_, eve) = world.member("eve", Role::Admin).await;
    let closers = team(&world, "Closers", &[world.una, max_id]).await;
    let contact_id = world.chat(chat_id).await.contact.unwrap().id;
    let seen = async |who: &Handle| {
        let inbox = who.chats().list(ListChats::default()).await.unwrap().data.remove(0);
        let one = who.chats().get(chat_id).await.unwrap();
        let input = ListMessages { chat_id, limit: None, cursor: None };
        let listed = who.messages().list(input).await.unwrap().data.remove(0);
        let message = who.messages().get(listed.id).await.unwrap();
        let input = ContactTimeline { contact_id, limit: None, cursor: None };
        let timeline = who.timelines().of_contact(input).await.unwrap().data;
        let on_timeline = timeline.into_iter().find_map(|it| it.message).unwrap();
        let file = world.messages(chat_id).await.remove(0).content.unwrap().media.remove(0).id;
        [
            inbox.last_message.unwrap().text.is_some(),
            one.last_message.unwrap().text.is_some(),
            listed.content.is_some(),
            message.content.is_some(),
            on_timeline.content.is_some(),
            who.media().download(file).await.is_ok(),
        ]
    };
    assert_eq!((seen(&world.me).await, seen(&max).await, seen(&eve).await), ([true; 6], [true; 6], [false; 6]));
    max.messages().read(world.messages(chat_id).await.remove(0).id).await.unwrap();
    // Who leaves the team reads no more.
    world.me.teams().remove_member(RemoveTeamMember { id: closers, user_id: max_id }).await.unwrap();
    assert_eq!(seen(&max).await, [false; 6]);
}

async fn an_account_goes_to_whoever_takes_over(world: World) {
    let (max_id, max) = world.member("max", Role::Member).await;
    let (bo_id, _) = world.member("bo", Role::Member).await;
    let private = ConnectAccount { visibility: Some(Visibility::Owner), ..world.provider.account("max@acme.example") };
    let id = max.accounts().connect(private).await.unwrap().account.account.id;
    let owner = async || world.me.accounts().get(id).await.unwrap().account.owner_id;
    world.me.members().remove(RemoveMember { id: max_id, reassign_to: Some(bo_id) }).await.unwrap();
    assert_eq!(owner().await, Some(bo_id));
    world.me.members().remove(RemoveMember { id: bo_id, reassign_to: None }).await.unwrap();
    assert_eq!(owner().await, None);
    // Admins look after what is nobody's.
    let patch =
        AccountPatch { visibility: dealwright::patch::Patch::Value(Visibility::Organization), ..Default::default() };
    world.me.accounts().update(UpdateAccount { id, patch, if_version: None }).await.unwrap();
}

async fn others_read_no_private_message_away(world: World) {
    let chat = chat(&world).await;
    show_to(&world, Visibility::Owner).await;
    let (_, max) = world.member("max", Role::Member).await;
    let hello = world.messages(chat).await.remove(0).id;
    refused(max.messages().read(hello).await, 403, "forbidden");
    assert_eq!(world.chat(chat).await.unread_count, 1);
}

/// ASVS 8.2.2.
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

/// ASVS 8.2.2.
async fn nobody_writes_from_somebody_elses_private_account(world: World) {
    let chat = chat(&world).await;
    let mine = world.send(chat, "Hi").await.id;
    show_to(&world, Visibility::Owner).await;
    let (_, max) = world.member("max", Role::Admin).await;
    let input = SendMessage { chat_id: Some(chat), text: "Hi".into(), ..Default::default() };
    refused(max.messages().send(input.clone()).await, 403, "forbidden");
    refused(max.messages().cancel(mine).await, 403, "forbidden");
    // Who may read is one thing, who may answer another: `owner` alone keeps others from it.
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
