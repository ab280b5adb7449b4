//! Who holds the connections of one process, and when they end.

use dealwright::{Error, domain::account::AccountStatus, testkit::provider::message};

use crate::{
    harness::cases,
    world::{UNA, World, noon, note, until},
};

cases![
    stopping_ends_every_connection_and_gives_it_back,
    an_account_that_is_connected_meanwhile_is_taken_up,
    every_account_is_held_however_many_there_are,
    a_removed_accounts_connection_ends,
    an_account_that_is_cut_off_by_a_send_loses_its_connection,
    a_failing_account_keeps_no_other_waiting,
    answers_go_out_while_connections_are_held,
    a_clock_that_jumps_makes_no_second_connection,
    a_connection_that_does_not_end_is_cut_before_the_next_one,
    stopping_cuts_what_does_not_end,
];

async fn stopping_ends_every_connection_and_gives_it_back(world: World) {
    for nth in 1..=3 {
        let running = world.crm.runtime().start().await.unwrap();
        let connection = world.provider.connection(UNA, nth).await.unwrap();
        running.stop().await;
        assert_eq!(world.provider.live(UNA), 0);
        assert_eq!(connection.deliver([note("1", noon())]).await.unwrap_err().code(), "unavailable");
    }
    // Nothing of it is a fault.
    assert_eq!(world.account_status().await.reason, None);
}

async fn an_account_that_is_connected_meanwhile_is_taken_up(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap();
    let sales = "sales@acme.example";
    world.me.accounts().connect(world.provider.account(sales)).await.unwrap();
    let connection = world.provider.connection(sales, 1).await.unwrap();
    connection.deliver([note("1", noon())]).await.unwrap();
    assert_eq!(world.chats().await[0].account_id, connection.session().account_id);
    running.stop().await;
}

async fn every_account_is_held_however_many_there_are(world: World) {
    let handles: Vec<_> = (0..40).map(|n| format!("{n}@acme.example")).collect();
    for handle in &handles {
        world.me.accounts().connect(world.provider.account(handle)).await.unwrap();
    }
    let running = world.crm.runtime().start().await.unwrap();
    for handle in &handles {
        world.provider.connection(handle, 1).await.unwrap();
    }
    running.stop().await;
    assert!(handles.iter().all(|it| (world.provider.live(it), world.provider.made(it)) == (0, 1)));
}

async fn a_removed_accounts_connection_ends(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    world.me.accounts().delete(world.account.into()).await.unwrap();
    // Whether it is told first or tries first: nothing comes in any more.
    assert!(connection.deliver([note("1", noon())]).await.is_err());
    world.provider.gone(UNA).await.unwrap();
    running.stop().await;
    assert_eq!((world.chats().await, world.provider.made(UNA)), (Vec::new(), 1));
}

async fn an_account_that_is_cut_off_by_a_send_loses_its_connection(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap();
    let chat = world.ada_writes("Hello").await.chat_id;
    world.provider.change_password("new");
    world.send(chat, "Hi").await;
    world.until_account_is(AccountStatus::Disconnected).await;
    world.provider.gone(UNA).await.unwrap();
    running.stop().await;
    assert_eq!(world.account_status().await.status, AccountStatus::Disconnected);
    assert_eq!(world.provider.made(UNA), 1);
}

async fn a_failing_account_keeps_no_other_waiting(world: World) {
    let sales = "sales@acme.example";
    world.me.accounts().connect(world.provider.account(sales)).await.unwrap();
    world.provider.fail_connection(Error::unavailable("nobody answers"));
    let running = world.crm.runtime().start().await.unwrap();
    until("the other account's connection", async || {
        (world.provider.live(UNA) + world.provider.live(sales) == 1).then_some(())
    })
    .await;
    world.later(2);
    world.provider.connection(UNA, 1).await.unwrap();
    world.provider.connection(sales, 1).await.unwrap();
    running.stop().await;
}

async fn answers_go_out_while_connections_are_held(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    connection.deliver([message("1", "ada@globex.example", "Hello", noon())]).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    world.send(chat, "Hi").await;
    assert_eq!(world.provider.handed_over(1).await.unwrap()[0].text, "Hi");
    running.stop().await;
    assert_eq!(world.texts(chat).await, ["Hello", "Hi"]);
}

async fn a_clock_that_jumps_makes_no_second_connection(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    for nth in 1..=3 {
        let connection = world.provider.connection(UNA, nth).await.unwrap();
        connection.deliver([note(&nth.to_string(), noon())]).await.unwrap();
        // A machine that slept: every lease has run out, and this process finds its own among them.
        world.later(3600);
    }
    running.stop().await;
    assert_eq!(world.provider.most_live(UNA), 1);
}

async fn a_connection_that_does_not_end_is_cut_before_the_next_one(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap();
    world.provider.linger();
    world.later(3600);
    world.provider.connection(UNA, 2).await.unwrap();
    assert_eq!(world.provider.most_live(UNA), 1);
    running.stop().await;
}

async fn stopping_cuts_what_does_not_end(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap();
    world.provider.linger();
    running.stop().await;
    assert_eq!(world.provider.live(UNA), 0);
    // Cut off or not, it was given back.
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 2).await.unwrap();
    running.stop().await;
}
