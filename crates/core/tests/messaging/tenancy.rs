//! What is another organisation's is not there.

use dealwright::{
    domain::event::EventKind,
    services::{
        accounts::{AccountPatch, ListAccounts, UpdateAccount},
        messaging::{ChatPatch, ListChats, ListMessages, SendMessage, UpdateChat},
    },
};
use serde_json::json;

use crate::{
    harness::cases,
    world::{UNA, World, noon, note, refused},
};

cases![
    anothers_conversations_are_not_there,
    anothers_accounts_are_not_there,
    one_handle_may_be_connected_by_two_organisations,
    events_tell_each_organisation_its_own,
];

async fn anothers_conversations_are_not_there(world: World) {
    let (_, stranger) = world.other_organization().await;
    let chat_id = world.ada_writes("Hello").await.chat_id;
    let id = world.messages(chat_id).await.remove(0).id;
    assert_eq!(stranger.chats().list(ListChats::default()).await.unwrap().data, []);
    refused(stranger.chats().get(chat_id).await, 404, "not_found");
    let input = UpdateChat { id: chat_id, patch: ChatPatch::default(), if_version: None };
    refused(stranger.chats().update(input).await, 404, "not_found");
    refused(stranger.messages().list(ListMessages { chat_id, limit: None, cursor: None }).await, 404, "not_found");
    refused(stranger.messages().get(id).await, 404, "not_found");
    refused(stranger.messages().read(id).await, 404, "not_found");
    refused(stranger.messages().cancel(id).await, 404, "not_found");
    refused(stranger.messages().explain(id).await, 404, "not_found");
    let input = SendMessage { chat_id: Some(chat_id), text: "Hi".into(), ..Default::default() };
    refused(stranger.messages().send(input).await, 404, "not_found");
    assert_eq!(world.chat(chat_id).await.unread_count, 1);
}

async fn anothers_accounts_are_not_there(world: World) {
    let (theirs, stranger) = world.other_organization().await;
    let id = world.account;
    assert_eq!(stranger.accounts().list(ListAccounts::default()).await.unwrap().data, []);
    refused(stranger.accounts().get(id).await, 404, "not_found");
    refused(stranger.accounts().status(id).await, 404, "not_found");
    refused(stranger.accounts().reconnect(id).await, 404, "not_found");
    refused(stranger.accounts().delete(id.into()).await, 404, "not_found");
    let input = UpdateAccount { id, patch: AccountPatch::default(), if_version: None };
    refused(stranger.accounts().update(input).await, 404, "not_found");
    refused(world.crm.inbox(theirs, id).await.map(drop), 404, "not_found");
    let ada = world.contact_with_email("Ada", "ada@globex.example").await.unwrap().id;
    let theirs = stranger.accounts().connect(world.provider.account("eve@globex.example")).await.unwrap();
    let theirs = theirs.account.account.id;
    for (account_id, contact_id) in [(id, ada), (theirs, ada)] {
        let input = SendMessage {
            account_id: Some(account_id),
            contact_id: Some(contact_id),
            text: "Hi".into(),
            ..Default::default()
        };
        refused(stranger.messages().send(input).await, 404, "not_found");
    }
}

async fn one_handle_may_be_connected_by_two_organisations(world: World) {
    let (theirs, stranger) = world.other_organization().await;
    let account = stranger.accounts().connect(world.provider.account(UNA)).await.unwrap().account.account.id;
    assert_ne!(account, world.account);
    // The same mailbox shows the same mails to both, and each takes in its own.
    let inbox = world.crm.inbox(theirs, account).await.unwrap();
    inbox.deliver(vec![note("1", noon()).into()], json!(1)).await.unwrap();
    world.receive([note("1", noon())]).await.unwrap();
    let [mine] = &world.chats().await[..] else { panic!("one chat") };
    let [other] = &stranger.chats().list(ListChats::default()).await.unwrap().data[..] else { panic!("one chat") };
    assert_ne!((mine.chat_id, &mine.contact), (other.chat_id, &other.contact));
}

async fn events_tell_each_organisation_its_own(world: World) {
    let mut events = world.crm.events();
    let (theirs, stranger) = world.other_organization().await;
    let account = stranger.accounts().connect(world.provider.account(UNA)).await.unwrap().account.account.id;
    let inbox = world.crm.inbox(theirs, account).await.unwrap();
    inbox.deliver(vec![note("1", noon()).into()], json!(1)).await.unwrap();
    world.receive([note("1", noon())]).await.unwrap();
    world.drain().await;
    let mut received = Vec::new();
    while let Ok(event) = events.try_recv() {
        if event.kind == EventKind::MessageReceived {
            assert_eq!(
                event.data["account_id"] == world.account.to_string(),
                event.organization_id == world.organization
            );
            received.push(event.organization_id);
        }
    }
    received.sort();
    let mut wanted = vec![world.organization, theirs];
    wanted.sort();
    assert_eq!(received, wanted);
}
