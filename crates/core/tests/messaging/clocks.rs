//! The clock jumps while messages come and go: nothing goes twice, nobody's connection is held up.

use chrono::TimeDelta;
use dealwright::{Error, domain::message::MessageStatus, ports::connector::SendError};

use crate::{
    harness::cases,
    process::Process,
    world::{UNA, World, noon, note},
};

cases![
    a_dead_replicas_account_is_taken_over_though_the_clock_was_set_back,
    messages_come_in_by_one_connection_however_the_clock_jumps,
    an_account_that_waits_for_its_next_try_is_not_held_up,
    a_message_goes_once_however_the_clock_jumps,
    a_message_of_a_dead_worker_is_settled_though_the_clock_was_set_back,
];

const DAY: TimeDelta = TimeDelta::days(1);

async fn a_dead_replicas_account_is_taken_over_though_the_clock_was_set_back(world: World) {
    let one = Process::start(&world).await;
    let first = world.provider.connection(UNA, 1).await.unwrap();
    first.deliver([note("1", noon())]).await.unwrap();
    one.die();
    world.provider.gone(UNA).await.unwrap();
    world.clock.advance(-DAY);
    let two = world.replica().await.runtime().start().await.unwrap();
    // As after any death: when a lease has passed, not when the clock has caught up.
    let mut waited = 0;
    while world.provider.made(UNA) < 2 {
        waited += 1;
        assert!(waited < 600, "nobody takes the account up");
        world.clock.advance(TimeDelta::milliseconds(500));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let second = world.provider.connection(UNA, 2).await.unwrap();
    second.deliver([note("2", noon())]).await.unwrap();
    two.stop().await;
    // A message is no later than when it came in, by the clock of then.
    assert_eq!(world.texts(world.chats().await[0].chat_id).await, ["2", "1"]);
}

async fn messages_come_in_by_one_connection_however_the_clock_jumps(world: World) {
    let running = world.crm.runtime().start().await.unwrap();
    world.provider.connection(UNA, 1).await.unwrap();
    let jumps = [-TimeDelta::hours(1), DAY, -DAY, TimeDelta::hours(1)];
    for (number, by) in jumps.into_iter().enumerate() {
        world.clock.advance(by);
        let id = number.to_string();
        // A commit rings the bell: everybody looks what is due by the new time. Who loses an account makes a new connection.
        world.contact_with_email(&id, &format!("{id}@jump.example")).await.unwrap();
        let mut waited = 0;
        while {
            let newest = world.provider.connection(UNA, world.provider.made(UNA)).await.unwrap();
            newest.deliver([note(&id, noon())]).await.is_err()
        } {
            waited += 1;
            assert!(waited < 600, "no connection takes anything in after a jump of {by}");
            world.clock.advance(TimeDelta::milliseconds(500));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    running.stop().await;
    assert_eq!((world.provider.most_live(UNA), world.provider.live(UNA)), (1, 0));
    let mut texts = world.texts(world.chats().await[0].chat_id).await;
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "3"]);
}

async fn an_account_that_waits_for_its_next_try_is_not_held_up(world: World) {
    world.provider.fail_connection(Error::unavailable("nobody answers"));
    let running = world.crm.runtime().start().await.unwrap();
    world.until_account_is(dealwright::domain::account::AccountStatus::Connecting).await;
    world.clock.advance(-DAY);
    world.provider.connection(UNA, 1).await.unwrap();
    running.stop().await;
}

async fn a_message_goes_once_however_the_clock_jumps(world: World) {
    let busy = || Err(SendError::Temporary { error: Error::unavailable("the line is busy"), retry_after: None });
    world.provider.answer_send(busy());
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Hi").await;
    world.drain().await;
    assert_eq!(world.message_status(message.id).await, MessageStatus::Queued);
    // Its next try is at a time: not before it, and at once when the clock has passed it.
    world.clock.advance(-TimeDelta::hours(1));
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
    world.clock.advance(DAY);
    world.drain().await;
    assert_eq!((world.message_status(message.id).await, world.provider.outgoing().len()), (MessageStatus::Sent, 2));
    for by in [-DAY, DAY, DAY] {
        world.clock.advance(by);
        world.drain().await;
    }
    assert_eq!(world.provider.outgoing().len(), 2);
    // One that is asked for by a clock that went back goes too, after those before it.
    world.clock.advance(-DAY);
    let second = world.send(chat, "Again").await;
    world.drain().await;
    assert_eq!((world.message_status(second.id).await, world.provider.outgoing().len()), (MessageStatus::Sent, 3));
}

async fn a_message_of_a_dead_worker_is_settled_though_the_clock_was_set_back(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let message = world.send(chat, "Hi").await;
    world.provider.hold_sends();
    let process = Process::idle(&world).await;
    let draining = process.drain();
    world.provider.handed_over(1).await.unwrap();
    process.die();
    assert!(draining.await.unwrap_err().is_cancelled());
    world.provider.resume_sends();
    world.clock.advance(-DAY);
    world.drain().await;
    world.later(16);
    world.drain().await;
    assert_eq!(world.message_status(message.id).await, MessageStatus::Unknown);
    world.clock.advance(DAY * 2);
    world.drain().await;
    assert_eq!(world.provider.outgoing().len(), 1);
}
