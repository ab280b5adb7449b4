//! API keys: making, using, running out, revoking; what each may do at each moment, and what it never may.

use chrono::Duration;
use dealwright::{
    Handle, Result,
    domain::event::EventKind,
    id::UserId,
    page::PageRequest,
    scope::{Actor, Permission, Resource, Role},
    services::{
        contacts::NewContact,
        identity::{ApiKeyView, NewApiKey, Switch},
        team::{RemoveMember, SetRole},
    },
};
use serde_json::{Value, json};

use crate::{
    World, cases, told,
    world::{noon, pointers, refused},
};

cases![
    a_key_of_the_organisation_does_what_its_scopes_say_and_is_seen_in_histories,
    a_key_that_acts_for_a_member_never_does_more_than_they_may,
    a_key_ends_with_the_membership_for_good,
    nobody_makes_a_key_that_can_do_more_than_they_can,
    who_may_not_manage_the_team_makes_and_sees_keys_of_their_own,
    a_revoked_key_counts_no_more_at_the_very_next_call,
    a_key_runs_out,
    what_is_wrong_with_a_new_key_is_named,
    a_secret_is_kept_as_its_hash_and_shown_once,
    a_credential_that_is_no_key_is_refused,
    a_key_is_no_sign_in,
    a_key_makes_no_owners_and_no_keys,
    a_key_sees_nothing_private_of_others,
    a_use_is_written_once_a_minute,
];

fn new(scopes: &[&str], acts_for: Option<UserId>) -> NewApiKey {
    let scopes = scopes.iter().map(|it| (*it).to_owned()).collect();
    NewApiKey { name: "Zapier".to_owned(), scopes, expires_at: None, acts_for }
}

async fn make(by: &Handle, scopes: &[&str], acts_for: Option<UserId>) -> ApiKeyView {
    by.api_keys().create(new(scopes, acts_for)).await.unwrap()
}

fn secret(key: &ApiKeyView) -> String {
    key.secret.clone().unwrap()
}

/// The handle of whoever shows a key.
async fn by(world: &World, secret: &str) -> Result<Handle> {
    Ok(world.crm.with_scope(world.crm.identity().authenticate(secret).await?))
}

/// ASVS 5, 8.2.1 and 13.2.2: a machine is let in with the least that it needs.
async fn a_key_of_the_organisation_does_what_its_scopes_say_and_is_seen_in_histories(world: World) {
    let key = make(&world.me, &["contacts:read", "contacts:write"], None).await;
    let machine = by(&world, &secret(&key)).await.unwrap();
    let ada = machine.contacts().create(NewContact { name: "Ada".to_owned(), ..Default::default() }).await.unwrap();
    machine.contacts().get(ada.id).await.unwrap();
    for (operation, input, lacking) in [
        ("deals.list", json!({}), "deals:read"),
        ("companies.create", json!({ "name": "Acme" }), "companies:write"),
        ("members.list", json!({}), "team:read"),
        ("profile.get", Value::Null, "profile:read"),
        ("api_keys.list", json!({}), "api_keys:read"),
        // Before what is asked is looked at.
        ("deals.create", json!({ "nonsense": 1 }), "deals:write"),
    ] {
        let error = refused(machine.call(operation, input).await, 403, "forbidden");
        assert!(error.message().contains(lacking), "{operation}: {error}");
    }
    let event = world.events(ada.id).await.remove(0);
    assert_eq!(event.actor, Actor::ApiKey { id: key.id, acts_for: None });
    assert_eq!(world.history(ada.id).await[0].moved_by, None);
    let told = world.me.call("rules.explain", json!({ "contact_id": ada.id })).await.unwrap();
    assert_eq!(told["summary"], "made here through an API key");
    let made = world.events(world.organization).await.pop().unwrap();
    assert_eq!((made.kind, &made.data["what"]), (EventKind::ApiKeyChanged, &json!("api_key.created")));
    assert!(!made.changes.contains_key("secret"), "{:?}", made.changes);
}

/// ASVS 10.3.2.
async fn a_key_that_acts_for_a_member_never_does_more_than_they_may(world: World) {
    let (bo, bos) = world.member("bo", Role::Manager).await;
    let key = make(&bos, &["contacts:read", "contacts:write", "pipeline:write"], Some(bo)).await;
    let machine = by(&world, &secret(&key)).await.unwrap();
    let ada = machine.contacts().create(NewContact { name: "Ada".to_owned(), ..Default::default() }).await.unwrap();
    assert_eq!(world.history(ada.id).await[0].moved_by, Some(bo));
    assert_eq!(world.events(ada.id).await[0].actor, Actor::ApiKey { id: key.id, acts_for: Some(bo) });
    machine.call("pipelines.create", json!({ "name": "Partners" })).await.unwrap();

    let may = async |operation: &str, input: Value| {
        by(&world, &secret(&key)).await.unwrap().call(operation, input).await.map(drop)
    };
    world.me.members().set_role(SetRole { id: bo, role: Role::Member.into() }).await.unwrap();
    may("contacts.create", json!({ "name": "Bob" })).await.unwrap();
    refused(may("pipelines.create", json!({ "name": "More" })).await, 403, "forbidden");
    world.me.members().set_role(SetRole { id: bo, role: Role::Viewer.into() }).await.unwrap();
    may("contacts.get", json!(ada.id)).await.unwrap();
    refused(may("contacts.create", json!({ "name": "Cyd" })).await, 403, "forbidden");
    // What they were given since, the key was not.
    world.me.members().set_role(SetRole { id: bo, role: Role::Admin.into() }).await.unwrap();
    may("contacts.create", json!({ "name": "Dan" })).await.unwrap();
    refused(may("deals.list", json!({})).await, 403, "forbidden");
}

/// ASVS 7.4.2.
async fn a_key_ends_with_the_membership_for_good(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let (own, of_organisation) =
        (make(&bos, &["contacts:read"], Some(bo)).await, make(&world.me, &["contacts:read"], None).await);
    by(&world, &secret(&own)).await.unwrap();
    world.me.members().remove(RemoveMember { id: bo, reassign_to: None }).await.unwrap();
    refused(by(&world, &secret(&own)).await, 401, "invalid_api_key");
    world.member("bo", Role::Member).await;
    refused(by(&world, &secret(&own)).await, 401, "invalid_api_key");
    by(&world, &secret(&of_organisation)).await.unwrap();
    let left = world.me.api_keys().list(PageRequest::default()).await.unwrap().data;
    assert_eq!(left.iter().map(|it| it.id).collect::<Vec<_>>(), [of_organisation.id]);
}

/// ASVS 5, 8.2.1: no function is reached by who may not call it, by no detour.
async fn nobody_makes_a_key_that_can_do_more_than_they_can(world: World) {
    let (vi, viewer) = world.member("vi", Role::Viewer).await;
    let error =
        refused(viewer.api_keys().create(new(&["contacts:read", "contacts:write"], Some(vi))).await, 403, "forbidden");
    assert!(error.message().contains("contacts:write"), "{error}");
    make(&viewer, &["contacts:read"], Some(vi)).await;
    // An admin's key for an owner is an admin's key.
    let (_, admin) = world.member("ann", Role::Admin).await;
    let key = make(&admin, &["team:read", "team:write"], Some(world.una)).await;
    let machine = by(&world, &secret(&key)).await.unwrap();
    refused(machine.members().set_role(SetRole { id: vi, role: Role::Owner.into() }).await, 403, "forbidden");
    // And one that may manage members, and nothing else, makes nobody more than that.
    refused(machine.members().set_role(SetRole { id: vi, role: Role::Member.into() }).await, 403, "forbidden");
    refused(
        machine.call("invitations.create", json!({ "email": "max@acme.example", "role": "viewer" })).await,
        403,
        "forbidden",
    );
}

async fn who_may_not_manage_the_team_makes_and_sees_keys_of_their_own(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let (cy, cys) = world.member("cy", Role::Member).await;
    for other in [None, Some(cy), Some(world.una)] {
        refused(bos.api_keys().create(new(&["contacts:read"], other)).await, 403, "forbidden");
    }
    let own = make(&bos, &["contacts:read"], Some(bo)).await;
    world.later(1);
    let others = make(&cys, &["contacts:read"], Some(cy)).await;
    world.later(1);
    let of_organisation = make(&world.me, &["contacts:read"], None).await;
    let ids = async |who: &Handle| {
        let page = who.api_keys().list(PageRequest::default()).await.unwrap();
        page.data.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&bos).await, [own.id]);
    assert_eq!(ids(&world.me).await, [of_organisation.id, others.id, own.id]);
    for unseen in [others.id, of_organisation.id] {
        refused(bos.api_keys().get(unseen).await, 404, "not_found");
        refused(bos.api_keys().revoke(unseen).await, 404, "not_found");
    }
    assert_eq!(bos.api_keys().get(own.id).await.unwrap().name, "Zapier");
    bos.api_keys().revoke(own.id).await.unwrap();
    world.me.api_keys().revoke(others.id).await.unwrap();
    assert_eq!((ids(&bos).await, ids(&world.me).await), (vec![], vec![of_organisation.id]));
    let (_, elsewhere) = world.other_organization().await;
    refused(elsewhere.api_keys().get(of_organisation.id).await, 404, "not_found");
    refused(elsewhere.api_keys().revoke(of_organisation.id).await, 404, "not_found");
}

/// ASVS 5, 7.4.1 in spirit: what was ended counts nowhere from then on.
async fn a_revoked_key_counts_no_more_at_the_very_next_call(world: World) {
    let key = make(&world.me, &["contacts:read"], None).await;
    by(&world, &secret(&key)).await.unwrap();
    world.me.api_keys().revoke(key.id).await.unwrap();
    refused(by(&world, &secret(&key)).await, 401, "invalid_api_key");
    refused(world.me.api_keys().get(key.id).await, 404, "not_found");
    refused(world.me.api_keys().revoke(key.id).await, 404, "not_found");
    let event = world.events(world.organization).await.pop().unwrap();
    assert_eq!((event.kind, &event.data["what"]), (EventKind::ApiKeyChanged, &json!("api_key.revoked")));
    assert_eq!(event.changes["name"].before, json!("Zapier"));
}

async fn a_key_runs_out(world: World) {
    let expires_at = Some(noon() + Duration::hours(1));
    let key = world.me.api_keys().create(NewApiKey { expires_at, ..new(&["contacts:read"], None) }).await.unwrap();
    assert_eq!(key.expires_at, expires_at);
    world.later(3_599);
    by(&world, &secret(&key)).await.unwrap();
    world.later(1);
    refused(by(&world, &secret(&key)).await, 401, "api_key_expired");
}

async fn what_is_wrong_with_a_new_key_is_named(world: World) {
    let wrong = NewApiKey {
        name: " ".to_owned(),
        scopes: ["contacts:read", "contacts:delete", "rockets:launch"].map(str::to_owned).to_vec(),
        expires_at: Some(noon()),
        acts_for: Some(world.organization.to_string().parse().unwrap()),
    };
    let found = pointers(world.me.api_keys().create(wrong).await);
    let found: Vec<_> = found.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
    let expected = [
        ("/name", "required"),
        ("/scopes/1", "unknown"),
        ("/scopes/2", "unknown"),
        ("/expires_at", "invalid"),
        ("/acts_for", "unknown"),
    ];
    assert_eq!(found, expected);
    assert_eq!(pointers(world.me.api_keys().create(new(&[], None)).await)[0].0, "/scopes");
    // A member of another organisation is none of ours.
    let (_, elsewhere) = world.other_organization().await;
    let stranger = elsewhere.scope().user_id();
    assert_eq!(pointers(world.me.api_keys().create(new(&["contacts:read"], stranger)).await)[0].0, "/acts_for");
}

/// ASVS 5, 11.4.2 and 13.3.1: nothing that is kept lets anybody in.
async fn a_secret_is_kept_as_its_hash_and_shown_once(world: World) {
    let me = world.me.clone().with_idempotency_key("k");
    let input = json!({ "name": "Zapier", "scopes": ["contacts:read", "contacts:read"] });
    let first = me.call("api_keys.create", input.clone()).await.unwrap();
    let again = me.call("api_keys.create", input).await.unwrap();
    let secret = first["secret"].as_str().unwrap();
    assert_eq!(
        (&again["id"], &again["secret"], &again["scopes"]),
        (&first["id"], &Value::Null, &json!(["contacts:read"]))
    );
    assert!(secret.starts_with(first["prefix"].as_str().unwrap()), "{first}");
    for told in [
        world.ask("api_keys.list", json!({})).await.to_string(),
        world.ask("api_keys.get", first["id"].clone()).await.to_string(),
        format!("{:?}", world.events(world.organization).await),
        format!("{:?}", dealwright::testkit::rows_of(&world.store, world.organization).await.unwrap()),
    ] {
        assert!(!told.contains(secret) && !told.contains(&secret[12..]), "{told}");
    }
}

/// ASVS 5, 9.1.1: forged, mistyped and truncated ones.
async fn a_credential_that_is_no_key_is_refused(world: World) {
    let key = secret(&make(&world.me, &["contacts:read"], None).await);
    by(&world, &key).await.unwrap();
    let other = secret(&make(&world.me, &["contacts:read"], None).await);
    world
        .me
        .api_keys()
        .revoke(world.me.api_keys().list(PageRequest::default()).await.unwrap().data[0].id)
        .await
        .unwrap();
    let mixed = format!("{}{}", &key[..12], &other[12..]);
    let odd =
        ["dw_", "dw_x", &key[..key.len() - 1], &format!("{key}x"), &format!(" {key}"), &key.to_lowercase(), &mixed];
    for odd in odd {
        let error = world.crm.identity().authenticate(odd).await.unwrap_err();
        assert_eq!(error.kind().status(), 401, "{odd}");
        assert!(!error.message().contains(odd.trim()) || odd.len() < 5, "{error}");
    }
    // What tells of access tokens tells nothing of keys.
    assert!(!world.crm.identity().verify(&key).await.unwrap().active);
}

/// A key opens no session, here or elsewhere: that would do what its scopes do not say, and outlive it.
/// ASVS 6.3.4.
async fn a_key_is_no_sign_in(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let key = make(&bos, &["profile:read", "notifications:read", "contacts:read"], Some(bo)).await;
    let machine = by(&world, &secret(&key)).await.unwrap();
    let identity = world.crm.identity();
    let to = Switch { organization_id: world.organization };
    refused(identity.switch(machine.scope(), to).await, 403, "forbidden");
    let given = serde_json::from_value(json!({ "token": "x" })).unwrap();
    refused(identity.accept_invitation(machine.scope(), given).await, 403, "forbidden");
    assert_eq!(machine.scope().session_id, None);
    // It is them all the same, of this organisation.
    world.other_organization().await;
    let profile = machine.call("profile.get", Value::Null).await.unwrap();
    assert_eq!((&profile["id"], &profile["role"]), (&json!(bo), &json!("member")));
    assert!(told(&machine).await.is_empty());
    assert_eq!(machine.call("organizations.list", Value::Null).await.unwrap()["data"].as_array().unwrap().len(), 1);
}

async fn a_key_makes_no_owners_and_no_keys(world: World) {
    let all: Vec<String> = Permission::all().map(|it| it.to_string()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let (ann, _) = world.member("ann", Role::Admin).await;
    for acts_for in [None, Some(world.una)] {
        let machine = by(&world, &secret(&make(&world.me, &all, acts_for).await)).await.unwrap();
        assert!(machine.scope().require(Permission::write(Resource::Team)).is_ok());
        refused(machine.members().set_role(SetRole { id: ann, role: Role::Owner.into() }).await, 403, "forbidden");
        refused(machine.members().remove(RemoveMember { id: world.una, reassign_to: None }).await, 403, "forbidden");
        refused(machine.api_keys().create(new(&["contacts:read"], acts_for)).await, 403, "forbidden");
        machine.members().set_role(SetRole { id: ann, role: Role::Manager.into() }).await.unwrap();
        machine.members().set_role(SetRole { id: ann, role: Role::Admin.into() }).await.unwrap();
    }
}

/// Who makes a key for somebody else reads nothing by it that is that one's own.
/// ASVS 8.2.2.
async fn a_key_sees_nothing_private_of_others(world: World) {
    let (bo, bos) = world.member("bo", Role::Member).await;
    let scopes = ["profile:read", "notifications:read", "tasks:read"];
    refused(world.me.api_keys().create(new(&scopes, Some(bo))).await, 422, "validation_failed");
    let scopes = ["profile:read", "notifications:read", "contacts:read", "contacts:write"];
    let machine = by(&world, &secret(&make(&world.me, &scopes, Some(bo)).await)).await.unwrap();
    for (operation, input) in [("profile.get", Value::Null), ("notifications.list", json!({}))] {
        refused(machine.call(operation, input).await, 403, "forbidden");
    }
    let ada = world.contact("Ada").await;
    let task = json!({ "contact_id": ada.id, "title": "Call" });
    let task = machine.call("tasks.create_for_contact", task).await.unwrap();
    assert_eq!((&task["created_by"], &task["assigned_to"]), (&json!(bo), &json!(bo)));
    let mine = machine.call("tasks.list", json!({ "assigned_to": "me" })).await.unwrap();
    assert_eq!(mine["data"][0]["id"], task["id"]);
    let own = by(&world, &secret(&make(&bos, &["profile:read"], Some(bo)).await)).await.unwrap();
    assert_eq!(own.call("profile.get", Value::Null).await.unwrap()["id"], json!(bo));
}

/// Waits for what is written beside a call.
async fn used(world: &World, key: &ApiKeyView, at: chrono::DateTime<chrono::Utc>) {
    let until = async {
        while world.me.api_keys().get(key.id).await.unwrap().last_used_at != Some(at) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), until).await.unwrap();
}

async fn a_use_is_written_once_a_minute(world: World) {
    let key = make(&world.me, &["contacts:read"], None).await;
    assert_eq!(key.last_used_at, None);
    by(&world, &secret(&key)).await.unwrap();
    used(&world, &key, noon()).await;
    world.later(59);
    for _ in 0..50 {
        by(&world, &secret(&key)).await.unwrap();
    }
    world.later(1);
    by(&world, &secret(&key)).await.unwrap();
    // Had one of the fifty been written, this one would not be due.
    used(&world, &key, noon() + Duration::seconds(60)).await;
    // It states nothing, and nobody's next edit stumbles over it.
    assert_eq!(world.events(world.organization).await.last().unwrap().data["what"], json!("api_key.created"));
    world.me.api_keys().revoke(key.id).await.unwrap();
}
