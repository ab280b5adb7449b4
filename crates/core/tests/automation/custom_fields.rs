//! Custom fields in rules: as facts, as what is set, and as long as a rule names them.

use dealwright::{domain::run::RunOutcome, scope::Role};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused},
};

cases! {
    a_condition_reads_the_field_of_the_contact,
    a_deal_s_rule_reads_and_sets_fields_of_both,
    a_field_is_set_where_it_is_found,
    a_message_says_what_a_field_holds,
    an_unknown_field_is_refused_at_its_place,
    a_value_is_checked_when_the_rule_is_saved_and_when_it_runs,
    a_field_that_a_rule_names_stays,
    an_option_that_a_rule_names_stays,
    fields_of_another_organisation_are_unknown,
}

async fn field(world: &World, object: &str, key: &str, kind: &str, options: Value) -> Value {
    let new = json!({ "object": object, "key": key, "type": kind, "options": options });
    world.me.call("fields.create", new).await.unwrap()["id"].clone()
}

async fn contact(world: &World, custom: Value) -> Value {
    world.later(1);
    let made = world.me.call("contacts.create", json!({ "name": "Ada", "custom": custom })).await.unwrap();
    world.settle().await;
    world.me.call("contacts.get", made["id"].clone()).await.unwrap()
}

async fn a_condition_reads_the_field_of_the_contact(world: World) {
    field(&world, "contact", "size", "number", json!([])).await;
    let condition = json!({ "contact.custom.size": { "gte": 10 } });
    let rule = json!({ "name": "large", "trigger": "contact.created", "condition": condition, "action": { "add_tag": "large" } });
    let rule = world.rule(rule).await;
    assert_eq!(contact(&world, json!({ "size": 9 })).await["tags"], json!([]));
    assert_eq!(contact(&world, json!({})).await["tags"], json!([]));
    assert_eq!(contact(&world, json!({ "size": 10 })).await["tags"], json!(["large"]));
    let [run] = &world.runs_of(rule).await[..] else { panic!("one run") };
    assert_eq!(run.facts["contact"]["custom"], json!({ "size": 10 }));
}

async fn a_deal_s_rule_reads_and_sets_fields_of_both(world: World) {
    field(&world, "deal", "seats", "number", json!([])).await;
    field(&world, "deal", "plan", "choice", json!(["basic", "pro"])).await;
    field(&world, "contact", "vip", "boolean", json!([])).await;
    world
        .rule(json!({ "name": "pro", "trigger": "deal.created",
                      "condition": { "deal.custom.seats": { "gt": 20 }, "contact.custom.vip": { "exists": false } },
                      "action": { "set_field": { "custom.plan": "pro", "contact.custom.vip": true, "name": "Pro" } } }))
        .await;
    let ada = contact(&world, json!({})).await;
    let deal = async |seats: i64, contact: &Value| {
        world.later(1);
        let new = json!({ "name": "D", "contact_id": contact, "custom": { "seats": seats } });
        let made = world.me.call("deals.create", new).await.unwrap();
        world.settle().await;
        world.me.call("deals.get", made["id"].clone()).await.unwrap()
    };
    assert_eq!(deal(20, &ada["id"]).await["custom"], json!({ "seats": 20 }));
    let pro = deal(21, &ada["id"]).await;
    assert_eq!((&pro["custom"], &pro["name"]), (&json!({ "seats": 21, "plan": "pro" }), &json!("Pro")));
    let ada = world.me.call("contacts.get", ada["id"].clone()).await.unwrap();
    assert_eq!(ada["custom"], json!({ "vip": true }));
    // The contact has it now.
    assert_eq!(deal(22, &ada["id"]).await["custom"], json!({ "seats": 22 }));
    // Without a contact nothing of the run is done.
    assert_eq!(deal(23, &json!(null)).await["custom"], json!({ "seats": 23 }));
}

async fn a_field_is_set_where_it_is_found(world: World) {
    field(&world, "contact", "size", "number", json!([])).await;
    field(&world, "contact", "motto", "text", json!([])).await;
    let set = json!({ "contact.custom.size": 7, "custom.motto": null, "score": 5, "source": "fair" });
    world.rule(json!({ "name": "set", "trigger": "contact.created", "action": { "set_field": set } })).await;
    let ada = contact(&world, json!({ "motto": "Never late" })).await;
    assert_eq!((&ada["custom"], &ada["score"], &ada["source"]), (&json!({ "size": 7 }), &json!(5), &json!("fair")));
    // What was set is found by it.
    let found = world.me.call("contacts.list", json!({ "custom": { "size": 7 } })).await.unwrap();
    assert_eq!(found["data"][0]["id"], ada["id"]);
}

async fn a_message_says_what_a_field_holds(world: World) {
    field(&world, "contact", "topics", "multi_choice", json!(["price", "terms"])).await;
    let text = "{{contact.custom.topics|nothing}}";
    let rule = json!({ "name": "tell", "trigger": "contact.created", "action": { "notify_team": { "text": text } } });
    world.rule(rule).await;
    contact(&world, json!({ "topics": ["terms", "price"] })).await;
    contact(&world, json!({})).await;
    let told = world.me.call("notifications.list", json!({})).await.unwrap();
    let titles: Vec<_> = told["data"].as_array().unwrap().iter().map(|it| it["title"].clone()).collect();
    assert_eq!(titles, ["nothing", "price, terms"]);
}

async fn an_unknown_field_is_refused_at_its_place(world: World) {
    field(&world, "contact", "size", "number", json!([])).await;
    for (member, value, pointer) in [
        ("condition", json!({ "contact.custom.siez": 1 }), "/condition/contact.custom.siez"),
        ("action", json!({ "set_field": { "custom.siez": 1 } }), "/action/set_field/custom.siez"),
        ("action", json!({ "notify_team": { "text": "{{contact.custom.siez}}" } }), "/action/notify_team/text"),
    ] {
        let mut rule = json!({ "name": "R", "trigger": "contact.created", "action": { "stop": true } });
        rule[member] = value;
        let error = world.me.call("rules.create", rule).await.unwrap_err();
        assert!(error.fields()[0].detail.contains("did you mean \"size\"?"), "{error}");
        assert_eq!(pointers::<Value>(Err(error)), [(pointer.to_owned(), "unknown".to_owned())]);
    }
}

async fn a_value_is_checked_when_the_rule_is_saved_and_when_it_runs(world: World) {
    field(&world, "contact", "segment", "choice", json!(["small", "large"])).await;
    let set = |to: &str| {
        let action = json!({ "set_field": { "custom.segment": to } });
        json!({ "name": to, "trigger": "contact.created", "action": action })
    };
    let huge = world.me.call("rules.create", set("huge")).await;
    assert_eq!(pointers(huge), [("/action/set_field/custom.segment".to_owned(), "unknown".to_owned())]);
    let rule = world.rule(set("large")).await;
    let id = json!(rule);
    world.me.call("rules.update", json!({ "id": id, "patch": { "enabled": false } })).await.unwrap();
    // A member who was here when the rule was saved may have left when it runs.
    field(&world, "contact", "coach", "user", json!([])).await;
    let (max, _) = world.member("max", Role::Member).await;
    let action = json!({ "set_field": { "custom.coach": "max@people.example" } });
    let rule = world.rule(json!({ "name": "coach", "trigger": "contact.created", "action": action })).await;
    world.me.call("members.remove", json!({ "id": max })).await.unwrap();
    assert_eq!(contact(&world, json!({})).await["custom"], json!({}));
    let [run] = &world.runs_of(rule).await[..] else { panic!("one run") };
    assert_eq!(run.outcome, RunOutcome::Failed);
    assert!(run.error.as_ref().unwrap().contains(&max.to_string()), "{:?}", run.error);
}

async fn an_option_that_a_rule_names_stays(world: World) {
    let segment = field(&world, "contact", "segment", "choice", json!(["small", "large", "huge"])).await;
    let topics = field(&world, "contact", "topics", "multi_choice", json!(["price", "terms"])).await;
    let rule = json!({ "id": "large-ones", "trigger": "contact.created", "enabled": false,
        "condition": { "contact.custom.segment": { "in": ["LARGE"] } },
        "action": { "set_field": { "custom.topics": ["terms"] } } });
    let rule = world.me.call("rules.create", rule).await.unwrap()["id"].clone();
    let only = async |id: &Value, options: Value| {
        world.me.call("fields.update", json!({ "id": id, "patch": { "options": options } })).await
    };
    for (id, options) in [(&segment, json!(["small", "huge"])), (&topics, json!(["price"]))] {
        let error = refused(only(id, options).await, 409, "option_in_use");
        assert!(error.message().contains("large-ones"), "{error}");
    }
    // What it does not name may go.
    only(&segment, json!(["large"])).await.unwrap();
    only(&topics, json!(["terms"])).await.unwrap();
    world.me.call("rules.delete", json!({ "id": rule })).await.unwrap();
    only(&segment, json!(["tiny"])).await.unwrap();
    only(&topics, json!(["price"])).await.unwrap();
}

async fn a_field_that_a_rule_names_stays(world: World) {
    let size = field(&world, "contact", "size", "number", json!([])).await;
    let motto = field(&world, "contact", "motto", "text", json!([])).await;
    let rule = json!({ "id": "large-ones", "trigger": "contact.created", "enabled": false,
        "condition": { "contact.custom.size": 1 }, "action": { "set_field": { "custom.motto": "Large" } } });
    let rule = world.me.call("rules.create", rule).await.unwrap()["id"].clone();
    for id in [&size, &motto] {
        let error = refused(world.me.call("fields.delete", json!({ "id": id })).await, 409, "field_in_use");
        assert!(error.message().contains("large-ones"), "{error}");
    }
    let patch = json!({ "id": rule, "patch": { "condition": null } });
    world.me.call("rules.update", patch).await.unwrap();
    world.me.call("fields.delete", json!({ "id": size })).await.unwrap();
    world.me.call("rules.delete", json!({ "id": rule })).await.unwrap();
    world.me.call("fields.delete", json!({ "id": motto })).await.unwrap();
}

async fn fields_of_another_organisation_are_unknown(world: World) {
    field(&world, "contact", "size", "number", json!([])).await;
    let (_, them) = world.other_organization().await;
    let rule = json!({ "name": "R", "trigger": "contact.created", "condition": { "contact.custom.size": 1 },
        "action": { "stop": true } });
    let refusal = them.call("rules.create", rule).await;
    assert_eq!(pointers(refusal), [("/condition/contact.custom.size".to_owned(), "unknown".to_owned())]);
}
