//! Rules about deals: they see the deal and its contact, and act on either.

use dealwright::{
    domain::{deal::Deal, pipeline::StageKind},
    id::{ContactId, DealId},
    services::{
        automation::{Explain, ListRuns},
        deals::{DealMove, DealPatch, DeleteDeal, ListDeals, MoveDeal, NewDeal, UpdateDeal},
    },
};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, refused},
};

cases! {
    a_new_deal_is_seen_with_its_contact,
    a_deal_is_moved_and_its_contact_is_not,
    deals_and_contacts_have_rules_of_their_own,
    fields_of_a_deal_are_set,
    a_won_deal_tells_the_team,
    a_deal_without_contact_fails_what_needs_one,
    a_rule_makes_a_deal,
    a_deal_that_waits_is_moved_in_time,
    a_deleted_deal_is_waited_for_no_more,
    deals_that_are_there_are_waited_for_too,
    a_schedule_finds_deals,
    a_deal_is_explained,
}

async fn deal(world: &World, value: Value) -> Deal {
    world.later(1);
    let new: NewDeal = serde_json::from_value(value).unwrap();
    let deal = world.me.deals().create(new).await.unwrap();
    world.settle().await;
    now(world, deal.id).await
}

async fn now(world: &World, id: DealId) -> Deal {
    world.me.deals().get(id).await.unwrap()
}

async fn go(world: &World, id: DealId, stage: &str) -> Deal {
    world.later(1);
    let patch = DealMove { stage_id: world.stage(stage).id, reason: None };
    world.me.deals().move_to(MoveDeal { id, patch, if_version: None }).await.unwrap();
    world.settle().await;
    now(world, id).await
}

async fn deals_of(world: &World, contact: ContactId) -> Vec<Deal> {
    world.me.deals().list(ListDeals { contact_id: Some(contact), ..Default::default() }).await.unwrap().data
}

async fn a_new_deal_is_seen_with_its_contact(world: World) {
    let rule = world
        .rule(json!({ "name": "large", "trigger": "deal.created",
                      "condition": { "deal.value.amount": { "gte": 1000 }, "deal.value.currency": "EUR", "stage": "lead",
                                     "deal.expected_close_on": { "lt": "2027-01-01" }, "contact.name": "Ada" },
                      "actions": [{ "add_tag": "large" }, { "assign_to": "owner-of-Acme@people.example" }] }))
        .await;
    let ada = world.contact("Ada").await;
    let worth = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
    let small =
        json!({ "name": "S", "contact_id": ada.id, "value": worth("999.99"), "expected_close_on": "2026-12-24" });
    deal(&world, small).await;
    assert!(world.contact_now(ada.id).await.tags.is_empty());
    let large = json!({ "name": "L", "contact_id": ada.id, "value": worth("1000"), "expected_close_on": "2026-12-24" });
    let large = deal(&world, large).await;
    assert_eq!((large.assigned_to, world.contact_now(ada.id).await.tags), (Some(world.una), vec!["large".to_owned()]));
    assert_eq!(world.contact_now(ada.id).await.assigned_to, None);
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.deal_id, run.contact_id), (Some(large.id), Some(ada.id)));
    assert_eq!((&run.facts["deal"]["name"], &run.facts["stage"]["name"]), (&json!("L"), &json!("lead")));
    let found = world.me.runs().list(ListRuns { deal_id: Some(large.id), ..Default::default() }).await.unwrap().data;
    assert_eq!(found.len(), 1);
}

async fn a_deal_is_moved_and_its_contact_is_not(world: World) {
    world
        .rule(json!({ "name": "on", "trigger": "deal.updated", "condition": { "deal.probability": { "gte": 0.8 } },
                      "action": { "move_to_stage": "negotiation" } }))
        .await;
    let ada = world.settled("Ada").await;
    let licence = deal(&world, json!({ "name": "D", "contact_id": ada.id })).await;
    let patch: DealPatch = serde_json::from_value(json!({ "probability": 0.9 })).unwrap();
    world.me.deals().update(UpdateDeal { id: licence.id, patch, if_version: None }).await.unwrap();
    world.settle().await;
    assert_eq!(now(&world, licence.id).await.stage_id, world.stage("negotiation").id);
    assert_eq!(world.contact_now(ada.id).await, ada);
}

async fn deals_and_contacts_have_rules_of_their_own(world: World) {
    let rule = |name: &str, subject: &str| {
        json!({ "name": name, "subject": subject, "trigger": "stage.changed", "condition": { "stage": "proposal" },
                "actions": [{ "notify_team": true }] })
    };
    let of_contacts = world.rule(rule("contacts", "contact")).await;
    let of_deals = world.rule(rule("deals", "deal")).await;
    let ada = world.settled("Ada").await;
    let licence = deal(&world, json!({ "name": "D", "contact_id": ada.id })).await;
    go(&world, licence.id, "proposal").await;
    assert_eq!((world.outcomes(of_contacts).await.len(), world.outcomes(of_deals).await.len()), (0, 1));
    world.go(ada.id, world.stage("proposal").id).await;
    world.settle().await;
    assert_eq!((world.outcomes(of_contacts).await.len(), world.outcomes(of_deals).await.len()), (1, 1));
}

async fn fields_of_a_deal_are_set(world: World) {
    let ada = world.contact("Ada").await;
    let acme = world.me.call("companies.create", json!({ "name": "Acme" })).await.unwrap()["id"].clone();
    let team = world.me.call("teams.create", json!({ "name": "Closers" })).await.unwrap()["id"].clone();
    let set = json!({ "name": "Renamed", "contact_id": ada.id, "company_id": acme, "team_id": "Closers", "value": { "amount": "7", "currency": "USD" }, "probability": 0.25,
                      "expected_close_on": "2026-12-31", "assigned_to": "owner-of-Acme@people.example" });
    world.rule(json!({ "name": "set", "trigger": "deal.created", "actions": [{ "set_field": set }] })).await;
    let licence = deal(&world, json!({ "name": "D" })).await;
    assert_eq!(
        (licence.name.as_str(), licence.probability, licence.assigned_to),
        ("Renamed", Some(0.25), Some(world.una))
    );
    assert_eq!(json!(licence)["value"], json!({ "amount": "7.00", "currency": "USD" }));
    assert_eq!(json!(licence)["expected_close_on"], "2026-12-31");
    let of_whom = |deal: &Deal| ["contact_id", "company_id", "team_id"].map(|name| json!(deal)[name].clone());
    assert_eq!(of_whom(&licence), [json!(ada.id), acme, team]);
    let nothing = json!({ "contact_id": null, "company_id": null, "team_id": null });
    world.rule(json!({ "name": "won", "trigger": "deal.won", "actions": [{ "set_field": nothing }] })).await;
    assert_eq!(of_whom(&go(&world, licence.id, "won").await), [Value::Null, Value::Null, Value::Null]);
}

async fn a_won_deal_tells_the_team(world: World) {
    let rule = |word: &str| {
        json!({ "name": word, "trigger": format!("deal.{word}"),
                "actions": [{ "notify_team": { "text": format!("{word} {{{{deal.name}}}} {{{{deal.value.amount}}}}") } }] })
    };
    let (won, lost) = (world.rule(rule("won")).await, world.rule(rule("lost")).await);
    let licence = deal(&world, json!({ "name": "D", "value": { "amount": "12.5", "currency": "EUR" } })).await;
    assert_eq!(go(&world, licence.id, "won").await.status, StageKind::Won);
    let titles = async || {
        let page = world.me.notifications().list(Default::default()).await.unwrap();
        page.data.into_iter().map(|it| it.title).collect::<Vec<_>>()
    };
    assert_eq!(titles().await, ["won D 12.5"]);
    go(&world, licence.id, "lost").await;
    assert_eq!(titles().await, ["lost D 12.5", "won D 12.5"]);
    assert_eq!((world.outcomes(won).await.len(), world.outcomes(lost).await.len()), (1, 1));
}

async fn a_deal_without_contact_fails_what_needs_one(world: World) {
    let rule = world
        .rule(json!({ "name": "tag", "trigger": "deal.created",
                      "actions": [{ "set_field": { "probability": 1 } }, { "add_tag": "x" }] }))
        .await;
    let licence = deal(&world, json!({ "name": "D" })).await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.outcome.as_str(), run.deal_id, run.contact_id), ("failed", Some(licence.id), None));
    assert!(run.error.as_ref().unwrap().contains("the deal has none"), "{run:?}");
    // All or none.
    assert_eq!(licence.probability, None);
}

async fn a_rule_makes_a_deal(world: World) {
    world
        .rule(json!({ "name": "deal", "trigger": "stage.changed", "condition": { "stage": "qualified" },
                      "actions": [{ "create_deal": { "name": "Offer to {{contact.name}}", "stage": "proposal",
                                                     "value": { "amount": "500" } } },
                                  { "create_deal": true }] }))
        .await;
    let ada = world.settled("Ada").await;
    world.go(ada.id, world.stage("qualified").id).await;
    world.settle().await;
    let mut deals = deals_of(&world, ada.id).await;
    deals.sort_by_key(|deal| deal.name.clone());
    let told: Vec<_> = deals.iter().map(|it| (it.name.as_str(), it.stage_id, json!(it)["value"].clone())).collect();
    let worth = json!({ "amount": "500.00", "currency": "EUR" });
    let expected = [("Ada", world.stage("lead").id, Value::Null), ("Offer to Ada", world.stage("proposal").id, worth)];
    assert_eq!(told, expected);
}

fn waiting() -> Value {
    json!({ "name": "cold", "subject": "deal", "trigger": "time_elapsed",
            "condition": { "stage": "lead", "elapsed_hours": 24, "deal.status": "open" },
            "actions": [{ "move_to_stage": "lost" }] })
}

async fn a_deal_that_waits_is_moved_in_time(world: World) {
    let rule = world.rule(waiting()).await;
    let ada = world.settled("Ada").await;
    let (stays, goes) =
        (deal(&world, json!({ "name": "1", "contact_id": ada.id })).await, deal(&world, json!({ "name": "2" })).await);
    go(&world, goes.id, "qualified").await;
    world.hours(23.0).await;
    assert_eq!(now(&world, stays.id).await.status, StageKind::Open);
    world.hours(2.0).await;
    let lost = now(&world, stays.id).await;
    assert_eq!((lost.status, lost.lost_reason.as_deref()), (StageKind::Lost, Some("rule cold")));
    assert_eq!(now(&world, goes.id).await.status, StageKind::Open);
    assert_eq!((world.outcomes(rule).await, world.stage_of(ada.id).await), (vec!["applied"], "lead".to_owned()));
}

async fn a_deleted_deal_is_waited_for_no_more(world: World) {
    let rule = world.rule(waiting()).await;
    let gone = deal(&world, json!({ "name": "1" })).await;
    world.me.deals().delete(DeleteDeal { id: gone.id, if_version: None }).await.unwrap();
    world.settle().await;
    world.hours(30.0).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.me.deals().restore(gone.id.into()).await.unwrap();
    world.settle().await;
    assert_eq!((world.outcomes(rule).await, now(&world, gone.id).await.status), (vec!["applied"], StageKind::Lost));
}

async fn deals_that_are_there_are_waited_for_too(world: World) {
    let there = deal(&world, json!({ "name": "1" })).await;
    world.hours(20.0).await;
    world.rule(waiting()).await;
    world.settle().await;
    world.hours(4.5).await;
    assert_eq!(now(&world, there.id).await.status, StageKind::Lost);
}

async fn a_schedule_finds_deals(world: World) {
    world
        .rule(json!({ "name": "daily", "subject": "deal", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                      "condition": { "stage": "proposal", "deal.probability": { "exists": false } },
                      "actions": [{ "set_field": { "probability": 0.5 } }] }))
        .await;
    let proposal = world.stage("proposal").id;
    let found = deal(&world, json!({ "name": "1", "stage_id": proposal })).await;
    let set = deal(&world, json!({ "name": "2", "stage_id": proposal, "probability": 0.1 })).await;
    let lead = deal(&world, json!({ "name": "3" })).await;
    world.hours(24.0).await;
    let chances = [now(&world, found.id).await, now(&world, set.id).await, now(&world, lead.id).await];
    assert_eq!(chances.map(|it| it.probability), [Some(0.5), Some(0.1), None]);
}

async fn a_deal_is_explained(world: World) {
    world.rule(json!({ "name": "on", "trigger": "deal.created", "actions": [{ "move_to_stage": "qualified" }] })).await;
    let licence = deal(&world, json!({ "name": "D" })).await;
    let explain = async |contact_id, deal_id| world.me.rules().explain(Explain { contact_id, deal_id }).await;
    let why = explain(None, Some(licence.id)).await.unwrap();
    assert_eq!(why.summary, "deal.created → rule on v1 → this stage");
    assert_eq!((why.entry.deal_id, why.entry.id, why.chain.len()), (Some(licence.id), licence.stage_entry_id, 1));
    refused(explain(None, None).await, 400, "invalid_parameter");
    let ada = world.settled("Ada").await;
    refused(explain(Some(ada.id), Some(licence.id)).await, 400, "invalid_parameter");
    let (_, other) = world.other_organization().await;
    refused(other.rules().explain(Explain { contact_id: None, deal_id: Some(licence.id) }).await, 404, "not_found");
}
