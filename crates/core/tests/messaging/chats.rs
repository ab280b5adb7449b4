//! The inbox: its order, its filters, its pages, and what people change in it.

use dealwright::{
    domain::{chat::ChatState, event::EventKind},
    id::ChatId,
    patch::Patch,
    scope::Role,
    services::messaging::{ChatPatch, ListChats, UpdateChat},
    testkit::provider::message,
};

use crate::{
    harness::cases,
    world::{ADA, World, at, note, pointers, refused},
};

cases![
    the_newest_chat_stands_first,
    a_page_follows_the_other_without_gaps,
    a_page_goes_on_where_it_was_whatever_comes_in,
    a_cursor_of_another_list_is_refused,
    each_filter_leaves_out_what_does_not_match,
    a_change_is_stated_and_counted,
    a_change_that_changes_nothing_is_none,
    a_stale_version_is_refused,
    snoozing_needs_a_time_to_come,
    labels_are_tidied,
    a_chat_can_be_looked_after_by_members_alone,
    viewers_change_no_chat,
];

/// Chats of `count` people, the first of them oldest; their ids, newest first.
async fn chats_of(world: &World, count: i64) -> Vec<ChatId> {
    for n in 0..count {
        world.later(1);
        let who = format!("p{n}@globex.example");
        world.receive([message(&who, &who, "Hello", at(n + 1))]).await.unwrap();
    }
    world.chats().await.into_iter().map(|chat| chat.chat_id).collect()
}

async fn page(world: &World, limit: u32, cursor: Option<String>) -> (Vec<ChatId>, Option<String>) {
    let input = ListChats { limit: Some(limit), cursor, ..Default::default() };
    let page = world.me.chats().list(input).await.unwrap();
    (page.data.into_iter().map(|chat| chat.chat_id).collect(), page.next_cursor)
}

async fn filtered(world: &World, filter: ListChats) -> Vec<ChatId> {
    world.me.chats().list(filter).await.unwrap().data.into_iter().map(|chat| chat.chat_id).collect()
}

async fn change(world: &World, id: ChatId, patch: ChatPatch) -> dealwright::Result<ChatState> {
    world.me.chats().update(UpdateChat { id, patch, if_version: None }).await.map(|chat| chat.state)
}

async fn the_newest_chat_stands_first(world: World) {
    let chats = chats_of(&world, 3).await;
    world.later(10);
    world.receive([message("again", "p0@globex.example", "Again", at(13))]).await.unwrap();
    let after: Vec<_> = world.chats().await.into_iter().map(|chat| chat.chat_id).collect();
    assert_eq!(after, [chats[2], chats[0], chats[1]]);
}

async fn a_page_follows_the_other_without_gaps(world: World) {
    let chats = chats_of(&world, 5).await;
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let (found, next) = page(&world, 2, cursor).await;
        seen.extend(found);
        pages += 1;
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (chats, 3));
}

async fn a_page_goes_on_where_it_was_whatever_comes_in(world: World) {
    let chats = chats_of(&world, 4).await;
    let (first, cursor) = page(&world, 2, None).await;
    assert_eq!(first, chats[..2]);
    world.ada_writes("Hello").await;
    assert_eq!(page(&world, 9, cursor).await, (chats[2..].to_vec(), None));
}

async fn a_cursor_of_another_list_is_refused(world: World) {
    chats_of(&world, 3).await;
    let (_, cursor) = page(&world, 1, None).await;
    let other = ListChats { unread: Some(true), cursor, ..Default::default() };
    refused(world.me.chats().list(other).await, 400, "invalid_cursor");
    for limit in [0, 201] {
        let input = ListChats { limit: Some(limit), ..Default::default() };
        refused(world.me.chats().list(input).await, 400, "invalid_parameter");
    }
}

async fn each_filter_leaves_out_what_does_not_match(world: World) {
    let chats = chats_of(&world, 3).await;
    let second = world.me.accounts().connect(world.provider.account("sales@acme.example")).await.unwrap();
    let second = second.account.account.id;
    let inbox = world.crm.inbox(world.organization, second).await.unwrap();
    world.later(10);
    inbox.deliver(vec![note("1", at(13)).into()], serde_json::json!(1)).await.unwrap();
    let other = world.chats().await[0].chat_id;
    let ada = world.chat(other).await.contact.unwrap().id;

    let patch =
        ChatPatch { assigned_to: Patch::Value(world.una), state: ChatState::Closed.into(), ..Default::default() };
    change(&world, chats[1], patch).await.unwrap();
    let newest = world.messages(chats[0]).await.remove(0).id;
    world.me.messages().read(newest).await.unwrap();

    let is = async |filter: ListChats, wanted: &[ChatId]| {
        let words = format!("{filter:?}");
        assert_eq!(filtered(&world, filter).await, wanted, "{words}");
    };
    is(ListChats { account_id: Some(second), ..Default::default() }, &[other]).await;
    is(ListChats { account_id: Some(world.account), ..Default::default() }, &chats).await;
    is(ListChats { contact_id: Some(ada), ..Default::default() }, &[other]).await;
    is(ListChats { assigned_to: Some(world.una), ..Default::default() }, &[chats[1]]).await;
    is(ListChats { state: ChatState::Closed.into(), ..Default::default() }, &[chats[1]]).await;
    is(ListChats { state: ChatState::Open.into(), ..Default::default() }, &[other, chats[0], chats[2]]).await;
    is(ListChats { unread: Some(true), ..Default::default() }, &[other, chats[1], chats[2]]).await;
    is(ListChats { unread: Some(false), ..Default::default() }, &[chats[0]]).await;
    is(
        ListChats {
            unread: Some(true),
            account_id: Some(second),
            state: ChatState::Closed.into(),
            ..Default::default()
        },
        &[],
    )
    .await;
}

async fn a_change_is_stated_and_counted(world: World) {
    let before = world.ada_writes("Hello").await;
    let patch =
        ChatPatch { assigned_to: Patch::Value(world.una), state: ChatState::Closed.into(), ..Default::default() };
    let input = UpdateChat { id: before.chat_id, patch, if_version: Some(1) };
    let after = world.me.chats().update(input).await.unwrap();
    assert_eq!((after.assigned_to, after.state, after.version), (Some(world.una), ChatState::Closed, 2));
    assert_eq!(world.chat(before.chat_id).await, after);
    let events = world.events_about(before.contact.unwrap().id, EventKind::ChatUpdated).await;
    let [event] = &events[..] else { panic!("one event: {events:?}") };
    assert_eq!(event.data["chat_id"], before.chat_id.to_string());
    let changes = serde_json::json!({
        "assigned_to": { "before": null, "after": world.una },
        "state": { "before": "open", "after": "closed" },
    });
    assert_eq!(event.data["changes"], changes);
}

async fn a_change_that_changes_nothing_is_none(world: World) {
    let chat = world.ada_writes("Hello").await;
    let patch = ChatPatch { state: ChatState::Open.into(), labels: Vec::new().into(), ..Default::default() };
    change(&world, chat.chat_id, patch).await.unwrap();
    assert_eq!(world.chat(chat.chat_id).await.version, 1);
    assert_eq!(world.events_about(chat.contact.unwrap().id, EventKind::ChatUpdated).await, []);
}

async fn a_stale_version_is_refused(world: World) {
    let id = world.ada_writes("Hello").await.chat_id;
    let close = async |if_version| {
        let patch = ChatPatch { state: ChatState::Closed.into(), ..Default::default() };
        world.me.chats().update(UpdateChat { id, patch, if_version }).await
    };
    refused(close(Some(2)).await, 412, "precondition_failed");
    assert_eq!(world.chat(id).await.state, ChatState::Open);
    // What comes in changes no version.
    world.ada_writes("Again").await;
    close(Some(1)).await.unwrap();
    refused(close(Some(1)).await, 412, "precondition_failed");
}

async fn snoozing_needs_a_time_to_come(world: World) {
    let id = world.ada_writes("Hello").await.chat_id;
    let snooze = ChatPatch { state: ChatState::Snoozed.into(), ..Default::default() };
    let until = |seconds| ChatPatch { snoozed_until: Patch::Value(at(seconds)), ..Default::default() };
    for (patch, code) in [
        (snooze.clone(), "required"),
        (until(0), "out_of_range"),
        (ChatPatch { state: ChatState::Closed.into(), ..until(60) }, "invalid"),
        (ChatPatch { snoozed_until: Patch::Null, ..snooze }, "required"),
    ] {
        let found = pointers(change(&world, id, patch).await);
        assert_eq!(found, [("/snoozed_until".to_owned(), code.to_owned())]);
    }
    assert_eq!(change(&world, id, until(60)).await.unwrap(), ChatState::Snoozed);
    assert_eq!(world.chat(id).await.snoozed_until, Some(at(60)));
    let awake = ChatPatch { snoozed_until: Patch::Null, ..Default::default() };
    assert_eq!(change(&world, id, awake).await.unwrap(), ChatState::Open);
}

async fn labels_are_tidied(world: World) {
    let id = world.ada_writes("Hello").await.chat_id;
    let labels = |labels: &[&str]| ChatPatch {
        labels: Patch::Value(labels.iter().map(|it| (*it).to_owned()).collect()),
        ..Default::default()
    };
    change(&world, id, labels(&["vip", " hot ", "vip"])).await.unwrap();
    assert_eq!(world.chat(id).await.labels, ["hot", "vip"]);
    assert_eq!(pointers(change(&world, id, labels(&["good", " "])).await)[0].0, "/labels/1");
    let many: Vec<_> = (0..51).map(|n| n.to_string()).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(pointers(change(&world, id, labels(&many)).await)[0].0, "/labels");
    assert_eq!(world.chat(id).await.labels, ["hot", "vip"]);
}

async fn a_chat_can_be_looked_after_by_members_alone(world: World) {
    let id = world.ada_writes("Hello").await.chat_id;
    let (_, stranger) = world.other_organization().await;
    let stranger = stranger.scope().user_id().unwrap();
    let patch = ChatPatch { assigned_to: Patch::Value(stranger), ..Default::default() };
    assert_eq!(pointers(change(&world, id, patch).await), [("/assigned_to".to_owned(), "unknown".to_owned())]);
    let (max, _) = world.member("max", Role::Viewer).await;
    change(&world, id, ChatPatch { assigned_to: Patch::Value(max), ..Default::default() }).await.unwrap();
    change(&world, id, ChatPatch { assigned_to: Patch::Null, ..Default::default() }).await.unwrap();
    assert_eq!(world.chat(id).await.assigned_to, None);
}

async fn viewers_change_no_chat(world: World) {
    let id = world.ada_writes("Hello").await.chat_id;
    let (_, viewer) = world.member("vera", Role::Viewer).await;
    assert_eq!(viewer.chats().get(id).await.unwrap().contact.unwrap().name, ADA);
    let input = UpdateChat { id, patch: ChatPatch::default(), if_version: None };
    refused(viewer.chats().update(input).await, 403, "forbidden");
}
