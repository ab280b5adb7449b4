//! What was read, and how much was not.

use dealwright::{
    domain::{event::EventKind, message::MessageStatus},
    scope::Role,
};
use futures::future::join_all;

use crate::{
    harness::cases,
    world::{World, at, note, refused},
};

cases![
    reading_a_message_reads_all_before_it,
    reading_twice_counts_once,
    reading_is_stated_with_what_is_left,
    readers_at_the_same_time_count_once,
    a_read_beside_what_comes_in_counts_right,
    what_comes_late_is_read_with_what_stands_after_it,
    ones_own_messages_are_never_unread,
    viewers_read_nothing_away,
];

async fn unread(world: &World) -> i64 {
    world.chats().await[0].unread_count
}

async fn reading_a_message_reads_all_before_it(world: World) {
    world.later(9);
    world.receive((1..=5).map(|n| note(&n.to_string(), at(n)))).await.unwrap();
    let chat = world.chats().await.remove(0).chat_id;
    let third = world.messages(chat).await[2].id;
    assert_eq!(world.me.messages().read(third).await.unwrap().unread_count, 2);
    assert_eq!(unread(&world).await, 2);
    let states: Vec<_> = world.messages(chat).await.into_iter().map(|it| (it.read, it.status)).collect();
    let (read, unread) = ((true, MessageStatus::Read), (false, MessageStatus::Delivered));
    assert_eq!(states, [read, read, read, unread, unread]);
}

async fn reading_twice_counts_once(world: World) {
    world.later(9);
    world.receive((1..=3).map(|n| note(&n.to_string(), at(n)))).await.unwrap();
    let messages = world.messages(world.chats().await[0].chat_id).await;
    for (message, left) in [(1, 1), (1, 1), (0, 1), (2, 0), (2, 0)] {
        assert_eq!(world.me.messages().read(messages[message].id).await.unwrap().unread_count, left);
        assert_eq!(unread(&world).await, left);
    }
}

async fn reading_is_stated_with_what_is_left(world: World) {
    world.later(9);
    world.receive((1..=3).map(|n| note(&n.to_string(), at(n)))).await.unwrap();
    let chat = world.chats().await.remove(0);
    let messages = world.messages(chat.chat_id).await;
    world.me.messages().read(messages[1].id).await.unwrap();
    // What reads nothing states nothing.
    world.me.messages().read(messages[0].id).await.unwrap();
    let events = world.events_about(chat.contact.unwrap().id, EventKind::MessageRead).await;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!((&event.data["unread_count"], &event.data["chat_id"]), (&1.into(), &chat.chat_id.to_string().into()));
}

async fn readers_at_the_same_time_count_once(world: World) {
    world.later(9);
    world.receive((1..=4).map(|n| note(&n.to_string(), at(n)))).await.unwrap();
    let messages = world.messages(world.chats().await[0].chat_id).await;
    let room = world.me.messages();
    let readers = [0, 1, 2, 2].map(|n| room.read(messages[n].id));
    for answer in join_all(readers).await {
        answer.unwrap();
    }
    assert_eq!(unread(&world).await, 1);
}

async fn a_read_beside_what_comes_in_counts_right(world: World) {
    let chat = world.ada_writes("0").await;
    let room = world.me.messages();
    for round in 1..=12 {
        let newest = world.messages(chat.chat_id).await.last().unwrap().id;
        world.later(1);
        let late = format!("{round}");
        let (answer, taken_in) = tokio::join!(room.read(newest), world.receive([note(&late, world.crm.env().now())]));
        taken_in.unwrap();
        // Either came first, and the answer says what was true then.
        let read = world.events_about(chat.contact.as_ref().unwrap().id, EventKind::MessageRead).await.pop().unwrap();
        let received = world.events_about(chat.contact.as_ref().unwrap().id, EventKind::MessageReceived).await;
        let came_first = received.last().unwrap().subject_seq < read.subject_seq;
        assert_eq!(answer.unwrap().unread_count, i64::from(came_first), "round {round}");
        assert_eq!(read.data["unread_count"], i64::from(came_first), "round {round}");
        assert_eq!(unread(&world).await, 1);
    }
}

async fn what_comes_late_is_read_with_what_stands_after_it(world: World) {
    world.later(9);
    world.receive([note("2", at(2))]).await.unwrap();
    let second = world.messages(world.chats().await[0].chat_id).await[0].id;
    world.me.messages().read(second).await.unwrap();
    world.receive([note("1", at(1))]).await.unwrap();
    assert_eq!(unread(&world).await, 1);
    assert_eq!(world.me.messages().read(second).await.unwrap().unread_count, 0);
    assert_eq!(unread(&world).await, 0);
}

async fn ones_own_messages_are_never_unread(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    world.later(1);
    let mine = world.send(chat, "Hi").await;
    world.drain().await;
    assert!(world.message(mine.id).await.read);
    assert_eq!(unread(&world).await, 1);
    // Reading one's own answer reads what it answers, and leaves it as it is.
    assert_eq!(world.me.messages().read(mine.id).await.unwrap().unread_count, 0);
    assert_eq!(world.message_status(mine.id).await, MessageStatus::Sent);
}

async fn viewers_read_nothing_away(world: World) {
    let chat = world.ada_writes("Hello").await.chat_id;
    let (_, viewer) = world.member("vera", Role::Viewer).await;
    let hello = world.messages(chat).await.remove(0).id;
    refused(viewer.messages().read(hello).await, 403, "forbidden");
    assert_eq!(unread(&world).await, 1);
    let (_, member) = world.member("max", Role::Member).await;
    member.messages().read(hello).await.unwrap();
    assert_eq!(unread(&world).await, 0);
}
