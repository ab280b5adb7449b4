//! How an account is doing: what its connection says of it, what faults do to it, and how it comes back.

use chrono::TimeDelta;
use dealwright::{
    Error,
    domain::{account::AccountStatus, event::EventKind, job::Lane},
    ports::store::WorkQueue,
    services::contacts::ListContacts,
};

use crate::{
    harness::cases,
    world::{UNA, World, noon, note, refused, until},
};

cases![
    a_live_account_is_active,
    each_change_of_status_is_stated_once,
    what_the_provider_wants_is_shown,
    a_lost_connection_is_made_again_where_it_was,
    faults_in_a_row_wait_ever_longer,
    refused_credentials_end_the_tries,
    new_credentials_bring_an_account_back,
    an_account_that_is_cut_off_is_tried_again_by_hand,
    an_account_that_the_provider_closed_stays_closed,
    a_step_that_fails_is_done_again,
];

async fn a_live_account_is_active(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    assert_eq!(world.account_status().await.status, AccountStatus::Active);
    let session = connection.session();
    assert_eq!((session.account_id, &*session.handle, &session.cursor), (world.account, UNA, &None));
    connection.deliver([note("1", noon())]).await.unwrap();
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1"]);
    assert_eq!(world.account_status().await.last_sync_at, Some(noon()));
    running.stop().await;
}

/// Each status that was stated, with its reason.
async fn stated(world: &World) -> Vec<(String, Option<String>)> {
    let events = world.events(world.account).await;
    let changes = events.iter().filter(|it| it.kind == EventKind::AccountStatusChanged);
    changes
        .map(|it| (it.data["status"].as_str().unwrap().to_owned(), it.data["reason"].as_str().map(Into::into)))
        .collect()
}

fn status(status: &str, reason: Option<&str>) -> (String, Option<String>) {
    (status.to_owned(), reason.map(str::to_owned))
}

async fn each_change_of_status_is_stated_once(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    connection.status(AccountStatus::Active, None).await.unwrap();
    connection.status(AccountStatus::Limited, Some("slow down\u{0}")).await.unwrap();
    // Another reason for the same status is noted, and no event.
    connection.status(AccountStatus::Limited, Some("slower")).await.unwrap();
    assert_eq!(world.account_status().await.reason.as_deref(), Some("slower"));
    connection.status(AccountStatus::Active, None).await.unwrap();
    running.stop().await;
    let wanted = [
        status("connecting", None),
        status("active", None),
        status("limited", Some("slow down")),
        status("active", None),
    ];
    assert_eq!(stated(&world).await, wanted);
    assert_eq!(world.account().await.account.version, 1, "nobody edited it");
}

async fn what_the_provider_wants_is_shown(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    for wanted in [AccountStatus::AwaitingCode, AccountStatus::AwaitingPassword] {
        world.later(1);
        connection.status(wanted, Some("somebody signed in elsewhere")).await.unwrap();
        let shown = world.account_status().await;
        assert_eq!((shown.status, shown.since), (wanted, world.crm.env().now()));
        assert_eq!(shown.reason.as_deref(), Some("somebody signed in elsewhere"));
    }
    running.stop().await;
}

async fn a_lost_connection_is_made_again_where_it_was(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.deliver([note("1", noon())]).await.unwrap();
    first.deliver([note("2", noon())]).await.unwrap();
    first.fail(Error::unavailable("the line was cut"));
    let lost = world.until_account_is(AccountStatus::Connecting).await;
    assert_eq!(lost.reason.as_deref(), Some("the line was cut"));
    assert_eq!(world.provider.live(UNA), 0);
    refused(first.deliver([note("3", noon())]).await, 503, "unavailable");
    world.later(2);
    let second = world.provider.connection(UNA, 2).await.unwrap();
    assert_eq!(second.session().cursor, Some(2.into()));
    let back = world.account_status().await;
    assert_eq!((back.status, back.reason), (AccountStatus::Active, None));
    second.deliver([note("3", noon())]).await.unwrap();
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1", "2", "3"]);
    running.stop().await;
}

async fn faults_in_a_row_wait_ever_longer(world: World) {
    for _ in 0..12 {
        world.provider.fail_connection(Error::unavailable("nobody answers"));
    }
    let running = world.crm.runtime().start().await.unwrap();
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300] {
        let now = world.crm.env().now();
        let due = until("the account's next try", async || {
            world.store.next_due(&[Lane::Account]).await.unwrap().filter(|due| *due > now)
        })
        .await;
        // Up to a quarter less, so that many accounts do not come back at the same instant.
        let wait = TimeDelta::seconds(wait);
        assert!(due - now <= wait && due - now >= wait * 3 / 4, "{} instead of {wait}", due - now);
        let status = world.account_status().await;
        assert_eq!((status.status, status.reason.as_deref()), (AccountStatus::Connecting, Some("nobody answers")));
        world.clock.set(due);
    }
    world.provider.connection(UNA, 1).await.unwrap();
    running.stop().await;
}

async fn refused_credentials_end_the_tries(world: World) {
    world.provider.change_password("new");
    let running = world.crm.runtime().start().await.unwrap();
    let refused = world.until_account_is(AccountStatus::Disconnected).await;
    assert_eq!(refused.reason.as_deref(), Some("the password is wrong"));
    until("the end of the tries", async || {
        world.store.next_due(&[Lane::Account]).await.unwrap().is_none().then_some(())
    })
    .await;
    running.stop().await;
    assert_eq!(world.provider.made(UNA), 0);
    assert_eq!(stated(&world).await.last().unwrap(), &status("disconnected", Some("the password is wrong")));
}

async fn new_credentials_bring_an_account_back(world: World) {
    world.receive([note("1", noon())]).await.unwrap();
    world.provider.change_password("new");
    let running = world.crm.runtime().start().await.unwrap();
    world.until_account_is(AccountStatus::Disconnected).await;
    // The old ones are refused, and stay refused.
    let mut old = world.provider.account(UNA);
    old.settings.insert("password".into(), "secret".into());
    assert_eq!(world.me.accounts().connect(old).await.unwrap_err().fields()[0].pointer, "/password");
    let back = world.me.accounts().connect(world.provider.account(UNA)).await.unwrap().account.account;
    assert_eq!((back.id, back.status_reason), (world.account, None));
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    assert_eq!(connection.session().credentials.0["password"], "new");
    connection.deliver([note("1", noon()), note("2", noon())]).await.unwrap();
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1", "2"]);
    running.stop().await;
}

async fn an_account_that_is_cut_off_is_tried_again_by_hand(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.status(AccountStatus::Disconnected, Some("signed out elsewhere")).await.unwrap();
    first.fail(Error::unavailable("signed out"));
    world.provider.gone(UNA).await.unwrap();
    let status = world.account_status().await;
    assert_eq!((status.status, status.reason.as_deref()), (AccountStatus::Disconnected, Some("signed out elsewhere")));
    let again = world.me.accounts().reconnect(world.account).await.unwrap().account;
    assert_eq!((again.status, again.status_reason), (AccountStatus::Pending, None));
    world.provider.connection(UNA, 2).await.unwrap();
    assert_eq!(world.account_status().await.status, AccountStatus::Active);
    running.stop().await;
}

async fn an_account_that_the_provider_closed_stays_closed(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.status(AccountStatus::Banned, Some("spam")).await.unwrap();
    first.fail(Error::unavailable("closed"));
    until("the end of the tries", async || {
        let is_over = world.store.next_due(&[Lane::Account]).await.unwrap().is_none() && world.provider.live(UNA) == 0;
        is_over.then_some(())
    })
    .await;
    running.stop().await;
    let status = world.account_status().await;
    assert_eq!((status.status, status.reason.as_deref()), (AccountStatus::Banned, Some("spam")));
}

async fn a_step_that_fails_is_done_again(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.deliver([note("1", noon())]).await.unwrap();
    // Dropped between two steps: what the second one brought was not told to have been taken in.
    first.fail(Error::unavailable("the line was cut"));
    world.until_account_is(AccountStatus::Connecting).await;
    world.later(2);
    let second = world.provider.connection(UNA, 2).await.unwrap();
    second.deliver([note("1", noon()), note("2", noon())]).await.unwrap();
    running.stop().await;
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1", "2"]);
    assert_eq!(world.me.contacts().list(ListContacts::default()).await.unwrap().data.len(), 1);
}
