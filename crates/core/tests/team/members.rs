//! Who belongs to an organisation, as what, and leaving it.

use dealwright::{
    domain::event::EventKind,
    id::UserId,
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
    what_was_given_meanwhile_is_found_later,
    strangers_are_no_members,
    the_roles_tell_what_they_may_do,
];

fn role(id: UserId, role: Role) -> SetRole {
    SetRole { id, role }
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
    let count = async |user: UserId| {
        let mut count = 0;
        let mut cursor = Value::Null;
        loop {
            let list = json!({ "assigned_to": user, "limit": 200, "cursor": cursor });
            let page = world.ask("contacts.list", list).await;
            count += page["data"].as_array().unwrap().len();
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return count;
            }
        }
    };
    assert_eq!((count(bo).await, count(cy).await), (1_200, 0));
    world.settle().await;
    assert_eq!((count(bo).await, count(cy).await), (0, 1_200));
}

async fn what_was_given_meanwhile_is_found_later(world: World) {
    let (bo, _) = world.member("bo", Role::Member).await;
    let ada = world.contact("Ada").await;
    // A contact in the bin comes back to nobody.
    world.ask("contacts.assign", json!({ "contact_ids": [ada.id], "user_id": bo })).await;
    world.ask("contacts.delete", json!({ "id": ada.id })).await;
    world.me.members().remove(leave(bo, None)).await.unwrap();
    let back = world.ask("contacts.restore", json!(ada.id)).await;
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
