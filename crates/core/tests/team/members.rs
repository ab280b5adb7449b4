//! Who belongs to an organisation, as what, and leaving it.

use chrono::Duration;
use dealwright::{
    domain::event::EventKind,
    id::{DealId, UserId},
    ports::store::{ActivityReads, Batch, JobReads, Store, Update, Write},
    scope::Role,
    services::identity::{NewUser, SignIn},
    services::team::{RemoveMember, SetRole},
};
use serde_json::{Value, json};

use crate::{
    World, cases, told,
    world::{pointers, refused},
};

cases![
    members_are_listed_in_pages_oldest_first_with_their_teams,
    a_role_is_changed_and_counts_at_once,
    only_owners_make_and_unmake_owners,
    those_who_may_not_change_roles,
    the_last_owner_stays,
    of_two_owners_who_go_at_once_one_stays,
    who_is_removed_is_out_at_once_and_leaves_nothing_behind,
    what_is_left_behind_goes_to_another_member,
    more_than_is_given_on_at_once_is_given_on_by_a_job,
    everything_that_somebody_looked_after_goes_with_it,
    what_is_left_to_nobody_is_cleared,
    deals_are_given_on_by_the_job_too,
    who_has_left_is_told_nothing,
    what_comes_back_comes_back_to_members,
    what_was_given_meanwhile_is_found_later,
    strangers_are_no_members,
    the_roles_tell_what_they_may_do,
];

fn role(id: UserId, role: Role) -> SetRole {
    SetRole { id, role: role.into() }
}

fn leave(id: UserId, reassign_to: Option<UserId>) -> RemoveMember {
    RemoveMember { id, reassign_to }
}

async fn members_are_listed_in_pages_oldest_first_with_their_teams(world: World) {
    let mut ids = vec![json!(world.una)];
    for name in ["ann", "bo", "cy"] {
        world.later(1);
        ids.push(json!(world.member(name, Role::Member).await.0));
    }
    let team = world.team("Closers", &[ids[2].as_str().unwrap().parse().unwrap()]).await;
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = world.ask("members.list", json!({ "limit": 3, "cursor": cursor })).await;
        found.extend(page["data"].as_array().unwrap().clone());
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(found.iter().map(|it| it["user_id"].clone()).collect::<Vec<_>>(), ids);
    assert_eq!(found[2]["team_ids"], json!([team]));
    assert_eq!((&found[1]["email"], &found[1]["role"]), (&json!("ann@people.example"), &json!("member")));
    assert_eq!(world.ask("members.get", ids[2].clone()).await, found[2]);
}

async fn a_role_is_changed_and_counts_at_once(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let changed = world.me.members().set_role(role(bo, Role::Manager)).await.unwrap();
    assert_eq!(changed.role, Role::Manager);
    let now = world.crm.as_user(world.organization, bo).await.unwrap();
    now.call("pipelines.create", json!({ "name": "Partners" })).await.unwrap();
    let event = world.events(world.organization).await.pop().unwrap();
    assert_eq!(event.kind, EventKind::OrganizationUpdated);
    assert_eq!((&event.changes["role"].before, &event.changes["role"].after), (&json!("member"), &json!("manager")));
    // What changes nothing writes nothing.
    let count = world.events(world.organization).await.len();
    world.me.members().set_role(role(bo, Role::Manager)).await.unwrap();
    assert_eq!(world.events(world.organization).await.len(), count);
}

async fn only_owners_make_and_unmake_owners(world: World) {
    let (ann, admin) = world.member("ann", Role::Admin).await;
    let (bo, _) = world.member("bo", Role::Member).await;
    refused(admin.members().set_role(role(bo, Role::Owner)).await, 403, "forbidden");
    refused(admin.members().set_role(role(ann, Role::Owner)).await, 403, "forbidden");
    refused(admin.members().set_role(role(world.una, Role::Member)).await, 403, "forbidden");
    refused(admin.members().remove(leave(world.una, None)).await, 403, "forbidden");
    admin.members().set_role(role(bo, Role::Admin)).await.unwrap();
    world.me.members().set_role(role(ann, Role::Owner)).await.unwrap();
    // Now that there are two, the first one may step down.
    world.me.members().set_role(role(world.una, Role::Member)).await.unwrap();
}

async fn those_who_may_not_change_roles(world: World) {
    let (bo, _) = world.member("bo", Role::Viewer).await;
    for weak in [Role::Viewer, Role::Member, Role::Manager] {
        let (id, handle) = world.member(weak.as_str(), weak).await;
        refused(handle.members().set_role(role(id, Role::Admin)).await, 403, "forbidden");
        refused(handle.members().remove(leave(bo, None)).await, 403, "forbidden");
        handle.members().list(Default::default()).await.unwrap();
    }
}

async fn the_last_owner_stays(world: World) {
    world.member("ann", Role::Admin).await;
    refused(world.me.members().set_role(role(world.una, Role::Admin)).await, 409, "last_owner");
    refused(world.me.members().remove(leave(world.una, None)).await, 409, "last_owner");
    assert_eq!(world.me.members().get(world.una).await.unwrap().role, Role::Owner);
}

/// ASVS 2.3.4.
async fn of_two_owners_who_go_at_once_one_stays(world: World) {
    let system = world.crm.as_system(world.organization);
    let owners = async || {
        let all = system.members().list(Default::default()).await.unwrap().data;
        all.into_iter().filter(|it| it.role == Role::Owner).map(|it| it.user_id).collect::<Vec<_>>()
    };
    for round in 0..5 {
        let (ann, anns) = world.member(&format!("ann{round}"), Role::Owner).await;
        let (hers, mine) = (anns.members(), world.me.members());
        let (one, two) =
            tokio::join!(hers.set_role(role(world.una, Role::Member)), mine.set_role(role(ann, Role::Member)),);
        let outcomes = [one.map(drop), two.map(drop)];
        assert_eq!(outcomes.iter().filter(|it| it.is_ok()).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.into_iter().find_map(Result::err).unwrap().code(), "last_owner");
        assert_eq!(owners().await.len(), 1);
        // The same with one who leaves altogether.
        for id in [world.una, ann] {
            system.members().set_role(role(id, Role::Owner)).await.unwrap();
        }
        let (gone, stepped) =
            tokio::join!(mine.remove(leave(ann, None)), hers.set_role(role(world.una, Role::Viewer)),);
        assert_eq!(owners().await.len(), 1, "{gone:?} {stepped:?}");
        assert!(gone.is_ok() != stepped.is_ok(), "{gone:?} {stepped:?}");
        system.members().set_role(role(world.una, Role::Owner)).await.unwrap();
        if stepped.is_ok() {
            system.members().set_role(role(ann, Role::Member)).await.unwrap();
        }
    }
}

/// ASVS 7.4.2.
async fn who_is_removed_is_out_at_once_and_leaves_nothing_behind(world: World) {
    let new = NewUser { email: "bo@acme.example".into(), name: "Bo".into(), password: Some("correct horse".into()) };
    let bo = world.crm.organizations().add_member(world.organization, new, Role::Member).await.unwrap().user_id;
    let given = || SignIn { email: "bo@acme.example".into(), password: "correct horse".into(), totp_code: None };
    let signed_in = world.crm.identity().sign_in(given()).await.unwrap();
    world.crm.identity().authenticate(&signed_in.access_token).await.unwrap();
    let team = world.team("Closers", &[bo]).await;
    let ada = world.contact("Ada").await;
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;

    world.me.members().remove(leave(bo, None)).await.unwrap();
    let ended = world.crm.identity().authenticate(&signed_in.access_token).await;
    refused(ended, 401, "session_ended");
    refused(world.crm.identity().sign_in(given()).await, 403, "no_organization");
    refused(world.crm.as_user(world.organization, bo).await, 404, "not_found");
    assert_eq!(world.field(ada.id, "assigned_to").await, Value::Null);
    assert_eq!(world.ask("teams.members", json!({ "id": team })).await["data"], json!([]));
    refused(world.me.members().remove(leave(bo, None)).await, 404, "not_found");
    assert_eq!(
        pointers(world.me.call("contacts.update", json!({ "id": ada.id, "patch": { "assigned_to": bo } })).await),
        [("/assigned_to".to_owned(), "unknown".to_owned())]
    );
}

async fn what_is_left_behind_goes_to_another_member(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, cys) = world.member("cy", Role::Member).await;
    let (_, them) = world.other_organization().await;
    let (ada, ben) = (world.contact("Ada").await, world.contact("Ben").await);
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;
    for (heir, code) in [(bo, "invalid"), (them.scope().user_id().unwrap(), "unknown")] {
        let wrong = pointers(world.me.members().remove(leave(bo, Some(heir))).await);
        assert_eq!(wrong, [("/reassign_to".to_owned(), code.to_owned())]);
    }
    world.me.members().remove(leave(bo, Some(cy))).await.unwrap();
    assert_eq!(world.field(ada.id, "assigned_to").await, json!(cy));
    assert_eq!(world.field(ben.id, "assigned_to").await, Value::Null);
    assert!(told(&cys).await.iter().any(|it| it.title.contains("bo")), "the heir is told");
}

/// How many of a list are somebody's.
async fn count(world: &World, list: &str, user: UserId) -> usize {
    let (mut count, mut cursor) = (0, Value::Null);
    loop {
        let page = world.ask(list, json!({ "assigned_to": user, "limit": 200, "cursor": cursor })).await;
        count += page["data"].as_array().unwrap().len();
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            return count;
        }
    }
}

async fn more_than_is_given_on_at_once_is_given_on_by_a_job(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    for chunk in 0..3 {
        let mut ids = Vec::new();
        for i in 0..400 {
            ids.push(world.contact(&format!("Contact {chunk} {i}")).await.id);
        }
        world.ask("contacts.assign", json!({ "contact_ids": ids, "user_id": bo })).await;
    }
    world.me.members().remove(leave(bo, Some(cy))).await.unwrap();
    let count = async |user| count(&world, "contacts.list", user).await;
    assert_eq!((count(bo).await, count(cy).await), (1_200, 0));
    world.settle().await;
    assert_eq!((count(bo).await, count(cy).await), (0, 1_200));
}

/// Something of each kind that bo looks after: the ids of a contact, a company, a deal, an open task and a done one.
async fn belongings(world: &World, bo: UserId) -> [Value; 5] {
    for object in ["contact", "company", "deal"] {
        world.ask("fields.create", json!({ "object": object, "key": "coach", "type": "user" })).await;
    }
    let custom = json!({ "coach": bo });
    let ada = world.ask("contacts.create", json!({ "name": "Ada", "custom": custom })).await["id"].clone();
    let globex = world.ask("companies.create", json!({ "name": "Globex", "custom": custom })).await["id"].clone();
    let deal = json!({ "name": "Licence", "assigned_to": bo, "custom": custom });
    let deal = world.ask("deals.create", deal).await["id"].clone();
    let task = |title: &str, done: bool| json!({ "contact_id": ada, "title": title, "assigned_to": bo, "done": done });
    let open = world.ask("tasks.create_for_contact", task("Call", false)).await["id"].clone();
    let done = world.ask("tasks.create_for_contact", task("Written", true)).await["id"].clone();
    [ada, globex, deal, open, done]
}

async fn left_with(world: &World, [ada, globex, deal, open, done]: &[Value; 5]) -> [Value; 6] {
    let coach = async |operation: &str, id: &Value| world.ask(operation, id.clone()).await["custom"]["coach"].clone();
    let assignee = async |operation: &str, id: &Value| world.ask(operation, id.clone()).await["assigned_to"].clone();
    [
        coach("contacts.get", ada).await,
        coach("companies.get", globex).await,
        coach("deals.get", deal).await,
        assignee("deals.get", deal).await,
        assignee("tasks.get", open).await,
        assignee("tasks.get", done).await,
    ]
}

async fn everything_that_somebody_looked_after_goes_with_it(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, cys) = world.member("cy", Role::Member).await;
    let all = belongings(&world, bo).await;
    assert_eq!(left_with(&world, &all).await, [json!(bo), json!(bo), json!(bo), json!(bo), json!(bo), json!(bo)]);
    world.me.members().remove(leave(bo, Some(cy))).await.unwrap();
    // Who has done something has done it.
    assert_eq!(left_with(&world, &all).await, [json!(cy), json!(cy), json!(cy), json!(cy), json!(cy), json!(bo)]);
    let found = world.ask("deals.list", json!({ "assigned_to": cy, "custom": { "coach": cy } })).await;
    assert_eq!(found["data"][0]["id"], all[2]);
    assert_eq!(told(&cys).await.len(), 1, "the heir is told once");
    // Somebody who is here does again what is to be done again.
    let again = json!({ "id": all[4], "patch": { "done": false } });
    assert_eq!(world.ask("tasks.update", again).await["assigned_to"], Value::Null);
}

async fn what_is_left_to_nobody_is_cleared(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let all = belongings(&world, bo).await;
    world.me.members().remove(leave(bo, None)).await.unwrap();
    let nobody = || Value::Null;
    assert_eq!(left_with(&world, &all).await, [nobody(), nobody(), nobody(), nobody(), nobody(), json!(bo)]);
    assert_eq!(world.ask("contacts.list", json!({ "custom": { "coach": bo } })).await["data"], json!([]));
}

async fn deals_are_given_on_by_the_job_too(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    for _ in 0..3 {
        let items: Vec<_> = (0..350).map(|n| json!({ "name": format!("Deal {n}"), "assigned_to": bo })).collect();
        world.ask("deals.batch", json!({ "items": items })).await;
    }
    world.me.members().remove(leave(bo, Some(cy))).await.unwrap();
    let count = async |user| count(&world, "deals.list", user).await;
    assert_eq!((count(bo).await, count(cy).await), (1_050, 0));
    world.settle().await;
    assert_eq!((count(bo).await, count(cy).await), (0, 1_050));
}

async fn who_has_left_is_told_nothing(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let mails = json!({ "in_app": true, "email": true });
    let wants = json!({ "name": "Bo", "preferences": { "notifications": { "task.due": mails } } });
    bos.call("profile.replace", wants).await.unwrap();
    let ada = world.contact("Ada").await;
    let task = json!({ "contact_id": ada.id, "title": "Secret", "due_at": world.env.now() + Duration::hours(1) });
    let task = world.ask("tasks.create_for_contact", task).await["id"].clone();
    world.me.members().remove(leave(bo, None)).await.unwrap();
    world.later(120);
    world.settle().await;
    // What still names somebody who has left, for whatever reason.
    let task = world.store.task(world.organization, task.as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let mut batch = Batch::default();
    batch.note(Write::Update(Update::of(&task).set("assigned_to", &Some(bo)))).unwrap();
    world.store.commit(world.organization, batch).await.unwrap();
    world.later(3_600);
    world.settle().await;
    assert!(world.events(ada.id).await.iter().any(|it| it.kind == EventKind::TaskDue));
    assert!(world.outbox.to("bo@people.example").is_empty());
    let told = world.store.notifications(world.organization, bo, &Default::default()).await.unwrap().data;
    assert!(told.iter().all(|it| it.kind != "task.due"), "{told:?}");
}

async fn what_comes_back_comes_back_to_members(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let team = world.team("Closers", &[bo]).await;
    world.ask("fields.create", json!({ "object": "deal", "key": "coach", "type": "user" })).await;
    let new = json!({ "name": "Licence", "assigned_to": bo, "team_id": team, "custom": { "coach": bo } });
    let deal = world.ask("deals.create", new).await["id"].clone();
    world.ask("deals.delete", json!({ "id": deal })).await;
    world.me.members().remove(leave(bo, None)).await.unwrap();
    world.ask("teams.delete", json!({ "id": team })).await;
    let back = world.ask("deals.restore", json!({ "id": deal })).await;
    assert_eq!((&back["assigned_to"], &back["team_id"], &back["custom"]), (&Value::Null, &Value::Null, &json!({})));
    let event = world.events(deal.as_str().unwrap().parse::<DealId>().unwrap()).await.pop().unwrap();
    assert_eq!((event.kind, &event.changes["custom"].after), (EventKind::DealRestored, &json!({})));
}

async fn what_was_given_meanwhile_is_found_later(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let ada = world.contact("Ada").await;
    // A contact in the bin comes back to nobody.
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;
    world.ask("contacts.delete", json!({ "id": ada.id })).await;
    world.me.members().remove(leave(bo, None)).await.unwrap();
    let back = world.ask("contacts.restore", json!({ "id": ada.id })).await;
    assert_eq!(back["assigned_to"], Value::Null);
    world.later(120);
    world.settle().await;
    let jobs = world.ask("jobs.list", json!({})).await;
    let swept = jobs["data"].as_array().unwrap().iter().find(|it| it["kind"] == "hand_over").unwrap().clone();
    assert_eq!(swept["state"], "done");
}

async fn strangers_are_no_members(world: World) {
    let (_, them) = world.other_organization().await;
    refused(them.members().get(world.una).await, 404, "not_found");
    refused(them.members().set_role(role(world.una, Role::Viewer)).await, 404, "not_found");
    refused(them.members().remove(leave(world.una, None)).await, 404, "not_found");
    assert_eq!(them.members().list(Default::default()).await.unwrap().data.len(), 1);
}

async fn the_roles_tell_what_they_may_do(world: World) {
    let roles = world.ask("roles.list", Value::Null).await;
    let names: Vec<_> = roles["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["owner", "admin", "manager", "member", "viewer"]);
    let may = |place: usize, what: &str| roles["data"][place]["permissions"].as_array().unwrap().contains(&json!(what));
    assert!(may(0, "team:write") && may(3, "contacts:write") && !may(3, "team:write") && !may(4, "contacts:write"));
}
