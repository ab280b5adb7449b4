//! Another organisation's things do not exist.

use dealwright::services::{
    analytics::ConversionQuery,
    contacts::{ContactPatch, DeleteContact, ListHistory, MoveContact, NewContact, UpdateContact},
    pipeline::{
        Board, DeletePipeline, DeleteStage, ListStages, PipelinePatch, StagePatch, UpdatePipeline, UpdateStage,
    },
};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    another_organisations_contacts_do_not_exist,
    another_organisations_pipelines_do_not_exist,
    nothing_of_another_organisation_can_be_referred_to,
    an_address_may_be_claimed_in_each_organisation,
];

async fn another_organisations_contacts_do_not_exist(world: World) {
    let ada = world.contact("Ada").await;
    let (_, them) = world.other_organization().await;
    let contacts = them.contacts();
    refused(contacts.get(ada.id).await, 404, "not_found");
    let patch = ContactPatch { name: "Eve".to_owned().into(), ..Default::default() };
    refused(contacts.update(UpdateContact { id: ada.id, patch, if_version: None }).await, 404, "not_found");
    refused(contacts.delete(DeleteContact { id: ada.id, if_version: None }).await, 404, "not_found");
    refused(contacts.restore(ada.id.into()).await, 404, "not_found");
    let history = ListHistory { contact_id: ada.id, limit: None, cursor: None };
    refused(contacts.history(history).await, 404, "not_found");
    let their_stage = them.stages().list(ListStages::default()).await.unwrap().data[1].id;
    let stolen = MoveContact { contact_id: ada.id, stage_id: their_stage, reason: None, if_version: None };
    refused(contacts.move_to(stolen).await, 404, "not_found");
    assert_eq!(contacts.list(Default::default()).await.unwrap().data, []);
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
}

async fn another_organisations_pipelines_do_not_exist(world: World) {
    let (_, them) = world.other_organization().await;
    let (pipeline, stage) = (world.sales.pipeline.id, world.stage("lead").id);
    refused(them.pipelines().get(pipeline).await, 404, "not_found");
    let patch = PipelinePatch { name: "Ours".to_owned().into(), ..Default::default() };
    refused(them.pipelines().update(UpdatePipeline { id: pipeline, patch, if_version: None }).await, 404, "not_found");
    refused(them.pipelines().delete(DeletePipeline { id: pipeline, if_version: None }).await, 404, "not_found");
    refused(
        them.pipelines().board(Board { pipeline_id: pipeline, subject: Default::default(), limit: None }).await,
        404,
        "not_found",
    );
    let stages = ListStages { pipeline_id: Some(pipeline), ..Default::default() };
    refused(them.stages().list(stages).await, 404, "not_found");
    let patch = StagePatch { name: "Ours".to_owned().into(), ..Default::default() };
    refused(them.stages().update(UpdateStage { id: stage, patch, if_version: None }).await, 404, "not_found");
    let removal = DeleteStage { id: stage, move_to: None, if_version: None };
    refused(them.stages().delete(removal).await, 404, "not_found");
    let query = ConversionQuery { pipeline_id: Some(pipeline), ..Default::default() };
    refused(them.analytics().conversion_rates(query).await, 404, "not_found");
    assert_eq!(them.pipelines().list(Default::default()).await.unwrap().data.len(), 1);
    assert_eq!(world.pipeline(pipeline).await, world.sales);
}

/// ASVS 2.2.3.
async fn nothing_of_another_organisation_can_be_referred_to(world: World) {
    let (_, them) = world.other_organization().await;
    let new = |assigned_to| NewContact { name: "Eve".into(), assigned_to, ..Default::default() };
    let theirs = them.contacts().create(new(None)).await.unwrap();
    let stolen = MoveContact { contact_id: theirs.id, stage_id: world.stage("won").id, reason: None, if_version: None };
    assert_eq!(pointers(them.contacts().move_to(stolen).await), [("/stage_id".to_owned(), "unknown".to_owned())]);
    let error = pointers(them.contacts().create(new(Some(world.una))).await);
    assert_eq!(error, [("/assigned_to".to_owned(), "unknown".to_owned())]);
    let new = serde_json::json!({ "name": "ours", "pipeline_id": world.sales.pipeline.id });
    let error = pointers(them.stages().create(serde_json::from_value(new).unwrap()).await);
    assert_eq!(error, [("/pipeline_id".to_owned(), "unknown".to_owned())]);
    let lead = them.stages().list(ListStages::default()).await.unwrap().data[0].id;
    let removal = DeleteStage { id: lead, move_to: Some(world.stage("won").id), if_version: None };
    assert_eq!(pointers(them.stages().delete(removal).await), [("/move_to".to_owned(), "unknown".to_owned())]);
}

async fn an_address_may_be_claimed_in_each_organisation(world: World) {
    let ada = world.contact_with_email("Ada", "ada@acme.example").await.unwrap();
    let (_, them) = world.other_organization().await;
    let new = NewContact { name: "Ada".into(), emails: ada.emails, ..Default::default() };
    them.contacts().create(new).await.unwrap();
}
