//! Several processes over one store: each account is held once, and who has lost it writes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use dealwright::{
    domain::{
        account::AccountStatus,
        job::{Claim, Lane},
    },
    ports::store::WorkQueue,
};
use uuid::Uuid;

use crate::{
    harness::cases,
    process::Process,
    world::{UNA, World, noon, note, refused, until},
};

cases![
    each_account_is_held_by_one_replica,
    replicas_that_start_one_after_the_other_take_nothing_away,
    what_a_replica_gives_back_another_takes_up,
    a_dead_replicas_account_is_taken_over_when_its_lease_ends,
    who_has_lost_the_lease_takes_nothing_in,
    who_has_lost_the_lease_says_nothing_of_the_account,
    no_message_is_taken_in_after_the_lease_was_lost,
    a_lease_from_before_the_removal_counts_no_more,
    a_message_goes_out_by_one_replica,
];

const LEASE: TimeDelta = TimeDelta::seconds(15);

/// Takes every account's lease away, as a replica does that finds them run out.
async fn take(world: &World, now: DateTime<Utc>) -> Vec<Claim> {
    let somebody = Uuid::from_u128(7);
    world.store.free(&[Lane::Account], now, LEASE).await.unwrap();
    world.store.claim(&[Lane::Account], somebody, now, LEASE, 99).await.unwrap()
}

async fn each_account_is_held_by_one_replica(world: World) {
    let handles: Vec<_> = (0..20).map(|n| format!("{n}@acme.example")).collect();
    for handle in &handles {
        world.me.accounts().connect(world.provider.account(handle)).await.unwrap();
    }
    let (one, two) = (world.replica().await, world.replica().await);
    let (one, two) = (one.runtime(), two.runtime());
    let (one, two) = tokio::join!(one.start(), two.start());
    for handle in &handles {
        world.provider.connection(handle, 1).await.unwrap();
    }
    tokio::join!(one.unwrap().stop(), two.unwrap().stop());
    for handle in &handles {
        assert_eq!(world.provider.most_live(handle), 1, "{handle}");
    }
}

async fn replicas_that_start_one_after_the_other_take_nothing_away(world: World) {
    let first = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(world.replica().await.runtime().start().await.unwrap());
    }
    // The lease is where it was: nobody else finds it.
    assert_eq!(take(&world, noon()).await, []);
    connection.deliver([note("1", noon())]).await.unwrap();
    for other in others {
        other.stop().await;
    }
    connection.deliver([note("2", noon())]).await.unwrap();
    assert_eq!((world.provider.made(UNA), world.provider.live(UNA)), (1, 1));
    first.stop().await;
}

async fn what_a_replica_gives_back_another_takes_up(world: World) {
    let one = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap().deliver([note("1", noon())]).await.unwrap();
    let two = world.replica().await.runtime().start().await.unwrap();
    one.stop().await;
    // At once: no lease has to run out.
    let second = world.provider.connection(UNA, 2).await.unwrap();
    assert_eq!((second.session().cursor.clone(), world.provider.most_live(UNA)), (Some(1.into()), 1));
    second.deliver([note("2", noon())]).await.unwrap();
    two.stop().await;
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1", "2"]);
}

async fn a_dead_replicas_account_is_taken_over_when_its_lease_ends(world: World) {
    let one = Process::start(&world).await;
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.deliver([note("1", noon())]).await.unwrap();
    one.die();
    world.provider.gone(UNA).await.unwrap();
    let two = world.replica().await.runtime().start().await.unwrap();
    assert_eq!(take(&world, noon() + LEASE - TimeDelta::seconds(1)).await, [], "the lease holds while it lasts");
    world.later(16);
    let second = world.provider.connection(UNA, 2).await.unwrap();
    assert_eq!(second.session().cursor, Some(1.into()));
    second.deliver([note("2", noon())]).await.unwrap();
    two.stop().await;
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["1", "2"]);
}

async fn who_has_lost_the_lease_takes_nothing_in(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    assert_eq!(take(&world, noon() + LEASE).await.len(), 1);
    refused(connection.deliver([note("1", noon())]).await, 409, "lease_lost");
    world.provider.gone(UNA).await.unwrap();
    // Not the message, nor how far the synchronisation came, nor that the connection ended.
    assert_eq!((world.chats().await, world.contacts().await), (Vec::new(), Vec::new()));
    let status = world.account_status().await;
    assert_eq!((status.status, status.reason, status.last_sync_at), (AccountStatus::Active, None, None));
    running.stop().await;
}

async fn who_has_lost_the_lease_says_nothing_of_the_account(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    let [claim] = &take(&world, noon() + LEASE).await[..] else { panic!("one lease") };
    refused(connection.status(AccountStatus::Limited, Some("slow")).await, 409, "lease_lost");
    world.provider.gone(UNA).await.unwrap();
    running.stop().await;
    assert_eq!(world.account_status().await.status, AccountStatus::Active);
    // Nor does its end give back what is somebody else's.
    assert!(world.store.renew(claim, noon() + LEASE * 2).await.unwrap());
}

async fn no_message_is_taken_in_after_the_lease_was_lost(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    for nth in 1..=15 {
        let connection = world.provider.connection(UNA, nth).await.unwrap();
        let busy = tokio::spawn(async move {
            let mut step = 0;
            while connection.deliver([note(&format!("{nth}/{step}"), noon())]).await.is_ok() {
                step += 1;
            }
        });
        let taken = until("the lease", async || take(&world, noon() + LEASE).await.pop()).await;
        let seen = texts(&world).await;
        busy.await.unwrap();
        assert_eq!(texts(&world).await, seen, "round {nth}");
        world.provider.gone(UNA).await.unwrap();
        world.store.release(&taken, noon()).await.unwrap();
    }
    running.stop().await;
    assert_eq!(world.provider.most_live(UNA), 1);
}

async fn texts(world: &World) -> Vec<String> {
    match &world.chats().await[..] {
        [] => Vec::new(),
        [chat, ..] => world.texts(chat.chat_id).await,
    }
}

async fn a_lease_from_before_the_removal_counts_no_more(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    let connection = world.provider.connection(UNA, 1).await.unwrap();
    // All in one instant, and taken up by the same process: the time of a claim tells nothing.
    world.me.accounts().delete(world.account.into()).await.unwrap();
    world.me.accounts().connect(world.provider.account(UNA)).await.unwrap();
    let newer = world.provider.connection(UNA, 2).await.unwrap();
    // The old one has given back what was its own, not what is held now.
    assert_eq!(take(&world, noon()).await, []);
    refused(connection.deliver([note("1", noon())]).await, 503, "unavailable");
    assert_eq!(world.chats().await, []);
    for id in 2..20 {
        newer.deliver([note(&id.to_string(), noon())]).await.unwrap();
    }
    running.stop().await;
    assert_eq!((world.provider.made(UNA), world.provider.most_live(UNA)), (2, 1));
}

async fn a_message_goes_out_by_one_replica(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    for text in ["1", "2", "3", "4", "5", "6"] {
        world.send(chat, text).await;
    }
    let (one, two) = (world.replica().await.runtime(), world.replica().await.runtime());
    let (one, two) = tokio::join!(one.drain(), two.drain());
    one.unwrap();
    two.unwrap();
    let mut went: Vec<_> = world.provider.outgoing().into_iter().map(|it| it.text).collect();
    went.sort();
    assert_eq!(went, ["1", "2", "3", "4", "5", "6"]);
}
