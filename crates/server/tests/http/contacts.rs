use chrono::Duration;
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

async fn create(server: &Server, by: &Member, body: Value) -> Reply {
    server.call("POST", "/api/crm/clients").by(by).json(&body).send().await
}

#[tokio::test]
async fn a_contact_lives_as_the_contract_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let made = create(&server, &una, json!({"name": "Ada", "emails": ["ada@acme.example"]})).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""));
    let path = made.header("location").to_owned();
    assert_eq!(path, format!("/api/crm/clients/{}", made.json()["id"].as_str().unwrap()));

    let edited = server
        .call("PATCH", &path)
        .by(&una)
        .header("content-type", "application/merge-patch+json")
        .header("if-match", "\"1\"")
        .body(json!({"name": "Ada L.", "source": null}).to_string())
        .send()
        .await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"2\""));
    assert_eq!(edited.json()["name"], "Ada L.");

    let read = server.call("GET", &path).by(&una).send().await;
    assert_eq!(read.json(), edited.json());
    let same = server.call("GET", &path).by(&una).header("if-none-match", "\"2\"").send().await;
    assert_eq!((same.status.as_u16(), same.bytes.len()), (304, 0));

    assert_eq!(server.call("DELETE", &path).by(&una).send().await.status, 204);
    assert_eq!(server.call("GET", &path).by(&una).send().await.status, 404);
    let restored = server.call("POST", &format!("{path}/restore")).by(&una).send().await;
    assert_eq!(restored.status, 200);
    assert_eq!(restored.json()["emails"], json!(["ada@acme.example"]));
}

#[tokio::test]
async fn an_edit_of_a_state_that_is_gone_is_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let path = create(&server, &una, json!({"name": "Ada"})).await.header("location").to_owned();
    let edit = async |tag: &str| {
        let call = server.call("PATCH", &path).by(&una).header("if-match", tag);
        call.json(&json!({"name": "Eve"})).send().await
    };
    for tag in ["\"2\"", "W/\"1\"", "\"x\"", "\"\""] {
        assert_eq!(edit(tag).await.problem(), (412, "precondition_failed".to_owned()), "{tag}");
    }
    for tag in ["\"1\", \"2\"", "1", "", "\"1", "{}", "\"a b\""] {
        assert_eq!(edit(tag).await.problem(), (400, "invalid_header".to_owned()), "{tag}");
    }
    assert_eq!(edit("*").await.status, 200);
    let reply = server.call("DELETE", &path).by(&una).header("if-match", "\"1\"").send().await;
    assert_eq!(reply.status, 412);
}

#[tokio::test]
async fn pointers_of_a_patch_are_those_of_its_body() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let path = create(&server, &una, json!({"name": "Ada"})).await.header("location").to_owned();
    for (body, pointer, code) in [
        (json!({"nope": 1}), "/nope", "unknown"),
        (json!({"emails": ["x"]}), "/emails/0", "invalid"),
        (json!({"name": ["x"]}), "/name", "invalid"),
        (json!({"id": "x"}), "/id", "unknown"),
        (json!({"if_version": 1}), "/if_version", "unknown"),
    ] {
        let reply = server.call("PATCH", &path).by(&una).json(&body).send().await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text());
        assert_eq!(reply.wrong()[0], (pointer.to_owned(), code.to_owned()), "{body}");
    }
}

#[tokio::test]
async fn a_patch_without_a_body_is_no_patch() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let path = create(&server, &una, json!({"name": "Ada"})).await.header("location").to_owned();
    let reply = server.call("PATCH", &path).by(&una).send().await;
    assert_eq!(reply.problem(), (400, "malformed_json".to_owned()));
    assert_eq!(server.call("PATCH", &path).by(&una).json(&json!({})).send().await.header("etag"), "\"1\"");
}

#[tokio::test]
async fn a_duplicate_is_told_with_its_candidates_and_let_through_when_asked() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let ada = create(&server, &una, json!({"name": "Ada", "emails": ["ada@acme.example"]})).await.json();
    let again = json!({"name": "Ada again", "emails": ["ada@acme.example"]});
    let reply = create(&server, &una, again.clone()).await;
    assert_eq!(reply.problem(), (409, "duplicate".to_owned()));
    assert_eq!(reply.json()["candidates"][0]["id"], ada["id"]);
    let reply = server.call("POST", "/api/crm/clients?allow_duplicate=true").by(&una).json(&again).send().await;
    assert_eq!(reply.status, 201);
}

#[tokio::test]
async fn a_contact_moves_and_its_history_tells() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let ada = create(&server, &una, json!({"name": "Ada"})).await.json();
    let stages = server.call("GET", "/api/pipeline/stages").by(&una).send().await.json();
    let (lead, qualified) = (&stages["data"][0]["id"], &stages["data"][1]["id"]);
    assert_eq!(&ada["stage_id"], lead);
    let path = format!("/api/pipeline/clients/{}", ada["id"].as_str().unwrap());
    server.clock.advance(Duration::seconds(1));
    let body = json!({"stage_id": qualified, "reason": "talked"});
    let moved = server.call("PUT", &format!("{path}/stage")).by(&una).json(&body).send().await;
    assert_eq!(moved.status, 200, "{}", moved.text());
    assert_eq!(&moved.json()["stage_id"], qualified);
    let history = server.call("GET", &format!("{path}/history")).by(&una).send().await.json();
    assert_eq!(history["data"][0]["reason"], "talked");
    assert_eq!(&history["data"][0]["from_stage_id"], lead);
    let pipeline = server.call("GET", "/api/pipeline").by(&una).send().await.json()["data"][0]["id"].clone();
    let board = format!("/api/pipeline/{}/board", pipeline.as_str().unwrap());
    let board = server.call("GET", &board).by(&una).send().await.json();
    assert_eq!(board["stages"][1]["cards"][0]["id"], ada["id"]);
}

#[tokio::test]
async fn another_organisations_contact_does_not_exist() {
    let server = Server::start().await;
    let (una, eve) = (server.sign_up("una").await, server.sign_up("eve").await);
    let path = create(&server, &una, json!({"name": "Ada"})).await.header("location").to_owned();
    for (method, body) in [("GET", None), ("PATCH", Some(json!({"name": "Eve"}))), ("DELETE", None)] {
        let call = server.call(method, &path).by(&eve);
        let call = match &body {
            Some(body) => call.json(body),
            None => call,
        };
        assert_eq!(call.send().await.problem(), (404, "not_found".to_owned()), "{method}");
    }
}

#[tokio::test]
async fn contacts_are_found_by_name_handle_and_score() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (name, handle) in [("Ada", json!("Ada_L")), ("Bob", Value::Null)] {
        create(&server, &una, json!({"name": name, "handles": {"telegram": handle}})).await;
    }
    let found = async |query: &str| {
        let list = server.call("GET", &format!("/api/crm/clients?{query}")).by(&una).send().await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        list.json()["data"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("name=Bob").await, ["Bob"]);
    assert_eq!(found("name=bob").await, Vec::<Value>::new());
    assert_eq!(found("handles.telegram=@ada_l").await, ["Ada"]);
    assert_eq!(found("score[gte]=1").await, Vec::<Value>::new());
    assert_eq!(found("score[lt]=1&name=Ada").await, ["Ada"]);
    let odd = server.call("GET", "/api/crm/clients?score[gte]=much").by(&una).send().await;
    assert_eq!(odd.problem(), (400, "invalid_parameter".to_owned()));
}

#[tokio::test]
async fn an_upsert_lets_a_duplicate_through_if_it_is_told_to() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    create(&server, &una, json!({"name": "Ada", "emails": ["ada@acme.example"]})).await;
    let put = async |query: &str| {
        let path = format!("/api/crm/clients/by-external-id/erp/7{query}");
        let twin = json!({"name": "Twin", "emails": ["ada@acme.example"]});
        server.call("PUT", &path).by(&una).json(&twin).send().await
    };
    assert_eq!(put("").await.problem(), (409, "duplicate".to_owned()));
    let twin = put("?allow_duplicate=true").await;
    assert_eq!((twin.status.as_u16(), &twin.json()["name"]), (200, &json!("Twin")));
    assert_eq!(put("").await.json(), twin.json());
}
