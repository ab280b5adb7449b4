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
