//! Schedule rules: when they come due, and for whom.

use chrono::{DateTime, Duration, TimeZone, Utc};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, noon, refused},
};

cases! {
    one_run_per_contact_whose_condition_holds,
    once_for_the_organisation,
    in_the_time_zone_that_it_names,
    slots_that_nobody_was_there_for_are_one,
    across_a_change_of_the_clocks,
    switched_off_it_sleeps,
    an_edited_schedule_counts,
    many_contacts_in_steps,
    who_the_condition_leaves_out_is_not_read,
    deals_are_found_by_their_fields,
    a_search_finds_all_whom_the_condition_takes,
    what_a_rule_makes_waits_for_the_next_time,
    an_expression_that_is_none_is_refused,
}

/// Every day at nine, for contacts from the fair.
fn daily() -> Value {
    json!({ "name": "daily", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
            "condition": { "contact.source": "fair", "stage": "lead" }, "actions": [{ "notify_team": true }] })
}

fn at(day: u32, hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, day, hour, 0, 0).unwrap()
}

async fn one_run_per_contact_whose_condition_holds(world: World) {
    let rule = world.rule(daily()).await;
    let ada = world.contact_from("Ada", "fair").await;
    let bob = world.contact_from("Bob", "fair").await;
    world.contact_from("Cyd", "web").await;
    let dan = world.contact_from("Dan", "fair").await;
    world.go(dan.id, world.stage("won").id).await;
    world.settle().await;
    world.until(at(23, 9) - Duration::seconds(1)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(at(23, 9)).await;
    let mut contacts: Vec<_> = world.runs_of(rule).await.iter().map(|run| run.contact_id.unwrap()).collect();
    contacts.sort();
    assert_eq!(contacts, [ada.id, bob.id]);
    world.until(at(24, 9)).await;
    assert_eq!(world.runs_of(rule).await.len(), 4);
}

async fn once_for_the_organisation(world: World) {
    let rule = world
        .rule(
            json!({ "name": "weekly", "subject": "organization", "trigger": { "on": "schedule", "cron": "0 8 * * MON" },
                      "actions": [{ "notify_team": { "text": "A new week" } }] }),
        )
        .await;
    world.settled("Ada").await;
    world.until(at(23, 8)).await;
    let [run] = &world.runs_of(rule).await[..] else { panic!() };
    assert_eq!((run.contact_id, run.event_kind.as_str()), (None, "schedule.due"));
    let told = world.me.notifications().list(Default::default()).await.unwrap().data;
    assert_eq!(told.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["A new week"]);
    world.until(at(29, 23)).await;
    assert_eq!(world.runs_of(rule).await.len(), 1);
    world.until(at(30, 8)).await;
    assert_eq!(world.runs_of(rule).await.len(), 2);
}

async fn in_the_time_zone_that_it_names(world: World) {
    let mut rule = daily();
    rule["trigger"]["time_zone"] = json!("America/New_York");
    let rule = world.rule(rule).await;
    world.contact_from("Ada", "fair").await;
    world.settle().await;
    // Nine in New York is two in the afternoon of UTC in winter; today it is noon.
    world.until(at(22, 13)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(at(22, 14)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn slots_that_nobody_was_there_for_are_one(world: World) {
    let rule = world.rule(daily()).await;
    world.contact_from("Ada", "fair").await;
    world.settle().await;
    world.until(at(29, 12)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.until(at(30, 9)).await;
    assert_eq!(world.outcomes(rule).await, ["applied", "applied"]);
}

async fn across_a_change_of_the_clocks(world: World) {
    // Berlin goes to summer time on 2027-03-28: its nine o'clock is eight of UTC before, seven after.
    world.until(Utc.with_ymd_and_hms(2027, 3, 26, 12, 0, 0).unwrap()).await;
    let mut rule = daily();
    rule["trigger"]["time_zone"] = json!("Europe/Berlin");
    let rule = world.rule(rule).await;
    world.contact_from("Ada", "fair").await;
    world.settle().await;
    let march = |day, hour| Utc.with_ymd_and_hms(2027, 3, day, hour, 0, 0).unwrap();
    for (instant, runs) in
        [(march(27, 7), 0), (march(27, 8), 1), (march(28, 6), 1), (march(28, 7), 2), (march(29, 7), 3)]
    {
        world.until(instant).await;
        assert_eq!(world.runs_of(rule).await.len(), runs, "{instant}");
    }
}

async fn switched_off_it_sleeps(world: World) {
    let rule = world.rule(daily()).await;
    world.contact_from("Ada", "fair").await;
    world.settle().await;
    world.edit(rule, json!({ "enabled": false })).await;
    world.until(at(25, 12)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.edit(rule, json!({ "enabled": true })).await;
    world.until(at(26, 8)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(at(26, 9)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.me.rules().delete(rule.into()).await.unwrap();
    world.until(at(28, 12)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn an_edited_schedule_counts(world: World) {
    let rule = world.rule(daily()).await;
    world.contact_from("Ada", "fair").await;
    world.settle().await;
    world.edit(rule, json!({ "trigger": { "on": "schedule", "cron": "30 13 * * *" } })).await;
    world.until(noon() + Duration::minutes(89)).await;
    assert!(world.outcomes(rule).await.is_empty());
    world.until(noon() + Duration::minutes(90)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
    world.until(at(23, 13)).await;
    assert_eq!(world.outcomes(rule).await, ["applied"]);
}

async fn many_contacts_in_steps(world: World) {
    let mut rule = daily();
    rule["actions"] = json!([{ "add_tag": "asked" }]);
    world.rule(rule).await;
    for number in 0..420 {
        let source = if number % 2 == 0 { "fair" } else { "web" };
        world.me.call("contacts.create", json!({ "name": format!("{number}"), "source": source })).await.unwrap();
    }
    world.settle().await;
    world.until(at(23, 9)).await;
    let mut asked = 0;
    let mut cursor = Value::Null;
    loop {
        let page = json!({ "tag": "asked", "limit": 200, "cursor": cursor });
        let page = world.me.call("contacts.list", page).await.unwrap();
        asked += page["data"].as_array().unwrap().len();
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(asked, 210);
}

/// How many contacts or deals the jobs of schedules have looked at so far.
async fn looked_at(world: &World) -> i64 {
    let jobs = world.me.call("jobs.list", json!({ "limit": 200 })).await.unwrap();
    let jobs: Vec<_> = jobs["data"].as_array().unwrap().iter().filter(|job| job["kind"] == "run_schedule").collect();
    assert!(jobs.iter().all(|job| job["state"] == "done"), "{jobs:?}");
    jobs.iter().map(|job| job["progress"].as_i64().unwrap()).sum()
}

async fn contacts(world: &World, count: usize, members: Value) {
    let item = |number: usize| {
        let mut item = members.clone();
        item["name"] = json!(format!("Contact {number}"));
        item
    };
    let items: Vec<_> = (0..count).map(item).collect();
    world.me.call("contacts.batch", json!({ "items": items })).await.unwrap();
    world.settle().await;
}

async fn who_the_condition_leaves_out_is_not_read(world: World) {
    let rule = world.rule(daily()).await;
    contacts(&world, 3, json!({ "source": "fair" })).await;
    world.until(at(23, 9)).await;
    assert_eq!(looked_at(&world).await, 3);
    contacts(&world, 300, json!({ "source": "web" })).await;
    world.until(at(24, 9)).await;
    assert_eq!((looked_at(&world).await, world.runs_of(rule).await.len()), (6, 6));
}

async fn deals_are_found_by_their_fields(world: World) {
    world
        .rule(json!({ "name": "daily", "subject": "deal", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                      "condition": { "deal.status": "open", "deal.value.amount": { "gte": 1000 }, "contact.source": "fair" },
                      "actions": [{ "set_field": { "probability": 0.5 } }] }))
        .await;
    let mut items = Vec::new();
    for (source, amount) in [("fair", "1000"), ("web", "1000.00"), ("fair", "999.99"), ("fair", "5000")] {
        let contact = world.contact_from("Ada", source).await;
        items.push(json!({ "name": format!("{source} {amount}"), "contact_id": contact.id,
                           "value": { "amount": amount, "currency": "EUR" } }));
    }
    world.me.call("deals.batch", json!({ "items": items })).await.unwrap();
    world.settle().await;
    world.until(at(23, 9)).await;
    // Whose the deal is, is told of the deal only when its contact is read.
    assert_eq!(looked_at(&world).await, 3);
    let page = world.me.call("deals.list", json!({ "sort": "name" })).await.unwrap();
    let set = page["data"].as_array().unwrap().iter().filter(|deal| deal["probability"] == 0.5);
    assert_eq!(set.map(|deal| deal["name"].clone()).collect::<Vec<_>>(), ["fair 1000", "fair 5000"]);
}

async fn a_search_finds_all_whom_the_condition_takes(world: World) {
    for (key, kind) in [("size", "number"), ("since", "date"), ("motto", "text"), ("vip", "boolean")] {
        world.me.call("fields.create", json!({ "object": "contact", "key": key, "type": kind })).await.unwrap();
    }
    let team = world.me.call("teams.create", json!({ "name": "Closers" })).await.unwrap()["id"].clone();
    let custom = json!({ "size": 12.1, "since": "2026-02-28", "motto": "Never late", "vip": true });
    contacts(
        &world,
        1,
        json!({ "source": "fair", "tags": ["vip", "eu"], "emails": ["ada@work.example"], "team_id": team,
                                "assigned_to": world.una, "handles": { "telegram": "Ada" }, "custom": custom }),
    )
    .await;
    contacts(&world, 2, json!({})).await;
    let (account, met) = (world.mailbox().await, world.note("met@work.example", "Hello"));
    world.receive(account, met).await;
    world.hours(5.0).await;
    // Each with those whom it takes: of the first, of the two others, of the one who wrote.
    let conditions = [
        (json!({}), [1, 2, 1]),
        (json!({ "contact.source": "fair" }), [1, 0, 0]),
        (json!({ "contact.source": { "ne": "fair" } }), [0, 0, 1]),
        (json!({ "contact.source": { "contains": "FAI" } }), [1, 0, 0]),
        (json!({ "contact.source": { "exists": false } }), [0, 2, 0]),
        (json!({ "contact.tags": ["vip", "us"] }), [1, 0, 0]),
        (json!({ "contact.tags": { "contains": "VIP" } }), [1, 0, 0]),
        (json!({ "contact.tags": { "ne": "vip" } }), [0, 2, 1]),
        (json!({ "contact.emails": "ada@work.example" }), [1, 0, 0]),
        (json!({ "contact.team_id": team }), [1, 0, 0]),
        (json!({ "contact.assigned_to": { "exists": true } }), [1, 0, 0]),
        (json!({ "contact.handles.telegram": "Ada" }), [1, 0, 0]),
        (json!({ "contact.score": { "lt": 0.5 } }), [1, 2, 1]),
        (json!({ "contact.score": { "gt": -0.5, "lte": 0 } }), [1, 2, 1]),
        (json!({ "contact.created_at": { "lt": "2026-11-22T12:00:00.0000005Z" } }), [1, 2, 0]),
        (json!({ "contact.custom.size": { "gte": 12.1, "lte": 12.1 } }), [1, 0, 0]),
        (json!({ "contact.custom.size": [3, 12.1] }), [1, 0, 0]),
        (json!({ "contact.custom.since": { "gt": "2026-02-27T18:00:00Z", "lt": "2026-02-28T06:00:00Z" } }), [1, 0, 0]),
        (json!({ "contact.custom.motto": "Never late" }), [1, 0, 0]),
        (json!({ "contact.custom.vip": true }), [1, 0, 0]),
        (json!({ "contact.custom.vip": { "exists": false } }), [0, 2, 1]),
        (json!({ "not": { "contact.source": "fair" } }), [0, 2, 1]),
        (json!({ "not": { "contact.name": { "contains": "contact" } } }), [0, 0, 1]),
        (json!({ "any": [{ "contact.source": "fair" }, { "has_response": true }] }), [1, 0, 1]),
        (json!({ "any": [{ "contact.source": "fair" }, { "now.hour": 17 }] }), [1, 2, 1]),
        (json!({ "has_response": { "ne": true } }), [1, 2, 0]),
        (json!({ "elapsed_hours": 5 }), [1, 2, 1]),
        (json!({ "elapsed_hours": { "lt": 5 } }), [0, 0, 0]),
        (json!({ "hours_since_last_message": 4.9 }), [0, 0, 1]),
        (json!({ "hours_since_last_response": { "gt": 6 } }), [0, 0, 0]),
        (json!({ "stage": "lead", "pipeline": "sales", "contact.stage_id": { "ne": "won" } }), [1, 2, 1]),
    ];
    let mut rules = Vec::new();
    for (number, (condition, _)) in conditions.iter().enumerate() {
        let rule = json!({ "name": format!("rule {number}"), "trigger": { "on": "schedule", "cron": "1 17 * * *" },
                           "condition": condition, "action": { "stop": true } });
        rules.push(world.rule(rule).await);
    }
    world.hours(0.1).await;
    for ((condition, [first, others, wrote]), rule) in conditions.iter().zip(rules) {
        let runs = world.runs_of(rule).await;
        let name =
            |run: &dealwright::domain::run::Run| run.facts["contact"]["name"].as_str().unwrap_or_default().to_owned();
        let mut told = [0, 0, 0];
        for run in &runs {
            let facts = world.contact_now(run.contact_id.unwrap()).await;
            let place = if facts.first_response_at.is_some() { 2 } else { usize::from(facts.tags.is_empty()) };
            told[place] += 1;
        }
        let names: Vec<_> = runs.iter().map(name).collect();
        assert_eq!(told, [*first, *others, *wrote], "{condition}: {names:?}");
    }
}

async fn what_a_rule_makes_waits_for_the_next_time(world: World) {
    world
        .rule(json!({ "name": "daily", "subject": "deal", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                      "action": { "create_deal": true } }))
        .await;
    let ada = world.settled("Ada").await;
    let items: Vec<_> = (0..200).map(|number| json!({ "name": format!("{number}"), "contact_id": ada.id })).collect();
    world.me.call("deals.batch", json!({ "items": items })).await.unwrap();
    world.until(at(23, 9)).await;
    assert_eq!(looked_at(&world).await, 200);
}

async fn an_expression_that_is_none_is_refused(world: World) {
    for trigger in [
        json!({ "on": "schedule", "cron": "every day" }),
        json!({ "on": "schedule", "cron": "0 9 * * *", "time_zone": "Mars/Olympus" }),
        json!({ "on": "schedule" }),
        json!({ "on": "schedule", "cron": "* * * * * *" }),
        json!({ "on": "schedule", "cron": "0 9 30 2 *" }),
    ] {
        let mut rule = daily();
        rule["trigger"] = trigger;
        refused(world.me.call("rules.create", rule).await, 422, "validation_failed");
    }
}
