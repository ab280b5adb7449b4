//! Making, reading, editing, deleting and restoring.

use dealwright::{
    domain::{contact::Handles, event::EventKind},
    patch::Patch,
    scope::{Actor, Role},
    services::contacts::{
        ContactPatch, DeleteContact, HandlesPatch, ListHistory, MoveContact, NewContact, UpdateContact,
    },
};
use serde_json::json;

use crate::{
    cases,
    world::{World, noon, refused},
};

cases![
    a_contact_starts_in_the_default_pipelines_first_stage,
    what_people_type_is_kept_in_one_form,
    creation_is_one_event_with_every_value,
    each_member_is_changed_and_cleared_by_a_patch,
    a_handle_is_patched_by_itself,
    a_patch_that_changes_nothing_writes_nothing,
    an_edit_raises_the_version_and_states_what_changed,
    a_version_that_does_not_match_is_refused,
    a_deleted_contact_is_gone_until_it_is_restored,
    restoring_a_living_contact_changes_nothing,
    concurrent_edits_of_different_members_are_both_kept,
    without_a_pipeline_there_is_no_place_for_a_contact,
    a_viewer_reads_and_does_not_write,
    the_operations_answer_json_too,
];

fn update(id: dealwright::id::ContactId, patch: ContactPatch) -> UpdateContact {
    UpdateContact { id, patch, if_version: None }
}

async fn a_contact_starts_in_the_default_pipelines_first_stage(world: World) {
    let ada = world.contact("Ada").await;
    assert_eq!((ada.stage_id, ada.pipeline_id), (world.stage("lead").id, world.sales.pipeline.id));
    assert_eq!((ada.version, ada.score, ada.stage_entered_at), (1, 0, ada.created_at));
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
    let history = world.history(ada.id).await;
    assert_eq!(history.len(), 1);
    let entry = &history[0];
    assert_eq!((entry.id, entry.from_stage_id, entry.to_stage_id), (ada.stage_entry_id, None, ada.stage_id));
    assert_eq!((entry.moved_by, entry.auto_moved, entry.left_at), (Some(world.una), false, None));
}

async fn what_people_type_is_kept_in_one_form(world: World) {
    let ada = world
        .me
        .contacts()
        .create(NewContact {
            name: "  Ada Lovelace ".into(),
            emails: vec![" Ada@Acme.Example".into(), "ada@acme.example".into(), "ada@home.example".into()],
            phones: vec!["0049 (30) 123-456".into()],
            handles: Handles { telegram: Some("@Ada_L".into()), ..Default::default() },
            assigned_to: Some(world.una),
            source: Some(" fair ".into()),
            tags: vec!["vip".into(), " early ".into(), "vip".into()],
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!((ada.name.as_str(), ada.name_key.as_str()), ("Ada Lovelace", "ada lovelace"));
    assert_eq!(ada.emails, ["ada@acme.example", "ada@home.example"]);
    assert_eq!(ada.phones, ["+4930123456"]);
    assert_eq!(ada.handles.telegram.as_deref(), Some("Ada_L"));
    assert_eq!(ada.tags, ["early", "vip"]);
    assert_eq!((ada.source.as_deref(), ada.assigned_to), (Some("fair"), Some(world.una)));
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
}

async fn creation_is_one_event_with_every_value(world: World) {
    let ada = world.contact_with_email("Ada", "ada@acme.example").await.unwrap();
    let events = world.events(ada.id).await;
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((event.kind, event.id, event.subject_seq), (EventKind::ContactCreated, ada.stage_entry_id, 1));
    assert_eq!(event.actor, Actor::User { id: world.una });
    assert_eq!(event.data["stage_id"], json!(ada.stage_id));
    assert_eq!(event.data["pipeline_id"], json!(ada.pipeline_id));
    let stated: serde_json::Map<_, _> = event.changes.iter().map(|(k, v)| (k.clone(), v.after.clone())).collect();
    let mut whole = json!(ada).as_object().unwrap().clone();
    whole.retain(|_, value| !value.is_null());
    assert_eq!(stated, whole);
    assert!(event.changes.values().all(|change| change.before.is_null()));
}

async fn each_member_is_changed_and_cleared_by_a_patch(world: World) {
    let (ben, _) = world.member("ben", Role::Member).await;
    let ada = world.contact("Ada").await;
    let contacts = world.me.contacts();
    let full = ContactPatch {
        name: "Ada L".to_owned().into(),
        emails: vec!["ada@acme.example".to_owned()].into(),
        phones: vec!["+4930123456".to_owned()].into(),
        handles: HandlesPatch { linkedin: "ada-l".to_owned().into(), ..Default::default() }.into(),
        assigned_to: ben.into(),
        source: "fair".to_owned().into(),
        tags: vec!["vip".to_owned()].into(),
        custom: Default::default(),
        company_id: Patch::Null,
        external_ids: std::collections::BTreeMap::from([("erp".to_owned(), Some("7".to_owned()))]).into(),
        team_id: Patch::Null,
    };
    let changed = contacts.update(update(ada.id, full)).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.version), ("Ada L", 2));
    assert_eq!((changed.emails.len(), changed.phones.len(), changed.tags.len()), (1, 1, 1));
    assert_eq!(changed.handles.linkedin.as_deref(), Some("ada-l"));
    assert_eq!((changed.assigned_to, changed.source.as_deref()), (Some(ben), Some("fair")));
    assert_eq!(contacts.get(ada.id).await.unwrap(), changed);

    let cleared = ContactPatch {
        emails: Patch::Null,
        phones: Patch::Null,
        handles: Patch::Null,
        assigned_to: Patch::Null,
        source: Patch::Null,
        tags: Patch::Null,
        custom: Patch::Null,
        external_ids: Patch::Null,
        ..Default::default()
    };
    let bare = contacts.update(update(ada.id, cleared)).await.unwrap();
    assert_eq!((bare.name.as_str(), bare.version), ("Ada L", 3));
    assert_eq!((bare.emails.len(), bare.phones.len(), bare.tags.len()), (0, 0, 0));
    assert_eq!((bare.handles.clone(), bare.assigned_to, bare.source.clone()), (Handles::default(), None, None));
    assert_eq!(contacts.get(ada.id).await.unwrap(), bare);
}

async fn a_handle_is_patched_by_itself(world: World) {
    let handles = Handles { telegram: Some("ada".into()), linkedin: Some("ada-l".into()), twitter: None };
    let new = NewContact { name: "Ada".into(), handles, ..Default::default() };
    let ada = world.me.contacts().create(new).await.unwrap();
    let patch = HandlesPatch { telegram: Patch::Null, twitter: "@ada".to_owned().into(), ..Default::default() };
    let patch = ContactPatch { handles: patch.into(), ..Default::default() };
    let ada = world.me.contacts().update(update(ada.id, patch)).await.unwrap();
    assert_eq!(ada.handles, Handles { telegram: None, linkedin: Some("ada-l".into()), twitter: Some("ada".into()) });
}

async fn a_patch_that_changes_nothing_writes_nothing(world: World) {
    let ada = world.contact_with_email("Ada", "ada@acme.example").await.unwrap();
    world.later(1);
    let patch = ContactPatch {
        name: " Ada ".to_owned().into(),
        emails: vec!["ADA@acme.example".to_owned()].into(),
        ..Default::default()
    };
    assert_eq!(world.me.contacts().update(update(ada.id, patch)).await.unwrap(), ada);
    assert_eq!(world.events(ada.id).await.len(), 1);
}

async fn an_edit_raises_the_version_and_states_what_changed(world: World) {
    let ada = world.contact("Ada").await;
    world.later(60);
    let patch = ContactPatch { name: "Ida".to_owned().into(), ..Default::default() };
    let ida = world.me.contacts().update(update(ada.id, patch)).await.unwrap();
    assert_eq!((ida.version, ida.created_at, ida.updated_at), (2, ada.created_at, world.env.now()));
    let event = world.events(ada.id).await.pop().unwrap();
    assert_eq!((event.kind, event.subject_seq), (EventKind::ContactUpdated, 2));
    assert_eq!(event.changes.keys().collect::<Vec<_>>(), ["name", "updated_at", "version"]);
    assert_eq!((&event.changes["name"].before, &event.changes["name"].after), (&json!("Ada"), &json!("Ida")));
}

async fn a_version_that_does_not_match_is_refused(world: World) {
    let ada = world.contact("Ada").await;
    let contacts = world.me.contacts();
    let patch = ContactPatch { name: "Ida".to_owned().into(), ..Default::default() };
    let stale = UpdateContact { id: ada.id, patch: patch.clone(), if_version: Some(2) };
    refused(contacts.update(stale).await, 412, "precondition_failed");
    refused(contacts.delete(DeleteContact { id: ada.id, if_version: Some(2) }).await, 412, "precondition_failed");
    contacts.update(UpdateContact { id: ada.id, patch, if_version: Some(1) }).await.unwrap();
    contacts.delete(DeleteContact { id: ada.id, if_version: Some(2) }).await.unwrap();
}

async fn a_deleted_contact_is_gone_until_it_is_restored(world: World) {
    let ada = world.contact_with_email("Ada", "ada@acme.example").await.unwrap();
    let contacts = world.me.contacts();
    world.later(1);
    contacts.delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();

    refused(contacts.get(ada.id).await, 404, "not_found");
    refused(contacts.update(update(ada.id, ContactPatch::default())).await, 404, "not_found");
    refused(contacts.delete(DeleteContact { id: ada.id, if_version: None }).await, 404, "not_found");
    let history = ListHistory { contact_id: ada.id, limit: None, cursor: None };
    refused(contacts.history(history).await, 404, "not_found");
    let to_won = MoveContact { contact_id: ada.id, stage_id: world.stage("won").id, reason: None, if_version: None };
    refused(contacts.move_to(to_won).await, 404, "not_found");
    assert_eq!(contacts.list(Default::default()).await.unwrap().data, []);

    world.later(1);
    let back = contacts.restore(ada.id.into()).await.unwrap();
    assert_eq!((back.version, back.stage_entry_id, back.deleted_at), (3, ada.stage_entry_id, None));
    assert_eq!((back.emails.clone(), back.created_at), (ada.emails, ada.created_at));
    assert_eq!(contacts.get(ada.id).await.unwrap(), back);
    assert_eq!(contacts.list(Default::default()).await.unwrap().data, [back]);
    let kinds: Vec<_> = world.events(ada.id).await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::ContactCreated, EventKind::ContactDeleted, EventKind::ContactRestored]);
}

async fn restoring_a_living_contact_changes_nothing(world: World) {
    let ada = world.contact("Ada").await;
    assert_eq!(world.me.contacts().restore(ada.id.into()).await.unwrap(), ada);
    assert_eq!(world.events(ada.id).await.len(), 1);
}

async fn concurrent_edits_of_different_members_are_both_kept(world: World) {
    let ada = world.contact("Ada").await;
    let edit = |patch| {
        let me = world.me.clone();
        async move { me.contacts().update(update(ada.id, patch)).await.unwrap() }
    };
    tokio::join!(
        edit(ContactPatch { name: "Ida".to_owned().into(), ..Default::default() }),
        edit(ContactPatch { source: "fair".to_owned().into(), ..Default::default() }),
        edit(ContactPatch { tags: vec!["vip".to_owned()].into(), ..Default::default() }),
    );
    let now = world.me.contacts().get(ada.id).await.unwrap();
    assert_eq!((now.name.as_str(), now.source.as_deref(), now.version), ("Ida", Some("fair"), 4));
    assert_eq!(now.tags, ["vip"]);
}

async fn without_a_pipeline_there_is_no_place_for_a_contact(world: World) {
    let nowhere = world.env.id().unwrap();
    let handle = world.crm.as_system(nowhere);
    let new = NewContact { name: "Ada".into(), ..Default::default() };
    refused(handle.contacts().create(new).await, 409, "no_default_pipeline");
}

async fn a_viewer_reads_and_does_not_write(world: World) {
    let ada = world.contact("Ada").await;
    let (_, viewer) = world.member("vic", Role::Viewer).await;
    assert_eq!(viewer.contacts().get(ada.id).await.unwrap(), ada);
    let new = NewContact { name: "Eve".into(), ..Default::default() };
    refused(viewer.contacts().create(new).await, 403, "forbidden");
    let to_won = MoveContact { contact_id: ada.id, stage_id: world.stage("won").id, reason: None, if_version: None };
    refused(viewer.contacts().move_to(to_won).await, 403, "forbidden");
    refused(viewer.contacts().delete(DeleteContact { id: ada.id, if_version: None }).await, 403, "forbidden");
    refused(viewer.contacts().restore(ada.id.into()).await, 403, "forbidden");
}

async fn the_operations_answer_json_too(world: World) {
    let ada = world.me.call("contacts.create", json!({ "name": "Ada", "tags": ["vip"] })).await.unwrap();
    let moved = json!({ "contact_id": ada["id"], "stage_id": world.stage("won").id });
    let moved = world.me.call("contacts.move", moved).await.unwrap();
    assert_eq!(moved["stage_id"], json!(world.stage("won").id));
    let patched = json!({ "id": ada["id"], "patch": { "tags": null, "source": "fair" } });
    let patched = world.me.call("contacts.update", patched).await.unwrap();
    assert_eq!((&patched["tags"], &patched["source"], &patched["version"]), (&json!([]), &json!("fair"), &json!(3)));
    assert_eq!(world.me.call("contacts.get", ada["id"].clone()).await.unwrap(), patched);
    let page = world.me.call("contacts.list", json!({ "created_at": { "gte": noon() } })).await.unwrap();
    assert_eq!(page, json!({ "data": [patched], "next_cursor": null }));
    let board = world.me.call("pipelines.board", json!({ "pipeline_id": world.sales.pipeline.id })).await.unwrap();
    assert_eq!(board["stages"][4]["cards"], json!([patched]));
    assert_eq!(board["stages"][4]["sums"], json!([]));
    let error = world.me.call("contacts.create", json!({ "name": "Ada", "stage_id": "x" })).await.unwrap_err();
    assert_eq!(error.fields()[0].pointer, "/stage_id");
    assert_eq!(error.fields()[0].code, "unknown");
}
