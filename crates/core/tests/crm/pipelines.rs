//! Pipelines: one default, always; none is removed with contacts in it.

use dealwright::{
    patch::Patch,
    scope::Role,
    services::{
        contacts::DeleteContact,
        pipeline::{DeletePipeline, NewPipeline, PipelinePatch, PipelineView, UpdatePipeline},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    the_first_pipeline_is_the_default_one,
    a_default_pipeline_begins_with_the_standard_stages,
    another_pipeline_begins_empty_or_with_its_stages,
    a_new_default_takes_over,
    each_flaw_of_a_new_pipeline_is_named,
    a_pipeline_is_renamed,
    the_default_pipeline_is_handed_over_not_dropped,
    a_pipeline_without_open_stage_takes_no_new_contacts,
    a_pipeline_with_contacts_stays,
    deleted_contacts_find_a_new_place,
    of_concurrent_defaults_one_remains,
    a_default_is_never_removed_by_a_race,
    versions_are_checked,
    pipelines_are_listed_newest_first_in_pages,
    a_member_does_not_shape_pipelines,
];

async fn create(world: &World, new: Value) -> PipelineView {
    world.later(1);
    world.me.pipelines().create(serde_json::from_value(new).unwrap()).await.unwrap()
}

async fn partners(world: &World) -> PipelineView {
    create(world, json!({ "name": "Partners", "stages": [{ "name": "talking" }, { "name": "lost", "kind": "lost" }] }))
        .await
}

fn remove(view: &PipelineView) -> DeletePipeline {
    DeletePipeline { id: view.pipeline.id, if_version: None }
}

fn make_default(view: &PipelineView) -> UpdatePipeline {
    let patch = PipelinePatch { is_default: true.into(), ..Default::default() };
    UpdatePipeline { id: view.pipeline.id, patch, if_version: None }
}

async fn defaults(world: &World) -> Vec<String> {
    let pipelines = world.me.pipelines().list(Default::default()).await.unwrap().data;
    pipelines.into_iter().filter(|view| view.pipeline.is_default).map(|view| view.pipeline.name).collect()
}

async fn the_first_pipeline_is_the_default_one(world: World) {
    let elsewhere = world.crm.as_system(world.env.id().unwrap());
    let new = NewPipeline { name: "Only".into(), ..Default::default() };
    let only = elsewhere.pipelines().create(new).await.unwrap();
    assert!(only.pipeline.is_default);
    assert_eq!(only.stages.len(), 6);
}

async fn a_default_pipeline_begins_with_the_standard_stages(world: World) {
    let kinds: Vec<_> = world.sales.stages.iter().map(|stage| (stage.name.as_str(), stage.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("lead", "open"),
            ("qualified", "open"),
            ("proposal", "open"),
            ("negotiation", "open"),
            ("won", "won"),
            ("lost", "lost"),
        ]
    );
    assert_eq!(world.pipeline(world.sales.pipeline.id).await, world.sales);
}

async fn another_pipeline_begins_empty_or_with_its_stages(world: World) {
    let empty = create(&world, json!({ "name": "Empty" })).await;
    assert_eq!((empty.pipeline.is_default, empty.stages.len(), empty.pipeline.version), (false, 0, 1));
    let stages = json!([
        { "name": " talking ", "color": "#AABBCC", "probability": 0.5, "automation_rules": [{ "hint": 1 }] },
        { "name": "signed", "kind": "won" },
    ]);
    let partners = create(&world, json!({ "name": " Partners ", "stages": stages })).await;
    assert_eq!(partners.pipeline.name, "Partners");
    let [talking, signed] = partners.stages.as_slice() else { panic!("{partners:?}") };
    assert_eq!(
        (talking.name.as_str(), talking.color.as_deref(), talking.probability),
        ("talking", Some("#aabbcc"), Some(0.5))
    );
    assert_eq!(
        (talking.automation_rules.clone(), signed.automation_rules.clone()),
        (json!([{ "hint": 1 }]), json!([]))
    );
    assert_eq!((signed.order_index, signed.kind.as_str(), signed.probability), (1, "won", None));
    assert_eq!(world.pipeline(partners.pipeline.id).await, partners);
}

async fn a_new_default_takes_over(world: World) {
    let next = create(&world, json!({ "name": "Next", "is_default": true })).await;
    assert_eq!(defaults(&world).await, ["Next"]);
    assert_eq!(world.pipeline(world.sales.pipeline.id).await.pipeline.version, 2);
    assert_eq!(world.contact("Ada").await.pipeline_id, next.pipeline.id);
    world.me.pipelines().update(make_default(&world.sales)).await.unwrap();
    assert_eq!(defaults(&world).await, ["Sales"]);
    assert_eq!(world.contact("Ben").await.pipeline_id, world.sales.pipeline.id);
}

async fn each_flaw_of_a_new_pipeline_is_named(world: World) {
    for (new, expected) in [
        (json!({ "name": " " }), vec![("/name", "required")]),
        (
            json!({ "name": "P", "stages": [
                { "name": "a", "color": "red", "probability": 1.5 },
                { "name": "" },
                { "name": "B" },
                { "name": "b" },
                { "name": "c", "automation_rules": "x".repeat(20_000) },
            ] }),
            vec![
                ("/stages/0/color", "invalid"),
                ("/stages/0/probability", "out_of_range"),
                ("/stages/1/name", "required"),
                ("/stages/3/name", "taken"),
                ("/stages/4/automation_rules", "too_long"),
            ],
        ),
        (json!({ "name": "P", "is_default": true, "stages": [] }), vec![("/stages", "required")]),
        (
            json!({ "name": "P", "is_default": true, "stages": [{ "name": "w", "kind": "won" }] }),
            vec![("/stages", "required")],
        ),
        (
            json!({ "name": "P", "stages": (0..101).map(|i| json!({ "name": format!("s{i}") })).collect::<Vec<_>>() }),
            vec![("/stages", "too_many")],
        ),
    ] {
        let found = pointers(world.me.pipelines().create(serde_json::from_value(new).unwrap()).await);
        let found: Vec<_> = found.iter().map(|(at, code)| (at.as_str(), code.as_str())).collect();
        assert_eq!(found, expected);
    }
    assert_eq!(defaults(&world).await, ["Sales"]);
}

async fn a_pipeline_is_renamed(world: World) {
    world.later(1);
    let rename = |name: Patch<String>| UpdatePipeline {
        id: world.sales.pipeline.id,
        patch: PipelinePatch { name, ..Default::default() },
        if_version: None,
    };
    let renamed = world.me.pipelines().update(rename("Deals".to_owned().into())).await.unwrap();
    assert_eq!((renamed.pipeline.name.as_str(), renamed.pipeline.version), ("Deals", 2));
    assert_eq!(renamed.stages, world.sales.stages);
    let again = world.me.pipelines().update(rename(" Deals ".to_owned().into())).await.unwrap();
    assert_eq!(again, renamed);
    let cleared = pointers(world.me.pipelines().update(rename(Patch::Null)).await);
    assert_eq!(cleared, [("/name".to_owned(), "required".to_owned())]);
}

async fn the_default_pipeline_is_handed_over_not_dropped(world: World) {
    let patch = PipelinePatch { is_default: false.into(), ..Default::default() };
    let drop = UpdatePipeline { id: world.sales.pipeline.id, patch, if_version: None };
    refused(world.me.pipelines().update(drop).await, 409, "default_pipeline");
    refused(world.me.pipelines().delete(remove(&world.sales)).await, 409, "default_pipeline");
    let partners = partners(&world).await;
    world.me.pipelines().update(make_default(&partners)).await.unwrap();
    world.me.pipelines().delete(remove(&world.sales)).await.unwrap();
    refused(world.me.pipelines().get(world.sales.pipeline.id).await, 404, "not_found");
    assert_eq!(world.me.stages().list(Default::default()).await.unwrap().data, partners.stages);
}

async fn a_pipeline_without_open_stage_takes_no_new_contacts(world: World) {
    let empty = create(&world, json!({ "name": "Empty" })).await;
    refused(world.me.pipelines().update(make_default(&empty)).await, 409, "pipeline_without_stages");
    assert_eq!(defaults(&world).await, ["Sales"]);
    world.me.pipelines().delete(remove(&empty)).await.unwrap();
}

async fn a_pipeline_with_contacts_stays(world: World) {
    let partners = partners(&world).await;
    let ada = world.contact("Ada").await;
    world.go(ada.id, partners.stages[0].id).await;
    refused(world.me.pipelines().delete(remove(&partners)).await, 409, "pipeline_in_use");
    world.go(ada.id, world.stage("won").id).await;
    world.me.pipelines().delete(remove(&partners)).await.unwrap();
    assert_eq!(world.history(ada.id).await.len(), 3);
}

async fn deleted_contacts_find_a_new_place(world: World) {
    let partners = partners(&world).await;
    let ada = world.contact("Ada").await;
    world.go(ada.id, partners.stages[0].id).await;
    world.me.contacts().delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();
    world.later(1);
    world.me.pipelines().delete(remove(&partners)).await.unwrap();
    let back = world.me.contacts().restore(ada.id.into()).await.unwrap();
    assert_eq!((back.stage_id, back.pipeline_id), (world.stage("lead").id, world.sales.pipeline.id));
    let last = world.history(ada.id).await.pop().unwrap();
    assert_eq!(last.reason.as_deref(), Some("the pipeline \"Partners\" was removed"));
}

async fn of_concurrent_defaults_one_remains(world: World) {
    let mut made = Vec::new();
    for name in ["A", "B", "C"] {
        made.push(create(&world, json!({ "name": name, "stages": [{ "name": "s" }] })).await);
    }
    let updates = made.into_iter().map(|view| {
        let me = world.me.clone();
        tokio::spawn(async move { me.pipelines().update(make_default(&view)).await.unwrap() })
    });
    for update in futures::future::join_all(updates).await {
        update.unwrap();
    }
    assert_eq!(defaults(&world).await.len(), 1);
}

async fn a_default_is_never_removed_by_a_race(world: World) {
    for _ in 0..5 {
        let next = create(&world, json!({ "name": "Next", "stages": [{ "name": "s" }] })).await;
        let (me, other) = (world.me.clone(), world.me.clone());
        let (promoted, removed) = (make_default(&next), remove(&next));
        let promote = tokio::spawn(async move { me.pipelines().update(promoted).await });
        let remove = tokio::spawn(async move { other.pipelines().delete(removed).await });
        let (promoted, removed) = (promote.await.unwrap(), remove.await.unwrap());
        assert_ne!(promoted.is_ok(), removed.is_ok(), "{promoted:?} {removed:?}");
        if let Err(error) = promoted {
            assert_eq!(error.code(), "not_found");
        }
        if let Err(error) = removed {
            assert_eq!(error.code(), "default_pipeline");
        }
        assert_eq!(defaults(&world).await.len(), 1);
    }
}

async fn versions_are_checked(world: World) {
    let partners = partners(&world).await;
    let patch = PipelinePatch { name: "P".to_owned().into(), ..Default::default() };
    let stale = UpdatePipeline { id: partners.pipeline.id, patch, if_version: Some(7) };
    refused(world.me.pipelines().update(stale).await, 412, "precondition_failed");
    let stale = DeletePipeline { id: partners.pipeline.id, if_version: Some(7) };
    refused(world.me.pipelines().delete(stale).await, 412, "precondition_failed");
}

async fn pipelines_are_listed_newest_first_in_pages(world: World) {
    for name in ["A", "B"] {
        create(&world, json!({ "name": name })).await;
    }
    let page = |cursor| dealwright::page::PageRequest { limit: Some(2), cursor };
    let first = world.me.pipelines().list(page(None)).await.unwrap();
    let second = world.me.pipelines().list(page(first.next_cursor.clone())).await.unwrap();
    let names: Vec<_> = first.data.iter().chain(&second.data).map(|view| view.pipeline.name.as_str()).collect();
    assert_eq!(names, ["B", "A", "Sales"]);
    assert_eq!((first.data.len(), second.next_cursor), (2, None));
    assert_eq!(second.data[0].stages, world.sales.stages);
    let strange = page(Some("x".into()));
    refused(world.me.pipelines().list(strange).await, 400, "invalid_cursor");
}

async fn a_member_does_not_shape_pipelines(world: World) {
    let (_, member) = world.member("mia", Role::Member).await;
    let listed = member.pipelines().list(Default::default()).await.unwrap().data;
    assert_eq!(listed, std::slice::from_ref(&world.sales));
    let new = NewPipeline { name: "Mine".into(), ..Default::default() };
    refused(member.pipelines().create(new).await, 403, "forbidden");
    refused(member.pipelines().delete(remove(&world.sales)).await, 403, "forbidden");
    let (_, manager) = world.member("max", Role::Manager).await;
    let new = NewPipeline { name: "Ours".into(), ..Default::default() };
    manager.pipelines().create(new).await.unwrap();
}
