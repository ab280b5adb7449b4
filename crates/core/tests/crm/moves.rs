//! Moves through stages, and the history that they leave.

use dealwright::{
    domain::event::EventKind,
    page::PageRequest,
    services::{
        contacts::{ListHistory, MoveContact},
        pipeline::NewPipeline,
    },
};
use serde_json::json;

use crate::{
    cases,
    world::{World, noon},
};

cases![
    a_move_ends_one_entry_and_begins_another,
    a_move_is_stated_with_from_and_to,
    a_move_to_where_one_is_writes_nothing,
    a_move_to_another_pipeline_changes_the_pipeline,
    a_reason_is_kept_and_an_empty_one_is_none,
    the_history_has_pages,
    concurrent_moves_leave_one_unbroken_history,
];

async fn a_move_ends_one_entry_and_begins_another(world: World) {
    let ada = world.contact("Ada").await;
    world.later(3600);
    let moved = world.go(ada.id, world.stage("qualified").id).await;
    assert_eq!((moved.stage_id, moved.version), (world.stage("qualified").id, 2));
    assert_eq!((moved.stage_entered_at, moved.updated_at), (world.env.now(), world.env.now()));
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), moved);
    let history = world.history(ada.id).await;
    let [first, second] = history.as_slice() else { panic!("{history:?}") };
    assert_eq!((first.left_at, first.left_to), (Some(second.moved_at), Some(moved.stage_id)));
    assert_eq!((second.from_stage_id, second.to_stage_id), (Some(ada.stage_id), moved.stage_id));
    assert_eq!((second.id, second.left_at, second.left_to), (moved.stage_entry_id, None, None));
    assert_eq!((second.moved_by, second.auto_moved, second.rule_id), (Some(world.una), false, None));
    assert_eq!((second.moved_at, second.deal_id, second.pipeline_id), (world.env.now(), None, moved.pipeline_id));
}

async fn a_move_is_stated_with_from_and_to(world: World) {
    let ada = world.contact("Ada").await;
    let stage = world.stage("proposal").id;
    let input =
        MoveContact { contact_id: ada.id, stage_id: stage, reason: Some("asked for a price".into()), if_version: None };
    let moved = world.me.contacts().move_to(input).await.unwrap();
    let event = world.events(ada.id).await.pop().unwrap();
    assert_eq!((event.kind, event.id, event.subject_seq), (EventKind::StageChanged, moved.stage_entry_id, 2));
    let data = json!({
        "from_stage_id": ada.stage_id, "to_stage_id": stage, "pipeline_id": ada.pipeline_id, "deal_id": null,
        "auto_moved": false, "rule_id": null, "reason": "asked for a price", "assigned_to": null,
    });
    assert_eq!(json!(event.data), data);
    assert_eq!(
        (&event.changes["stage_id"].before, &event.changes["stage_id"].after),
        (&json!(ada.stage_id), &json!(stage))
    );
    assert!(!event.changes.contains_key("pipeline_id"));
}

async fn a_move_to_where_one_is_writes_nothing(world: World) {
    let ada = world.contact("Ada").await;
    assert_eq!(world.go(ada.id, ada.stage_id).await, ada);
    assert_eq!((world.history(ada.id).await.len(), world.events(ada.id).await.len()), (1, 1));
}

async fn a_move_to_another_pipeline_changes_the_pipeline(world: World) {
    let ada = world.contact("Ada").await;
    let new = json!({ "name": "Partners", "stages": [{ "name": "talking" }] });
    let new: NewPipeline = serde_json::from_value(new).unwrap();
    let partners = world.me.pipelines().create(new).await.unwrap();
    let moved = world.go(ada.id, partners.stages[0].id).await;
    assert_eq!((moved.pipeline_id, moved.stage_id), (partners.pipeline.id, partners.stages[0].id));
    assert_eq!(world.history(ada.id).await[1].pipeline_id, partners.pipeline.id);
    let event = world.events(ada.id).await.pop().unwrap();
    assert_eq!(event.changes["pipeline_id"].before, json!(ada.pipeline_id));
}

async fn a_reason_is_kept_and_an_empty_one_is_none(world: World) {
    let ada = world.contact("Ada").await;
    for (stage, given, kept) in
        [("qualified", Some(" two\nlines "), Some("two\nlines")), ("won", Some("  "), None), ("lost", None, None)]
    {
        let input = MoveContact {
            contact_id: ada.id,
            stage_id: world.stage(stage).id,
            reason: given.map(Into::into),
            if_version: None,
        };
        world.later(1);
        world.me.contacts().move_to(input).await.unwrap();
        assert_eq!(world.history(ada.id).await.pop().unwrap().reason.as_deref(), kept);
    }
}

async fn the_history_has_pages(world: World) {
    let ada = world.contact("Ada").await;
    for stage in ["qualified", "proposal", "won"] {
        world.go(ada.id, world.stage(stage).id).await;
    }
    let page = |cursor| ListHistory { contact_id: ada.id, limit: Some(3), cursor };
    let first = world.me.contacts().history(page(None)).await.unwrap();
    let second = world.me.contacts().history(page(first.next_cursor.clone())).await.unwrap();
    let stages: Vec<_> = first.data.iter().chain(&second.data).map(|entry| entry.to_stage_id).collect();
    assert_eq!(stages, ["won", "proposal", "qualified", "lead"].map(|name| world.stage(name).id));
    assert_eq!((first.data.len(), second.next_cursor), (3, None));
}

async fn concurrent_moves_leave_one_unbroken_history(world: World) {
    let ada = world.contact("Ada").await;
    assert!(world.env.now() > noon());
    let targets = ["qualified", "proposal", "negotiation", "won"].map(|name| world.stage(name).id);
    let moves = targets.map(|stage_id| {
        let me = world.me.clone();
        let input = MoveContact { contact_id: ada.id, stage_id, reason: None, if_version: None };
        tokio::spawn(async move { me.contacts().move_to(input).await.unwrap() })
    });
    for moved in futures::future::join_all(moves).await {
        moved.unwrap();
    }
    let contact = world.me.contacts().get(ada.id).await.unwrap();
    assert_eq!(contact.version, 5);
    // All happened at one instant: the chain of stages tells the order.
    let history = world.history(ada.id).await;
    assert_eq!(history.len(), 5);
    let mut entry = history.iter().find(|entry| entry.from_stage_id.is_none()).unwrap();
    for _ in 0..4 {
        let next = history.iter().find(|next| next.from_stage_id == Some(entry.to_stage_id)).unwrap();
        assert_eq!((entry.left_to, entry.left_at), (Some(next.to_stage_id), Some(next.moved_at)));
        entry = next;
    }
    assert_eq!((entry.id, entry.to_stage_id, entry.left_at), (contact.stage_entry_id, contact.stage_id, None));
    let page = PageRequest { limit: Some(200), cursor: None };
    let events =
        dealwright::ports::store::AutomationReads::events_of(&*world.store, world.organization, ada.id.into(), &page);
    let seqs: Vec<_> = events.await.unwrap().data.into_iter().map(|event| event.subject_seq).collect();
    assert_eq!(seqs, [5, 4, 3, 2, 1]);
}
