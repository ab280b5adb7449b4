//! Stages: places without holes, unique names, one open stage at least; nothing is left in a stage that goes.

use dealwright::{
    Result,
    domain::pipeline::Stage,
    id::StageId,
    services::{
        contacts::{DeleteContact, MoveContact},
        pipeline::{DeleteStage, ListStages, NewStage, StagePatch, UpdateStage},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    a_stage_goes_last_unless_it_is_given_a_place,
    a_stage_changes_places,
    each_member_is_changed_and_cleared_by_a_patch,
    a_name_is_unique_in_its_pipeline_whatever_the_case,
    each_flaw_of_a_stage_is_named,
    one_open_stage_stays,
    a_stage_in_use_needs_a_place_for_its_contacts,
    removing_a_stage_moves_its_contacts_with_history,
    deleted_contacts_leave_the_stage_too,
    more_contacts_than_are_moved_at_once_keep_the_stage,
    versions_are_checked,
    a_change_of_a_stage_edits_its_pipeline,
    concurrent_stages_get_places_without_holes,
    of_concurrent_stages_with_one_name_exactly_one_wins,
    nobody_is_left_in_a_stage_that_goes,
    stages_are_listed_by_place_in_pages,
];

async fn try_create(world: &World, new: Value) -> Result<Stage> {
    world.me.stages().create(serde_json::from_value(new).unwrap()).await
}

async fn create(world: &World, new: Value) -> Stage {
    try_create(world, new).await.unwrap()
}

async fn update(world: &World, stage: &str, patch: Value) -> Result<Stage> {
    let patch: StagePatch = serde_json::from_value(patch).unwrap();
    world.me.stages().update(UpdateStage { id: world.stage(stage).id, patch, if_version: None }).await
}

fn remove(id: StageId, move_to: Option<StageId>) -> DeleteStage {
    DeleteStage { id, move_to, if_version: None }
}

async fn names(world: &World) -> Vec<String> {
    world.stage_names(world.sales.pipeline.id).await
}

async fn a_stage_goes_last_unless_it_is_given_a_place(world: World) {
    let last = create(&world, json!({ "name": "last" })).await;
    let first =
        create(&world, json!({ "name": "first", "order_index": 0, "pipeline_id": world.sales.pipeline.id })).await;
    let far = create(&world, json!({ "name": "far", "order_index": 99 })).await;
    let third = create(&world, json!({ "name": "third", "order_index": 2 })).await;
    assert_eq!((last.order_index, first.order_index, far.order_index, third.order_index), (6, 0, 8, 2));
    assert_eq!((first.version, first.kind.as_str(), first.automation_rules), (1, "open", json!([])));
    assert_eq!(
        names(&world).await,
        ["first", "lead", "third", "qualified", "proposal", "negotiation", "won", "lost", "last", "far"]
    );
    assert_eq!(world.contact("Ada").await.stage_id, first.id);
}

async fn a_stage_changes_places(world: World) {
    update(&world, "won", json!({ "order_index": 0 })).await.unwrap();
    assert_eq!(names(&world).await, ["won", "lead", "qualified", "proposal", "negotiation", "lost"]);
    let far = update(&world, "won", json!({ "order_index": 99 })).await.unwrap();
    assert_eq!(far.order_index, 5);
    assert_eq!(names(&world).await, ["lead", "qualified", "proposal", "negotiation", "lost", "won"]);
    update(&world, "lead", json!({ "order_index": 2 })).await.unwrap();
    assert_eq!(names(&world).await, ["qualified", "proposal", "lead", "negotiation", "lost", "won"]);
}

async fn each_member_is_changed_and_cleared_by_a_patch(world: World) {
    world.later(1);
    let patch = json!({
        "name": " Prospect ", "color": "#ABCDEF", "kind": "open", "probability": 0.3, "automation_rules": { "a": 1 },
    });
    let changed = update(&world, "lead", patch).await.unwrap();
    assert_eq!(
        (changed.name.as_str(), changed.color.as_deref(), changed.probability),
        ("Prospect", Some("#abcdef"), Some(0.3))
    );
    assert_eq!((changed.automation_rules.clone(), changed.version), (json!({ "a": 1 }), 2));
    assert_eq!(world.pipeline(world.sales.pipeline.id).await.stages[0], changed);
    let patch = json!({ "color": null, "probability": null, "automation_rules": null });
    let cleared = update(&world, "lead", patch).await.unwrap();
    assert_eq!((cleared.color.clone(), cleared.probability, cleared.automation_rules.clone()), (None, None, json!([])));
    assert_eq!(update(&world, "lead", json!({ "name": "Prospect" })).await.unwrap(), cleared);
}

async fn a_name_is_unique_in_its_pipeline_whatever_the_case(world: World) {
    for name in ["lead", "LEAD", " ｌead "] {
        let error = refused(try_create(&world, json!({ "name": name })).await, 409, "name_taken");
        assert_eq!(error.fields()[0].pointer, "/name");
    }
    refused(update(&world, "won", json!({ "name": "Lead" })).await, 409, "name_taken");
    update(&world, "lead", json!({ "name": "LEAD" })).await.unwrap();
    let other = world.me.pipelines().create(serde_json::from_value(json!({ "name": "Other" })).unwrap()).await.unwrap();
    create(&world, json!({ "name": "lead", "pipeline_id": other.pipeline.id })).await;
}

async fn each_flaw_of_a_stage_is_named(world: World) {
    for (member, value, code) in [
        ("name", json!(""), "required"),
        ("name", json!("x".repeat(201)), "too_long"),
        ("color", json!("red"), "invalid"),
        ("probability", json!(-0.1), "out_of_range"),
        ("order_index", json!(-1), "out_of_range"),
        ("automation_rules", json!("x".repeat(20_000)), "too_long"),
    ] {
        let mut new = json!({ "name": "ok" });
        new[member] = value.clone();
        let expected = [(format!("/{member}"), code.to_owned())];
        assert_eq!(pointers(try_create(&world, new).await), expected);
        assert_eq!(pointers(update(&world, "lead", json!({ member: value })).await), expected);
    }
    for member in ["name", "kind", "order_index"] {
        let cleared = pointers(update(&world, "lead", json!({ member: null })).await);
        assert_eq!(cleared, [(format!("/{member}"), "required".to_owned())]);
    }
    let elsewhere = json!({ "name": "ok", "pipeline_id": world.env.id::<StageId>().unwrap() });
    assert_eq!(pointers(try_create(&world, elsewhere).await), [("/pipeline_id".to_owned(), "unknown".to_owned())]);
    assert_eq!(world.pipeline(world.sales.pipeline.id).await, world.sales);
}

async fn one_open_stage_stays(world: World) {
    for stage in ["qualified", "proposal"] {
        world.me.stages().delete(remove(world.stage(stage).id, None)).await.unwrap();
    }
    update(&world, "negotiation", json!({ "kind": "lost" })).await.unwrap();
    refused(update(&world, "lead", json!({ "kind": "won" })).await, 409, "last_open_stage");
    refused(world.me.stages().delete(remove(world.stage("lead").id, None)).await, 409, "last_open_stage");
    world.me.stages().delete(remove(world.stage("won").id, None)).await.unwrap();
    assert_eq!(names(&world).await, ["lead", "negotiation", "lost"]);
}

async fn a_stage_in_use_needs_a_place_for_its_contacts(world: World) {
    world.contact("Ada").await;
    let lead = world.stage("lead").id;
    refused(world.me.stages().delete(remove(lead, None)).await, 409, "stage_in_use");
    for (move_to, code) in [(lead, "invalid"), (world.env.id().unwrap(), "unknown")] {
        let found = pointers(world.me.stages().delete(remove(lead, Some(move_to))).await);
        assert_eq!(found, [("/move_to".to_owned(), code.to_owned())]);
    }
    assert_eq!(world.pipeline(world.sales.pipeline.id).await, world.sales);
}

async fn removing_a_stage_moves_its_contacts_with_history(world: World) {
    let (ada, ben) = (world.contact("Ada").await, world.contact("Ben").await);
    world.later(1);
    let target = world.stage("qualified").id;
    world.me.stages().delete(remove(ada.stage_id, Some(target))).await.unwrap();
    assert_eq!(names(&world).await, ["qualified", "proposal", "negotiation", "won", "lost"]);
    for before in [ada, ben] {
        let moved = world.me.contacts().get(before.id).await.unwrap();
        assert_eq!((moved.stage_id, moved.version), (target, 2));
        let history = world.history(before.id).await;
        assert_eq!((history.len(), history[0].left_to, history[1].id), (2, Some(target), moved.stage_entry_id));
        assert_eq!(history[1].reason.as_deref(), Some("the stage \"lead\" was removed"));
    }
}

async fn deleted_contacts_leave_the_stage_too(world: World) {
    let ada = world.contact("Ada").await;
    world.me.contacts().delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();
    world.later(1);
    world.me.stages().delete(remove(ada.stage_id, None)).await.unwrap();
    let back = world.me.contacts().restore(ada.id.into()).await.unwrap();
    assert_eq!(back.stage_id, world.stage("qualified").id);
}

async fn more_contacts_than_are_moved_at_once_keep_the_stage(world: World) {
    let (lead, won) = (world.stage("lead").id, world.stage("won").id);
    for i in 0..1_000 {
        world.contact(&format!("Contact {i}")).await;
    }
    let one_more = world.contact("One more").await;
    let error = refused(world.me.stages().delete(remove(lead, Some(won))).await, 409, "stage_in_use");
    assert!(error.message().contains("1000"), "{error}");
    world.go(one_more.id, won).await;
    world.me.stages().delete(remove(lead, Some(won))).await.unwrap();
    let board = dealwright::services::pipeline::Board {
        pipeline_id: world.sales.pipeline.id,
        subject: Default::default(),
        limit: Some(1),
    };
    let board = world.me.pipelines().board(board).await.unwrap();
    assert_eq!(board.stages.iter().map(|stage| stage.count).collect::<Vec<_>>(), [0, 0, 0, 1_001, 0]);
}

async fn versions_are_checked(world: World) {
    let patch = StagePatch { name: "x".to_owned().into(), ..Default::default() };
    let id = world.stage("lead").id;
    let stale = UpdateStage { id, patch, if_version: Some(2) };
    refused(world.me.stages().update(stale).await, 412, "precondition_failed");
    let stale = DeleteStage { id, move_to: None, if_version: Some(2) };
    refused(world.me.stages().delete(stale).await, 412, "precondition_failed");
}

async fn a_change_of_a_stage_edits_its_pipeline(world: World) {
    let version = async || world.pipeline(world.sales.pipeline.id).await.pipeline.version;
    assert_eq!(version().await, 1);
    let new = create(&world, json!({ "name": "new" })).await;
    assert_eq!(version().await, 2);
    update(&world, "lead", json!({ "color": null })).await.unwrap();
    assert_eq!(version().await, 3);
    world.me.stages().delete(remove(new.id, None)).await.unwrap();
    assert_eq!(version().await, 4);
    let seqs: Vec<_> = world.events(world.sales.pipeline.id).await.into_iter().map(|event| event.subject_seq).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
}

async fn concurrent_stages_get_places_without_holes(world: World) {
    let creations = (0..4).map(|i| {
        let me = world.me.clone();
        let new: NewStage = serde_json::from_value(json!({ "name": format!("new {i}"), "order_index": 1 })).unwrap();
        tokio::spawn(async move { me.stages().create(new).await.unwrap() })
    });
    for created in futures::future::join_all(creations).await {
        created.unwrap();
    }
    let names = names(&world).await;
    assert_eq!((names.len(), names[0].as_str(), names[5].as_str()), (10, "lead", "qualified"));
}

async fn of_concurrent_stages_with_one_name_exactly_one_wins(world: World) {
    let creations = ["new", "NEW", "New", "nEw"].map(|name| {
        let me = world.me.clone();
        let new: NewStage = serde_json::from_value(json!({ "name": name })).unwrap();
        tokio::spawn(async move { me.stages().create(new).await })
    });
    let mut won = 0;
    for created in futures::future::join_all(creations).await {
        match created.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.code(), "name_taken", "{error}"),
        }
    }
    assert_eq!((won, names(&world).await.len()), (1, 7));
}

async fn nobody_is_left_in_a_stage_that_goes(world: World) {
    let mut people = Vec::new();
    for i in 0..6 {
        people.push(world.contact(&format!("Contact {i}")).await.id);
    }
    let (doomed, refuge) = (world.stage("proposal").id, world.stage("won").id);
    let moves = people.iter().map(|id| {
        let me = world.me.clone();
        let input = MoveContact { contact_id: *id, stage_id: doomed, reason: None, if_version: None };
        tokio::spawn(async move { me.contacts().move_to(input).await })
    });
    let moves: Vec<_> = moves.collect();
    let me = world.me.clone();
    let removal = tokio::spawn(async move { me.stages().delete(remove(doomed, Some(refuge))).await });
    for moved in futures::future::join_all(moves).await {
        // Too late: the stage is gone, and that is what is said.
        if let Err(error) = moved.unwrap() {
            assert_eq!(error.fields()[0].pointer, "/stage_id", "{error}");
        }
    }
    removal.await.unwrap().unwrap();
    assert!(!names(&world).await.contains(&"proposal".to_owned()));
    for id in people {
        let contact = world.me.contacts().get(id).await.unwrap();
        assert!([refuge, world.stage("lead").id].contains(&contact.stage_id));
        let open: Vec<_> = world.history(id).await.into_iter().filter(|entry| entry.left_at.is_none()).collect();
        assert_eq!(open.iter().map(|entry| entry.id).collect::<Vec<_>>(), [contact.stage_entry_id]);
    }
}

async fn stages_are_listed_by_place_in_pages(world: World) {
    world.later(1);
    let new = json!({ "name": "Partners", "stages": [{ "name": "talking" }] });
    let partners = world.me.pipelines().create(serde_json::from_value(new).unwrap()).await.unwrap();
    let page = |pipeline_id, cursor| ListStages { pipeline_id, limit: Some(4), cursor };
    let first = world.me.stages().list(page(None, None)).await.unwrap();
    let second = world.me.stages().list(page(None, first.next_cursor.clone())).await.unwrap();
    let all: Vec<_> = first.data.iter().chain(&second.data).cloned().collect();
    assert_eq!(all, [world.sales.stages.clone(), partners.stages.clone()].concat());
    assert_eq!((first.data.len(), second.next_cursor), (4, None));
    let of_partners = world.me.stages().list(page(Some(partners.pipeline.id), None)).await.unwrap();
    assert_eq!(of_partners.data, partners.stages);
    refused(world.me.stages().list(page(Some(partners.pipeline.id), first.next_cursor)).await, 400, "invalid_cursor");
    refused(world.me.stages().list(page(Some(world.env.id().unwrap()), None)).await, 404, "not_found");
}
