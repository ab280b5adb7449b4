//! Connecting accounts, and what is shown of them.

use dealwright::{
    domain::{account::AccountStatus, event::EventKind},
    id::{AccountId, Id},
    patch::Patch,
    ports::{
        connector::Capabilities,
        store::{AccountReads, Batch, SecretReads, Store, Update, WorkQueue, Write},
    },
    scope::Role,
    services::accounts::{AccountPatch, ConnectAccount, ListAccounts, UpdateAccount},
    testkit::provider::Provider,
};
use serde_json::json;

use crate::{
    harness::cases,
    world::{ADA, UNA, World, at, noon, pointers, refused, until},
};

cases![
    an_account_is_checked_before_it_is_kept,
    a_connected_account_waits_for_its_connection,
    an_account_without_a_live_connection_works_at_once,
    secrets_are_shown_to_nobody,
    a_secret_copied_to_another_account_does_not_open,
    without_its_keys_an_organisation_has_no_secrets,
    a_connected_handle_is_refused_with_its_account,
    of_connecting_a_handle_twice_at_once_one_wins,
    accounts_are_listed_newest_first_by_platform,
    what_was_sent_today_is_counted,
    an_edit_is_stated_and_counted,
    a_faulty_edit_changes_nothing,
    a_removed_account_is_gone_and_its_chats_stay,
    a_removed_account_comes_back_with_its_history,
    members_connect_accounts_and_viewers_do_not,
];

async fn connect(world: &World, handle: &str) -> AccountId {
    world.me.accounts().connect(world.provider.account(handle)).await.unwrap().account.account.id
}

async fn handles(world: &World, input: ListAccounts) -> Vec<String> {
    world.me.accounts().list(input).await.unwrap().data.into_iter().map(|it| it.account.handle).collect()
}

async fn an_account_is_checked_before_it_is_kept(world: World) {
    let other = world.provider.account("sales@acme.example");
    let wrong = async |member: &str, value| {
        let mut input = other.clone();
        input.settings.insert(member.into(), value);
        world.me.accounts().connect(input).await
    };
    let found = pointers(wrong("password", json!("wrong")).await);
    assert_eq!(found, [("/password".to_owned(), "refused".to_owned())]);
    let found = pointers(wrong("handle", json!(1)).await);
    assert_eq!(found, [("/handle".to_owned(), "required".to_owned())]);
    let elsewhere = ConnectAccount { platform: "pigeon".into(), ..other.clone() };
    let found = pointers(world.me.accounts().connect(elsewhere).await);
    assert_eq!(found, [("/platform".to_owned(), "unknown".to_owned())]);
    assert_eq!(handles(&world, ListAccounts::default()).await, [UNA]);
    let kept = world.store.account_by_handle(world.organization, "email", "sales@acme.example").await.unwrap();
    assert_eq!(kept, None);
}

async fn a_connected_account_waits_for_its_connection(world: World) {
    let account = world.account().await.account;
    assert_eq!((account.status, &*account.handle, &*account.platform), (AccountStatus::Pending, UNA, "email"));
    assert_eq!((account.owner_id, account.version, account.created_at), (Some(world.una), 1, noon()));
    let events = world.events(account.id).await;
    assert_eq!(events.iter().map(|it| it.kind).collect::<Vec<_>>(), [EventKind::AccountConnected]);
    let status = world.account_status().await;
    assert_eq!((status.status, status.since, status.last_sync_at), (AccountStatus::Pending, noon(), None));
}

async fn an_account_without_a_live_connection_works_at_once(world: World) {
    let hook = Provider::new("telegram").with_capabilities(Capabilities { send: true, ..Default::default() });
    let crm = world.engine_with(&hook).await;
    let me = crm.as_user(world.organization, world.una).await.unwrap();
    let account = me.accounts().connect(hook.account("una")).await.unwrap().account.account;
    assert_eq!(account.status, AccountStatus::Active);
    refused(me.accounts().reconnect(account.id).await, 501, "unsupported");
}

/// ASVS 8.2.3.
async fn secrets_are_shown_to_nobody(world: World) {
    world.provider.change_password("correct horse");
    let input = world.provider.account("sales@acme.example");
    let debug = format!("{input:?}");
    let connected = world.me.accounts().connect(input).await.unwrap();
    let id = connected.account.account.id;
    let list = world.me.call("accounts.list", json!({})).await.unwrap();
    let get = world.me.call("accounts.get", json!(id)).await.unwrap();
    let status = world.me.call("accounts.status", json!(id)).await.unwrap();
    let events = world.events(id).await;
    let shown = format!("{debug} {connected:?} {list} {get} {status} {events:?} {}", json!(connected));
    assert!(shown.contains("sales@acme.example") && !shown.contains("horse"), "{shown}");
    let (secret, _) = world.store.account_secret(world.organization, id).await.unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&secret.sealed).contains("horse"));
}

async fn a_secret_copied_to_another_account_does_not_open(world: World) {
    let sales = connect(&world, "sales@acme.example").await;
    let secret = async |id| world.store.account_secret(world.organization, id).await.unwrap().unwrap().0;
    let (own, other) = (secret(world.account).await, secret(sales).await);
    let mut batch = Batch::default();
    let copied = Update::of(&own).set("sealed", &other.sealed).set("key_id", &other.key_id);
    batch.note(Write::Update(copied)).unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection("sales@acme.example", 1).await.unwrap();
    let reason = until("the fault", async || world.account_status().await.reason).await;
    assert!(reason.contains("belongs elsewhere"), "{reason}");
    running.stop().await;
    assert_eq!(world.provider.made(UNA), 0);
}

async fn without_its_keys_an_organisation_has_no_secrets(world: World) {
    world.crm.secrets().destroy(world.organization).await.unwrap();
    let running = world.crm.runtime().start().await.unwrap();
    let reason = until("the fault", async || world.account_status().await.reason).await;
    assert!(reason.contains("was destroyed"), "{reason}");
    assert_eq!(world.provider.made(UNA), 0);
    // What is connected from now on has a key of its own.
    connect(&world, "sales@acme.example").await;
    world.provider.connection("sales@acme.example", 1).await.unwrap();
    running.stop().await;
    let keys = world.store.data_keys(world.organization).await.unwrap();
    let kept = keys.iter().map(|it| (it.wrapped.is_some(), it.retired_at.is_some())).collect::<Vec<_>>();
    assert_eq!(kept, [(false, true), (true, false)]);
}

async fn a_connected_handle_is_refused_with_its_account(world: World) {
    let error = refused(world.me.accounts().connect(world.provider.account(UNA)).await, 409, "account_exists");
    assert_eq!(error.details().unwrap()["account_id"], world.account.to_string());
    assert_eq!(handles(&world, ListAccounts::default()).await, [UNA]);
}

async fn of_connecting_a_handle_twice_at_once_one_wins(world: World) {
    let accounts = world.me.accounts();
    let input = || world.provider.account("sales@acme.example");
    let (a, b) = tokio::join!(accounts.connect(input()), accounts.connect(input()));
    let (won, lost) = if a.is_ok() { (a, b) } else { (b, a) };
    let id = won.unwrap().account.account.id;
    assert_eq!(refused(lost, 409, "account_exists").details().unwrap()["account_id"], id.to_string());
}

async fn accounts_are_listed_newest_first_by_platform(world: World) {
    for n in 1..=4 {
        world.later(1);
        connect(&world, &format!("{n}@acme.example")).await;
    }
    let page = |cursor| ListAccounts { limit: Some(3), cursor, ..Default::default() };
    let first = world.me.accounts().list(page(None)).await.unwrap();
    let names: Vec<_> = first.data.iter().map(|it| &*it.account.handle).collect();
    assert_eq!(names, ["4@acme.example", "3@acme.example", "2@acme.example"]);
    assert_eq!(handles(&world, page(first.next_cursor)).await, ["1@acme.example", UNA]);
    let on = |platform: &str| ListAccounts { platform: Some(platform.into()), ..Default::default() };
    assert_eq!(handles(&world, on("email")).await.len(), 5);
    assert_eq!(handles(&world, on("telegram")).await, [""; 0]);
}

async fn what_was_sent_today_is_counted(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let sales = connect(&world, "sales@acme.example").await;
    let used = async || {
        let accounts = world.me.accounts().list(ListAccounts::default()).await.unwrap().data;
        let count = |id| accounts.iter().find(|it| it.account.id == id).unwrap().usage_today.unwrap().messages_sent;
        let one = world.account().await.usage_today.unwrap().messages_sent;
        assert_eq!((count(world.account), world.account_status().await.usage.messages_sent), (one, one));
        (one, count(sales))
    };
    assert_eq!(used().await, (0, 0));
    for text in ["1", "2"] {
        world.send(chat, text).await;
    }
    // What waits, or was taken back, was not sent.
    let waits = world.send(chat, "3").await;
    world.me.messages().cancel(waits.id).await.unwrap();
    assert_eq!(used().await, (0, 0));
    world.drain().await;
    assert_eq!(used().await, (2, 0));
    world.clock.set(at(12 * 3600 - 1));
    assert_eq!(used().await, (2, 0));
    // A new day, in UTC.
    world.clock.set(at(12 * 3600));
    assert_eq!(used().await, (0, 0));
    world.send(chat, "4").await;
    world.drain().await;
    assert_eq!(used().await, (1, 0));
}

async fn an_edit_is_stated_and_counted(world: World) {
    world.later(5);
    let patch = AccountPatch { display_name: Patch::Value(" Una at work ".into()), ..Default::default() };
    let input = UpdateAccount { id: world.account, patch, if_version: Some(1) };
    let after = world.me.accounts().update(input.clone()).await.unwrap().account;
    assert_eq!((&*after.display_name, after.version, after.updated_at), ("Una at work", 2, at(5)));
    assert_eq!(world.account().await.account, after);
    refused(world.me.accounts().update(input.clone()).await, 412, "precondition_failed");
    // The same again changes nothing.
    world.me.accounts().update(UpdateAccount { if_version: None, ..input }).await.unwrap();
    assert_eq!(world.account().await.account, after);
    let edits: Vec<_> = world.events(world.account).await.into_iter().skip(1).collect();
    let [edit] = &edits[..] else { panic!("one edit: {edits:?}") };
    assert_eq!((edit.kind, &edit.changes["display_name"].before), (EventKind::AccountUpdated, &json!(UNA)));
}

async fn a_faulty_edit_changes_nothing(world: World) {
    for name in [" ".to_owned(), "x".repeat(201), "a\u{0}b".to_owned()] {
        let patch = AccountPatch { display_name: Patch::Value(name), ..Default::default() };
        let input = UpdateAccount { id: world.account, patch, if_version: None };
        assert_eq!(pointers(world.me.accounts().update(input).await)[0].0, "/display_name");
    }
    assert_eq!(world.account().await.account.version, 1);
}

async fn a_removed_account_is_gone_and_its_chats_stay(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    world.me.accounts().delete(world.account.into()).await.unwrap();
    refused(world.me.accounts().get(world.account).await, 404, "not_found");
    refused(world.me.accounts().status(world.account).await, 404, "not_found");
    refused(world.me.accounts().delete(world.account.into()).await, 404, "not_found");
    refused(world.me.accounts().reconnect(world.account).await, 404, "not_found");
    assert_eq!(handles(&world, ListAccounts::default()).await, [""; 0]);
    assert!(world.store.account_secret(world.organization, world.account).await.unwrap().is_none());
    assert_eq!(world.store.next_due(&[dealwright::domain::job::Lane::Account]).await.unwrap(), None);
    assert_eq!(world.texts(chat).await, ["Hello"]);
    let last = world.events(world.account).await.pop().unwrap();
    assert_eq!((last.kind, &last.changes["status"].after), (EventKind::AccountDeleted, &json!("disconnected")));
}

async fn a_removed_account_comes_back_with_its_history(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    world.me.accounts().delete(world.account.into()).await.unwrap();
    // Whoever brings its credentials owns it.
    let (max, handle) = world.member("max", Role::Member).await;
    let back = handle.accounts().connect(world.provider.account(UNA)).await.unwrap().account.account;
    assert_eq!((back.id, back.owner_id, back.status), (world.account, Some(max), AccountStatus::Pending));
    assert_eq!(world.ada_writes("Again").await.chat_id, chat);
    assert_eq!(world.texts(chat).await, ["Hello", "Again"]);
}

async fn members_connect_accounts_and_viewers_do_not(world: World) {
    let (_, viewer) = world.member("vera", Role::Viewer).await;
    refused(viewer.accounts().connect(world.provider.account(ADA)).await, 403, "forbidden");
    refused(viewer.accounts().reconnect(world.account).await, 403, "forbidden");
    assert_eq!(viewer.accounts().list(ListAccounts::default()).await.unwrap().data.len(), 1);
    let (max, member) = world.member("max", Role::Member).await;
    let account = member.accounts().connect(world.provider.account(ADA)).await.unwrap().account.account;
    assert_eq!(account.owner_id, Some(max));
    assert_ne!(account.id.uuid(), world.account.uuid());
}
