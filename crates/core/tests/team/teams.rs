//! Teams: unique names, versions, who is in them, and what becomes of their contacts.

use dealwright::{
    Result,
    scope::Role,
    services::team::{DeleteTeam, NewTeam, RemoveTeamMember, TeamPatch, UpdateTeam},
};
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    teams_are_made_named_and_removed,
    a_name_is_unique_whatever_the_case,
    of_concurrent_teams_with_one_name_exactly_one_wins,
    versions_are_checked,
    members_come_and_go,
    a_removed_team_leaves_its_contacts,
    a_removed_team_leaves_its_deals,
    another_organisations_teams_do_not_exist,
    contacts_name_teams_that_exist,
    those_who_may_not_make_teams,
];

async fn create(world: &World, name: &str) -> Result<dealwright::domain::team::Team> {
    world.later(1);
    world.me.teams().create(NewTeam { name: name.to_owned() }).await
}

async fn teams_are_made_named_and_removed(world: World) {
    let first = create(&world, " Closers ").await.unwrap();
    assert_eq!((first.name.as_str(), first.version), ("Closers", 1));
    let second = create(&world, "Openers").await.unwrap();
    let listed = world.me.teams().list(Default::default()).await.unwrap().data;
    assert_eq!(listed, [second, first.clone()]);
    let patch = TeamPatch { name: "Finishers".to_owned().into() };
    let named = world.me.teams().update(UpdateTeam { id: first.id, patch, if_version: None }).await.unwrap();
    assert_eq!((named.name.as_str(), named.version), ("Finishers", 2));
    assert_eq!(world.me.teams().get(first.id).await.unwrap(), named);
    world.me.teams().delete(DeleteTeam { id: first.id, if_version: None }).await.unwrap();
    refused(world.me.teams().get(first.id).await, 404, "not_found");
    let what: Vec<_> =
        world.events(world.organization).await.into_iter().filter_map(|it| it.data.get("what").cloned()).collect();
    let expected = ["member.added", "team.created", "team.created", "team.updated", "team.deleted"];
    assert_eq!(what, expected.map(Value::from));
}

async fn a_name_is_unique_whatever_the_case(world: World) {
    create(&world, "Closers").await.unwrap();
    for name in ["CLOSERS", " ｃlosers "] {
        let error = refused(create(&world, name).await, 409, "name_taken");
        assert_eq!(error.fields()[0].pointer, "/name");
    }
    let other = create(&world, "Openers").await.unwrap();
    let patch = TeamPatch { name: "closers".to_owned().into() };
    refused(world.me.teams().update(UpdateTeam { id: other.id, patch, if_version: None }).await, 409, "name_taken");
    for (name, code) in [("  ", "required"), (&*"x".repeat(201), "too_long")] {
        assert_eq!(pointers(create(&world, name).await), [("/name".to_owned(), code.to_owned())]);
    }
}

async fn of_concurrent_teams_with_one_name_exactly_one_wins(world: World) {
    let teams = world.me.teams();
    let new = || NewTeam { name: "Closers".to_owned() };
    let (a, b, c) = tokio::join!(teams.create(new()), teams.create(new()), teams.create(new()));
    let outcomes = [a, b, c];
    assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1);
    for lost in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(lost.code(), "name_taken");
    }
}

async fn versions_are_checked(world: World) {
    let team = create(&world, "Closers").await.unwrap();
    let patch = |name: &str| TeamPatch { name: name.to_owned().into() };
    let update = |name, if_version| UpdateTeam { id: team.id, patch: patch(name), if_version };
    refused(world.me.teams().update(update("A", Some(2))).await, 412, "precondition_failed");
    world.me.teams().update(update("A", Some(1))).await.unwrap();
    refused(world.me.teams().delete(DeleteTeam { id: team.id, if_version: Some(1) }).await, 412, "precondition_failed");
    world.me.teams().delete(DeleteTeam { id: team.id, if_version: Some(2) }).await.unwrap();
}

async fn members_come_and_go(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let team = world.team("Closers", &[cy, bo]).await;
    let listed = async || {
        let page = world.ask("teams.members", json!({ "id": team })).await;
        page["data"].as_array().unwrap().iter().map(|it| it["user_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [json!(cy), json!(bo)]);
    // Once more changes nothing.
    let again = world.ask("teams.add_member", json!({ "id": team, "user_id": bo })).await;
    assert_eq!(again["team_ids"], json!([team]));
    assert_eq!(listed().await.len(), 2);
    let first = world.ask("teams.members", json!({ "id": team, "limit": 1 })).await;
    let rest = world.ask("teams.members", json!({ "id": team, "cursor": first["next_cursor"] })).await;
    assert_eq!((&rest["data"][0]["user_id"], &rest["next_cursor"]), (&json!(bo), &Value::Null));
    let id = team.as_str().unwrap().parse().unwrap();
    let remove = || RemoveTeamMember { id, user_id: cy };
    world.me.teams().remove_member(remove()).await.unwrap();
    assert_eq!(listed().await, [json!(bo)]);
    refused(world.me.teams().remove_member(remove()).await, 404, "not_found");
}

async fn a_removed_team_leaves_its_contacts(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let team = world.team("Closers", &[bo]).await;
    let ada = world.contact("Ada").await;
    world.ask("contacts.update", json!({ "id": ada.id, "patch": { "team_id": team } })).await;
    assert_eq!(world.ask("contacts.list", json!({ "team_id": team })).await["data"][0]["id"], json!(ada.id));
    world.ask("teams.delete", json!({ "id": team })).await;
    let now = world.ask("contacts.get", json!(ada.id)).await;
    assert_eq!((&now["team_id"], &now["version"]), (&Value::Null, &json!(3)));
    assert_eq!(world.ask("members.get", json!(bo)).await["team_ids"], json!([]));
}

async fn a_removed_team_leaves_its_deals(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let team = world.team("Closers", &[bo]).await;
    let deal = world.ask("deals.create", json!({ "name": "Licence", "team_id": team })).await["id"].clone();
    let rule = json!({ "name": "turns", "trigger": "stage.changed", "subject": "deal",
                       "action": { "assign_to": "round_robin" } });
    world.ask("rules.create", rule).await;
    world.ask("teams.delete", json!({ "id": team })).await;
    assert_eq!(world.ask("deals.get", deal.clone()).await["team_id"], Value::Null);
    // Of no team, it is somebody's turn of all.
    let stage = world.stage("qualified").id;
    world.ask("deals.move", json!({ "id": deal, "patch": { "stage_id": stage } })).await;
    world.settle().await;
    let runs = world.ask("runs.list", json!({})).await;
    let outcomes: Vec<_> = runs["data"].as_array().unwrap().iter().map(|it| it["outcome"].clone()).collect();
    assert_eq!(outcomes, ["applied"], "{runs}");
}

async fn another_organisations_teams_do_not_exist(world: World) {
    let (_, them) = world.other_organization().await;
    let team = world.team("Closers", &[world.una]).await;
    refused(them.call("teams.get", team.clone()).await, 404, "not_found");
    for (operation, input) in [
        ("teams.update", json!({ "id": team, "patch": { "name": "Ours" } })),
        ("teams.delete", json!({ "id": team })),
        ("teams.members", json!({ "id": team })),
        ("teams.add_member", json!({ "id": team, "user_id": them.scope().user_id() })),
        ("teams.remove_member", json!({ "id": team, "user_id": world.una })),
    ] {
        refused(them.call(operation, input).await, 404, "not_found");
    }
    let stranger = json!({ "id": team, "user_id": them.scope().user_id() });
    let wrong = pointers(world.me.call("teams.add_member", stranger).await);
    assert_eq!(wrong, [("/user_id".to_owned(), "unknown".to_owned())]);
    assert_eq!(them.call("teams.list", json!({})).await.unwrap()["data"], json!([]));
    assert_eq!(them.call("contacts.list", json!({ "team_id": team })).await.unwrap()["data"], json!([]));
}

async fn contacts_name_teams_that_exist(world: World) {
    let (_, them) = world.other_organization().await;
    let theirs = them.call("teams.create", json!({ "name": "Theirs" })).await.unwrap()["id"].clone();
    let wrong = [("/team_id".to_owned(), "unknown".to_owned())];
    assert_eq!(pointers(world.me.call("contacts.create", json!({ "name": "Ada", "team_id": theirs })).await), wrong);
    let ada = world.contact("Ada").await;
    let patch = json!({ "id": ada.id, "patch": { "team_id": theirs } });
    assert_eq!(pointers(world.me.call("contacts.update", patch).await), wrong);
    let team = world.team("Ours", &[]).await;
    let made = world.ask("contacts.create", json!({ "name": "Ben", "team_id": team })).await;
    assert_eq!(made["team_id"], team);
}

async fn those_who_may_not_make_teams(world: World) {
    let (_, manager) = world.member("mo", Role::Manager).await;
    refused(manager.call("teams.create", json!({ "name": "Mine" })).await, 403, "forbidden");
}
