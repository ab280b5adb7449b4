use chrono::Duration;
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn create(server: &Server, by: &Member, key: &str, body: &Value) -> Reply {
    server.call("POST", "/api/crm/clients").by(by).header("idempotency-key", key).json(body).send().await
}

#[tokio::test]
async fn a_repeated_call_is_answered_again_and_done_once() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let body = json!({"name": "Ada", "emails": ["ada@acme.example"]});
    let first = create(&server, &una, "k1", &body).await;
    let again = create(&server, &una, "k1", &body).await;
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(first.header("location"), again.header("location"));
    let all = server.call("GET", "/api/crm/clients").by(&una).send().await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);

    let other = create(&server, &una, "k1", &json!({"name": "Eve"})).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
}

#[tokio::test]
async fn a_key_is_its_owners_and_lasts_a_day() {
    let server = Server::start().await;
    let (una, eve) = (server.sign_up("una").await, server.sign_up("eve").await);
    let body = json!({"name": "Ada"});
    let unas = create(&server, &una, "k", &body).await.json();
    let eves = create(&server, &eve, "k", &body).await;
    assert_eq!((eves.status.as_u16(), eves.header("idempotency-replayed")), (201, ""));
    server.clock.advance(Duration::hours(24));
    let una = Member::of(
        &server.call("POST", "/api/auth/refresh").json(&json!({"refresh_token": una.refresh})).send().await.json(),
    );
    let later = create(&server, &una, "k", &body).await;
    assert_ne!(later.json()["id"], unas["id"]);
}

#[tokio::test]
async fn a_refused_call_leaves_its_key_free() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    assert_eq!(create(&server, &una, "k", &json!({"name": ""})).await.status, 422);
    assert_eq!(create(&server, &una, "k", &json!({"name": "Ada"})).await.status, 201);
}

/// ASVS 2.3.4.
#[tokio::test]
async fn two_calls_with_one_key_at_once_have_one_effect() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let body = json!({"name": "Ada"});
    let replies = futures::future::join_all((0..5).map(|_| create(&server, &una, "k", &body))).await;
    assert!(replies.iter().any(|reply| reply.status == 201));
    for reply in &replies {
        let fine = reply.status == 201 || reply.problem() == (409, "idempotency_in_flight".to_owned());
        assert!(fine, "{}", reply.text());
    }
    let all = server.call("GET", "/api/crm/clients").by(&una).send().await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_odd_key_is_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for key in ["", "a b", &"x".repeat(256)] {
        let reply = create(&server, &una, key, &json!({"name": "Ada"})).await;
        assert_eq!(reply.problem(), (400, "invalid_idempotency_key".to_owned()), "{key}");
    }
    assert_eq!(create(&server, &una, &"x".repeat(255), &json!({"name": "Ada"})).await.status, 201);
}

#[tokio::test]
async fn a_repeated_search_is_answered_again_as_it_was() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    create(&server, &una, "k1", &json!({"name": "Ada"})).await;
    let search = async |body: Value| {
        let call = server.call("POST", "/api/crm/clients/search").by(&una).header("idempotency-key", "k");
        call.json(&body).send().await
    };
    let first = search(json!({"filter": {}})).await;
    create(&server, &una, "k2", &json!({"name": "Bob"})).await;
    let again = search(json!({"filter": {}})).await;
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!((first.json()["data"].as_array().unwrap().len(), again.json()), (1, first.json()));
    let other = search(json!({"filter": {"name": "Bob"}})).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
}

#[tokio::test]
async fn an_invitation_is_accepted_once_a_key() {
    let server = Server::start().await;
    let (una, max) = (server.sign_up("una").await, server.sign_up("max").await);
    let invited = json!({"email": "max@acme.example", "role": "member"});
    let made = server.call("POST", "/api/team/members/invite").by(&una).json(&invited).send().await;
    let accept = async |token: &Value, key: &str| {
        let call = server.call("POST", "/api/team/invitations/accept").by(&max).header("idempotency-key", key);
        call.json(&json!({"token": token})).send().await
    };
    let token = made.json()["token"].clone();
    let first = accept(&token, "k").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, ""), "{}", first.text());
    let again = accept(&token, "k").await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"), "{}", again.text());
    assert_eq!(again.json(), first.json());
    assert_eq!(accept(&token, "other").await.problem().0, 409);
    assert_eq!(accept(&token, "a b").await.problem(), (400, "invalid_idempotency_key".to_owned()));
}
