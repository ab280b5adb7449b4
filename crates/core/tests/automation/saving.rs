//! Saving rules: what is accepted, what is refused and how, and that what is saved is what runs.

use dealwright::{Handle, id::RuleId, page::PageRequest, scope::Role, services::automation::RuleVersions};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, pointers, refused, saved},
};

cases! {
    the_two_rules_of_the_source_are_taken_as_they_stand,
    a_rule_without_a_text_id_gets_a_slug_of_its_name,
    a_slug_is_taken_once,
    an_unknown_stage_is_refused_with_the_nearest_name,
    who_a_rule_names_by_id_must_exist,
    what_this_build_lacks_is_refused_as_not_available,
    a_faulty_change_leaves_the_rule_as_it_was,
    each_save_is_a_version,
    a_save_on_another_version_is_refused,
    rules_are_listed_by_position_and_page,
    who_may_not_shape_rules_is_refused,
    the_rules_of_others_are_not_found,
    the_rules_of_others_do_not_run,
    a_saved_change_counts_at_once,
    a_change_counts_at_once_in_every_process,
    a_rule_is_kept_by_ids,
    a_rule_that_is_off_does_not_run,
    a_removed_rule_does_not_run_and_its_runs_stay,
}

fn tagging(name: &str, tag: &str) -> Value {
    json!({ "name": name, "trigger": "contact.created", "actions": [{ "add_tag": tag }] })
}

async fn the_two_rules_of_the_source_are_taken_as_they_stand(world: World) {
    let timed: Value = serde_json::from_str(
        r#"{"id":"time-based-lead-to-qualified","trigger":"time_elapsed","condition":{"stage":"lead","elapsed_hours":24,"has_response":true},"action":{"move_to_stage":"qualified"}}"#,
    )
    .unwrap();
    let responded: Value = serde_json::from_str(
        r#"{"id":"client-responded","trigger":"message.received","condition":{"stage":"lead","is_first_response":true},"action":{"move_to_stage":"qualified","notify_team":true}}"#,
    )
    .unwrap();
    for definition in [timed, responded] {
        let rule = world.me.call("rules.create", definition.clone()).await.unwrap();
        assert_eq!(rule["slug"], definition["id"]);
        assert_eq!(rule["name"], definition["id"]);
        assert_eq!(
            (&rule["engine"], &rule["enabled"], &rule["version"]),
            (&json!("declarative"), &json!(true), &json!(1))
        );
        assert_eq!(rule["condition"], definition["condition"]);
        assert_eq!(rule["actions"], definition["action"]);
    }
    assert_eq!(world.me.rules().list(PageRequest::default()).await.unwrap().data.len(), 2);
}

async fn a_rule_without_a_text_id_gets_a_slug_of_its_name(world: World) {
    let rule = world.me.call("rules.create", tagging("Met at the Fair, 2026!", "met")).await.unwrap();
    assert_eq!(rule["slug"], "met-at-the-fair-2026");
    refused(
        world.me.call("rules.create", json!({ "trigger": "contact.created", "action": { "add_tag": "a" } })).await,
        422,
        "validation_failed",
    );
}

async fn a_slug_is_taken_once(world: World) {
    world.rule(tagging("once", "a")).await;
    let error = world.me.call("rules.create", tagging("once", "b")).await.unwrap_err();
    assert_eq!(error.kind().status(), 409, "{error}");
    let (_, other) = world.other_organization().await;
    saved(&other, tagging("once", "a")).await;
}

async fn an_unknown_stage_is_refused_with_the_nearest_name(world: World) {
    let rule = json!({ "name": "typo", "trigger": "contact.created", "actions": [{ "move_to_stage": "qualifeid" }] });
    let result = world.me.call("rules.create", rule).await;
    let message = result.as_ref().unwrap_err().fields()[0].detail.clone();
    assert!(message.contains("qualified"), "{message}");
    assert_eq!(pointers(result), [("/actions/0/move_to_stage".to_owned(), "unknown".to_owned())]);
    assert!(world.me.rules().list(PageRequest::default()).await.unwrap().data.is_empty());
}

async fn who_a_rule_names_by_id_must_exist(world: World) {
    let (_, other) = world.other_organization().await;
    let company =
        async |who: &Handle| who.call("companies.create", json!({ "name": "C" })).await.unwrap()["id"].clone();
    let contact = async |who: &Handle| who.call("contacts.create", json!({ "name": "C" })).await.unwrap()["id"].clone();
    let (gone_contact, gone_company) = (contact(&world.me).await, company(&world.me).await);
    world.me.call("contacts.delete", json!({ "id": gone_contact })).await.unwrap();
    world.me.call("companies.delete", json!({ "id": gone_company })).await.unwrap();
    let (theirs, their_company) = (contact(&other).await, company(&other).await);
    let rule = |trigger: &str, field: &str, id: &Value| json!({ "name": "by id", "trigger": trigger, "action": { "set_field": { field: id } } });
    for (trigger, field, id) in [
        ("contact.created", "company_id", &their_company),
        ("contact.created", "company_id", &gone_company),
        ("deal.created", "company_id", &their_company),
        ("deal.created", "company_id", &gone_company),
        ("deal.created", "contact_id", &theirs),
        ("deal.created", "contact_id", &gone_contact),
    ] {
        let refused = pointers(world.me.call("rules.create", rule(trigger, field, id)).await);
        assert_eq!(refused, [(format!("/action/set_field/{field}"), "unknown".to_owned())], "{trigger} {field} {id}");
    }
    let saved = world.rule(rule("deal.created", "contact_id", &contact(&world.me).await)).await;
    let patch = json!({ "id": saved, "patch": { "action": { "set_field": { "contact_id": theirs } } } });
    assert_eq!(pointers(world.me.call("rules.update", patch).await)[0].1, "unknown");
}

async fn what_this_build_lacks_is_refused_as_not_available(world: World) {
    let with = |member: &str, value: Value| {
        let mut rule = tagging("later", "a");
        rule[member] = value;
        rule
    };
    let mut later = vec![with("engine", json!("rhai"))];
    later.push(with("trigger", json!("draft.approved")));
    for action in [
        json!({ "draft_reply": true }),
        json!({ "call_webhook": "https://hook.example" }),
        json!({ "send_message": { "template": "hello" } }),
    ] {
        later.push(with("actions", json!([action])));
    }
    for rule in later {
        let error = world.me.call("rules.create", rule.clone()).await.expect_err(&rule.to_string());
        assert_eq!((error.kind().status(), error.code()), (422, "not_available"), "{rule}: {error}");
    }
    assert!(world.me.rules().list(PageRequest::default()).await.unwrap().data.is_empty());
}

async fn a_faulty_change_leaves_the_rule_as_it_was(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    let before = world.rule_now(rule).await;
    let patch = json!({ "id": rule, "patch": { "name": "new", "actions": [{ "move_to_stage": "nowhere" }] } });
    refused(world.me.call("rules.update", patch).await, 422, "validation_failed");
    assert_eq!(world.rule_now(rule).await, before);
}

async fn each_save_is_a_version(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    let second = world.edit(rule, json!({ "actions": [{ "add_tag": "b" }] })).await;
    assert_eq!(second["version"], 2);
    let same = world.edit(rule, json!({ "actions": [{ "add_tag": "b" }] })).await;
    assert_eq!(same["version"], 2, "what changes nothing is no version");
    world.edit(rule, json!({ "position": 7 })).await;
    let versions = world.me.rules().versions(RuleVersions { id: rule, limit: None, cursor: None }).await.unwrap().data;
    let seen: Vec<_> = versions.iter().map(|it| (it.version, it.position, it.actions[0]["add_tag"].clone())).collect();
    assert_eq!(seen, [(3, 7, json!("b")), (2, 0, json!("b")), (1, 0, json!("a"))]);
}

async fn a_save_on_another_version_is_refused(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    world.edit(rule, json!({ "position": 1 })).await;
    let late = json!({ "id": rule, "if_version": 1, "patch": { "position": 2 } });
    refused(world.me.call("rules.update", late).await, 412, "precondition_failed");
    assert_eq!(world.rule_now(rule).await.position, 1);
}

async fn rules_are_listed_by_position_and_page(world: World) {
    for (name, position) in [("third", 30), ("first", -1), ("second", 2), ("fourth", 30)] {
        let mut rule = tagging(name, "a");
        rule["position"] = json!(position);
        world.rule(rule).await;
    }
    let mut names = Vec::new();
    let mut page = PageRequest { limit: Some(3), cursor: None };
    loop {
        let answer = world.me.rules().list(page.clone()).await.unwrap();
        names.extend(answer.data.into_iter().map(|rule| rule.name));
        page.cursor = answer.next_cursor;
        if page.cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, ["first", "second", "third", "fourth"]);
}

async fn who_may_not_shape_rules_is_refused(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    for (name, role) in [("vic", Role::Viewer), ("mem", Role::Member)] {
        let (_, they) = world.member(name, role).await;
        refused(they.call("rules.create", tagging("mine", "b")).await, 403, "forbidden");
        refused(
            they.call("rules.update", json!({ "id": rule, "patch": { "enabled": false } })).await,
            403,
            "forbidden",
        );
        refused(they.rules().delete(rule.into()).await, 403, "forbidden");
        assert_eq!(they.rules().get(rule).await.unwrap().name, "tag");
    }
    let (_, manager) = world.member("max", Role::Manager).await;
    saved(&manager, tagging("mine", "b")).await;
}

async fn the_rules_of_others_are_not_found(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    world.settled("Ada").await;
    let (_, other) = world.other_organization().await;
    refused(other.rules().get(rule).await, 404, "not_found");
    refused(other.rules().delete(rule.into()).await, 404, "not_found");
    refused(other.call("rules.update", json!({ "id": rule, "patch": {} })).await, 404, "not_found");
    assert!(other.runs().list(Default::default()).await.unwrap().data.is_empty());
    let foreign = json!({ "name": "theirs", "trigger": "contact.created", "actions": [{ "move_to_stage": world.stage("won").id }] });
    refused(other.call("rules.create", foreign).await, 422, "validation_failed");
}

async fn the_rules_of_others_do_not_run(world: World) {
    let (_, other) = world.other_organization().await;
    saved(&other, tagging("theirs", "theirs")).await;
    world.rule(tagging("ours", "ours")).await;
    assert_eq!(world.settled("Ada").await.tags, ["ours"]);
    assert!(other.runs().list(Default::default()).await.unwrap().data.is_empty());
}

async fn a_saved_change_counts_at_once(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    assert_eq!(world.settled("Ada").await.tags, ["a"]);
    world.edit(rule, json!({ "actions": [{ "add_tag": "b" }] })).await;
    assert_eq!(world.settled("Bob").await.tags, ["b"]);
    assert_eq!(world.runs_of(rule).await.iter().map(|run| run.rule_version).collect::<Vec<_>>(), [1, 2]);
}

async fn a_change_counts_at_once_in_every_process(world: World) {
    let rule = world.rule(tagging("tag", "a")).await;
    assert_eq!(world.settled("Ada").await.tags, ["a"]);
    let (_, there) = world.second_engine().await;
    there.call("rules.update", json!({ "id": rule, "patch": { "actions": [{ "add_tag": "b" }] } })).await.unwrap();
    assert_eq!(world.settled("Bob").await.tags, ["b"]);
}

async fn a_rule_is_kept_by_ids(world: World) {
    let rule = json!({ "name": "on", "trigger": "contact.created", "condition": { "stage": "lead" },
                       "actions": [{ "move_to_stage": "qualified" }] });
    world.rule(rule).await;
    for (stage, name) in [("lead", "new"), ("qualified", "promising")] {
        let change = json!({ "id": world.stage(stage).id, "patch": { "name": name } });
        world.me.call("stages.update", change).await.unwrap();
    }
    let ada = world.settled("Ada").await;
    assert_eq!(world.stage_of(ada.id).await, "promising");
}

async fn a_rule_that_is_off_does_not_run(world: World) {
    let mut off = tagging("tag", "a");
    off["enabled"] = json!(false);
    let rule = world.rule(off).await;
    assert!(world.settled("Ada").await.tags.is_empty());
    world.edit(rule, json!({ "enabled": true })).await;
    assert_eq!(world.settled("Bob").await.tags, ["a"]);
    world.edit(rule, json!({ "enabled": false })).await;
    assert!(world.settled("Cyd").await.tags.is_empty());
}

async fn a_removed_rule_does_not_run_and_its_runs_stay(world: World) {
    let rule: RuleId = world.rule(tagging("tag", "a")).await;
    let ada = world.settled("Ada").await;
    world.me.rules().delete(rule.into()).await.unwrap();
    assert!(world.settled("Bob").await.tags.is_empty());
    refused(world.me.rules().get(rule).await, 404, "not_found");
    let runs = world.runs_of(rule).await;
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].contact_id, runs[0].outcome.as_str()), (Some(ada.id), "applied"));
}
