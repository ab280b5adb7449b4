//! Searches, batches, external ids and custom fields as clients send them.

use serde_json::{Value, json};

use crate::server::Server;

#[tokio::test]
async fn custom_fields_filter_and_sort_in_a_query() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let field = json!({"object": "contact", "key": "size", "type": "number"});
    let made = server.call("POST", "/api/crm/fields").by(&una).json(&field).send().await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), format!("/api/crm/fields/{}", made.json()["id"].as_str().unwrap()));
    for (name, size) in [("Ada", 10), ("Bob", 9)] {
        let new = json!({"name": name, "custom": {"size": size}});
        assert_eq!(server.call("POST", "/api/crm/clients").by(&una).json(&new).send().await.status, 201);
    }
    for (query, expected) in [
        ("custom.size=9", vec!["Bob"]),
        ("custom.size[gt]=9", vec!["Ada"]),
        ("custom.size[gte]=9&custom.size[lt]=10", vec!["Bob"]),
        ("sort=custom.size", vec!["Bob", "Ada"]),
    ] {
        let reply = server.call("GET", &format!("/api/crm/clients?{query}")).by(&una).send().await;
        assert_eq!(reply.status, 200, "{query}: {}", reply.text());
        let page = reply.json();
        let names: Vec<_> = page["data"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    for (query, pointer) in [
        ("custom.age=9", "/custom.age"),
        ("custom.size=big", "/custom.size"),
        ("custom.size[like]=9", "/custom.size[like]"),
        ("custom.size=9&custom.size=10", "/custom.size"),
        ("custom=9", "/custom"),
        ("custom[size]=9", "/custom[size]"),
    ] {
        let reply = server.call("GET", &format!("/api/crm/clients?{query}")).by(&una).send().await;
        assert_eq!(reply.problem(), (400, "invalid_parameter".to_owned()), "{query}");
        assert_eq!(reply.wrong()[0].0, pointer, "{query}");
    }
}

#[tokio::test]
async fn a_search_takes_a_tree_in_its_body() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (path, name) in [("clients", "Ada"), ("companies", "Acme")] {
        let made = server.call("POST", &format!("/api/crm/{path}")).by(&una).json(&json!({"name": name})).send().await;
        assert_eq!(made.status, 201, "{}", made.text());
        let tree =
            json!({"filter": {"any": [{"name": {"contains": "a"}}, {"tags": "x"}]}, "sort": "-name", "limit": 1});
        let search = format!("/api/crm/{path}/search");
        let found = server.call("POST", &search).by(&una).json(&tree).send().await;
        assert_eq!(
            (found.status.as_u16(), found.json()["data"][0]["name"].as_str()),
            (200, Some(name)),
            "{}",
            found.text()
        );
        let wrong = json!({"filter": {"all": [{"shoe": 7}]}});
        let wrong = server.call("POST", &search).by(&una).json(&wrong).send().await;
        assert_eq!(wrong.problem(), (422, "validation_failed".to_owned()));
        assert_eq!(wrong.wrong()[0].0, "/filter/all/0/shoe");
    }
}

#[tokio::test]
async fn a_batch_answers_item_by_item_and_once_a_key() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let items = json!({"items": [{"ref": "a", "name": "Ada"}, {"ref": "b", "name": ""}]});
    let call = || server.call("POST", "/api/crm/clients/batch").by(&una).header("idempotency-key", "k").json(&items);
    let first = call().send().await;
    assert_eq!(first.status, 200, "{}", first.text());
    let outcome = first.json();
    assert_eq!(outcome["items"][0]["status"], "created");
    assert!(outcome["items"][0]["id"].is_string() && outcome["items"][0]["error"].is_null());
    assert_eq!((&outcome["items"][1]["ref"], &outcome["items"][1]["status"]), (&json!("b"), &json!("failed")));
    assert_eq!(outcome["items"][1]["error"]["errors"][0]["pointer"], "/name");
    let again = call().send().await;
    assert_eq!((again.json(), again.header("idempotency-replayed")), (outcome, "true"));
}

#[tokio::test]
async fn an_external_id_stands_in_the_path() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for path in ["clients", "companies"] {
        let put = async |id: &str, body: Value| {
            let address = format!("/api/crm/{path}/by-external-id/erp/{id}");
            server.call("PUT", &address).by(&una).json(&body).send().await
        };
        let made = put("A%2F7%20b", json!({"name": "One"})).await;
        assert_eq!(
            (made.status.as_u16(), &made.json()["external_ids"]),
            (200, &json!({"erp": "A/7 b"})),
            "{}",
            made.text()
        );
        let changed = put("A%2F7%20b", json!({"tags": ["x"]})).await;
        assert_eq!((&changed.json()["id"], &changed.json()["version"]), (&made.json()["id"], &json!(2)));
        let nameless = put("8", json!({"tags": ["x"]})).await;
        assert_eq!(nameless.problem(), (422, "validation_failed".to_owned()));
        assert_eq!(nameless.wrong()[0].0, "/name");
        let unknown = put("8", json!({"name": "x", "shoe": 1})).await;
        assert_eq!((unknown.problem().0, unknown.wrong()[0].0.as_str()), (422, "/shoe"));
    }
}
