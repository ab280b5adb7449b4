//! Conversion and value, of some alone and split up.

use chrono::{DateTime, Duration, Utc};
use dealwright::{Result, id::UserId, scope::Role};
use serde_json::{Value, json};

use crate::{
    cases,
    world::{World, noon, refused},
};

cases![
    without_a_group_the_lines_say_nothing_of_one,
    conversion_is_told_by_owner_and_by_source,
    conversion_of_deals_goes_by_their_owner_and_their_contacts_source,
    conversion_is_told_by_day_week_and_month_of_the_organisations_time_zone,
    conversion_of_some_alone,
    value_is_told_by_owner_source_and_month,
    value_of_a_team_and_of_a_period,
    nobody_is_told_more_groups_than_they_can_read,
    a_grouping_that_is_unknown_is_refused,
    groups_know_nothing_of_another_organisation,
];

async fn conversion(world: &World, query: Value) -> Vec<Value> {
    lines(world.me.call("analytics.conversion_rates", query).await)
}

async fn value(world: &World, query: Value) -> Vec<Value> {
    lines(world.me.call("analytics.pipeline_value", query).await)
}

#[track_caller]
fn lines(answer: Result<Value>) -> Vec<Value> {
    answer.unwrap()["data"].as_array().unwrap().clone()
}

/// Of the lines that count anything: the group, the stage, and these members.
fn told(lines: &[Value], members: [&str; 2]) -> Vec<Value> {
    let counted = lines.iter().filter(|line| line[members[0]] != json!(0));
    counted.map(|line| json!([line["group"], line["name"], line[members[0]], line[members[1]]])).collect()
}

async fn contact(world: &World, source: Option<&str>, assigned_to: Option<UserId>) -> Value {
    let new = json!({ "name": "C", "source": source, "assigned_to": assigned_to });
    world.me.call("contacts.create", new).await.unwrap()
}

async fn go(world: &World, contact: &Value, stage: &str) {
    let input = json!({ "contact_id": contact["id"], "stage_id": world.stage(stage).id });
    world.me.call("contacts.move", input).await.unwrap();
}

async fn deal(world: &World, more: Value) -> Value {
    let mut new = json!({ "name": "D", "value": { "amount": "100", "currency": "EUR" } });
    new.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.me.call("deals.create", new).await.unwrap()
}

/// A team with nobody in it.
async fn team(world: &World) -> Value {
    world.me.call("teams.create", json!({ "name": "North" })).await.unwrap()["id"].clone()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

async fn without_a_group_the_lines_say_nothing_of_one(world: World) {
    contact(&world, Some("fair"), Some(world.una)).await;
    deal(&world, json!({})).await;
    let lines = [conversion(&world, json!({})).await, value(&world, json!({})).await].concat();
    assert_eq!(lines.len(), 7);
    for line in lines {
        assert_eq!(line.get("group"), None, "{line}");
    }
}

async fn conversion_is_told_by_owner_and_by_source(world: World) {
    let (bob, _) = world.member("bob", Role::Member).await;
    let first = contact(&world, Some("fair"), Some(world.una)).await;
    contact(&world, Some("fair"), Some(bob)).await;
    contact(&world, None, Some(bob)).await;
    contact(&world, Some("web"), None).await;
    world.later(10);
    go(&world, &first, "qualified").await;
    let (una, bob) = (world.una.to_string(), bob.to_string());
    let by_owner = conversion(&world, json!({ "group_by": "owner" })).await;
    assert_eq!(by_owner.len(), 18, "every stage of each group");
    assert_eq!(
        told(&by_owner, ["entered", "moved_on"]),
        [
            json!([null, "lead", 1, 0]),
            json!([una, "lead", 1, 1]),
            json!([una, "qualified", 1, 0]),
            json!([bob, "lead", 2, 0]),
        ]
    );
    let by_source = conversion(&world, json!({ "group_by": "source" })).await;
    assert_eq!(
        told(&by_source, ["entered", "moved_on"]),
        [
            json!([null, "lead", 1, 0]),
            json!(["fair", "lead", 2, 1]),
            json!(["fair", "qualified", 1, 0]),
            json!(["web", "lead", 1, 0]),
        ]
    );
    // Each group has a median of its own.
    let of = |name: &str| by_source.iter().find(|it| it["group"] == name && it["name"] == "lead").unwrap().clone();
    assert_eq!((&of("fair")["median_seconds"], &of("fair")["rate"]), (&json!(10.0), &json!(0.5)));
    assert_eq!(of("web")["median_seconds"], json!(null));
}

async fn conversion_of_deals_goes_by_their_owner_and_their_contacts_source(world: World) {
    let (bob, _) = world.member("bob", Role::Member).await;
    let ada = contact(&world, Some("fair"), Some(bob)).await;
    deal(&world, json!({ "contact_id": ada["id"], "assigned_to": world.una })).await;
    deal(&world, json!({})).await;
    let of_deals = |by: &str| json!({ "subject": "deal", "group_by": by });
    assert_eq!(
        told(&conversion(&world, of_deals("owner")).await, ["entered", "lost"]),
        [json!([null, "lead", 1, 0]), json!([world.una, "lead", 1, 0])]
    );
    assert_eq!(
        told(&conversion(&world, of_deals("source")).await, ["entered", "lost"]),
        [json!([null, "lead", 1, 0]), json!(["fair", "lead", 1, 0])]
    );
    let of_fair = json!({ "subject": "deal", "source": "fair" });
    assert_eq!(conversion(&world, of_fair).await[0]["entered"], 1);
    assert_eq!(conversion(&world, json!({ "subject": "deal", "assigned_to": bob })).await[0]["entered"], 0);
}

async fn conversion_is_told_by_day_week_and_month_of_the_organisations_time_zone(world: World) {
    let zone = json!({ "patch": { "time_zone": "Europe/Berlin" } });
    world.me.call("organizations.update", zone).await.unwrap();
    // Sunday, still Sunday, Monday in Berlin while it is Sunday in London, the last hour of November there.
    for time in ["2026-11-22T12:00:00Z", "2026-11-22T22:59:59Z", "2026-11-22T23:00:00Z", "2026-11-30T23:30:00Z"] {
        world.clock.set(at(time));
        contact(&world, None, None).await;
    }
    let by = async |by: &str| {
        let lines = conversion(&world, json!({ "group_by": by })).await;
        let told = told(&lines, ["entered", "lost"]);
        told.into_iter()
            .map(|line| (line[0].as_str().unwrap().to_owned(), line[2].as_i64().unwrap()))
            .collect::<Vec<_>>()
    };
    let of = |lines: &[(&str, i64)]| lines.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(
        by("day").await,
        of(&[("2026-11-22T00:00:00+01:00", 2), ("2026-11-23T00:00:00+01:00", 1), ("2026-12-01T00:00:00+01:00", 1)])
    );
    assert_eq!(
        by("week").await,
        of(&[("2026-11-16T00:00:00+01:00", 2), ("2026-11-23T00:00:00+01:00", 1), ("2026-11-30T00:00:00+01:00", 1)])
    );
    assert_eq!(by("month").await, of(&[("2026-11-01T00:00:00+01:00", 3), ("2026-12-01T00:00:00+01:00", 1)]));
    // The bounds of the period hold inside of a group as well.
    let part = json!({ "group_by": "month", "from": at("2026-11-22T22:00:00Z"), "to": at("2026-11-22T23:00:00Z") });
    let part = conversion(&world, part).await;
    assert_eq!(told(&part, ["entered", "lost"]), [json!(["2026-11-01T00:00:00+01:00", "lead", 1, 0])]);
}

async fn conversion_of_some_alone(world: World) {
    let north = team(&world).await;
    contact(&world, Some("fair"), Some(world.una)).await;
    let theirs = contact(&world, Some("web"), None).await;
    let assign = json!({ "contact_ids": [theirs["id"]], "team_id": north });
    world.me.call("contacts.assign", assign).await.unwrap();
    contact(&world, Some("web"), None).await;
    for (query, entered) in [
        (json!({}), 3),
        (json!({ "assigned_to": world.una }), 1),
        (json!({ "team_id": north }), 1),
        (json!({ "source": " web " }), 2),
        (json!({ "source": "web", "team_id": north }), 1),
        (json!({ "source": "fair", "team_id": north }), 0),
        (json!({ "source": "web", "group_by": "owner" }), 2),
    ] {
        assert_eq!(
            conversion(&world, query.clone()).await.first().map_or(json!(0), |it| it["entered"].clone()),
            entered,
            "{query}"
        );
    }
}

async fn value_is_told_by_owner_source_and_month(world: World) {
    let fair = contact(&world, Some("fair"), None).await;
    let una = json!({ "contact_id": fair["id"], "assigned_to": world.una, "expected_close_on": "2026-12-31" });
    deal(&world, una).await;
    let una = json!({ "assigned_to": world.una, "expected_close_on": "2026-12-01", "probability": 0.5,
        "value": { "amount": "50", "currency": "EUR" } });
    deal(&world, una).await;
    deal(&world, json!({ "expected_close_on": "2027-01-01", "stage_id": world.stage("won").id })).await;
    deal(&world, json!({})).await;
    let una = world.una.to_string();
    for (by, lines) in [
        (
            "owner",
            vec![
                json!([null, "lead", 1, "100.00"]),
                json!([null, "won", 1, "100.00"]),
                json!([una, "lead", 2, "150.00"]),
            ],
        ),
        (
            "source",
            vec![
                json!([null, "lead", 2, "150.00"]),
                json!([null, "won", 1, "100.00"]),
                json!(["fair", "lead", 1, "100.00"]),
            ],
        ),
        (
            "month",
            vec![
                json!([null, "lead", 1, "100.00"]),
                json!(["2026-12-01", "lead", 2, "150.00"]),
                json!(["2027-01-01", "won", 1, "100.00"]),
            ],
        ),
    ] {
        assert_eq!(told(&value(&world, json!({ "group_by": by })).await, ["count", "value"]), lines, "{by}");
    }
    let answer = world.me.call("analytics.pipeline_value", json!({ "group_by": "owner" })).await.unwrap();
    let totals: Vec<_> = (answer["totals"].as_array().unwrap().iter())
        .map(|it| json!([it["group"], it["kind"], it["value"], it["weighted_value"]]))
        .collect();
    // A lead is won with a chance of a tenth, unless the deal says otherwise: 100 × 0.1 + 50 × 0.5.
    assert_eq!(
        totals,
        [
            json!([null, "open", "100.00", "10.00"]),
            json!([null, "won", "100.00", "100.00"]),
            json!([una, "open", "150.00", "35.00"]),
        ]
    );
}

async fn value_of_a_team_and_of_a_period(world: World) {
    let north = team(&world).await;
    deal(&world, json!({ "team_id": north, "expected_close_on": "2026-12-01" })).await;
    deal(&world, json!({ "assigned_to": world.una, "expected_close_on": "2026-12-31" })).await;
    deal(&world, json!({})).await;
    for (query, count) in [
        (json!({}), 3),
        (json!({ "team_id": north }), 1),
        (json!({ "from": "2026-12-01", "to": "2026-12-31" }), 1),
        (json!({ "from": "2026-12-02" }), 1),
        (json!({ "to": "2027-01-01" }), 2),
        (json!({ "to": "2027-01-01", "assigned_to": world.una }), 1),
        (json!({ "team_id": north, "assigned_to": world.una }), 0),
        (json!({ "team_id": north, "group_by": "month" }), 1),
    ] {
        let lines = value(&world, query.clone()).await;
        assert_eq!(lines.iter().map(|it| it["count"].as_i64().unwrap()).sum::<i64>(), count, "{query}");
    }
    let backwards =
        world.me.call("analytics.pipeline_value", json!({ "from": "2026-12-02", "to": "2026-12-02" })).await;
    assert_eq!(refused(backwards, 400, "invalid_parameter").fields()[0].pointer, "/from");
}

async fn nobody_is_told_more_groups_than_they_can_read(world: World) {
    let years = json!({ "group_by": "day", "from": noon() - Duration::days(800) });
    let refusal = refused(world.me.call("analytics.conversion_rates", years).await, 400, "invalid_parameter");
    assert_eq!((refusal.fields()[0].pointer.as_str(), &*refusal.fields()[0].code), ("/group_by", "too_many"));
    let months = json!({ "group_by": "month", "from": noon() - Duration::days(800) });
    assert!(conversion(&world, months).await.is_empty());
}

async fn a_grouping_that_is_unknown_is_refused(world: World) {
    for (operation, by) in [
        ("analytics.conversion_rates", "mood"),
        ("analytics.pipeline_value", "day"),
        ("analytics.pipeline_value", "mood"),
    ] {
        let refusal = world.me.call(operation, json!({ "group_by": by })).await.unwrap_err();
        assert!(matches!(refusal.kind().status(), 400 | 422), "{refusal}");
    }
}

async fn groups_know_nothing_of_another_organisation(world: World) {
    let north = team(&world).await;
    let ada = contact(&world, Some("fair"), Some(world.una)).await;
    deal(&world, json!({ "contact_id": ada["id"], "assigned_to": world.una, "team_id": north })).await;
    let (_, them) = world.other_organization().await;
    for by in ["owner", "source", "month"] {
        for operation in ["analytics.conversion_rates", "analytics.pipeline_value"] {
            assert_eq!(lines(them.call(operation, json!({ "group_by": by })).await), [] as [Value; 0]);
            for of in [json!({ "assigned_to": world.una }), json!({ "team_id": north })] {
                refused(them.call(operation, of).await, 404, "not_found");
            }
        }
    }
}
