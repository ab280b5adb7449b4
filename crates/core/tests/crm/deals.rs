//! Deals: made, edited, moved, deleted, and what their pipeline is worth.

use dealwright::{
    domain::{
        deal::Deal,
        event::{Event, EventKind},
        pipeline::{MoverKind, StageKind},
    },
    id::{DealId, PipelineId},
    services::{
        analytics::{ConversionQuery, ValueQuery},
        contacts::DeleteContact,
        deals::{DealMove, DealPatch, DeleteDeal, ListDealHistory, ListDeals, MoveDeal, NewDeal, UpdateDeal},
        pipeline::{Board, DeletePipeline, DeleteStage, NewPipeline, StagePatch, UpdateStage},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases![
    a_deal_starts_in_the_first_stage,
    a_deal_starts_where_it_is_told_to,
    all_that_is_wrong_is_told_at_once,
    an_amount_without_currency_is_in_the_organisations,
    a_deal_is_edited_but_not_moved_by_a_patch,
    a_move_changes_the_status_and_leaves_the_contact,
    a_lost_deal_keeps_its_reason_while_it_is_lost,
    a_deleted_deal_comes_back,
    lists_are_filtered_and_have_pages,
    the_kind_of_a_stage_is_that_of_its_deals,
    a_removed_stage_gives_its_deals_away,
    a_pipeline_with_deals_stays,
    the_deals_of_a_deleted_contact_stay,
    another_organisations_deals_do_not_exist,
    a_pipeline_is_worth_the_sum_of_its_deals,
    the_board_shows_sums_and_deals,
    conversion_counts_deals_apart_from_contacts,
];

fn new(value: Value) -> NewDeal {
    serde_json::from_value(value).unwrap()
}

async fn made(world: &World, value: Value) -> Deal {
    world.later(1);
    world.me.deals().create(new(value)).await.unwrap()
}

async fn patched(world: &World, id: DealId, patch: Value) -> dealwright::Result<Deal> {
    world.later(1);
    let patch: DealPatch = serde_json::from_value(patch).unwrap();
    world.me.deals().update(UpdateDeal { id, patch, if_version: None }).await
}

async fn go(world: &World, id: DealId, stage: &str, reason: Option<&str>) -> Deal {
    world.later(1);
    let patch = DealMove { stage_id: world.stage(stage).id, reason: reason.map(str::to_owned) };
    world.me.deals().move_to(MoveDeal { id, patch, if_version: None }).await.unwrap()
}

fn kinds(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

async fn a_deal_starts_in_the_first_stage(world: World) {
    let ada = world.contact("Ada").await;
    let value = json!({ "amount": "1250", "currency": "EUR" });
    let deal = made(&world, json!({ "name": " Licence ", "contact_id": ada.id, "value": value })).await;
    assert_eq!((deal.name.as_str(), deal.stage_id, deal.pipeline_id), ("Licence", ada.stage_id, ada.pipeline_id));
    assert_eq!((deal.status, deal.closed_at, deal.version), (StageKind::Open, None, 1));
    assert_eq!(json!(deal)["value"], json!({ "amount": "1250.00", "currency": "EUR" }));
    assert_eq!(world.me.deals().get(deal.id).await.unwrap(), deal);
    let events = world.events(deal.id).await;
    assert_eq!(kinds(&events), ["deal.created"]);
    assert_eq!((events[0].id, &events[0].data["contact_id"]), (deal.stage_entry_id, &json!(ada.id)));
    // A deal's entry is its own: the contact has only theirs.
    assert_eq!(world.history(ada.id).await.len(), 1);
}

async fn a_deal_starts_where_it_is_told_to(world: World) {
    let won = made(&world, json!({ "name": "D", "stage_id": world.stage("won").id })).await;
    assert_eq!((won.status, won.closed_at), (StageKind::Won, Some(won.created_at)));
    assert_eq!(kinds(&world.events(won.id).await), ["deal.created", "deal.won"]);
    let partners: NewPipeline =
        serde_json::from_value(json!({ "name": "Partners", "stages": [{ "name": "talking" }] })).unwrap();
    let partners = world.me.pipelines().create(partners).await.unwrap();
    let there = made(&world, json!({ "name": "P", "pipeline_id": partners.pipeline.id })).await;
    assert_eq!(there.stage_id, partners.stages[0].id);
    let both = json!({ "name": "B", "pipeline_id": partners.pipeline.id, "stage_id": world.stage("lead").id });
    assert_eq!(pointers(world.me.deals().create(new(both)).await), [("/stage_id".into(), "invalid".into())]);
}

async fn all_that_is_wrong_is_told_at_once(world: World) {
    let nobody = world.env.id::<DealId>().unwrap();
    let wrong = json!({
        "name": " ", "contact_id": nobody, "company_id": nobody, "pipeline_id": nobody, "assigned_to": nobody,
        "value": { "amount": "1.234", "currency": "EUR" }, "probability": 1.5, "expected_close_on": "0001-01-01",
    });
    let found: Vec<_> = pointers(world.me.deals().create(new(wrong)).await).into_iter().map(|it| it.0).collect();
    let expected = [
        "/pipeline_id",
        "/value/amount",
        "/name",
        "/probability",
        "/expected_close_on",
        "/contact_id",
        "/company_id",
        "/assigned_to",
    ];
    assert_eq!(found, expected);
    let lost = json!({ "name": "D", "lost_reason": "too dear" });
    assert_eq!(pointers(world.me.deals().create(new(lost)).await), [("/lost_reason".into(), "invalid".into())]);
}

async fn an_amount_without_currency_is_in_the_organisations(world: World) {
    let value = |deal: &Deal| json!(deal)["value"].clone();
    let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
    let before = made(&world, json!({ "name": "D", "value": { "amount": "5" } })).await;
    assert_eq!(value(&before), money("5.00", "EUR"));
    let settings = json!({ "patch": { "currency": "JPY" } });
    world.me.call("organizations.update", settings).await.unwrap();
    let after = made(&world, json!({ "name": "D", "value": { "amount": "5" } })).await;
    assert_eq!(value(&after), money("5", "JPY"));
    let precise = json!({ "name": "D", "value": { "amount": "5.5" } });
    assert_eq!(pointers(world.me.deals().create(new(precise)).await), [("/value/amount".into(), "too_precise".into())]);
    // What a deal is worth stays in its own currency, whatever the organisation counts in.
    let amount = json!({ "value": { "amount": "7" } });
    assert_eq!(value(&patched(&world, before.id, amount.clone()).await.unwrap()), money("7.00", "EUR"));
    let empty = made(&world, json!({ "name": "D" })).await;
    assert_eq!(value(&patched(&world, empty.id, amount.clone()).await.unwrap()), money("7", "JPY"));
    let upsert = json!({ "system": "erp", "external_id": "7", "patch": { "name": "D", "value": { "amount": "7" } } });
    for _ in 0..2 {
        assert_eq!(world.me.call("deals.upsert", upsert.clone()).await.unwrap()["value"], money("7", "JPY"));
    }
    let batch = json!({ "items": [{ "name": "D", "value": { "amount": "7" } }] });
    let made = world.me.call("deals.batch", batch).await.unwrap()["items"][0]["id"].clone();
    assert_eq!(world.me.call("deals.get", made).await.unwrap()["value"], money("7", "JPY"));
}

async fn a_deal_is_edited_but_not_moved_by_a_patch(world: World) {
    let deal = made(&world, json!({ "name": "D", "value": { "amount": "5", "currency": "JPY" } })).await;
    let patch =
        json!({ "name": "E", "value": { "amount": "7" }, "probability": 0.5, "expected_close_on": "2026-12-24" });
    let edited = patched(&world, deal.id, patch.clone()).await.unwrap();
    assert_eq!((edited.name.as_str(), edited.version, edited.updated_at), ("E", 2, world.env.now()));
    assert_eq!(json!(edited)["value"], json!({ "amount": "7", "currency": "JPY" }));
    assert_eq!(json!(edited)["expected_close_on"], "2026-12-24");
    assert_eq!(world.me.deals().get(deal.id).await.unwrap(), edited);
    let event = world.events(deal.id).await.pop().unwrap();
    assert_eq!(event.kind, EventKind::DealUpdated);
    let changed: Vec<_> = event.changes.keys().map(String::as_str).collect();
    assert_eq!(changed, ["expected_close_on", "name", "probability", "updated_at", "value", "version"]);
    // What changes nothing writes nothing.
    assert_eq!(patched(&world, deal.id, patch).await.unwrap(), edited);
    let cleared = patched(&world, deal.id, json!({ "value": null, "probability": null })).await.unwrap();
    assert_eq!((cleared.value, cleared.probability, cleared.version), (None, None, 3));
    let error =
        refused(patched(&world, deal.id, json!({ "stage_id": world.stage("won").id })).await, 422, "validation_failed");
    assert!(error.fields()[0].detail.contains("PATCH /api/crm/deals/{id}/stage"), "{error:?}");
    assert_eq!(
        pointers(patched(&world, deal.id, json!({ "name": null })).await),
        [("/name".into(), "required".into())]
    );
    let stale = UpdateDeal { id: deal.id, patch: DealPatch::default(), if_version: Some(1) };
    refused(world.me.deals().update(stale).await, 412, "precondition_failed");
}

async fn a_move_changes_the_status_and_leaves_the_contact(world: World) {
    let ada = world.contact("Ada").await;
    let deal = made(&world, json!({ "name": "D", "contact_id": ada.id })).await;
    let won = go(&world, deal.id, "won", None).await;
    assert_eq!((won.status, won.closed_at, won.version), (StageKind::Won, Some(world.env.now()), 2));
    let events = world.events(deal.id).await;
    assert_eq!(kinds(&events), ["deal.created", "stage.changed", "deal.won"]);
    assert_eq!(events[1].data["deal_id"], json!(deal.id));
    assert_eq!(events[1].data["contact_id"], json!(ada.id));
    assert_eq!((&events[1].data["from_stage_id"], events[1].id), (&json!(deal.stage_id), won.stage_entry_id));
    assert_eq!(go(&world, deal.id, "won", None).await, won);
    let open = go(&world, deal.id, "proposal", Some("came back")).await;
    assert_eq!((open.status, open.closed_at), (StageKind::Open, None));
    let input = ListDealHistory { id: deal.id, limit: None, cursor: None };
    let history = world.me.deals().history(input).await.unwrap().data;
    assert_eq!(history.iter().map(|it| it.reason.as_deref()).collect::<Vec<_>>(), [Some("came back"), None, None]);
    assert!(history.iter().all(|it| it.deal_id == Some(deal.id) && it.contact_id.is_none()));
    assert_eq!((history[1].left_at, history[1].left_to), (Some(history[0].moved_at), Some(open.stage_id)));
    assert_eq!(world.me.contacts().get(ada.id).await.unwrap(), ada);
    assert_eq!((world.history(ada.id).await.len(), world.events(ada.id).await.len()), (1, 1));
}

async fn a_lost_deal_keeps_its_reason_while_it_is_lost(world: World) {
    let deal = made(&world, json!({ "name": "D" })).await;
    let lost = go(&world, deal.id, "lost", Some("too dear")).await;
    assert_eq!((lost.status, lost.lost_reason.as_deref()), (StageKind::Lost, Some("too dear")));
    assert_eq!(world.events(deal.id).await.pop().unwrap().data["lost_reason"], "too dear");
    let told = patched(&world, deal.id, json!({ "lost_reason": "no budget" })).await.unwrap();
    assert_eq!(told.lost_reason.as_deref(), Some("no budget"));
    let open = go(&world, deal.id, "lead", None).await;
    assert_eq!((open.lost_reason, open.closed_at), (None, None));
    let error = pointers(patched(&world, deal.id, json!({ "lost_reason": "x" })).await);
    assert_eq!(error, [("/lost_reason".into(), "invalid".into())]);
}

async fn a_deleted_deal_comes_back(world: World) {
    let deal = made(&world, json!({ "name": "D", "stage_id": world.stage("proposal").id })).await;
    world.me.deals().delete(DeleteDeal { id: deal.id, if_version: Some(1) }).await.unwrap();
    refused(world.me.deals().get(deal.id).await, 404, "not_found");
    assert!(world.me.deals().list(ListDeals::default()).await.unwrap().data.is_empty());
    // Its stage becomes another kind of stage meanwhile.
    let patch = StagePatch { kind: StageKind::Lost.into(), ..Default::default() };
    let input = UpdateStage { id: deal.stage_id, patch, if_version: None };
    world.me.stages().update(input).await.unwrap();
    let back = world.me.deals().restore(deal.id.into()).await.unwrap();
    assert_eq!((back.stage_id, back.status, back.version), (deal.stage_id, StageKind::Lost, 3));
    assert_eq!(world.me.deals().restore(deal.id.into()).await.unwrap(), back);
    let kinds = kinds(&world.events(deal.id).await);
    assert_eq!(kinds, ["deal.created", "deal.deleted", "deal.restored", "deal.lost"]);
}

async fn lists_are_filtered_and_have_pages(world: World) {
    let ada = world.contact("Ada").await;
    let first = made(&world, json!({ "name": "1", "contact_id": ada.id })).await;
    let second = made(&world, json!({ "name": "2", "assigned_to": world.una })).await;
    let third = made(&world, json!({ "name": "3", "contact_id": ada.id, "stage_id": world.stage("won").id })).await;
    let list = async |filter: Value| {
        let filter: ListDeals = serde_json::from_value(filter).unwrap();
        let page = world.me.deals().list(filter).await.unwrap();
        (page.data.iter().map(|deal| deal.id).collect::<Vec<_>>(), page.next_cursor)
    };
    assert_eq!(list(json!({})).await.0, [third.id, second.id, first.id]);
    assert_eq!(list(json!({ "contact_id": ada.id })).await.0, [third.id, first.id]);
    assert_eq!(list(json!({ "contact_id": ada.id, "status": "open" })).await.0, [first.id]);
    assert_eq!(list(json!({ "assigned_to": world.una })).await.0, [second.id]);
    assert_eq!(list(json!({ "stage_id": third.stage_id, "pipeline_id": third.pipeline_id })).await.0, [third.id]);
    let (page, cursor) = list(json!({ "limit": 2 })).await;
    assert_eq!(page, [third.id, second.id]);
    assert_eq!(list(json!({ "limit": 2, "cursor": cursor })).await, (vec![first.id], None));
    let other = ListDeals { status: Some(StageKind::Won), cursor, ..Default::default() };
    refused(world.me.deals().list(other).await, 400, "invalid_cursor");
}

async fn the_kind_of_a_stage_is_that_of_its_deals(world: World) {
    let deal = made(&world, json!({ "name": "D", "stage_id": world.stage("proposal").id })).await;
    world.later(60);
    let patch = StagePatch { kind: StageKind::Won.into(), ..Default::default() };
    world.me.stages().update(UpdateStage { id: deal.stage_id, patch, if_version: None }).await.unwrap();
    let won = world.me.deals().get(deal.id).await.unwrap();
    assert_eq!(
        (won.status, won.closed_at, won.stage_entered_at),
        (StageKind::Won, Some(world.env.now()), deal.stage_entered_at)
    );
    assert_eq!(kinds(&world.events(deal.id).await), ["deal.created", "deal.updated", "deal.won"]);
}

async fn a_removed_stage_gives_its_deals_away(world: World) {
    let stage = world.stage("proposal").id;
    let deal = made(&world, json!({ "name": "D", "stage_id": stage })).await;
    let gone = made(&world, json!({ "name": "E", "stage_id": stage })).await;
    world.me.deals().delete(DeleteDeal { id: gone.id, if_version: None }).await.unwrap();
    let remove = |move_to| DeleteStage { id: stage, move_to, if_version: None };
    refused(world.me.stages().delete(remove(None)).await, 409, "stage_in_use");
    world.me.stages().delete(remove(Some(world.stage("won").id))).await.unwrap();
    let moved = world.me.deals().get(deal.id).await.unwrap();
    assert_eq!((moved.stage_id, moved.status), (world.stage("won").id, StageKind::Won));
    assert_eq!(world.me.deals().restore(gone.id.into()).await.unwrap().stage_id, world.stage("won").id);
}

async fn a_pipeline_with_deals_stays(world: World) {
    let partners: NewPipeline =
        serde_json::from_value(json!({ "name": "Partners", "stages": [{ "name": "talking" }] })).unwrap();
    let partners: PipelineId = world.me.pipelines().create(partners).await.unwrap().pipeline.id;
    let deal = made(&world, json!({ "name": "D", "pipeline_id": partners })).await;
    let remove = || DeletePipeline { id: partners, if_version: None };
    refused(world.me.pipelines().delete(remove()).await, 409, "pipeline_in_use");
    world.me.deals().delete(DeleteDeal { id: deal.id, if_version: None }).await.unwrap();
    world.me.pipelines().delete(remove()).await.unwrap();
    assert_eq!(world.me.deals().restore(deal.id.into()).await.unwrap().stage_id, world.stage("lead").id);
}

async fn the_deals_of_a_deleted_contact_stay(world: World) {
    let ada = world.contact("Ada").await;
    let deal = made(&world, json!({ "name": "D", "contact_id": ada.id })).await;
    world.me.contacts().delete(DeleteContact { id: ada.id, if_version: None }).await.unwrap();
    assert_eq!(world.me.deals().get(deal.id).await.unwrap(), deal);
    assert_eq!(patched(&world, deal.id, json!({ "name": "E" })).await.unwrap().contact_id, Some(ada.id));
    let late = json!({ "name": "F", "contact_id": ada.id });
    assert_eq!(pointers(world.me.deals().create(new(late)).await), [("/contact_id".into(), "unknown".into())]);
}

async fn another_organisations_deals_do_not_exist(world: World) {
    let ada = world.contact("Ada").await;
    let deal = made(&world, json!({ "name": "D" })).await;
    let (_, them) = world.other_organization().await;
    let deals = them.deals();
    refused(deals.get(deal.id).await, 404, "not_found");
    let patch: DealPatch = serde_json::from_value(json!({ "name": "Ours" })).unwrap();
    refused(deals.update(UpdateDeal { id: deal.id, patch, if_version: None }).await, 404, "not_found");
    refused(deals.delete(DeleteDeal { id: deal.id, if_version: None }).await, 404, "not_found");
    refused(deals.restore(deal.id.into()).await, 404, "not_found");
    let patch = DealMove { stage_id: deal.stage_id, reason: None };
    refused(deals.move_to(MoveDeal { id: deal.id, patch: patch.clone(), if_version: None }).await, 404, "not_found");
    refused(deals.history(ListDealHistory { id: deal.id, limit: None, cursor: None }).await, 404, "not_found");
    let filter = ListDeals { stage_id: Some(deal.stage_id), ..Default::default() };
    assert!(deals.list(filter).await.unwrap().data.is_empty());
    let theirs = deals.create(new(json!({ "name": "T" }))).await.unwrap();
    let stolen = deals.move_to(MoveDeal { id: theirs.id, patch, if_version: None }).await;
    assert_eq!(pointers(stolen), [("/stage_id".into(), "unknown".into())]);
    let referring = json!({
        "name": "T", "stage_id": deal.stage_id, "contact_id": ada.id, "assigned_to": world.una,
    });
    let found = pointers(deals.create(new(referring)).await);
    assert_eq!(found.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(), ["/stage_id", "/contact_id", "/assigned_to"]);
    let query = ValueQuery { pipeline_id: Some(deal.pipeline_id), ..Default::default() };
    refused(them.analytics().pipeline_value(query).await, 404, "not_found");
    assert_eq!(world.me.deals().get(deal.id).await.unwrap(), deal);
}

async fn a_pipeline_is_worth_the_sum_of_its_deals(world: World) {
    let ada = world.contact("Ada").await;
    let worth = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
    // More together than fits into 64 bits of ten-thousandths.
    for _ in 0..12 {
        made(&world, json!({ "name": "huge", "value": worth("99999999999999.99", "EUR"), "probability": 0.5 })).await;
    }
    made(&world, json!({ "name": "own", "value": worth("100", "USD"), "contact_id": ada.id })).await;
    made(&world, json!({ "name": "none" })).await;
    made(
        &world,
        json!({ "name": "won", "value": worth("10.50", "USD"), "stage_id": world.stage("won").id,
                         "assigned_to": world.una }),
    )
    .await;
    let value = world.me.analytics().pipeline_value(ValueQuery::default()).await.unwrap();
    let lines: Vec<_> = (value.data.iter())
        .map(|it| {
            (
                it.name.as_str(),
                it.currency.map(|it| it.to_string()),
                it.count,
                it.value.as_deref(),
                it.weighted_value.as_deref(),
            )
        })
        .collect();
    let of = |currency: &str| Some(currency.to_owned());
    assert_eq!(
        lines,
        [
            ("lead", None, 1, None, None),
            ("lead", of("EUR"), 12, Some("1199999999999999.88"), Some("599999999999999.94")),
            ("lead", of("USD"), 1, Some("100.00"), Some("10.00")),
            ("won", of("USD"), 1, Some("10.50"), Some("10.50")),
        ]
    );
    let totals: Vec<_> = value.totals.iter().map(|it| (it.kind, it.count, it.value.as_deref())).collect();
    assert_eq!(totals[2..], [(StageKind::Open, 1, Some("100.00")), (StageKind::Won, 1, Some("10.50"))]);
    let mine = ValueQuery { assigned_to: Some(world.una), ..Default::default() };
    assert_eq!(world.me.analytics().pipeline_value(mine).await.unwrap().data.len(), 1);
    let elsewhere = ValueQuery { source: Some("fair".into()), ..Default::default() };
    assert!(world.me.analytics().pipeline_value(elsewhere).await.unwrap().data.is_empty());
    // Stages that say no probability are weighed by their place: the first of four open ones is a fifth.
    let patch: StagePatch = serde_json::from_value(json!({ "probability": null })).unwrap();
    world.me.stages().update(UpdateStage { id: world.stage("lead").id, patch, if_version: None }).await.unwrap();
    let value = world.me.analytics().pipeline_value(ValueQuery::default()).await.unwrap();
    assert_eq!(value.data[2].weighted_value.as_deref(), Some("20.00"));
}

async fn the_board_shows_sums_and_deals(world: World) {
    world.contact("Ada").await;
    let value = json!({ "amount": "100", "currency": "EUR" });
    made(&world, json!({ "name": "1", "value": value })).await;
    made(&world, json!({ "name": "2", "value": value })).await;
    made(&world, json!({ "name": "3" })).await;
    let board = async |subject| {
        let input = Board { pipeline_id: world.sales.pipeline.id, subject, limit: Some(2) };
        world.me.pipelines().board(input).await.unwrap().stages.remove(0)
    };
    for (subject, count, cards) in [(MoverKind::Contact, 1, vec!["Ada"]), (MoverKind::Deal, 3, vec!["3", "2"])] {
        let lead = board(subject).await;
        assert_eq!((lead.count, lead.deals), (count, 3));
        assert_eq!(lead.cards.iter().map(|card| card.name()).collect::<Vec<_>>(), cards);
        assert_eq!(json!(lead.sums), json!([{ "amount": "200.00", "currency": "EUR", "count": 2 }]));
    }
}

async fn conversion_counts_deals_apart_from_contacts(world: World) {
    let ada = world.contact("Ada").await;
    let deal = made(&world, json!({ "name": "1", "contact_id": ada.id })).await;
    made(&world, json!({ "name": "2", "contact_id": ada.id })).await;
    go(&world, deal.id, "won", None).await;
    let lead = async |subject| {
        let query = ConversionQuery { subject, ..Default::default() };
        let rate = world.me.analytics().conversion_rates(query).await.unwrap().data.remove(0);
        (rate.entered, rate.moved_on)
    };
    assert_eq!((lead(MoverKind::Contact).await, lead(MoverKind::Deal).await), ((1, 0), (2, 1)));
}
