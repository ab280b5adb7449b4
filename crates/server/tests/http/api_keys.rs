//! API keys over HTTP: shown as bearer tokens, they do what their scopes say until they are revoked.

use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn make(server: &Server, by: &Member, input: Value) -> Reply {
    server.call("POST", "/api/auth/api-keys").by(by).json(&input).send().await
}

async fn ask(server: &Server, method: &str, path: &str, secret: &str) -> Reply {
    let call = server.call(method, path).header("authorization", &format!("Bearer {secret}"));
    if method == "POST" { call.json(&json!({"name": "Ada"})).send().await } else { call.send().await }
}

#[tokio::test]
async fn a_key_is_made_used_listed_and_revoked() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let made = make(&server, &una, json!({"name": "Zapier", "scopes": ["contacts:read"]})).await;
    let key = made.json();
    let path = format!("/api/auth/api-keys/{}", key["id"].as_str().unwrap());
    assert_eq!((made.status.as_u16(), made.header("location")), (201, path.as_str()));
    let secret = key["secret"].as_str().unwrap();
    assert!(secret.starts_with(key["prefix"].as_str().unwrap()) && secret.starts_with("dw_"));

    assert_eq!(ask(&server, "GET", "/api/crm/clients", secret).await.status, 200);
    let refused = ask(&server, "POST", "/api/crm/clients", secret).await;
    assert_eq!(refused.problem(), (403, "forbidden".to_owned()));
    assert!(refused.json()["detail"].as_str().unwrap().contains("contacts:write"), "{}", refused.text());
    assert_eq!(ask(&server, "GET", "/api/crm/deals", secret).await.status, 403);

    let list = server.call("GET", "/api/auth/api-keys").by(&una).send().await;
    assert_eq!((&list.json()["data"][0]["id"], &list.json()["data"][0]["secret"]), (&key["id"], &Value::Null));
    assert!(!list.text().contains(&secret[12..]));
    assert_eq!(server.call("GET", &path).by(&una).send().await.json()["name"], "Zapier");

    assert_eq!(server.call("DELETE", &path).by(&una).send().await.status, 204);
    let gone = ask(&server, "GET", "/api/crm/clients", secret).await;
    assert_eq!(gone.problem(), (401, "invalid_api_key".to_owned()));
    assert_eq!(server.call("DELETE", &path).by(&una).send().await.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_replayed_key_is_made_once_and_its_secret_masked() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let input = json!({"name": "Zapier", "scopes": ["contacts:read"]});
    let call = || server.call("POST", "/api/auth/api-keys").by(&una).header("idempotency-key", "k").json(&input);
    let (first, again) = (call().send().await, call().send().await);
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!((&again.json()["id"], &again.json()["secret"]), (&first.json()["id"], &Value::Null));
}

#[tokio::test]
async fn faulty_keys_are_refused_with_pointers() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (input, wrong) in [
        (json!({"scopes": ["contacts:read"]}), ("/name", "required")),
        (json!({"name": "Zapier"}), ("/scopes", "required")),
        (json!({"name": "Zapier", "scopes": []}), ("/scopes", "required")),
        (json!({"name": "Zapier", "scopes": ["contacts"]}), ("/scopes/0", "unknown")),
        (
            json!({"name": "Zapier", "scopes": ["contacts:read"], "expires_at": "2020-01-01T00:00:00Z"}),
            ("/expires_at", "invalid"),
        ),
        (
            json!({"name": "Zapier", "scopes": ["contacts:read"], "acts_for": una.organization}),
            ("/acts_for", "unknown"),
        ),
        (json!({"name": "Zapier", "scopes": ["contacts:read"], "role": "owner"}), ("/role", "unknown")),
    ] {
        let reply = make(&server, &una, input.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.wrong()),
            (422, vec![(wrong.0.to_owned(), wrong.1.to_owned())]),
            "{input}"
        );
    }
}

#[tokio::test]
async fn a_key_opens_no_session_and_ends_none() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let input = json!({"name": "Mine", "scopes": ["profile:read", "api_keys:read"], "acts_for": una.user});
    let key = make(&server, &una, input).await.json();
    let secret = key["secret"].as_str().unwrap();
    assert_eq!(ask(&server, "GET", "/api/users/profile", secret).await.json()["id"], json!(una.user));
    let bearer = format!("Bearer {secret}");
    for (path, body) in [
        ("/api/auth/switch", json!({"organization_id": una.organization})),
        ("/api/team/invitations/accept", json!({"token": "x"})),
    ] {
        let reply = server.call("POST", path).header("authorization", &bearer).json(&body).send().await;
        assert_eq!(reply.problem(), (403, "forbidden".to_owned()), "{path}");
    }
    let verified = server.call("POST", "/api/auth/verify").json(&json!({"token": secret})).send().await;
    assert_eq!(verified.json(), json!({"active": false}));
    assert_eq!(server.call("GET", "/api/users/profile").by(&una).send().await.status, 200);
}
