use axum::body::Body;
use bytes::Bytes;
use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for body in ["{", "{\"name\":}", "{\"name\":\"\u{1}\"}", "nul", "{\"name\": 1e999}"] {
        let call = server.call("POST", "/api/crm/clients").by(&una).header("content-type", "application/json");
        let reply = call.body(body).send().await;
        assert_eq!(reply.problem(), (400, "malformed_json".to_owned()), "{body}");
    }
    let call = server.call("POST", "/api/crm/clients").by(&una).header("content-type", "application/json");
    assert_eq!(call.body(&b"{\"name\":\"\xff\"}"[..]).send().await.status, 400);
}

#[tokio::test]
async fn json_that_is_wrong_is_refused_with_pointers() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for (body, pointer, code) in [
        (json!([]), "", "invalid"),
        (json!({}), "/name", "required"),
        (json!({"name": 7}), "/name", "invalid"),
        (json!({"name": "Ada", "nope": 1}), "/nope", "unknown"),
        (json!({"name": "Ada", "allow_duplicate": true}), "/allow_duplicate", "unknown"),
        (json!({"name": "a\u{0}b"}), "/name", "invalid"),
        (json!({"name": "Ada", "handles": {"telegram": "a\u{1b}b"}}), "/handles/telegram", "invalid"),
        (json!({"name": "Ada", "emails": ["ada@acme.example", "nope"]}), "/emails/1", "invalid"),
    ] {
        let reply = server.call("POST", "/api/crm/clients").by(&una).json(&body).send().await;
        assert_eq!(reply.problem(), (422, "validation_failed".to_owned()), "{body}");
        assert_eq!(reply.wrong()[0], (pointer.to_owned(), code.to_owned()), "{body}");
    }
}

/// ASVS 3.5.2.
#[tokio::test]
async fn another_media_type_is_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/merge-patch+json"] {
        let call = server.call("POST", "/api/crm/clients").by(&una).header("content-type", media_type);
        let reply = call.body("{\"name\":\"Ada\"}").send().await;
        assert_eq!(reply.problem(), (415, "unsupported_media_type".to_owned()), "{media_type}");
    }
    let reply = server.call("POST", "/api/crm/clients").by(&una).body("{\"name\":\"Ada\"}").send().await;
    assert_eq!(reply.status, 415);
    let call = server.call("POST", "/api/crm/clients").by(&una);
    let call = call.header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(call.body("{\"name\":\"Ada\"}").send().await.status, 201);
}

/// ASVS 5.2.1.
#[tokio::test]
async fn a_body_that_is_too_large_is_drained_and_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let piece = Bytes::from(vec![b' '; 1 << 16]);
    for pieces in [17_usize, 100, 1000] {
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = taken.clone();
        let pieces_of = piece.clone();
        let stream = futures::stream::iter((0..pieces).map(move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok::<_, std::io::Error>(pieces_of.clone())
        }));
        let call = server.call("POST", "/api/crm/clients").by(&una).header("content-type", "application/json");
        let reply = call.body(Body::from_stream(stream)).send().await;
        assert_eq!(reply.problem(), (413, "too_large".to_owned()));
        // 8 MiB are 128 pieces; one more shows that there is more.
        assert_eq!(taken.load(std::sync::atomic::Ordering::Relaxed), pieces.min(129));
    }
}

/// ASVS 15.3.3.
#[tokio::test]
async fn a_call_without_a_body_takes_none() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let id = server.call("POST", "/api/crm/clients").by(&una).json(&json!({"name": "Ada"})).send().await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(server.call("DELETE", &format!("/api/crm/clients/{id}")).by(&una).send().await.status, 204);
    let restore = format!("/api/crm/clients/{id}/restore");
    let reply = server.call("POST", &restore).by(&una).json(&json!({"name": "Eve"})).send().await;
    assert_eq!(reply.wrong(), [("/name".to_owned(), "unknown".to_owned())]);
    assert_eq!(server.call("POST", &restore).by(&una).json(&json!({})).send().await.status, 200);
}
