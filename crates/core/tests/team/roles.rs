//! The organisation's own roles: making, giving, changing and removing them, and what their members may do at each moment.

use dealwright::{
    Handle,
    domain::event::EventKind,
    id::RoleId,
    scope::{Role, RoleKey},
    services::{
        identity::{NewInvitation, NewUser, SignIn, SignUp},
        team::{DeleteRole, NewRole, RoleView, SetRole},
    },
};
use serde_json::{Value, json};

use crate::{
    World, cases,
    world::{pointers, refused},
};

cases![
    a_member_may_what_their_own_role_says_at_every_call,
    a_role_is_named_by_its_id_or_its_name,
    built_in_roles_are_listed_and_never_changed,
    nobody_makes_or_gives_a_role_that_allows_more_than_they_have,
    a_role_in_use_is_not_removed_without_saying_where_its_members_go,
    a_role_given_while_it_is_removed_leaves_nobody_behind,
    whoever_is_invited_as_an_own_role_has_it,
    what_is_wrong_with_a_role_is_named,
    versions_are_checked,
    another_organisations_roles_do_not_exist,
    an_own_role_that_may_write_contacts_is_given_contacts,
    a_key_follows_the_own_role_of_whom_it_acts_for,
];

fn new(name: &str, permissions: &[&str]) -> NewRole {
    let permissions = permissions.iter().map(|it| (*it).to_owned()).collect();
    NewRole { name: name.to_owned(), permissions, ..NewRole::default() }
}

async fn make(by: &Handle, name: &str, permissions: &[&str]) -> RoleView {
    by.roles().create(new(name, permissions)).await.unwrap()
}

fn id(role: &RoleView) -> RoleId {
    role.id.unwrap()
}

fn key(role: &RoleView) -> RoleKey {
    RoleKey::Own(id(role))
}

/// Somebody new who has this role.
async fn with(world: &World, name: &str, role: &RoleView) -> dealwright::id::UserId {
    let (user, _) = world.member(name, Role::Viewer).await;
    world.me.members().set_role(SetRole { id: user, role: key(role).into() }).await.unwrap();
    user
}

fn removal(role: &RoleView, to: Option<&str>) -> DeleteRole {
    let members_to = to.map(|to| serde_json::from_value(json!(to)).unwrap());
    DeleteRole { id: id(role), members_to, if_version: None }
}

/// ASVS 5, 8.3.2: what a role is given or loses counts at the next call.
async fn a_member_may_what_their_own_role_says_at_every_call(world: World) {
    let closer = make(&world.me, "Closer", &["deals:write", "deals:read", "contacts:read"]).await;
    assert_eq!(
        (closer.built_in, closer.version, closer.permissions.words()),
        (false, 1, ["contacts:read", "deals:read", "deals:write"].map(str::to_owned).to_vec())
    );
    let new = NewUser { email: "bo@people.example".into(), name: "Bo".into(), password: Some("correct horse".into()) };
    let bo = world.crm.organizations().add_member(world.organization, new, Role::Admin).await.unwrap().user_id;
    let given = SignIn { email: "bo@people.example".into(), password: "correct horse".into(), totp_code: None };
    let token = world.crm.identity().sign_in(given).await.unwrap().access_token;
    let now = async || world.crm.with_scope(world.crm.identity().authenticate(&token).await.unwrap());
    world.me.members().set_role(SetRole { id: bo, role: key(&closer).into() }).await.unwrap();

    now().await.call("deals.create", json!({ "name": "Licence" })).await.unwrap();
    for (operation, input) in
        [("companies.list", json!({})), ("contacts.create", json!({ "name": "Ada" })), ("members.list", json!({}))]
    {
        refused(now().await.call(operation, input).await, 403, "forbidden");
    }
    let patch =
        json!({ "id": closer.id, "patch": { "permissions": ["contacts:read", "contacts:write", "profile:read"] } });
    world.ask("roles.update", patch).await;
    now().await.call("contacts.create", json!({ "name": "Ada" })).await.unwrap();
    refused(now().await.call("deals.list", json!({})).await, 403, "forbidden");
    assert_eq!(now().await.call("profile.get", Value::Null).await.unwrap()["role"], json!(closer.id));
    let direct = world.crm.as_user(world.organization, bo).await.unwrap();
    assert_eq!(direct.scope().permissions, now().await.scope().permissions);
    let shown = world.crm.identity().verify(&token).await.unwrap();
    assert_eq!(shown.role, Some(key(&closer)));
    let event = world.events(world.organization).await.pop().unwrap();
    assert_eq!((event.kind, &event.data["what"]), (EventKind::RoleChanged, &json!("role.updated")));
    assert_eq!(event.changes["permissions"].before, json!(["contacts:read", "deals:read", "deals:write"]));
}

async fn a_role_is_named_by_its_id_or_its_name(world: World) {
    let closer = make(&world.me, "Closer", &["contacts:read"]).await;
    let (bo, _) = world.member("bo", Role::Member).await;
    for name in [closer.id.unwrap().to_string(), "Closer".to_owned(), " cLOSER ".to_owned()] {
        let member = world.ask("members.set_role", json!({ "id": bo, "role": name })).await;
        assert_eq!(member["role"], json!(closer.id), "{name}");
        assert_eq!(world.ask("members.get", json!(bo)).await["role"], json!(closer.id));
        assert_eq!(world.ask("members.set_role", json!({ "id": bo, "role": "member" })).await["role"], "member");
    }
    let unknown = world.me.call("members.set_role", json!({ "id": bo, "role": "emperor" })).await;
    assert_eq!(pointers(unknown), [("/role".to_owned(), "unknown".to_owned())]);
}

async fn built_in_roles_are_listed_and_never_changed(world: World) {
    make(&world.me, "zeta", &[]).await;
    make(&world.me, "Alpha", &["contacts:read"]).await;
    let roles = world.ask("roles.list", Value::Null).await;
    let names: Vec<_> = roles["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["owner", "admin", "manager", "member", "viewer", "Alpha", "zeta"]);
    assert_eq!((&roles["data"][0]["id"], &roles["data"][0]["built_in"]), (&Value::Null, &json!(true)));
    for (taken, why) in [
        ("Owner", "\"owner\" is a built-in role"),
        ("viewer", "\"viewer\" is a built-in role"),
        ("ＯＷＮＥＲ", "\"owner\" is a built-in role"),
        ("ALPHA", "there is a role \"ALPHA\" already"),
        ("ａlpha", "there is a role"),
    ] {
        let error = refused(world.me.roles().create(new(taken, &[])).await, 409, "name_taken");
        assert!(error.message().contains(why), "{error}");
    }
    // Roles are named by their ids too: such a name could stand for another role than its own.
    for id in [
        "01936b3c-58e0-7a3b-8e9d-1c2b3a4d5e6f",
        "01936B3C58E07A3B8E9D1C2B3A4D5E6F",
        "０1936b3c58e07a3b8e9d1c2b3a4d5e6f",
    ] {
        let found = pointers(world.me.roles().create(new(id, &[])).await);
        assert_eq!(found, [("/name".to_owned(), "invalid".to_owned())], "{id}");
    }
}

/// ASVS 5, 8.2.1: by no detour is more given than one has.
async fn nobody_makes_or_gives_a_role_that_allows_more_than_they_have(world: World) {
    let hr = make(&world.me, "People", &["team:read", "team:write", "contacts:read"]).await;
    let strong = make(&world.me, "Strong", &["automation:write"]).await;
    let bo = with(&world, "bo", &hr).await;
    let (cy, _) = world.member("cy", Role::Member).await;
    let bos = world.crm.as_user(world.organization, bo).await.unwrap();

    let error = refused(bos.roles().create(new("Sly", &["contacts:read", "contacts:write"])).await, 403, "forbidden");
    assert!(error.message().contains("contacts:write"), "{error}");
    let own = make(&bos, "Reader", &["contacts:read"]).await;
    for (role, grows) in [(&hr, "deals:read"), (&own, "deals:read"), (&strong, "contacts:read")] {
        let patch = json!({ "id": role.id, "patch": { "permissions": [grows] } });
        refused(bos.call("roles.update", patch).await, 403, "forbidden");
    }
    refused(bos.roles().delete(removal(&strong, None)).await, 403, "forbidden");
    for role in ["owner", "admin", "member", "viewer", "Strong"] {
        refused(bos.call("members.set_role", json!({ "id": bo, "role": role })).await, 403, "forbidden");
        let invitation = json!({ "email": "max@people.example", "role": role });
        refused(bos.call("invitations.create", invitation).await, 403, "forbidden");
    }
    // Nor is it taken from somebody who has more.
    refused(bos.call("members.set_role", json!({ "id": cy, "role": "Reader" })).await, 403, "forbidden");
    refused(bos.call("members.remove", json!({ "id": cy })).await, 403, "forbidden");
    refused(bos.call("members.set_role", json!({ "id": world.una, "role": "Reader" })).await, 403, "forbidden");
    let invitation = json!({ "email": "max@people.example", "role": "Reader" });
    bos.call("invitations.create", invitation).await.unwrap();
    refused(bos.roles().delete(removal(&own, Some("owner"))).await, 403, "forbidden");
}

async fn a_role_in_use_is_not_removed_without_saying_where_its_members_go(world: World) {
    let (closer, opener) =
        (make(&world.me, "Closer", &["deals:read"]).await, make(&world.me, "Opener", &["contacts:read"]).await);
    let bo = with(&world, "bo", &closer).await;
    let invitation = NewInvitation { email: "max@people.example".to_owned(), role: key(&closer).into(), team_id: None };
    let invitation = world.me.invitations().create(invitation).await.unwrap();
    refused(world.me.roles().delete(removal(&closer, None)).await, 409, "role_in_use");
    for odd in ["emperor", "Closer"] {
        assert_eq!(pointers(world.me.roles().delete(removal(&closer, Some(odd))).await)[0].0, "/members_to");
    }
    world.me.roles().delete(removal(&closer, Some("Opener"))).await.unwrap();
    assert_eq!(world.me.members().get(bo).await.unwrap().role, key(&opener));
    assert_eq!(world.me.invitations().get(invitation.id).await.unwrap().role, key(&opener));
    refused(world.me.roles().get(id(&closer)).await, 404, "not_found");
    refused(world.me.roles().delete(removal(&closer, None)).await, 404, "not_found");
    // Now the other one is in use, and goes for a built-in one.
    refused(world.me.roles().delete(removal(&opener, None)).await, 409, "role_in_use");
    world.me.roles().delete(removal(&opener, Some("member"))).await.unwrap();
    assert_eq!(world.me.members().get(bo).await.unwrap().role, Role::Member);
    let unused = make(&world.me, "Unused", &[]).await;
    world.me.roles().delete(removal(&unused, None)).await.unwrap();
}

async fn a_role_given_while_it_is_removed_leaves_nobody_behind(world: World) {
    for round in 0..5 {
        let role = make(&world.me, "Brief", &["contacts:read"]).await;
        let (bo, _) = world.member(&format!("bo{round}"), Role::Member).await;
        let (members, roles) = (world.me.members(), world.me.roles());
        let (given, removed) = tokio::join!(
            members.set_role(SetRole { id: bo, role: key(&role).into() }),
            roles.delete(removal(&role, None)),
        );
        assert_ne!(given.is_ok(), removed.is_ok(), "{given:?} {removed:?}");
        let now = world.me.members().get(bo).await.unwrap().role;
        match given {
            Ok(_) => {
                assert_eq!(now, key(&role));
                assert_eq!(removed.unwrap_err().code(), "role_in_use");
                world.me.roles().delete(removal(&role, Some("viewer"))).await.unwrap();
            }
            Err(error) => {
                assert_eq!((now, error.code()), (Role::Member.into(), "validation_failed"));
            }
        }
    }
}

async fn whoever_is_invited_as_an_own_role_has_it(world: World) {
    let closer = make(&world.me, "Closer", &["deals:read"]).await;
    let made = world.ask("invitations.create", json!({ "email": "max@people.example", "role": "closer" })).await;
    assert_eq!(made["role"], json!(closer.id));
    world.settle().await;
    assert!(
        world.outbox.to("max@people.example").iter().any(|mail| mail.text.contains("as Closer")),
        "the mail names the role"
    );
    let new = SignUp {
        email: "max@people.example".to_owned(),
        password: "correct horse".to_owned(),
        name: "Max".to_owned(),
        organization_name: None,
        invite_token: Some(made["token"].as_str().unwrap().to_owned()),
    };
    let signed_in = world.crm.identity().sign_up(new).await.unwrap();
    let max = world.crm.with_scope(world.crm.identity().authenticate(&signed_in.access_token).await.unwrap());
    max.call("deals.list", json!({})).await.unwrap();
    refused(max.call("contacts.list", json!({})).await, 403, "forbidden");
    refused(world.me.roles().delete(removal(&closer, None)).await, 409, "role_in_use");
}

async fn what_is_wrong_with_a_role_is_named(world: World) {
    let wrong = new(" ", &["contacts:read", "contacts:fly", "x"]);
    let found = pointers(world.me.roles().create(wrong).await);
    let found: Vec<_> = found.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(found, [("/name", "required"), ("/permissions/1", "unknown"), ("/permissions/2", "unknown")]);
    let role = make(&world.me, "Closer", &["deals:read"]).await;
    let cleared = world.me.call("roles.update", json!({ "id": role.id, "patch": { "name": null } })).await;
    assert_eq!(pointers(cleared), [("/name".to_owned(), "required".to_owned())]);
    make(&world.me, "Opener", &[]).await;
    refused(
        world.me.call("roles.update", json!({ "id": role.id, "patch": { "name": "OPENER" } })).await,
        409,
        "name_taken",
    );
    let emptied = world.ask("roles.update", json!({ "id": role.id, "patch": { "permissions": null } })).await;
    assert_eq!((&emptied["permissions"], &emptied["version"]), (&json!([]), &json!(2)));
    // What changes nothing writes nothing.
    let count = world.events(world.organization).await.len();
    world.ask("roles.update", json!({ "id": role.id, "patch": { "permissions": [] } })).await;
    assert_eq!(world.events(world.organization).await.len(), count);
}

async fn versions_are_checked(world: World) {
    let role = make(&world.me, "Closer", &["deals:read"]).await;
    let patch = json!({ "id": role.id, "patch": { "name": "Opener" }, "if_version": 2 });
    refused(world.me.call("roles.update", patch).await, 412, "precondition_failed");
    // That it was given to somebody is no edit of it.
    with(&world, "bo", &role).await;
    let patch = json!({ "id": role.id, "patch": { "name": "Opener" }, "if_version": 1 });
    assert_eq!(world.ask("roles.update", patch).await["version"], 2);
    let stale = DeleteRole { if_version: Some(1), ..removal(&role, Some("viewer")) };
    refused(world.me.roles().delete(stale).await, 412, "precondition_failed");
}

/// ASVS 5, 8.4.1.
async fn another_organisations_roles_do_not_exist(world: World) {
    let role = make(&world.me, "Closer", &["deals:read"]).await;
    let (_, elsewhere) = world.other_organization().await;
    refused(elsewhere.roles().get(id(&role)).await, 404, "not_found");
    refused(elsewhere.roles().delete(removal(&role, None)).await, 404, "not_found");
    let own = elsewhere.scope().user_id();
    for name in [json!(role.id), json!("Closer")] {
        let given = elsewhere.call("members.set_role", json!({ "id": own, "role": name })).await;
        assert_eq!(pointers(given), [("/role".to_owned(), "unknown".to_owned())]);
    }
    make(&elsewhere, "Closer", &[]).await;
    assert_eq!(world.me.roles().get(id(&role)).await.unwrap(), role);
}

async fn an_own_role_that_may_write_contacts_is_given_contacts(world: World) {
    let (closer, reader) =
        (make(&world.me, "Closer", &["contacts:write"]).await, make(&world.me, "Reader", &["contacts:read"]).await);
    let (bo, cy) = (with(&world, "bo", &closer).await, with(&world, "cy", &reader).await);
    let team = world.team("Closers", &[bo, cy]).await;
    let ada = world.contact("Ada").await;
    let assign = json!({ "contact_ids": [ada.id], "strategy": "round_robin", "team_id": team });
    world.ask("contacts.assign", assign).await;
    assert_eq!(world.field(ada.id, "assigned_to").await, json!(bo));
}

async fn a_key_follows_the_own_role_of_whom_it_acts_for(world: World) {
    let role = make(&world.me, "Closer", &["deals:read", "contacts:read"]).await;
    let bo = with(&world, "bo", &role).await;
    let key = json!({ "name": "Zapier", "scopes": ["deals:read", "contacts:read", "companies:read"], "acts_for": bo });
    let key = world.ask("api_keys.create", key).await;
    let now = async || {
        let scope = world.crm.identity().authenticate(key["secret"].as_str().unwrap()).await.unwrap();
        world.crm.with_scope(scope)
    };
    now().await.call("deals.list", json!({})).await.unwrap();
    refused(now().await.call("companies.list", json!({})).await, 403, "forbidden");
    world.ask("roles.update", json!({ "id": role.id, "patch": { "permissions": ["companies:read"] } })).await;
    now().await.call("companies.list", json!({})).await.unwrap();
    refused(now().await.call("deals.list", json!({})).await, 403, "forbidden");
}
