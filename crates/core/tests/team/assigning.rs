//! Giving contacts to members and teams, singly and in bulk, and the shared base.

use dealwright::{id::ContactId, scope::Role};
use serde_json::{Value, json};

use crate::{
    World, cases, told,
    world::{pointers, refused},
};

cases![
    many_are_given_at_once_and_taken_back,
    all_or_none,
    each_flaw_is_named,
    turns_go_round,
    turns_given_at_once_go_to_different_members,
    the_least_busy_is_given_the_next,
    won_lost_and_deleted_contacts_are_no_work,
    nobody_to_give_to,
    who_is_given_something_is_told_once,
    the_shared_base_is_ones_teams_and_nobodys,
];

async fn contacts(world: &World, count: usize) -> Vec<ContactId> {
    let mut ids = Vec::new();
    for n in 0..count {
        ids.push(world.contact(&format!("Contact {n}")).await.id);
    }
    ids
}

async fn assignees(world: &World, ids: &[ContactId]) -> Vec<Value> {
    let mut found = Vec::new();
    for id in ids {
        found.push(world.field(*id, "assigned_to").await);
    }
    found
}

async fn many_are_given_at_once_and_taken_back(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let ids = contacts(&world, 3).await;
    // One that stands there twice counts once.
    let twice = json!([ids[0], ids[1], ids[2], ids[0]]);
    let answer = world.ask("contacts.assign", json!({ "contact_ids": twice, "user_id": bo })).await;
    assert_eq!(answer, json!({ "assigned": 3 }));
    assert_eq!(assignees(&world, &ids).await, vec![json!(bo); 3]);
    assert_eq!(world.field(ids[0], "version").await, 2);
    let event = world.events(ids[0]).await.pop().unwrap();
    assert_eq!(event.changes["assigned_to"].after, json!(bo));
    world.ask("contacts.assign", json!({ "contact_ids": [ids[0]], "user_id": null })).await;
    assert_eq!(assignees(&world, &ids[..2]).await, [Value::Null, json!(bo)]);
    let team = world.team("Closers", &[]).await;
    world.ask("contacts.assign", json!({ "contact_ids": ids, "team_id": team })).await;
    assert_eq!(world.field(ids[1], "team_id").await, team);
    assert_eq!(world.field(ids[1], "assigned_to").await, json!(bo));
    world.ask("contacts.assign", json!({ "contact_ids": ids, "team_id": null })).await;
    assert_eq!(world.field(ids[1], "team_id").await, Value::Null);
}

async fn all_or_none(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (_, them) = world.other_organization().await;
    let theirs = them.call("contacts.create", json!({ "name": "Eve" })).await.unwrap()["id"].clone();
    let ids = contacts(&world, 2).await;
    world.ask("contacts.delete", json!({ "id": ids[1] })).await;
    let input = json!({ "contact_ids": [ids[0], theirs, ids[1]], "user_id": bo });
    let wrong = pointers(world.me.call("contacts.assign", input).await);
    let unknown = |place: usize| (format!("/contact_ids/{place}"), "unknown".to_owned());
    assert_eq!(wrong, [unknown(1), unknown(2)]);
    assert_eq!(world.field(ids[0], "assigned_to").await, Value::Null);
    assert_eq!(them.call("contacts.get", theirs).await.unwrap()["assigned_to"], Value::Null);
}

async fn each_flaw_is_named(world: World) {
    let (_, them) = world.other_organization().await;
    let stranger = them.scope().user_id();
    let theirs = them.call("teams.create", json!({ "name": "Theirs" })).await.unwrap()["id"].clone();
    let ada = world.contact("Ada").await.id;
    let many: Vec<_> = vec![ada; 501];
    for (input, pointer, code) in [
        (json!({ "contact_ids": [], "user_id": world.una }), "/contact_ids", "required"),
        (json!({ "contact_ids": many, "user_id": world.una }), "/contact_ids", "too_many"),
        (json!({ "contact_ids": [ada] }), "/user_id", "required"),
        (json!({ "contact_ids": [ada], "user_id": stranger }), "/user_id", "unknown"),
        (json!({ "contact_ids": [ada], "team_id": theirs }), "/team_id", "unknown"),
        (json!({ "contact_ids": [ada], "team_id": theirs, "strategy": "round_robin" }), "/team_id", "unknown"),
        (json!({ "contact_ids": [ada], "user_id": world.una, "strategy": "least_busy" }), "/strategy", "invalid"),
        (json!({ "contact_ids": [ada], "user_id": world.una, "team_id": null }), "/team_id", "invalid"),
        (json!({ "contact_ids": [ada], "strategy": "by_lot" }), "/strategy", "invalid"),
    ] {
        let wrong = pointers(world.me.call("contacts.assign", input.clone()).await);
        assert_eq!(wrong, [(pointer.to_owned(), code.to_owned())], "{input}");
    }
    let (_, viewer) = world.member("vi", Role::Viewer).await;
    let input = json!({ "contact_ids": [ada], "user_id": world.una });
    refused(viewer.call("contacts.assign", input).await, 403, "forbidden");
}

async fn turns_go_round(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let (vi, _) = world.member("vi", Role::Viewer).await;
    let team = world.team("Closers", &[bo, vi, cy]).await;
    let ids = contacts(&world, 5).await;
    let give = async |ids: &[ContactId]| {
        let input = json!({ "contact_ids": ids, "team_id": team, "strategy": "round_robin" });
        world.ask("contacts.assign", input).await;
    };
    // The clock stands still, and turns still go round; a viewer could do nothing with a contact.
    give(&ids[..3]).await;
    give(&ids[3..4]).await;
    give(&ids[4..]).await;
    assert_eq!(assignees(&world, &ids).await, [json!(bo), json!(cy), json!(bo), json!(cy), json!(bo)]);
    // A team's turns are its own.
    let other = world.team("Openers", &[bo, cy]).await;
    let input = json!({ "contact_ids": [ids[1]], "team_id": other, "strategy": "round_robin" });
    world.ask("contacts.assign", input).await;
    assert_eq!(world.field(ids[1], "assigned_to").await, json!(bo));
}

async fn turns_given_at_once_go_to_different_members(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    for (name, strategy) in [("Turns", "round_robin"), ("Work", "least_busy")] {
        let team = world.team(name, &[bo, cy]).await;
        for _ in 0..3 {
            let ids = contacts(&world, 2).await;
            let one = |id| {
                world.me.call("contacts.assign", json!({ "contact_ids": [id], "team_id": team, "strategy": strategy }))
            };
            let (a, b) = tokio::join!(one(ids[0]), one(ids[1]));
            a.unwrap();
            b.unwrap();
            let mut given = assignees(&world, &ids).await;
            given.sort_by_key(Value::to_string);
            let mut both = [json!(bo), json!(cy)];
            both.sort_by_key(Value::to_string);
            assert_eq!(given, both, "{strategy}");
        }
    }
}

async fn the_least_busy_is_given_the_next(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let team = world.team("Closers", &[bo, cy]).await;
    let ids = contacts(&world, 7).await;
    world.ask("contacts.assign", json!({ "contact_ids": ids[..2], "user_id": bo })).await;
    let input = json!({ "contact_ids": ids[2..], "team_id": team, "strategy": "least_busy" });
    world.ask("contacts.assign", input).await;
    let given = assignees(&world, &ids[2..]).await;
    // Two behind, cy catches up; then they go by turns.
    assert_eq!(given[..2], [json!(cy), json!(cy)]);
    assert_eq!(given[2..].iter().filter(|it| **it == json!(bo)).count(), 2);
}

async fn won_lost_and_deleted_contacts_are_no_work(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let team = world.team("Closers", &[cy, bo]).await;
    let ids = contacts(&world, 6).await;
    world.ask("contacts.assign", json!({ "contact_ids": ids[..3], "user_id": bo })).await;
    world.ask("contacts.assign", json!({ "contact_ids": [ids[3]], "user_id": cy })).await;
    world.go(ids[0], world.stage("won").id).await;
    world.go(ids[1], world.stage("lost").id).await;
    world.ask("contacts.delete", json!({ "id": ids[2] })).await;
    let input = json!({ "contact_ids": [ids[4]], "team_id": team, "strategy": "least_busy" });
    world.ask("contacts.assign", input).await;
    assert_eq!(world.field(ids[4], "assigned_to").await, json!(bo));
}

async fn nobody_to_give_to(world: World) {
    let (vi, _) = world.member("vi", Role::Viewer).await;
    let team = world.team("Lookers", &[vi]).await;
    let ada = world.contact("Ada").await.id;
    let input = json!({ "contact_ids": [ada], "team_id": team, "strategy": "round_robin" });
    refused(world.me.call("contacts.assign", input).await, 409, "nobody_to_assign");
    // Without a team, everybody who may write contacts takes part.
    let input = json!({ "contact_ids": [ada], "strategy": "round_robin" });
    world.ask("contacts.assign", input).await;
    assert_eq!(world.field(ada, "assigned_to").await, json!(world.una));
}

async fn who_is_given_something_is_told_once(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let ids = contacts(&world, 3).await;
    world.ask("contacts.assign", json!({ "contact_ids": ids, "user_id": bo })).await;
    world.later(1);
    world.ask("contacts.assign", json!({ "contact_ids": ids, "user_id": bo })).await;
    let ada = world.ask("contacts.create", json!({ "name": "Ada", "assigned_to": bo })).await;
    world.later(1);
    let ben = bos.call("contacts.create", json!({ "name": "Ben", "assigned_to": bo })).await.unwrap();
    bos.call("contacts.update", json!({ "id": ben["id"], "patch": { "assigned_to": null } })).await.unwrap();
    world.ask("contacts.update", json!({ "id": ben["id"], "patch": { "assigned_to": bo } })).await;
    let told = told(&bos).await;
    let titles: Vec<_> = told.iter().map(|it| it.title.as_str()).collect();
    assert_eq!(titles, ["Ben was assigned to you", "Ada was assigned to you", "3 contacts were assigned to you"]);
    assert_eq!((json!(told[1].contact_id), told[1].kind.as_str()), (ada["id"].clone(), "assigned"));
}

async fn the_shared_base_is_ones_teams_and_nobodys(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let closers = world.team("Closers", &[bo]).await;
    let openers = world.team("Openers", &[]).await;
    for (name, team, source) in
        [("Ada", &closers, "fair"), ("Ben", &openers, "fair"), ("Cyd", &Value::Null, "web"), ("Dan", &closers, "web")]
    {
        world.later(1);
        world.ask("contacts.create", json!({ "name": name, "team_id": team, "source": source })).await;
    }
    let names = async |input: Value| {
        let page = bos.call("contacts.shared", input).await.unwrap();
        let names: Vec<_> =
            page["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (names, page["next_cursor"].clone())
    };
    assert_eq!(names(json!({})).await.0, ["Dan", "Cyd", "Ada"]);
    assert_eq!(names(json!({ "source": "fair" })).await.0, ["Ada"]);
    let (first, cursor) = names(json!({ "limit": 2, "sort": "name" })).await;
    assert_eq!(first, ["Ada", "Cyd"]);
    assert_eq!(names(json!({ "limit": 2, "sort": "name", "cursor": cursor })).await.0, ["Dan"]);
    let (_, them) = world.other_organization().await;
    assert_eq!(them.call("contacts.shared", json!({})).await.unwrap()["data"], json!([]));
}
