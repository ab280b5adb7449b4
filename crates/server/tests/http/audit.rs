//! The audit log over HTTP: where a call came from, its filters, and as a file.

use dealwright_server::{Options, client::TrustedProxies};
use serde_json::{Value, json};

use crate::server::{Member, Server};

async fn get(server: &Server, by: &Member, path: &str) -> Value {
    let reply = server.call("GET", path).by(by).send().await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn team(server: &Server, by: &Member, name: &str) -> Value {
    let call = server.call("POST", "/api/team/teams").by(by).from("10.0.0.1").header("user-agent", "Browser/1");
    let reply = call.header("x-forwarded-for", "203.0.113.7").json(&json!({ "name": name })).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()
}

/// ASVS 5.0, 16.2.1: who, what, when and where.
/// ASVS 15.3.4.
#[tokio::test]
async fn an_entry_tells_the_client_behind_a_trusted_proxy() {
    let proxies = TrustedProxies::read(&["10.0.0.1".to_owned()]).unwrap();
    let server = Server::with(Options::default().trusted_proxies(proxies)).await;
    let una = server.sign_up("una").await;
    let made = team(&server, &una, "North").await;
    let page = get(&server, &una, &format!("/api/audit?object_id={}", made["id"].as_str().unwrap())).await;
    let [entry] = page["data"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!((&entry["action"], &entry["object_kind"]), (&json!("teams.create"), &json!("team")));
    assert_eq!((&entry["actor_kind"], &entry["actor_id"]), (&json!("user"), &json!(una.user)));
    assert_eq!((&entry["address"], &entry["user_agent"]), (&json!("203.0.113.7"), &json!("Browser/1")));
    assert_eq!((&entry["before"], &entry["after"]), (&Value::Null, &json!({ "name": "North" })));
    // Of a sign-up and its session too, which no operation of the table is.
    let page = get(&server, &una, "/api/audit?action=auth.sign_up&object_kind=session").await;
    assert_eq!(page["data"].as_array().unwrap().len(), 1, "{page}");
    for odd in ["object_kind=rocket", "actor_id=una", "from=yesterday", "limit=201", "rocket=1"] {
        let reply = server.call("GET", &format!("/api/audit?{odd}")).by(&una).send().await;
        assert_eq!(reply.status.as_u16() / 100, 4, "{odd}: {}", reply.text());
    }
}

#[tokio::test]
async fn the_chain_is_verified_by_a_call() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    team(&server, &una, "North").await;
    server.crm.runtime().drain().await.unwrap();
    let found = get(&server, &una, "/api/audit/verification").await;
    assert_eq!((&found["sound"], &found["waiting"], &found["fault"]), (&json!(true), &json!(0), &Value::Null));
    assert_eq!((&found["sealed"], found["head"].as_str().unwrap().len()), (&found["sound_to"], 64));
}

/// ASVS 16.2.4.
#[tokio::test]
async fn an_export_holds_every_entry_of_its_filter() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    // More than a page of it.
    for number in 0..205 {
        let name = if number == 7 { "=HYPERLINK(\"x\"),\n".trim().to_owned() } else { format!("Team {number}") };
        team(&server, &una, &name).await;
    }
    let reply = server.call("GET", "/api/audit/export?action=teams.create").by(&una).send().await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/x-ndjson"));
    assert!(reply.header("content-disposition").contains("audit.ndjson"));
    let lines: Vec<Value> = reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 205);
    assert!(lines.iter().all(|line| line["action"] == "teams.create"));
    let first = get(&server, &una, "/api/audit?action=teams.create&limit=200").await;
    assert_eq!(lines[..200], first["data"].as_array().unwrap()[..]);

    let reply = server.call("GET", "/api/audit/export?action=teams.create&format=csv").by(&una).send().await;
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8");
    let text = reply.text();
    let (head, rows) = text.split_once("\r\n").unwrap();
    assert!(head.starts_with("id,at,actor_kind,"), "{head}");
    assert_eq!(rows.split("\r\n").filter(|row| !row.is_empty()).count(), 205);
    let all = server.call("GET", "/api/audit/export").by(&una).send().await;
    assert!(all.text().lines().count() > 205);
}

#[tokio::test]
async fn an_export_is_for_admins_and_names_what_is_wrong_with_its_filter() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (query, status) in [("?format=xml", 400), ("?actor_id=una", 400), ("?limit=3", 400), ("?format=csv", 200)] {
        let reply = server.call("GET", &format!("/api/audit/export{query}")).by(&una).send().await;
        assert_eq!(reply.status.as_u16(), status, "{query}: {}", reply.text());
    }
    assert_eq!(server.call("GET", "/api/audit/export").send().await.status, 401);
    let input = json!({"email": "max@acme.example", "role": "manager"});
    let made = server.call("POST", "/api/team/members/invite").by(&una).json(&input).send().await.json();
    let input = json!({"email": "max@acme.example", "password": "correct horse", "name": "Max",
        "invite_token": made["token"]});
    let max = Member::of(&server.call("POST", "/api/auth/signup").json(&input).send().await.json());
    for path in ["/api/audit", "/api/audit/verification", "/api/audit/export", "/api/audit/export?format=csv"] {
        let reply = server.call("GET", path).by(&max).send().await;
        assert_eq!((reply.status.as_u16(), &reply.json()["code"]), (403, &json!("forbidden")), "{path}");
    }
}
