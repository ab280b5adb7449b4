//! What no client of ours sends: too much of it, and what would be something else in a header, a log or a browser.

use dealwright_server::{route::Verb, routes::routes, shell::SHELL_ROUTES};
use serde_json::json;

use crate::server::Server;

/// OWASP ASVS 5.0, 4.2.5.
#[tokio::test]
async fn oversized_headers_and_addresses_are_refused() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let large = "x".repeat(15_000);
    assert_eq!(server.call("GET", "/docs").header("x-large", &large).send().await.status, 200);
    for name in ["user-agent", "cookie", "x-forwarded-for", "x-request-id", "idempotency-key"] {
        let call =
            server.call("GET", "/api/users/profile").by(&una).header(name, &large).header("x-more", &large[..2_000]);
        assert_eq!(call.send().await.problem(), (431, "headers_too_large".to_owned()), "{name}");
    }
    for path in [format!("/api/crm/clients?q={}", "x".repeat(8_200)), format!("/{}", "x".repeat(8_200))] {
        assert_eq!(server.call("GET", &path).by(&una).send().await.problem(), (414, "uri_too_long".to_owned()));
    }
}

/// OWASP ASVS 5.0, 16.4.1 and 1.2.1: what a client sends stands in no header of ours as it came.
#[tokio::test]
async fn no_header_of_ours_is_written_by_a_client() {
    let server = Server::start().await;
    for odd in ["a b", "a;b", "<x>", "a\tb", "a\u{e9}b", "a,b", "%0d%0aset-cookie:x=y", "", "../../x"] {
        let reply = server.call("GET", "/healthz").header("x-request-id", odd).send().await;
        let id = reply.header("x-request-id");
        assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{odd:?} became {id}");
    }
    let hostile = "evil.example";
    for path in ["/healthz", "/nowhere", "/docs", "/api/users/profile"] {
        let call = server.call("GET", path).header("host", hostile).header("x-forwarded-host", hostile);
        let call = call.header("origin", "https://evil.example").header("referer", "https://evil.example/");
        let reply = call.header("x-forwarded-proto", "https://evil.example").send().await;
        let headers = format!("{:?}", reply.headers);
        assert!(!headers.contains("evil") && !reply.text().contains("evil"), "{path}: {headers} {}", reply.text());
    }
}

/// OWASP ASVS 5.0, 3.7.2: no redirect takes its target from the request, whatever a client hopes. Those of signing in by a
/// provider, which go to pages of ours, are in `providers`.
#[tokio::test]
async fn nobody_is_sent_to_where_a_request_says() {
    let server = Server::start().await;
    let una = server.sign_up("una").await;
    let target = "https%3A%2F%2Fevil.example";
    let query = format!("?next={target}&redirect={target}&return_to={target}&url={target}&redirect_uri={target}");
    let all = routes().map(|it| (it.method, it.path)).chain(SHELL_ROUTES.iter().map(|it| (it.method, it.path)));
    let mut asked = 0;
    for (_, path) in all.filter(|(method, _)| *method == Verb::Get) {
        let path = path.replace(['{', '}'], "");
        for by in [None, Some(&una)] {
            let mut call = server.call("GET", &format!("{path}{query}")).header("host", "evil.example");
            if let Some(by) = by {
                call = call.by(by);
            }
            let reply = call.send().await;
            assert!(!reply.status.is_redirection() && !reply.headers.contains_key("location"), "{path}");
            asked += 1;
        }
    }
    assert!(asked > 80, "{asked}");
    for path in ["//evil.example", "/%2F%2Fevil.example", "/\\evil.example", "/api//evil.example/..", "/docs/"] {
        let reply = server.call("GET", path).header("host", "evil.example").send().await;
        assert_eq!(reply.status, 404, "{path}");
    }
    // Where something new is found is a path of ours.
    let call = server.call("POST", "/api/crm/clients").by(&una).header("host", "evil.example");
    let reply = call.json(&json!({"name": "//evil.example"})).send().await;
    assert!(reply.header("location").starts_with("/api/crm/clients/"), "{:?}", reply.headers);
}
