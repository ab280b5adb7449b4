//! What rules do with teams: giving contacts to them and to their members, and telling them.

use dealwright::scope::Role;
use serde_json::{Value, json};

use crate::{World, cases, told, world::pointers};

cases![
    a_rule_gives_contacts_to_a_team_and_tells_it,
    a_rule_gives_contacts_by_turns,
    a_rule_gives_contacts_to_the_least_busy_of_the_contacts_own_team,
    a_rule_whose_team_is_gone_fails_by_itself,
    a_schedule_follows_the_organisations_time_zone,
];

async fn a_rule_gives_contacts_to_a_team_and_tells_it(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let (_, cys) = world.member("cy", Role::Member).await;
    let team = world.team("Closers", &[bo]).await;
    let rule = json!({ "name": "give", "trigger": "contact.created", "actions": [
        { "assign_to": { "team": "closers" } }, { "notify_team": { "text": "{{contact.name}}" } },
    ] });
    world.ask("rules.create", rule).await;
    let ada = world.contact("Ada").await;
    world.settle().await;
    assert_eq!(world.field(ada.id, "team_id").await, team);
    // Its team is told, and nobody else.
    assert_eq!(told(&bos).await.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["Ada"]);
    assert!(told(&cys).await.is_empty() && told(&world.me).await.is_empty());
    let unknown =
        json!({ "name": "to", "trigger": "contact.created", "actions": [{ "assign_to": { "team": "closer" } }] });
    let wrong = pointers(world.me.call("rules.create", unknown).await);
    assert_eq!(wrong, [("/actions/0/assign_to/team".to_owned(), "unknown".to_owned())]);
}

async fn a_rule_gives_contacts_by_turns(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    world.team("Closers", &[bo, cy]).await;
    let action = json!({ "assign_to": { "strategy": "round_robin", "team": "Closers" } });
    world.ask("rules.create", json!({ "name": "turns", "trigger": "contact.created", "actions": [action] })).await;
    // Many at once: their runs race for turns, and each member gets the same number.
    let new = |n: usize| world.me.call("contacts.create", json!({ "name": format!("Contact {n}") }));
    let made = futures::future::join_all((0..10).map(new)).await;
    world.settle().await;
    // Who lost every race for a turn is given one a little later.
    world.later(60);
    world.settle().await;
    let mut counts = std::collections::BTreeMap::new();
    for contact in made {
        let id = contact.unwrap()["id"].as_str().unwrap().parse().unwrap();
        *counts.entry(world.field(id, "assigned_to").await.to_string()).or_insert(0) += 1;
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [5, 5]);
}

async fn a_rule_gives_contacts_to_the_least_busy_of_the_contacts_own_team(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let team = world.team("Closers", &[bo, cy]).await;
    let busy = world.contact("Busy").await;
    world.ask("contacts.assign", json!({ "contact_ids": [busy.id], "user_id": bo })).await;
    // What happened before the rule is none of its business.
    world.settle().await;
    let rule = json!({ "name": "work", "trigger": "contact.created", "actions": [{ "assign_to": "least_busy" }] });
    world.ask("rules.create", rule).await;
    let made = world.ask("contacts.create", json!({ "name": "Ada", "team_id": team })).await;
    // Nobody's team: all who may write contacts, of whom the owner is the first without any.
    let other = world.ask("contacts.create", json!({ "name": "Ben" })).await;
    world.settle().await;
    assert_eq!(world.ask("contacts.get", made["id"].clone()).await["assigned_to"], json!(cy));
    assert_eq!(world.ask("contacts.get", other["id"].clone()).await["assigned_to"], json!(world.una));
}

async fn a_rule_whose_team_is_gone_fails_by_itself(world: World) {
    let team = world.team("Closers", &[world.una]).await;
    let rule = json!({ "name": "give", "trigger": "contact.created", "actions": [{ "assign_to": { "team": team } }] });
    world.ask("rules.create", rule).await;
    world.ask("teams.delete", json!({ "id": team })).await;
    let ada = world.contact("Ada").await;
    world.settle().await;
    assert_eq!(world.field(ada.id, "team_id").await, Value::Null);
    let run = world.ask("runs.list", json!({ "contact_id": ada.id })).await["data"][0].clone();
    assert_eq!(run["outcome"], "failed");
    assert!(run["error"].as_str().unwrap().contains("does not exist"), "{run}");
}

async fn a_schedule_follows_the_organisations_time_zone(world: World) {
    let ada = world.contact("Ada").await;
    let daily = json!({ "name": "daily", "trigger": { "on": "schedule", "cron": "0 9 * * *" },
                        "actions": [{ "add_tag": "morning" }] });
    world.ask("rules.create", daily).await;
    let fixed = json!({ "name": "fixed", "trigger": { "on": "schedule", "cron": "0 9 * * *", "time_zone": "UTC" },
                        "actions": [{ "add_tag": "utc" }] });
    world.ask("rules.create", fixed).await;
    // Noon in UTC is 21 o'clock in Tokyo: 9 o'clock there is at midnight.
    world.ask("organizations.update", json!({ "patch": { "time_zone": "Asia/Tokyo" } })).await;
    world.later(12 * 3600);
    world.settle().await;
    assert_eq!(world.field(ada.id, "tags").await, json!(["morning"]));
    world.later(9 * 3600);
    world.settle().await;
    assert_eq!(world.field(ada.id, "tags").await, json!(["morning", "utc"]));
}
