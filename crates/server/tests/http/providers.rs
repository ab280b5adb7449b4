//! Signing in by a provider over HTTP: where a browser is sent, what it keeps, and what it may come back with.

use dealwright::testkit::voucher::code_for;
use dealwright_server::{Options, origins::Origins};
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

/// A browser that was sent to the provider.
struct Away {
    state: String,
    cookie: String,
}

async fn start(server: &Server, query: &str) -> Reply {
    server.call("GET", &format!("/api/auth/oauth/google/start{query}")).send().await
}

async fn away(server: &Server, query: &str) -> Away {
    let reply = start(server, query).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let state = reply.header("location").strip_prefix("https://provider.example/authorize?state=").unwrap().to_owned();
    let cookie = reply.header("set-cookie").split(';').next().unwrap().to_owned();
    Away { state, cookie }
}

async fn back(server: &Server, state: &str, cookie: &str, code: &str) -> Reply {
    let code: String = code.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/api/auth/oauth/google/callback?state={state}&code={code}");
    // It comes from another site.
    server.call("GET", &path).header("sec-fetch-site", "cross-site").header("cookie", cookie).send().await
}

/// The code that a browser comes back with for somebody.
async fn proof(server: &Server, subject: &str, email: &str) -> (String, String) {
    let away = away(server, "").await;
    let reply = back(server, &away.state, &away.cookie, &code_for(subject, Some(email), true)).await;
    let code = reply.header("location").strip_prefix("/#oauth_code=").unwrap().to_owned();
    (away.cookie, code)
}

async fn trade(server: &Server, cookie: &str, body: &Value) -> Reply {
    let call = server.call("POST", "/api/auth/oauth/signin").header("sec-fetch-site", "same-origin");
    call.header("cookie", cookie).json(body).send().await
}

/// ASVS 3.3.1.
#[tokio::test]
async fn a_browser_goes_there_comes_back_and_is_let_in() {
    let server = Server::start().await;
    let reply = start(&server, "?return_to=%2F%23%2Finbox").await;
    let set = reply.header("set-cookie");
    assert!(set.starts_with("__Host-dealwright_login="), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=1200; Secure; HttpOnly; SameSite=Lax"), "{set}");

    let away = away(&server, "?return_to=%2F%23%2Finbox").await;
    let reply = back(&server, &away.state, &away.cookie, &code_for("g-1", Some("una@acme.example"), true)).await;
    assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (303, "no-store"));
    let code = reply.header("location").strip_prefix("/#/inbox?oauth_code=").unwrap().to_owned();
    let reply = trade(&server, &away.cookie, &json!({"code": code, "organization_name": "Acme"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2, "a browser keeps the tokens");
    let una = Member::of(&reply.json());
    let profile = server.call("GET", "/api/users/profile").by(&una).send().await.json();
    assert_eq!((&profile["email"], &profile["email_verified"]), (&json!("una@acme.example"), &json!(true)));

    let all = server.call("GET", "/api/auth/identities").by(&una).send().await.json();
    let id = all["data"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/auth/identities/{id}");
    let reply = server.call("DELETE", &path).by(&una).send().await;
    assert_eq!(reply.problem(), (409, "last_way_in".to_owned()));
    let (cookie, code) = proof(&server, "g-2", "other@acme.example").await;
    let call = server.call("POST", "/api/auth/identities").by(&una).header("cookie", &cookie);
    let linked = call.json(&json!({"code": code})).send().await;
    assert_eq!((linked.status.as_u16(), &linked.json()["provider"]), (201, &json!("google")));
    assert_eq!(server.call("DELETE", &path).by(&una).send().await.status, 204);
}

/// ASVS 10.2.1.
#[tokio::test]
async fn what_does_not_count_is_told_to_the_page_or_to_nobody() {
    let server = Server::start().await;
    let code = code_for("g-1", Some("una@acme.example"), true);
    for (answered, expected) in [
        (code_for("g-1", Some("una@acme.example"), false), "/inbox#oauth_error=email_unverified"),
        ("nonsense".to_owned(), "/inbox#oauth_error=invalid_provider_answer"),
    ] {
        let away = away(&server, "?return_to=/inbox").await;
        let reply = back(&server, &away.state, &away.cookie, &answered).await;
        assert_eq!((reply.status.as_u16(), reply.header("location")), (303, expected));
        // It came back once.
        let reply = back(&server, &away.state, &away.cookie, &code).await;
        assert_eq!(reply.problem(), (401, "invalid_oauth_state".to_owned()));
    }
    // Whose page it would be is not known of what was not begun here.
    let (here, other) = (away(&server, "").await, away(&server, "").await);
    for (state, cookie) in [(&here.state, "a=b"), (&here.state, other.cookie.as_str()), (&"x".to_owned(), &here.cookie)]
    {
        let reply = back(&server, state, cookie, &code).await;
        assert_eq!(reply.problem(), (401, "invalid_oauth_state".to_owned()));
    }
    let twice = format!("/api/auth/oauth/google/callback?state={0}&state={0}", here.state);
    let reply = server.call("GET", &twice).header("cookie", &here.cookie).send().await;
    assert_eq!(reply.problem(), (400, "invalid_parameter".to_owned()));
    let reply = server.call("GET", "/api/auth/oauth/gogle/start").send().await;
    assert_eq!(reply.problem(), (404, "unknown_provider".to_owned()));
    let reply = trade(&server, &here.cookie, &json!({"code": "made-up"})).await;
    assert_eq!(reply.problem(), (401, "invalid_oauth_code".to_owned()));
}

/// OWASP ASVS 5.0, 3.7.2.
#[tokio::test]
async fn nobody_is_sent_on_to_a_strangers_page() {
    let origins = Origins::read(&["https://app.acme.example".to_owned()]).unwrap();
    let server = Server::with(Options::default().origins(origins)).await;
    for bad in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "javascript%3Aalert(1)", ""] {
        let reply = start(&server, &format!("?return_to={bad}")).await;
        assert_eq!(reply.problem(), (400, "invalid_parameter".to_owned()), "{bad}");
        assert_eq!(reply.wrong()[0].0, "/return_to");
        assert!(!reply.headers.contains_key("location") && !reply.headers.contains_key("set-cookie"));
    }
    let away = away(&server, "?return_to=https%3A%2F%2Fapp.acme.example%2Fa").await;
    let reply = back(&server, &away.state, &away.cookie, &code_for("g-1", Some("una@acme.example"), true)).await;
    assert!(reply.header("location").starts_with("https://app.acme.example/a#oauth_code="));
}

/// An address alone opens no account (ASVS 6.8.1), and another site signs nobody in.
/// ASVS 7.6.2.
#[tokio::test]
async fn a_code_is_traded_in_by_our_own_pages_alone() {
    let server = Server::start().await;
    server.sign_up("una").await;
    let (cookie, code) = proof(&server, "g-1", "una@acme.example").await;
    let body = json!({"code": code, "organization_name": "Acme"});
    assert_eq!(trade(&server, &cookie, &body).await.problem(), (409, "link_required".to_owned()));
    let call = server.call("POST", "/api/auth/oauth/signin").header("sec-fetch-site", "cross-site");
    let reply = call.header("cookie", &cookie).json(&body).send().await;
    assert_eq!(reply.problem(), (403, "cross_site_request".to_owned()));
}
