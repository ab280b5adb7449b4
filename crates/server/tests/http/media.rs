use serde_json::json;

use crate::server::{Member, Reply, Server};

async fn upload(server: &Server, by: &Member, media_type: &str, body: impl Into<Vec<u8>>) -> Reply {
    let call = server.call("POST", "/api/media?name=note%20%C3%A4.html").by(by).header("content-type", media_type);
    call.body(body.into()).send().await
}

/// ASVS 3.2.1 and 5.4.1.
#[tokio::test]
async fn a_file_comes_back_whole_in_part_and_harmless() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let made = upload(&server, &una, "text/html; charset=utf-8", "0123456789").await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!((&made.json()["name"], &made.json()["size"]), (&json!("note ä.html"), &json!(10)));
    let path = made.header("location").to_owned();

    let whole = server.call("GET", &path).by(&una).send().await;
    assert_eq!((whole.status.as_u16(), whole.text().as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-type"), "text/html");
    assert_eq!(whole.header("x-content-type-options"), "nosniff");
    assert!(whole.header("content-disposition").starts_with("attachment; "), "{:?}", whole.headers);
    assert!(whole.header("content-security-policy").contains("sandbox"));

    let get =
        async |name: &'static str, value: &str| server.call("GET", &path).by(&una).header(name, value).send().await;
    let part = get("range", "bytes=-3").await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "789"));
    assert_eq!(part.header("content-range"), "bytes 7-9/10");
    let beyond = get("range", "bytes=10-").await;
    assert_eq!(beyond.problem(), (416, "range_not_satisfiable".to_owned()));
    assert_eq!(beyond.header("content-range"), "bytes */10");
    assert_eq!(get("if-none-match", whole.header("etag")).await.status, 304);

    let eve = server.sign_up("eve").await;
    assert_eq!(server.call("GET", &path).by(&eve).send().await.status, 404);
    assert_eq!(server.call("GET", &path).send().await.status, 401);
}

#[tokio::test]
async fn a_form_brings_one_file() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let part = |name: &str| {
        format!("--b\r\nContent-Disposition: form-data; {name}\r\nContent-Type: image/png\r\n\r\n0123\r\n")
    };
    let send = async |body: String| upload(&server, &una, "multipart/form-data; boundary=b", body).await;
    let made = send(part("name=\"file\"; filename=\"a.png\"") + "--b--\r\n").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let expected = json!({"id": made.json()["id"], "name": "a.png", "type": "image/png", "size": 4});
    assert_eq!(made.json(), expected);
    for (body, status) in [
        (part("name=\"file\"; filename=\"a\"") + &part("name=\"file\"; filename=\"b\"") + "--b--\r\n", 422),
        (part("name=\"text\"") + "--b--\r\n", 422),
        ("--b--\r\n".to_owned(), 422),
        (part("name=\"file\"; filename=\"a\""), 400),
        ("nonsense".to_owned(), 400),
    ] {
        assert_eq!(send(body.clone()).await.status, status, "{body}");
    }
}

#[tokio::test]
async fn an_upload_with_a_key_is_kept_once() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let send = async |body: &'static str| {
        let call = server.call("POST", "/api/media").by(&una).header("idempotency-key", "k");
        call.header("content-type", "text/plain").body(body).send().await
    };
    let (first, again) = (send("one").await, send("one").await);
    assert_eq!((first.status, first.json()), (again.status, again.json()));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(send("two").await.problem(), (422, "idempotency_key_reused".to_owned()));
}

/// ASVS 5.2.1.
#[tokio::test]
async fn a_file_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let reply = upload(&server, &una, "text/plain", vec![b'x'; (25 << 20) + 1]).await;
    assert_eq!(reply.problem(), (413, "too_large".to_owned()));
}
