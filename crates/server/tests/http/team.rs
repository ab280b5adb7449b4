use chrono::Duration;
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn get(server: &Server, by: &Member, path: &str) -> Value {
    let reply = server.call("GET", path).by(by).send().await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn invite(server: &Server, by: &Member, path: &str, email: &str) -> Reply {
    server.call("POST", path).by(by).json(&json!({"email": email, "role": "member"})).send().await
}

/// Somebody who signs up by an invitation.
async fn join(server: &Server, by: &Member, name: &str) -> Member {
    let email = format!("{name}@acme.example");
    let made = invite(server, by, "/api/team/members/invite", &email).await.json();
    let input = json!({"email": email, "password": "correct horse", "name": name, "invite_token": made["token"]});
    let reply = server.call("POST", "/api/auth/signup").json(&input).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    Member::of(&reply.json())
}

#[tokio::test]
async fn an_invitation_is_the_same_at_both_addresses() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for path in ["/api/users/team/invite", "/api/team/members/invite"] {
        let made = invite(&server, &una, path, "max@acme.example").await;
        assert_eq!(made.status, 201);
        let place = made.header("location").to_owned();
        assert_eq!(place, format!("/api/team/invitations/{}", made.json()["id"].as_str().unwrap()));
        let shown = get(&server, &una, &place).await;
        assert_eq!((&shown["status"], &shown["token"]), (&json!("pending"), &Value::Null));
        assert_eq!(server.call("DELETE", &place).by(&una).send().await.status, 204);
        assert_eq!(get(&server, &una, &place).await["status"], "revoked");
    }
    let listed = get(&server, &una, "/api/team/invitations?status=revoked&limit=1").await;
    assert_eq!((listed["data"].as_array().unwrap().len(), listed["next_cursor"].is_string()), (1, true));
    let odd = server.call("GET", "/api/team/invitations?status=odd").by(&una).send().await;
    assert_eq!(odd.status.as_u16() / 100, 4);
}

#[tokio::test]
async fn a_replayed_invitation_keeps_its_secret() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let input = json!({"email": "max@acme.example", "role": "member"});
    let mut replies = Vec::new();
    for _ in 0..2 {
        let call = server.call("POST", "/api/team/members/invite").by(&una).header("idempotency-key", "k");
        replies.push(call.json(&input).send().await);
    }
    assert_eq!((replies[0].status, replies[1].status), (replies[1].status, replies[0].status));
    assert!(replies[0].json()["token"].is_string());
    assert_eq!((replies[1].header("idempotency-replayed"), &replies[1].json()["token"]), ("true", &Value::Null));
}

#[tokio::test]
async fn whoever_accepts_switches_between_organisations() {
    let server = Server::start().await;
    let (una, max) = (server.sign_up("una").await, server.sign_up("max").await);
    let made = invite(&server, &una, "/api/team/members/invite", "max@acme.example").await.json();
    let accept = async |by: &Member| {
        let call = server.call("POST", "/api/team/invitations/accept").by(by);
        call.json(&json!({"token": made["token"]})).send().await
    };
    assert_eq!(accept(&una).await.problem(), (403, "wrong_address".to_owned()));
    server.clock.advance(Duration::seconds(1));
    let joined = accept(&max).await;
    assert_eq!((joined.status.as_u16(), &joined.json()["id"]), (200, &json!(una.organization)));
    assert_eq!(accept(&max).await.problem(), (409, "invitation_accepted".to_owned()));
    let all = get(&server, &max, "/api/users/organizations").await;
    let roles: Vec<_> = all["data"].as_array().unwrap().iter().map(|it| it["role"].clone()).collect();
    assert_eq!(roles, ["owner", "member"]);

    let switch = async |to: &str| {
        let call = server.call("POST", "/api/auth/switch").by(&max);
        call.json(&json!({"organization_id": to})).send().await
    };
    let there = Member::of(&switch(&una.organization).await.json());
    assert_eq!(there.organization, una.organization);
    assert_eq!(get(&server, &there, "/api/team/members").await["data"].as_array().unwrap().len(), 2);
    let eve = server.sign_up("eve").await;
    assert_eq!(switch(&eve.organization).await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn members_change_roles_and_leave() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let bo = join(&server, &una, "bo").await;
    let path = format!("/api/team/members/{}", bo.user);
    let role = |path: String, role: &str| {
        let call = server.call("PUT", &format!("{path}/role")).by(&una);
        call.json(&json!({"role": role})).send()
    };
    assert_eq!(role(path.clone(), "manager").await.json()["role"], "manager");
    assert_eq!(role(path.clone(), "emperor").await.problem(), (422, "validation_failed".to_owned()));
    let own = format!("/api/team/members/{}", una.user);
    assert_eq!(role(own.clone(), "member").await.problem(), (409, "last_owner".to_owned()));
    assert_eq!(server.call("DELETE", &own).by(&una).send().await.problem(), (409, "last_owner".to_owned()));
    let contact = json!({"name": "Ada", "assigned_to": bo.user});
    let ada = server.call("POST", "/api/crm/clients").by(&una).json(&contact).send().await.json();
    // Who takes over stands in the query or in the body, not in both.
    let (leaving, heir) = (format!("{path}?reassign_to={}", una.user), json!({"reassign_to": una.user}));
    assert_eq!(server.call("DELETE", &leaving).by(&una).json(&heir).send().await.status, 422);
    let nobody = json!({"reassign_to": "019aab32-6c00-7000-8000-000000000001"});
    let refused = server.call("DELETE", &path).by(&una).json(&nobody).send().await;
    assert_eq!(refused.wrong(), [("/reassign_to".to_owned(), "unknown".to_owned())]);
    assert_eq!(server.call("DELETE", &leaving).by(&una).send().await.status, 204);
    let reply = server.call("GET", "/api/users/profile").by(&bo).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
    let ada = get(&server, &una, &format!("/api/crm/clients/{}", ada["id"].as_str().unwrap())).await;
    assert_eq!(ada["assigned_to"], json!(una.user));

    let cy = join(&server, &una, "cy").await;
    let path = format!("/api/team/members/{}", cy.user);
    assert_eq!(server.call("DELETE", &path).by(&una).json(&heir).send().await.status, 204);
    assert_eq!(server.call("GET", &path).by(&una).send().await.status, 404);
}

#[tokio::test]
async fn teams_share_and_are_given_contacts() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let bo = join(&server, &una, "bo").await;
    let made = server.call("POST", "/api/team/teams").by(&una).json(&json!({"name": "Closers"})).send().await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""));
    let path = made.header("location").to_owned();
    let members = format!("{path}/members");
    let added = server.call("POST", &members).by(&una).json(&json!({"user_id": bo.user})).send().await;
    assert_eq!((added.status.as_u16(), &added.json()["team_ids"]), (201, &json!([made.json()["id"]])));
    assert_eq!(get(&server, &una, &members).await["data"][0]["user_id"], json!(bo.user));

    let ada = server.call("POST", "/api/crm/clients").by(&una).json(&json!({"name": "Ada"})).send().await.json();
    let assign = json!({"contact_ids": [ada["id"]], "team_id": made.json()["id"]});
    let answer = server.call("POST", "/api/team/clients/assign").by(&una).json(&assign).send().await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"assigned": 1})));
    assert_eq!(get(&server, &bo, "/api/team/clients/shared?sort=name").await["data"][0]["id"], ada["id"]);
    assert_eq!(get(&server, &una, "/api/team/clients/shared").await["data"], json!([]));
    let wrong = json!({"contact_ids": [ada["id"], una.user], "user_id": una.user});
    let refused = server.call("POST", "/api/team/clients/assign").by(&una).json(&wrong).send().await;
    assert_eq!(refused.wrong(), [("/contact_ids/1".to_owned(), "unknown".to_owned())]);

    let patch = json!({"name": "Openers"}).to_string();
    let call = || server.call("PATCH", &path).by(&una).header("content-type", "application/merge-patch+json");
    assert_eq!(call().header("if-match", "\"2\"").body(patch.clone()).send().await.status, 412);
    assert_eq!(call().header("if-match", "\"1\"").body(patch).send().await.header("etag"), "\"2\"");
    assert_eq!(server.call("DELETE", &format!("{members}/{}", bo.user)).by(&una).send().await.status, 204);
    assert_eq!(server.call("DELETE", &path).by(&una).header("if-match", "\"1\"").send().await.status, 412);
    assert_eq!(server.call("DELETE", &path).by(&una).send().await.status, 204);
    assert_eq!(get(&server, &una, "/api/team/roles").await["data"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn settings_and_profiles_are_changed() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let patch = json!({"time_zone": "Europe/Berlin", "currency": "CHF"}).to_string();
    let call =
        server.call("PATCH", "/api/organization").by(&una).header("content-type", "application/merge-patch+json");
    let changed = call.header("if-match", "\"1\"").body(patch).send().await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    assert_eq!(get(&server, &una, "/api/organization").await["currency"], "CHF");

    let new = json!({"name": "Una", "preferences": {"notifications": {"assigned": {"in_app": true, "email": true}}}});
    let put = server.call("PUT", "/api/users/profile").by(&una).json(&new).send().await;
    assert_eq!(put.status, 200, "{}", put.text());
    let profile = get(&server, &una, "/api/users/profile").await;
    assert_eq!(profile["preferences"]["notifications"]["assigned"], json!({"in_app": true, "email": true}));
    assert_eq!((&profile["two_factor_enabled"], &profile["avatar_url"]), (&json!(false), &Value::Null));
    let odd = json!({"name": "Una", "preferences": {"notifications": {"rain": {"in_app": true}}}});
    let refused = server.call("PUT", "/api/users/profile").by(&una).json(&odd).send().await;
    assert_eq!(refused.problem(), (422, "validation_failed".to_owned()));
}

#[tokio::test]
async fn an_organisation_makes_roles_of_its_own() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let bo = join(&server, &una, "bo").await;
    let new = json!({"name": "Closer", "permissions": ["deals:read", "deals:write"]});
    let made = server.call("POST", "/api/team/roles").by(&una).json(&new).send().await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""));
    let (role, path) = (made.json(), made.header("location").to_owned());
    assert_eq!((&role["built_in"], &role["permissions"]), (&json!(false), &new["permissions"]));
    assert_eq!(get(&server, &una, &path).await, role);

    let put = server.call("PUT", &format!("/api/team/members/{}/role", bo.user)).by(&una);
    let put = put.json(&json!({"role": role["id"]})).send().await;
    assert_eq!((put.status.as_u16(), &put.json()["role"]), (200, &role["id"]));
    let deal = json!({"name": "Licence"});
    assert_eq!(server.call("POST", "/api/crm/deals").by(&bo).json(&deal).send().await.status, 201);
    let refused = server.call("GET", "/api/crm/clients").by(&bo).send().await;
    assert_eq!(refused.problem(), (403, "forbidden".to_owned()));

    let patch = json!({"permissions": ["contacts:read"]});
    let patched = server.call("PATCH", &path).by(&una).header("if-match", "\"1\"").json(&patch).send().await;
    assert_eq!((patched.status.as_u16(), patched.header("etag")), (200, "\"2\""));
    assert_eq!(server.call("GET", "/api/crm/clients").by(&bo).send().await.status, 200);
    assert_eq!(server.call("POST", "/api/crm/deals").by(&bo).json(&deal).send().await.status, 403);

    let taken = server.call("POST", "/api/team/roles").by(&una).json(&new).send().await;
    assert_eq!(taken.problem(), (409, "name_taken".to_owned()));
    let odd = json!({"name": "Odd", "permissions": ["deals:sell"]});
    let odd = server.call("POST", "/api/team/roles").by(&una).json(&odd).send().await;
    assert_eq!(odd.wrong(), [("/permissions/0".to_owned(), "unknown".to_owned())]);
    assert_eq!(server.call("DELETE", &path).by(&una).send().await.problem(), (409, "role_in_use".to_owned()));
    assert_eq!(server.call("DELETE", &format!("{path}?members_to=viewer")).by(&una).send().await.status, 204);
    assert_eq!(get(&server, &una, &format!("/api/team/members/{}", bo.user)).await["role"], "viewer");
    for built_in in ["owner", "viewer"] {
        let path = format!("/api/team/roles/{built_in}");
        assert_eq!(server.call("PATCH", &path).by(&una).json(&patch).send().await.status, 404, "{built_in}");
    }
}

/// ASVS 7.4.5.
#[tokio::test]
async fn an_admin_signs_a_member_out() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let bo = join(&server, &una, "bo").await;
    let path = format!("/api/team/members/{}/sessions", bo.user);
    let sessions = get(&server, &una, &path).await;
    assert_eq!((sessions["data"].as_array().unwrap().len(), &sessions["data"][0]["current"]), (1, &json!(false)));
    for method in ["GET", "DELETE"] {
        assert_eq!(server.call(method, &path).by(&bo).send().await.problem(), (403, "forbidden".to_owned()));
    }
    assert_eq!(server.call("DELETE", &path).by(&una).send().await.status, 204);
    let after = server.call("GET", "/api/users/profile").by(&bo).send().await;
    assert_eq!(after.problem(), (401, "session_ended".to_owned()));
    assert_eq!(get(&server, &una, &path).await, json!({"data": [], "next_cursor": null}));
}

#[tokio::test]
async fn an_organisation_is_handed_on() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let bo = join(&server, &una, "bo").await;
    let transfer = async |by: &Member, input: Value| {
        let call = server.call("POST", "/api/organization/transfer").by(by).header("idempotency-key", "hand-on-1");
        call.json(&input).send().await
    };
    let proven = json!({"user_id": bo.user, "password": "correct horse"});
    assert_eq!(server.call("POST", "/api/organization/transfer").json(&proven).send().await.status, 401);
    assert_eq!(transfer(&bo, proven.clone()).await.problem(), (403, "forbidden".to_owned()));
    assert_eq!(transfer(&una, json!({"user_id": bo.user})).await.problem(), (403, "step_up_required".to_owned()));
    let wrong = transfer(&una, json!({"user_id": bo.user, "password": "wrong horse"})).await;
    assert_eq!(wrong.wrong(), [("/password".to_owned(), "wrong".to_owned())]);
    let handed = transfer(&una, proven.clone()).await;
    let member = handed.json();
    assert_eq!((handed.status.as_u16(), &member["user_id"], &member["role"]), (200, &json!(bo.user), &json!("owner")));
    // Whoever did not hear the answer asks again, though no owner any more, and not with the same code.
    let again = transfer(&una, json!({"user_id": bo.user})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed"), again.json()), (200, "true", member));
    let other = transfer(&una, json!({"user_id": una.user, "password": "correct horse"})).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(get(&server, &una, &format!("/api/team/members/{}", una.user)).await["role"], "admin");
}
