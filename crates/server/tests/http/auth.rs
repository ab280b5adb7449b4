use chrono::Duration;
use dealwright::{scope::Role, services::identity::NewUser};
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn sign_in(server: &Server, email: &str, password: &str) -> Reply {
    server.call("POST", "/api/auth/signin").json(&json!({"email": email, "password": password})).send().await
}

async fn refresh(server: &Server, token: &str) -> Reply {
    server.call("POST", "/api/auth/refresh").json(&json!({"refresh_token": token})).send().await
}

async fn verify(server: &Server, token: &str) -> Value {
    server.call("POST", "/api/auth/verify").json(&json!({"token": token})).send().await.json()
}

#[tokio::test]
async fn signing_up_makes_an_organisation_with_its_default_pipeline() {
    let server = Server::start().await;
    let input = json!({
        "email": " Una@Acme.Example ", "password": "correct horse", "name": " Una ", "organization_name": "Acme",
    });
    let reply = server.call("POST", "/api/auth/signup").json(&input).send().await;
    assert_eq!(reply.status, 201);
    let answer = reply.json();
    assert_eq!(answer["user"]["email"], "una@acme.example");
    assert_eq!(answer["user"]["name"], "Una");
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));

    let una = Member::of(&answer);
    let profile = server.call("GET", "/api/users/profile").by(&una).send().await.json();
    assert_eq!((&profile["email"], &profile["role"]), (&json!("una@acme.example"), &json!("owner")));
    let stages = server.call("GET", "/api/pipeline/stages").by(&una).send().await.json();
    let names: Vec<_> = stages["data"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["lead", "qualified", "proposal", "negotiation", "won", "lost"]);
    let rules = server.call("GET", "/api/automation/rules").by(&una).send().await.json();
    assert_eq!(rules, json!({"data": [], "next_cursor": null}));
}

#[tokio::test]
async fn one_answer_names_everything_that_is_wrong() {
    let server = Server::start().await;
    let input = json!({"email": "una", "password": "short", "name": "  ", "organization_name": "x".repeat(201)});
    let reply = server.call("POST", "/api/auth/signup").json(&input).send().await;
    assert_eq!(reply.problem(), (422, "validation_failed".to_owned()));
    let pointers: Vec<_> = reply.wrong().into_iter().map(|it| it.0).collect();
    assert_eq!(pointers, ["/email", "/password", "/name", "/organization_name"]);
}

#[tokio::test]
async fn a_taken_address_is_a_conflict() {
    let server = Server::start().await;
    server.sign_up("una").await;
    let input = json!({
        "email": "UNA@acme.example", "password": "another horse", "name": "Una", "organization_name": "Other",
    });
    let reply = server.call("POST", "/api/auth/signup").json(&input).send().await;
    assert_eq!(reply.problem(), (409, "email_taken".to_owned()));
}

#[tokio::test]
async fn of_many_who_sign_up_with_one_address_one_succeeds() {
    let server = Server::start().await;
    let input = json!({
        "email": "una@acme.example", "password": "correct horse", "name": "Una", "organization_name": "Acme",
    });
    let calls = (0..4).map(|_| server.call("POST", "/api/auth/signup").json(&input).send());
    let replies = futures::future::join_all(calls).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

/// ASVS 6.3.8.
#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let server = Server::start().await;
    server.sign_up("una").await;
    let right = sign_in(&server, "una@acme.example", "correct horse").await;
    assert_eq!(right.status, 200);
    let wrong = sign_in(&server, "una@acme.example", "wrong horse!").await;
    let unknown = sign_in(&server, "eve@acme.example", "wrong horse!").await;
    let endless = sign_in(&server, "una@acme.example", &"x".repeat(10_000)).await;
    for reply in [&wrong, &unknown, &endless] {
        assert_eq!(reply.problem(), (401, "invalid_credentials".to_owned()));
        assert_eq!(reply.json()["detail"], wrong.json()["detail"]);
    }
}

/// ASVS 7.2.2.
#[tokio::test]
async fn an_access_token_counts_for_fifteen_minutes() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let state = verify(&server, &una.token).await;
    assert_eq!(state["active"], true);
    assert_eq!((&state["user_id"], &state["role"]), (&json!(una.user), &json!("owner")));
    assert_eq!(state["organization_id"], json!(una.organization));
    assert_eq!(state["expires_at"], "2026-11-22T10:15:00Z");

    server.clock.advance(Duration::seconds(899));
    assert_eq!(server.call("GET", "/api/users/profile").by(&una).send().await.status, 200);
    server.clock.advance(Duration::seconds(1));
    let reply = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(reply.problem(), (401, "token_expired".to_owned()));
    assert_eq!(verify(&server, &una.token).await, json!({"active": false}));
}

/// ASVS 7.2.1.
#[tokio::test]
async fn without_a_credential_that_counts_nobody_is_let_in() {
    let server = Server::start().await;
    for value in ["", "Bearer", "Bearer x", "Basic dW5hOng=", "Bearer a.b.c"] {
        let reply = server.call("GET", "/api/users/profile").header("authorization", value).send().await;
        assert_eq!(reply.status, 401, "{value}");
    }
    assert_eq!(server.call("GET", "/api/users/profile").send().await.problem().1, "unauthenticated");
}

/// ASVS 10.4.5.
#[tokio::test]
async fn a_spent_refresh_token_ends_its_session() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let next = Member::of(&refresh(&server, &una.refresh).await.json());
    assert_ne!((&next.token, &next.refresh), (&una.token, &una.refresh));
    assert_eq!(server.call("GET", "/api/users/profile").by(&next).send().await.status, 200);

    server.clock.advance(Duration::seconds(11));
    assert_eq!(refresh(&server, &una.refresh).await.problem(), (401, "refresh_token_reused".to_owned()));
    // The whole family is gone, whoever holds it.
    assert_eq!(refresh(&server, &next.refresh).await.status, 401);
    let reply = server.call("GET", "/api/users/profile").by(&next).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_spent_token_good() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let next = Member::of(&refresh(&server, &una.refresh).await.json());
    server.clock.advance(-Duration::days(1));
    // Whoever holds the newest goes on.
    let newest = Member::of(&refresh(&server, &next.refresh).await.json());
    assert_eq!(server.call("GET", "/api/users/profile").by(&newest).send().await.status, 200);
    server.clock.advance(-Duration::hours(1));
    assert_eq!(refresh(&server, &next.refresh).await.problem(), (401, "refresh_token_reused".to_owned()));
    assert_eq!(refresh(&server, &newest.refresh).await.status, 401);
}

/// ASVS 10.4.5.
#[tokio::test]
async fn a_token_spent_long_ago_is_recognised_too() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let mut newest = una.refresh.clone();
    for _ in 0..3 {
        server.clock.advance(Duration::minutes(10));
        newest = Member::of(&refresh(&server, &newest).await.json()).refresh;
    }
    assert_eq!(refresh(&server, &una.refresh).await.problem(), (401, "refresh_token_reused".to_owned()));
    assert_eq!(refresh(&server, &newest).await.status, 401);
}

#[tokio::test]
async fn refreshing_twice_in_one_moment_is_one_refresh() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let replies = futures::future::join_all((0..3).map(|_| refresh(&server, &una.refresh))).await;
    let pairs: Vec<_> = replies.iter().map(|reply| Member::of(&reply.json())).collect();
    for pair in &pairs {
        assert_eq!(pair.refresh, pairs[0].refresh);
        assert_eq!(server.call("GET", "/api/users/profile").by(pair).send().await.status, 200);
    }
    server.clock.advance(Duration::minutes(1));
    assert_eq!(refresh(&server, &pairs[2].refresh).await.status, 200);
}

/// ASVS 7.3.1.
#[tokio::test]
async fn a_session_ends_thirty_days_after_its_last_refresh() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    server.clock.advance(Duration::days(29));
    let next = Member::of(&refresh(&server, &una.refresh).await.json());
    server.clock.advance(Duration::days(29));
    let next = Member::of(&refresh(&server, &next.refresh).await.json());
    server.clock.advance(Duration::days(30));
    assert_eq!(refresh(&server, &next.refresh).await.problem(), (401, "invalid_refresh_token".to_owned()));
    for made_up in ["", "x", &"A".repeat(86)] {
        assert_eq!(refresh(&server, made_up).await.problem().1, "invalid_refresh_token");
    }
}

/// ASVS 7.3.2.
#[tokio::test]
async fn a_session_ends_ninety_days_after_it_began_however_often_it_is_refreshed() {
    let server = Server::start().await;
    let mut una = server.sign_up("una").await;
    for _ in 0..4 {
        server.clock.advance(Duration::days(20));
        una = Member::of(&refresh(&server, &una.refresh).await.json());
    }
    server.clock.advance(Duration::days(9));
    una = Member::of(&refresh(&server, &una.refresh).await.json());
    server.clock.advance(Duration::days(1));
    assert_eq!(refresh(&server, &una.refresh).await.problem(), (401, "invalid_refresh_token".to_owned()));
}

/// ASVS 7.4.1.
#[tokio::test]
async fn signing_out_ends_the_session_at_once() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    assert_eq!(server.call("POST", "/api/auth/signout").by(&una).send().await.status, 204);
    let reply = server.call("GET", "/api/users/profile").by(&una).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
    assert_eq!(verify(&server, &una.token).await, json!({"active": false}));
    assert_eq!(refresh(&server, &una.refresh).await.problem().1, "invalid_refresh_token");
}

#[tokio::test]
async fn a_viewer_looks_and_does_not_write() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let new = NewUser {
        email: "vic@acme.example".to_owned(),
        name: "Vic".to_owned(),
        password: Some("correct horse".to_owned()),
    };
    let organization = una.organization.parse().unwrap();
    server.crm.organizations().add_member(organization, new, Role::Viewer).await.unwrap();
    let vic = Member::of(&sign_in(&server, "vic@acme.example", "correct horse").await.json());
    assert_eq!(vic.organization, una.organization);
    assert_eq!(server.call("GET", "/api/crm/clients").by(&vic).send().await.status, 200);
    let reply = server.call("POST", "/api/crm/clients").by(&vic).json(&json!({"name": "Ada"})).send().await;
    assert_eq!(reply.problem(), (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn the_public_keys_are_anybodys_to_read() {
    let server = Server::start().await;
    let reply = server.call("GET", "/.well-known/jwks.json").send().await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"));
    assert_eq!(reply.header("cache-control"), "public, max-age=300");
    let keys = reply.json()["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert_eq!((&keys[0]["kty"], &keys[0]["crv"], &keys[0]["use"]), (&json!("OKP"), &json!("Ed25519"), &json!("sig")));
    // Nothing of the private half: `d` is where it would be (RFC 8037, 2).
    assert!(keys[0].get("d").is_none(), "{keys}");
}

/// ASVS 7.5.2.
#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let server = Server::start().await;
    let here = server.sign_up("una").await;
    let account = json!({"email": "una@acme.example", "password": "correct horse"});
    let call = server.call("POST", "/api/auth/signin").header("user-agent", "Firefox/145");
    server.clock.advance(Duration::seconds(1));
    let there = Member::of(&call.json(&account).send().await.json());
    let list = server.call("GET", "/api/auth/sessions?limit=1").by(&here).send().await.json();
    assert_eq!((&list["data"][0]["user_agent"], &list["data"][0]["current"]), (&json!("Firefox/145"), &json!(false)));
    assert!(list["next_cursor"].is_string());
    let path = format!("/api/auth/sessions/{}", list["data"][0]["id"].as_str().unwrap());
    let eve = server.sign_up("eve").await;
    assert_eq!(server.call("DELETE", &path).by(&eve).send().await.problem(), (404, "not_found".to_owned()));
    assert_eq!(server.call("DELETE", &path).by(&here).send().await.status, 204);
    let reply = server.call("GET", "/api/users/profile").by(&there).send().await;
    assert_eq!(reply.problem(), (401, "session_ended".to_owned()));
    assert_eq!(server.call("DELETE", &path).by(&here).send().await.status, 404);

    let there = Member::of(&sign_in(&server, "una@acme.example", "correct horse").await.json());
    assert_eq!(server.call("DELETE", "/api/auth/sessions").by(&here).send().await.status, 204);
    assert_eq!(server.call("GET", "/api/users/profile").by(&there).send().await.status, 401);
    assert_eq!(server.call("GET", "/api/users/profile").by(&here).send().await.status, 200);
}
