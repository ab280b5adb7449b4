//! Notes, tasks, timelines.

use chrono::Duration;
use dealwright::{
    domain::{event::EventKind, note::Note, task::Task},
    id::{ContactId, DealId},
    page::{Page, PageRequest},
    patch::Patch,
    scope::Role,
    services::{
        activities::{
            ContactNote, ContactTask, ContactTimeline, DealNote, DealTask, DealTimeline, DeleteNote, DeleteTask,
            ListContactNotes, ListContactTasks, ListDealNotes, ListTasks, NotePatch, TaskPatch, TimelineItem,
            TimelineKind, UpdateNote, UpdateTask,
        },
        contacts::DeleteContact,
        deals::{DealPatch, DeleteDeal, NewDeal, UpdateDeal},
    },
};
use serde_json::json;

use crate::{
    cases,
    world::{World, noon, pointers, refused},
};

cases![
    a_note_is_written_edited_and_removed,
    a_task_is_made_done_and_removed,
    tasks_are_listed_by_whose_they_are_and_when,
    a_reminder_and_a_due_date_are_told_once,
    another_date_is_told_anew_and_what_is_done_is_not,
    a_timeline_merges_everything_page_by_page,
    a_deal_has_notes_tasks_and_a_timeline_of_its_own,
    what_is_on_a_deleted_contact_is_gone_with_it,
    tasks_fall_due_after_a_restore,
    tasks_of_what_is_deleted_are_not_listed,
    a_task_made_done_never_falls_due,
    who_is_given_a_task_or_a_deal_is_told,
    another_organisation_sees_none_of_it,
];

async fn note(world: &World, contact: ContactId, text: &str) -> Note {
    world.later(1);
    world.me.notes().create_on_contact(ContactNote { contact_id: contact, text: text.into() }).await.unwrap()
}

fn task(contact: ContactId, title: &str) -> ContactTask {
    let (due_at, remind_at) = (None, None);
    ContactTask { contact_id: contact, title: title.into(), due_at, remind_at, assigned_to: Patch::Absent, done: false }
}

fn deal_task(deal: DealId, title: &str) -> DealTask {
    let (due_at, remind_at) = (None, None);
    DealTask { deal_id: deal, title: title.into(), due_at, remind_at, assigned_to: Patch::Absent, done: false }
}

async fn due(world: &World, contact: ContactId, title: &str, minutes: i64) -> Task {
    world.later(1);
    let due_at = Some(noon() + Duration::minutes(minutes));
    world.me.tasks().create_for_contact(ContactTask { due_at, ..task(contact, title) }).await.unwrap()
}

async fn deal(world: &World, name: &str, contact: Option<ContactId>) -> DealId {
    world.later(1);
    let new = NewDeal { name: name.into(), contact_id: contact, ..Default::default() };
    world.me.deals().create(new).await.unwrap().id
}

async fn a_note_is_written_edited_and_removed(world: World) {
    let ada = world.contact("Ada").await.id;
    let first = note(&world, ada, " Met at the fair.\nLikes tea. ").await;
    assert_eq!(
        (first.text.as_str(), first.contact_id, first.deal_id),
        ("Met at the fair.\nLikes tea.", Some(ada), None)
    );
    assert_eq!((first.created_by, first.version), (Some(world.una), 1));
    let second = note(&world, ada, "Called.").await;
    let list = ListContactNotes { contact_id: ada, limit: Some(1), cursor: None };
    let page = world.me.notes().list_of_contact(list.clone()).await.unwrap();
    let rest = ListContactNotes { cursor: page.next_cursor, ..list };
    let rest = world.me.notes().list_of_contact(rest).await.unwrap();
    assert_eq!((page.data, rest.data, rest.next_cursor), (vec![second], vec![first.clone()], None));
    let update = |text: Patch<String>, if_version| UpdateNote { id: first.id, patch: NotePatch { text }, if_version };
    let edited = world.me.notes().update(update("Met.".to_owned().into(), Some(1))).await.unwrap();
    assert_eq!((edited.text.as_str(), edited.version), ("Met.", 2));
    refused(world.me.notes().update(update("x".to_owned().into(), Some(1))).await, 412, "precondition_failed");
    for (text, code) in [(Patch::Null, "required"), ("\u{7}".to_owned().into(), "control_character")] {
        assert_eq!(pointers(world.me.notes().update(update(text, None)).await), [("/text".into(), code.into())]);
    }
    world.me.notes().delete(DeleteNote { id: first.id, if_version: Some(2) }).await.unwrap();
    refused(world.me.notes().get(first.id).await, 404, "not_found");
    let kinds: Vec<_> = world.events(ada).await.iter().map(|it| it.kind).collect();
    use EventKind::{ContactCreated, NoteCreated, NoteDeleted, NoteUpdated};
    assert_eq!(kinds, [ContactCreated, NoteCreated, NoteCreated, NoteUpdated, NoteDeleted]);
    let long = ContactNote { contact_id: ada, text: "x".repeat(20_001) };
    assert_eq!(pointers(world.me.notes().create_on_contact(long).await)[0].1, "too_long");
    let nobody = ContactNote { contact_id: world.env.id().unwrap(), text: "x".into() };
    refused(world.me.notes().create_on_contact(nobody).await, 404, "not_found");
}

async fn a_task_is_made_done_and_removed(world: World) {
    let ada = world.contact("Ada").await.id;
    let made = due(&world, ada, " Call back ", 90).await;
    assert_eq!(
        (made.title.as_str(), made.assigned_to, made.done, made.version),
        ("Call back", Some(world.una), false, 1)
    );
    let unassigned = ContactTask { assigned_to: Patch::Null, ..task(ada, "Anybody") };
    assert_eq!(world.me.tasks().create_for_contact(unassigned).await.unwrap().assigned_to, None);
    let wrong = ContactTask { assigned_to: world.env.id::<dealwright::id::UserId>().unwrap().into(), ..task(ada, " ") };
    let found = pointers(world.me.tasks().create_for_contact(wrong).await);
    assert_eq!(found.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["/title", "/assigned_to"]);
    world.later(60);
    let update = |patch| UpdateTask { id: made.id, patch, if_version: None };
    let done = TaskPatch { done: true.into(), ..Default::default() };
    let ended = world.me.tasks().update(update(done)).await.unwrap();
    assert_eq!((ended.done, ended.done_at, ended.version), (true, Some(ended.updated_at), 2));
    let again = TaskPatch { done: Patch::Null, due_at: Patch::Null, ..Default::default() };
    let again = world.me.tasks().update(update(again)).await.unwrap();
    assert_eq!((again.done, again.done_at, again.due_at), (false, None, None));
    world.me.tasks().delete(DeleteTask { id: made.id, if_version: Some(3) }).await.unwrap();
    refused(world.me.tasks().get(made.id).await, 404, "not_found");
    let list = ListContactTasks { contact_id: ada, limit: None, cursor: None };
    assert_eq!(world.me.tasks().list_of_contact(list).await.unwrap().data.len(), 1);
}

async fn tasks_are_listed_by_whose_they_are_and_when(world: World) {
    let (ben, _) = world.member("ben", Role::Member).await;
    let ada = world.contact("Ada").await.id;
    for (title, minutes) in [("b", 20), ("a", 10), ("c", 30)] {
        due(&world, ada, title, minutes).await;
    }
    let of_ben = ContactTask { assigned_to: ben.into(), ..task(ada, "someday") };
    world.later(1);
    world.me.tasks().create_for_contact(of_ben).await.unwrap();
    let a = world.me.tasks().list(ListTasks { sort: Some("due_at".into()), ..Default::default() }).await.unwrap().data;
    let done =
        UpdateTask { id: a[0].id, patch: TaskPatch { done: true.into(), ..Default::default() }, if_version: None };
    world.me.tasks().update(done).await.unwrap();
    let titles = async |input: ListTasks| {
        let page = world.me.tasks().list(input).await.unwrap();
        page.data.into_iter().map(|it| it.title).collect::<Vec<_>>().join(" ")
    };
    let all = ListTasks::default;
    let offered = deal(&world, "Offered", Some(ada)).await;
    let by_due =
        |descending: bool| ListTasks { sort: Some(if descending { "-due_at" } else { "due_at" }.into()), ..all() };
    let at = |minutes| Some(noon() + Duration::minutes(minutes));
    for (input, expected) in [
        (all(), "someday c a b"),
        (ListTasks { sort: Some("created_at".into()), ..all() }, "b a c someday"),
        (by_due(false), "a b c someday"),
        (by_due(true), "someday c b a"),
        (ListTasks { done: Some(false), ..by_due(false) }, "b c someday"),
        (ListTasks { done: Some(true), ..by_due(false) }, "a"),
        (ListTasks { done: Some(true), ..all() }, "a"),
        (ListTasks { done: Some(false), ..all() }, "someday c b"),
        (ListTasks { assigned_to: Some("me".into()), ..by_due(false) }, "a b c"),
        (ListTasks { contact_id: Some(ada), ..by_due(true) }, "someday c b a"),
        (ListTasks { contact_id: Some(ada), done: Some(false), ..by_due(false) }, "b c someday"),
        (ListTasks { contact_id: Some(ada), assigned_to: Some(ben.to_string()), ..all() }, "someday"),
        (ListTasks { deal_id: Some(offered), ..all() }, ""),
        (ListTasks { deal_id: Some(offered), contact_id: Some(ada), ..all() }, ""),
        (ListTasks { assigned_to: Some(ben.to_string()), ..all() }, "someday"),
        (ListTasks { assigned_to: Some("me".into()), done: Some(false), ..all() }, "c b"),
        (ListTasks { due_before: at(30), ..by_due(false) }, "a b"),
        (ListTasks { due_after: at(20), ..by_due(false) }, "b c"),
        (ListTasks { due_before: at(30), due_after: at(10), ..all() }, "a b"),
    ] {
        assert_eq!(titles(input.clone()).await, expected, "{input:?}");
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = world.me.tasks().list(ListTasks { limit: Some(1), cursor, ..by_due(false) }).await.unwrap();
        seen.extend(page.data.into_iter().map(|it| it.title));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["a", "b", "c", "someday"]);
    for wrong in [
        ListTasks { sort: Some("title".into()), ..all() },
        ListTasks { assigned_to: Some("ben".into()), ..all() },
        ListTasks { limit: Some(0), ..all() },
    ] {
        refused(world.me.tasks().list(wrong).await, 400, "invalid_parameter");
    }
}

/// The titles of what one was notified of, oldest first.
async fn told(world: &World) -> Vec<String> {
    let page = world.me.notifications().list(PageRequest::default()).await.unwrap();
    let mut told: Vec<_> = page.data.into_iter().map(|it| (it.created_at, it.title)).collect();
    told.sort();
    told.into_iter().map(|(_, title)| title).collect()
}

async fn fallen_due(world: &World, contact: ContactId) -> usize {
    world.events(contact).await.iter().filter(|it| it.kind == EventKind::TaskDue).count()
}

async fn a_reminder_and_a_due_date_are_told_once(world: World) {
    let ada = world.contact("Ada").await.id;
    let new = ContactTask {
        due_at: Some(noon() + Duration::hours(2)),
        remind_at: Some(noon() + Duration::hours(1)),
        ..task(ada, "Call")
    };
    let call = world.me.tasks().create_for_contact(new).await.unwrap();
    for (hours, expected, events) in [
        (0, vec![], 0),
        (1, vec!["Reminder: Call"], 0),
        (1, vec!["Reminder: Call", "Due: Call"], 1),
        (5, vec!["Reminder: Call", "Due: Call"], 1),
    ] {
        world.later(hours * 3600 + 1);
        world.crm.runtime().drain().await.unwrap();
        assert_eq!(
            (told(&world).await, fallen_due(&world, ada).await),
            (expected.into_iter().map(String::from).collect(), events)
        );
    }
    // What was told is no edit.
    assert_eq!(world.me.tasks().get(call.id).await.unwrap().version, 1);
    let event = world.events(ada).await.into_iter().find(|it| it.kind == EventKind::TaskDue).unwrap();
    assert_eq!((&event.data["title"], &event.data["task_id"]), (&"Call".into(), &call.id.to_string().into()));
}

async fn another_date_is_told_anew_and_what_is_done_is_not(world: World) {
    let ada = world.contact("Ada").await.id;
    let call = due(&world, ada, "Call", 10).await;
    let mail = due(&world, ada, "Mail", 10).await;
    let gone = due(&world, ada, "Gone", 10).await;
    let update = |id, patch| UpdateTask { id, patch, if_version: None };
    let done = TaskPatch { done: true.into(), ..Default::default() };
    world.me.tasks().update(update(mail.id, done)).await.unwrap();
    world.me.tasks().delete(DeleteTask { id: gone.id, if_version: None }).await.unwrap();
    world.later(700);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!(told(&world).await, ["Due: Call"]);
    let later = TaskPatch { due_at: (noon() + Duration::minutes(30)).into(), ..Default::default() };
    world.me.tasks().update(update(call.id, later)).await.unwrap();
    world.crm.runtime().drain().await.unwrap();
    assert_eq!(fallen_due(&world, ada).await, 1);
    world.later(3600);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!((told(&world).await, fallen_due(&world, ada).await), (vec!["Due: Call".to_owned(); 2], 2));
}

async fn whole(world: &World, contact: ContactId, limit: u32) -> Vec<TimelineItem> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let input = ContactTimeline { contact_id: contact, limit: Some(limit), cursor };
        let Page { data, next_cursor } = world.me.timelines().of_contact(input).await.unwrap();
        all.extend(data);
        cursor = next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

async fn a_timeline_merges_everything_page_by_page(world: World) {
    let ada = world.contact("Ada").await.id;
    let other = world.contact("Bob").await.id;
    note(&world, other, "not hers").await;
    let first = note(&world, ada, "first").await;
    due(&world, ada, "call", 60).await;
    world.go(ada, world.stage("qualified").id).await;
    deal(&world, "Big one", Some(ada)).await;
    deal(&world, "Not hers", None).await;
    note(&world, ada, "last").await;
    let all = whole(&world, ada, 50).await;
    use TimelineKind::{Deal, Note, StageMove, Task};
    let kinds: Vec<_> = all.iter().map(|it| it.kind).collect();
    assert_eq!(kinds, [Note, Deal, StageMove, Task, Note, StageMove]);
    assert!(all.is_sorted_by(|a, b| (a.at, a.id) > (b.at, b.id)));
    assert_eq!(all[4].note.as_ref(), Some(&first));
    assert_eq!(all[1].deal.as_ref().unwrap().name, "Big one");
    assert_eq!(all[2].stage_move.as_ref().unwrap().to_stage_id, world.stage("qualified").id);
    for limit in [1, 2, 5] {
        assert_eq!(whole(&world, ada, limit).await, all, "{limit} a page");
    }
    let first = ContactTimeline { contact_id: ada, limit: Some(1), cursor: None };
    let page = world.me.timelines().of_contact(first).await.unwrap();
    let stolen = ContactTimeline { contact_id: other, limit: None, cursor: page.next_cursor };
    refused(world.me.timelines().of_contact(stolen).await, 400, "invalid_cursor");
}

async fn a_deal_has_notes_tasks_and_a_timeline_of_its_own(world: World) {
    let ada = world.contact("Ada").await.id;
    let big = deal(&world, "Big one", Some(ada)).await;
    let written = DealNote { deal_id: big, text: "They want a discount".into() };
    let written = world.me.notes().create_on_deal(written).await.unwrap();
    world.later(1);
    let due_at = Some(noon() + Duration::minutes(1));
    let new = DealTask { due_at, ..deal_task(big, "Offer") };
    world.me.tasks().create_for_deal(new).await.unwrap();
    let notes = ListDealNotes { deal_id: big, limit: None, cursor: None };
    assert_eq!(world.me.notes().list_of_deal(notes).await.unwrap().data, [written]);
    let items = world.me.timelines().of_deal(DealTimeline { deal_id: big, limit: None, cursor: None }).await.unwrap();
    use TimelineKind::{Note, StageMove, Task};
    assert_eq!(items.data.iter().map(|it| it.kind).collect::<Vec<_>>(), [Task, Note, StageMove]);
    assert_eq!(whole(&world, ada, 9).await.len(), 2, "her own entry, and that there is a deal");
    world.later(120);
    world.crm.runtime().drain().await.unwrap();
    let events = world.events(big).await;
    assert!(events.iter().any(|it| it.kind == EventKind::TaskDue), "{events:?}");
    assert_eq!(told(&world).await, ["Due: Offer"]);
}

async fn what_is_on_a_deleted_contact_is_gone_with_it(world: World) {
    let ada = world.contact("Ada").await.id;
    let (written, call) = (note(&world, ada, "x").await, due(&world, ada, "Call", 1).await);
    world.me.contacts().delete(DeleteContact { id: ada, if_version: None }).await.unwrap();
    refused(world.me.notes().get(written.id).await, 404, "not_found");
    refused(world.me.tasks().get(call.id).await, 404, "not_found");
    refused(
        world.me.timelines().of_contact(ContactTimeline { contact_id: ada, limit: None, cursor: None }).await,
        404,
        "not_found",
    );
    world.later(120);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!((told(&world).await, fallen_due(&world, ada).await), (vec![], 0));
    world.me.contacts().restore(ada.into()).await.unwrap();
    assert_eq!(world.me.notes().get(written.id).await.unwrap(), written);
}

async fn tasks_fall_due_after_a_restore(world: World) {
    let ada = world.contact("Ada").await.id;
    let big = deal(&world, "Big one", None).await;
    let (call, later) = (due(&world, ada, "Call", 1).await, due(&world, ada, "Later", 60).await);
    due(&world, ada, "Done", 1).await;
    let done = world.me.tasks().list(ListTasks::default()).await.unwrap().data.remove(0);
    let patch = TaskPatch { done: true.into(), ..Default::default() };
    world.me.tasks().update(UpdateTask { id: done.id, patch, if_version: None }).await.unwrap();
    let remind_at = Some(noon() + Duration::minutes(1));
    world.me.tasks().create_for_deal(DealTask { remind_at, ..deal_task(big, "Offer") }).await.unwrap();
    world.me.contacts().delete(DeleteContact { id: ada, if_version: None }).await.unwrap();
    world.me.deals().delete(DeleteDeal { id: big, if_version: None }).await.unwrap();
    world.later(120);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!(told(&world).await, Vec::<String>::new());
    world.me.contacts().restore(ada.into()).await.unwrap();
    world.me.deals().restore(big.into()).await.unwrap();
    world.crm.runtime().drain().await.unwrap();
    let mut titles = told(&world).await;
    titles.sort();
    assert_eq!((titles, fallen_due(&world, ada).await), (vec!["Due: Call".into(), "Reminder: Offer".into()], 1));
    assert_eq!(world.events(ada).await.last().unwrap().data["task_id"], call.id.to_string());
    world.later(3600);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!(fallen_due(&world, ada).await, 2);
    assert_eq!(world.events(ada).await.last().unwrap().data["task_id"], later.id.to_string());
}

async fn tasks_of_what_is_deleted_are_not_listed(world: World) {
    let (ada, ben) = (world.contact("Ada").await.id, world.contact("Ben").await.id);
    let big = deal(&world, "Big one", None).await;
    for n in 0..3 {
        due(&world, ben, "gone", n).await;
        due(&world, ada, "there", n).await;
        world.me.tasks().create_for_deal(deal_task(big, "gone with its deal")).await.unwrap();
    }
    world.me.contacts().delete(DeleteContact { id: ben, if_version: None }).await.unwrap();
    world.me.deals().delete(DeleteDeal { id: big, if_version: None }).await.unwrap();
    for sort in [None, Some("due_at".to_owned())] {
        let list = |cursor| ListTasks { sort: sort.clone(), limit: Some(2), cursor, ..Default::default() };
        let first = world.me.tasks().list(list(None)).await.unwrap();
        let rest = world.me.tasks().list(list(first.next_cursor.clone())).await.unwrap();
        assert_eq!((first.data.len(), rest.data.len(), &rest.next_cursor), (2, 1, &None), "full pages");
        assert!(first.data.iter().chain(&rest.data).all(|it| it.title == "there"));
    }
    let of_ben = ListTasks { contact_id: Some(ben), ..Default::default() };
    assert_eq!(world.me.tasks().list(of_ben.clone()).await.unwrap().data, []);
    world.me.contacts().restore(ben.into()).await.unwrap();
    assert_eq!(world.me.tasks().list(of_ben).await.unwrap().data.len(), 3);
}

async fn a_task_made_done_never_falls_due(world: World) {
    let ada = world.contact("Ada").await.id;
    let (due_at, remind_at) = (Some(noon() + Duration::minutes(2)), Some(noon() + Duration::minutes(1)));
    let new = ContactTask { due_at, remind_at, done: true, ..task(ada, "Called") };
    let made = world.me.tasks().create_for_contact(new).await.unwrap();
    assert_eq!((made.done, made.done_at), (true, Some(made.created_at)));
    let big = deal(&world, "Big one", None).await;
    let made =
        world.me.tasks().create_for_deal(DealTask { due_at, done: true, ..deal_task(big, "Sent") }).await.unwrap();
    assert!(made.done);
    world.later(600);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!((told(&world).await, fallen_due(&world, ada).await), (vec![], 0));
}

async fn who_is_given_a_task_or_a_deal_is_told(world: World) {
    let (ben, bens) = world.member("ben", Role::Member).await;
    let ada = world.contact("Ada").await.id;
    let heard = async || {
        let page = bens.notifications().list(PageRequest::default()).await.unwrap();
        let mut told: Vec<_> = page.data;
        told.sort_by_key(|it| it.created_at);
        told.into_iter().map(|it| (it.title, it.contact_id, it.deal_id, it.task_id)).collect::<Vec<_>>()
    };
    let call = due(&world, ada, "Call", 60).await;
    let give = |id, to: Patch<_>| {
        let patch = TaskPatch { assigned_to: to, ..Default::default() };
        UpdateTask { id, patch, if_version: None }
    };
    world.me.tasks().update(give(call.id, ben.into())).await.unwrap();
    world.later(1);
    let new = NewDeal { name: "Licence".into(), assigned_to: Some(ben), ..Default::default() };
    let licence = world.me.deals().create(new).await.unwrap();
    world.later(1);
    let offer = DealTask { assigned_to: ben.into(), ..deal_task(licence.id, "Offer") };
    let offer = world.me.tasks().create_for_deal(offer).await.unwrap();
    world.later(1);
    let patch = |to: Patch<_>| {
        let patch = DealPatch { assigned_to: to, ..Default::default() };
        UpdateDeal { id: licence.id, patch, if_version: None }
    };
    world.me.deals().update(patch(Patch::Null)).await.unwrap();
    world.me.deals().update(patch(ben.into())).await.unwrap();
    let assigned = |what: &str| format!("{what} was assigned to you");
    let expected = [
        (assigned("Call"), Some(ada), None, Some(call.id)),
        (assigned("Licence"), None, Some(licence.id), None),
        (assigned("Offer"), None, Some(licence.id), Some(offer.id)),
        (assigned("Licence"), None, Some(licence.id), None),
    ];
    assert_eq!(heard().await, expected);
    // Who takes something themselves knows it, and what is done concerns nobody.
    bens.tasks().create_for_contact(task(ada, "Mine")).await.unwrap();
    let done = ContactTask { done: true, assigned_to: ben.into(), ..task(ada, "Done") };
    world.me.tasks().create_for_contact(done).await.unwrap();
    assert_eq!(heard().await, expected);
    world.later(1);
    let items = (0..3).map(|n| json!({ "name": format!("D{n}"), "assigned_to": ben })).collect::<Vec<_>>();
    world.me.call("deals.batch", json!({ "items": items })).await.unwrap();
    assert_eq!(heard().await[4..], [("3 deals were assigned to you".to_owned(), None, None, None)]);
    world.later(7200);
    world.crm.runtime().drain().await.unwrap();
    assert_eq!(heard().await.last(), Some(&("Due: Call".to_owned(), Some(ada), None, Some(call.id))));
}

async fn another_organisation_sees_none_of_it(world: World) {
    let ada = world.contact("Ada").await.id;
    let (written, call) = (note(&world, ada, "x").await, due(&world, ada, "Call", 1).await);
    let (_, them) = world.other_organization().await;
    refused(them.notes().get(written.id).await, 404, "not_found");
    refused(them.notes().create_on_contact(ContactNote { contact_id: ada, text: "x".into() }).await, 404, "not_found");
    refused(them.notes().delete(DeleteNote { id: written.id, if_version: None }).await, 404, "not_found");
    refused(them.tasks().get(call.id).await, 404, "not_found");
    refused(them.tasks().create_for_contact(task(ada, "x")).await, 404, "not_found");
    refused(
        them.timelines().of_contact(ContactTimeline { contact_id: ada, limit: None, cursor: None }).await,
        404,
        "not_found",
    );
    assert_eq!(them.tasks().list(ListTasks::default()).await.unwrap().data, []);
    let (_, viewer) = world.member("viv", Role::Viewer).await;
    refused(
        viewer.notes().create_on_contact(ContactNote { contact_id: ada, text: "x".into() }).await,
        403,
        "forbidden",
    );
    assert_eq!(viewer.notes().get(written.id).await.unwrap(), written);
}
