//! What is true of each noun alike, as clients see it.

use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

/// Asks, and must succeed.
pub async fn ok(server: &Server, by: &Member, method: &str, path: &str, body: Value) -> Value {
    let reply = ask(server, by, method, path, body.clone()).await;
    assert!(reply.status.is_success(), "{method} {path} {body}: {}", reply.text());
    if reply.bytes.is_empty() { Value::Null } else { reply.json() }
}

/// Asks.
pub async fn ask(server: &Server, by: &Member, method: &str, path: &str, body: Value) -> Reply {
    let call = server.call(method, path).by(by);
    if body.is_null() { call } else { call.json(&body) }.send().await
}

/// The members called `name` of the items of a list.
pub async fn listed(server: &Server, by: &Member, path: &str, name: &str) -> Vec<Value> {
    let page = ok(server, by, "GET", path, Value::Null).await;
    page["data"].as_array().unwrap().iter().map(|item| item[name].clone()).collect()
}

/// Makes one, edits it with its entity tag, is refused with an old one, deletes it. Answers its address.
pub async fn lives(server: &Server, by: &Member, at: &str, new: Value, patch: Value) -> String {
    let made = ask(server, by, "POST", at, new).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, "\"1\""), "{at}: {}", made.text());
    let path = made.header("location").to_owned();
    assert!(path.ends_with(made.json()["id"].as_str().unwrap()), "{path}");
    let edit = async |tag: &str| server.call("PATCH", &path).by(by).header("if-match", tag).json(&patch).send().await;
    let edited = edit("\"1\"").await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"2\""), "{path}: {}", edited.text());
    for (name, value) in patch.as_object().unwrap() {
        assert_eq!(edited.json()[name], *value, "{path}");
    }
    assert_eq!(edit("\"1\"").await.problem(), (412, "precondition_failed".to_owned()), "{path}");
    assert_eq!(ok(server, by, "GET", &path, Value::Null).await, edited.json(), "{path}");
    let stale = server.call("DELETE", &path).by(by).header("if-match", "\"1\"").send().await;
    assert_eq!(stale.status, 412, "{path}");
    assert_eq!(server.call("DELETE", &path).by(by).header("if-match", "\"2\"").send().await.status, 204, "{path}");
    assert_eq!(ask(server, by, "GET", &path, Value::Null).await.status, 404, "{path}");
    path
}

/// Brings a deleted one back, and it is in its list again.
pub async fn returns(server: &Server, by: &Member, at: &str, path: &str) {
    assert_eq!(listed(server, by, at, "id").await, Vec::<Value>::new(), "{at}");
    let back = ask(server, by, "POST", &format!("{path}/restore"), Value::Null).await;
    assert_eq!(back.status, 200, "{path}: {}", back.text());
    assert_eq!(ok(server, by, "GET", path, Value::Null).await, back.json());
    assert_eq!(listed(server, by, at, "id").await, [back.json()["id"].clone()]);
}

/// A batch of which one item is odd in each way: it alone fails, with its place.
pub async fn batches(server: &Server, by: &Member, at: &str) {
    let items = json!({"items": [
        {"ref": "a", "name": "One"}, {"ref": "b", "name": "\u{7}"}, {"ref": 3, "name": "x"}, "x", {"name": "Two"},
    ]});
    let outcome = ok(server, by, "POST", &format!("{at}/batch"), items).await;
    let of =
        |item: &Value| (item["ref"].clone(), item["error"]["errors"][0]["pointer"].clone(), item["id"].is_string());
    let outcomes: Vec<_> = outcome["items"].as_array().unwrap().iter().map(of).collect();
    let none = Value::Null;
    assert_eq!(
        outcomes,
        [
            (json!("a"), none.clone(), true),
            (json!("b"), json!("/name"), false),
            (none.clone(), json!("/ref"), false),
            (none.clone(), json!(""), false),
            (none.clone(), none, true),
        ],
        "{outcome}"
    );
}
