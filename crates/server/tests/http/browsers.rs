//! Browsers: cookies, who may make them send theirs, and what every answer tells them (OWASP ASVS 5.0, chapter 3).

use chrono::Duration;
use dealwright_server::{
    Options,
    client::TrustedProxies,
    cookies::{ACCESS, REFRESH},
    origins::Origins,
};
use serde_json::{Value, json};

use crate::server::{Member, Reply, Server};

const APP: &str = "https://app.acme.example";

async fn server() -> Server {
    let origins = Origins::read(&[APP.to_owned()]).unwrap();
    let proxies = TrustedProxies::read(&["10.0.0.1".to_owned()]).unwrap();
    Server::with(Options::default().origins(origins).trusted_proxies(proxies)).await
}

async fn sign_up(server: &Server, name: &str) -> Reply {
    let input = json!({
        "email": format!("{name}@acme.example"), "password": "correct horse", "name": name, "organization_name": "Acme",
    });
    let reply = server.call("POST", "/api/auth/signup").json(&input).send().await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply
}

/// OWASP ASVS 5.0, 3.3.1 to 3.3.4.
#[tokio::test]
async fn signing_in_sets_cookies_that_no_script_and_no_other_host_gets() {
    let server = server().await;
    let signed_up = sign_up(&server, "una").await;
    let input = json!({"email": "una@acme.example", "password": "correct horse"});
    let signed_in = server.call("POST", "/api/auth/signin").json(&input).send().await;
    for reply in [&signed_up, &signed_in] {
        let answer = reply.json();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let set: Vec<_> = reply.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
        let rest = "Secure; HttpOnly; SameSite=Lax";
        assert_eq!(
            set,
            [
                format!("__Host-dealwright_access={}; Path=/; Max-Age=900; {rest}", text("access_token")),
                format!(
                    "__Secure-dealwright_refresh={}; Path=/api/auth; Max-Age=2592000; {rest}",
                    text("refresh_token")
                ),
            ]
        );
    }
    let profile = server.call("GET", "/api/users/profile").cookies(&signed_up).send().await;
    assert_eq!(profile.json()["email"], "una@acme.example");
    assert!(profile.header("ratelimit").starts_with("\"user\""), "who shows a cookie is counted as the user");
    // An Authorization header goes before; one that does not count is not helped by a cookie.
    let call = server.call("GET", "/api/users/profile").cookies(&signed_up).header("authorization", "Bearer made-up");
    assert_eq!(call.send().await.status, 401);
    let call = server.call("GET", "/api/users/profile").header("cookie", &format!("{ACCESS}=made-up"));
    assert_eq!(call.send().await.problem(), (401, "invalid_token".to_owned()));
    // The refresh token is no access token.
    let refresh = signed_up.json()["refresh_token"].as_str().unwrap().to_owned();
    let call = server.call("GET", "/api/users/profile").header("cookie", &format!("{REFRESH}={refresh}"));
    assert_eq!(call.send().await.status, 401);
}

/// OWASP ASVS 5.0, 3.5.1 to 3.5.3.
#[tokio::test]
async fn another_site_cannot_have_a_browser_change_anything_with_its_cookies() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let site = "sec-fetch-site";
    let (host, origin) = ("host", "origin");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[(site, "same-origin")], 201),
        (&[(site, "none")], 201),
        (&[(site, "cross-site")], 403),
        (&[(site, "same-site")], 403),
        (&[(site, "same-origin, cross-site")], 403),
        (&[(site, "cross-site"), ("x-requested-with", "fetch")], 403),
        (&[(site, "cross-site"), (origin, "https://evil.example")], 403),
        (&[(site, "cross-site"), (origin, APP)], 201),
        // Browsers without Fetch metadata.
        (&[(host, "crm.acme.example"), (origin, "http://crm.acme.example")], 201),
        (&[(host, "crm.acme.example:8080"), (origin, "http://crm.acme.example:8080")], 201),
        (&[(host, "crm.acme.example"), (origin, "http://crm.acme.example.evil.example")], 403),
        (&[(host, "crm.acme.example"), (origin, "http://crm.acme.example:8080")], 403),
        (&[(host, "crm.acme.example"), (origin, "https://evil.example")], 403),
        (&[(host, "crm.acme.example"), (origin, "null")], 403),
        (&[(host, "crm.acme.example"), (origin, APP)], 201),
        (&[(host, "crm.acme.example"), (origin, "https://app.acme.example.evil.example")], 403),
        // Neither: a form of another site cannot set a header.
        (&[], 403),
        (&[("x-requested-with", "")], 403),
        (&[("x-requested-with", "fetch")], 201),
    ];
    for (place, (headers, status)) in cases.iter().enumerate() {
        let mut call = server.call("POST", "/api/crm/clients").cookies(&una);
        for (name, value) in *headers {
            call = call.header(name, value);
        }
        let reply = call.json(&json!({"name": format!("Ada {place}")})).send().await;
        assert_eq!(reply.status.as_u16(), *status, "{headers:?}: {}", reply.text());
        if *status == 403 {
            assert_eq!(reply.problem().1, "cross_site_request");
        }
        // Whoever shows a token is asked nothing of it.
        let mut call = server.call("POST", "/api/crm/clients").by(&Member::of(&una.json()));
        for (name, value) in *headers {
            call = call.header(name, value);
        }
        let reply = call.json(&json!({"name": format!("Bob {place}")})).send().await;
        assert_eq!(reply.status, 201, "{headers:?}: {}", reply.text());
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let call = server.call(method, "/api/users/profile").cookies(&una).header(site, "cross-site");
        assert_eq!(call.json(&json!({})).send().await.problem().1, "cross_site_request", "{method}");
    }
    // What only looks may be asked for from anywhere; who reads the answer is CORS's to say.
    let call = server.call("GET", "/api/users/profile").cookies(&una).header(site, "cross-site");
    assert_eq!(call.send().await.status, 200);
}

/// ASVS 3.5.1.
#[tokio::test]
async fn a_page_of_https_is_not_the_same_as_one_of_http() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    for (origin, status) in [("https://crm.acme.example", 201), ("http://crm.acme.example", 403)] {
        let call = server.call("POST", "/api/crm/clients").cookies(&una).from("10.0.0.1");
        let call =
            call.header("x-forwarded-proto", "https").header("host", "crm.acme.example").header("origin", origin);
        assert_eq!(call.json(&json!({"name": "Ada"})).send().await.status, status, "{origin}");
    }
}

/// OWASP ASVS 5.0, 3.5.1: signing somebody in as somebody else is such a call too.
/// ASVS 7.6.2.
#[tokio::test]
async fn another_site_signs_nobody_in() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let input = json!({"email": "una@acme.example", "password": "correct horse"});
    let call = server.call("POST", "/api/auth/signin").header("sec-fetch-site", "cross-site");
    let reply = call.header("origin", "https://evil.example").json(&input).send().await;
    assert_eq!(reply.problem(), (403, "cross_site_request".to_owned()));
    assert!(reply.cookies().is_empty());
    let call = server.call("POST", "/api/auth/refresh").cookies(&una).header("sec-fetch-site", "cross-site");
    assert_eq!(call.send().await.status, 403);
    let call = server.call("POST", "/api/auth/signin").header("origin", APP).header("sec-fetch-site", "cross-site");
    assert_eq!(call.json(&input).send().await.status, 200);
}

/// ASVS 7.2.4.
#[tokio::test]
async fn who_signs_in_ends_the_session_that_the_browser_had() {
    let server = server().await;
    let first = sign_up(&server, "una").await;
    let elsewhere = sign_up(&server, "eve").await;
    let input = json!({"email": "una@acme.example", "password": "correct horse"});
    let sign_in = async |kept: Option<&Reply>, input: &Value| {
        let call = server.call("POST", "/api/auth/signin").header("sec-fetch-site", "same-origin");
        kept.into_iter().fold(call, |call, kept| call.cookies(kept)).json(input).send().await
    };
    let stands = async |by: &Reply| {
        server.call("GET", "/api/users/profile").by(&Member::of(&by.json())).send().await.status == 200
    };
    // Only once the other one has begun.
    let wrong = json!({"email": "una@acme.example", "password": "wrong horse"});
    assert_eq!(sign_in(Some(&first), &wrong).await.status, 401);
    assert!(stands(&first).await);
    let second = sign_in(Some(&first), &input).await;
    assert!(second.status == 200 && stands(&second).await && !stands(&first).await);
    // By a cookie that was spent since, too; who has none ends nothing, nor does one that is made up.
    let next = server.call("POST", "/api/auth/refresh").cookies(&second).header("sec-fetch-site", "same-origin");
    let next = next.send().await;
    let third = sign_in(Some(&second), &input).await;
    assert!(stands(&third).await && !stands(&next).await);
    let fourth = sign_in(None, &input).await;
    let call = server.call("POST", "/api/auth/signin").header("sec-fetch-site", "same-origin");
    let made_up = call.header("cookie", &format!("{REFRESH}=made-up")).json(&input).send().await;
    assert_eq!(made_up.status, 200);
    assert!(stands(&third).await && stands(&fourth).await && stands(&elsewhere).await);
    // Whoever it was.
    let input = json!({"email": "eve@acme.example", "password": "correct horse"});
    assert_eq!(sign_in(Some(&third), &input).await.status, 200);
    assert!(!stands(&third).await && stands(&elsewhere).await);
}

/// ASVS 14.3.1.
#[tokio::test]
async fn a_browser_refreshes_by_its_cookie_alone_and_forgets_when_it_ends() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let own = |path: &str| server.call("POST", path).header("sec-fetch-site", "same-origin");
    server.clock.advance(Duration::minutes(16));
    assert_eq!(server.call("GET", "/api/users/profile").cookies(&una).send().await.problem().1, "token_expired");
    let next = own("/api/auth/refresh").cookies(&una).send().await;
    assert_eq!(next.status, 200, "{}", next.text());
    assert_ne!(next.cookies(), una.cookies());
    assert_eq!(server.call("GET", "/api/users/profile").cookies(&next).send().await.status, 200);

    // The same, and as JSON.
    assert_eq!(own("/api/auth/refresh").cookies(&next).json(&json!({})).send().await.status, 200);
    // Without any, it is said what is missing.
    let reply = own("/api/auth/refresh").json(&json!({})).send().await;
    assert_eq!((reply.status.as_u16(), reply.wrong()[0].0.as_str()), (422, "/refresh_token"));

    server.clock.advance(Duration::seconds(11));
    let spent = own("/api/auth/refresh").cookies(&una).send().await;
    assert_eq!(spent.problem(), (401, "refresh_token_reused".to_owned()));
    assert!(spent.cookies().iter().all(|(_, value)| value.is_empty()) && spent.cookies().len() == 2);

    let eve = sign_up(&server, "eve").await;
    let gone = own("/api/auth/signout").cookies(&eve).send().await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let set: Vec<_> = gone.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
    assert!(set.len() == 2 && set.iter().all(|it| it.contains("=; ") && it.contains("Max-Age=0")), "{set:?}");
    assert_eq!(gone.header("clear-site-data"), "\"cache\", \"storage\"");
    assert_eq!(server.call("GET", "/api/users/profile").cookies(&eve).send().await.problem().1, "session_ended");
}

/// OWASP ASVS 5.0, 3.4.2.
#[tokio::test]
async fn sites_that_are_listed_read_answers_and_others_do_not() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let preflight = async |origin: &str| {
        let call = server.call("OPTIONS", "/api/crm/clients").header("origin", origin);
        let call = call.header("access-control-request-method", "POST");
        call.header("access-control-request-headers", "content-type,idempotency-key").send().await
    };
    let reply = preflight(APP).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), APP);
    assert_eq!(reply.header("access-control-allow-credentials"), "true");
    assert!(reply.header("access-control-allow-methods").contains("PATCH"), "{:?}", reply.headers);
    assert!(reply.header("access-control-allow-headers").contains("idempotency-key"), "{:?}", reply.headers);
    for other in ["https://evil.example", "https://app.acme.example.evil.example", "null", "http://app.acme.example"] {
        assert!(!preflight(other).await.headers.contains_key("access-control-allow-origin"), "{other}");
    }
    let call = server.call("GET", "/api/users/profile").cookies(&una).header("origin", APP);
    let reply = call.header("sec-fetch-site", "cross-site").send().await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (200, APP));
    assert!(reply.header("access-control-expose-headers").contains("ratelimit"), "{:?}", reply.headers);
    assert!(reply.header("vary").to_lowercase().contains("origin"), "{:?}", reply.headers);
    // What is refused is readable too.
    let reply = server.call("GET", "/api/users/profile").header("origin", APP).send().await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (401, APP));

    let closed = Server::start().await;
    let reply = closed.call("GET", "/docs").header("origin", APP).send().await;
    assert!(!reply.headers.contains_key("access-control-allow-origin"));
    let call = closed.call("OPTIONS", "/api/crm/clients").header("origin", APP);
    assert_eq!(call.header("access-control-request-method", "POST").send().await.status, 405);
}

/// OWASP ASVS 5.0, 3.4.1, 3.4.3 to 3.4.6, 3.4.8 and 14.3.2.
#[tokio::test]
async fn every_answer_guards_itself() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let by = Member::of(&una.json());
    let upload = server.call("POST", "/api/media?name=a.html").by(&by).header("content-type", "text/html");
    let file = upload.body("<script>alert(1)</script>").send().await.json()["id"].as_str().unwrap().to_owned();
    let file = format!("/api/media/{file}");
    for (path, status, policy) in [
        ("/api/users/profile", 200, "default-src 'self'"),
        ("/docs", 200, "default-src 'none'; style-src 'unsafe-inline'"),
        (&file, 200, "default-src 'none'; base-uri 'none'"),
        ("/nowhere", 404, "default-src 'self'"),
        ("/socket.io/?EIO=4&transport=polling", 200, "default-src 'self'"),
    ] {
        let reply = server.call("GET", path).by(&by).send().await;
        assert_eq!(reply.status, status, "{path}");
        let content = reply.header("content-security-policy");
        assert!(content.starts_with(policy), "{path}: {content}");
        for part in ["frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(content.contains(part), "{path}: {content}");
        }
        assert_eq!(content.contains("sandbox"), path == file, "{path}: {content}");
        // What is the same for everybody may be kept.
        let kept = match path {
            "/docs" => "max-age=300",
            _ if path == file => "private, no-cache",
            _ => "no-store",
        };
        assert_eq!(reply.header("cache-control"), kept, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), value, "{path}: {name}");
        }
        assert!(!reply.headers.contains_key("strict-transport-security"), "not over plain HTTP: {path}");
    }
    let secure = |peer: &str| server.call("GET", "/nowhere").from(peer).header("x-forwarded-proto", "https");
    assert_eq!(secure("10.0.0.1").send().await.header("strict-transport-security"), "max-age=31536000");
    assert!(!secure("192.0.2.1").send().await.headers.contains_key("strict-transport-security"));
    let proxies = TrustedProxies::read(&["10.0.0.1".to_owned()]).unwrap();
    let below = Server::with(Options::default().trusted_proxies(proxies).hsts_subdomains(true)).await;
    let reply = below.call("GET", "/nowhere").from("10.0.0.1").header("x-forwarded-proto", "https").send().await;
    assert_eq!(reply.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
}

/// What the client hears of a Socket.IO connection that it opens by polling.
async fn connect(server: &Server, kept: Option<&Reply>, headers: &[(&str, &str)]) -> String {
    let mut call = server.call("GET", "/socket.io/?EIO=4&transport=polling");
    if let Some(kept) = kept {
        call = call.cookies(kept);
    }
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let opened = call.send().await.text();
    let opened: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", opened["sid"].as_str().unwrap());
    let call = server.call("POST", &path).header("content-type", "text/plain;charset=UTF-8");
    assert_eq!(call.body("40").send().await.text(), "ok");
    loop {
        // Beside pings, which ask whether somebody is there.
        let heard = server.call("GET", &path).send().await.text();
        if let Some(packet) = heard.split('\u{1e}').find(|packet| packet.starts_with('4')) {
            return packet.to_owned();
        }
    }
}

/// OWASP ASVS 5.0, 4.4.2 and 4.4.3.
#[tokio::test]
async fn a_live_connection_takes_the_cookie_from_our_own_pages_alone() {
    let server = server().await;
    let una = sign_up(&server, "una").await;
    let own = [("host", "crm.acme.example"), ("origin", "http://crm.acme.example")];
    let foreign = [("host", "crm.acme.example"), ("origin", "https://evil.example")];
    let heard = connect(&server, Some(&una), &own).await;
    assert!(heard.starts_with("40{"), "{heard}");
    assert!(connect(&server, Some(&una), &[("origin", APP)]).await.starts_with("40{"));
    assert!(connect(&server, Some(&una), &[("sec-fetch-site", "same-origin")]).await.starts_with("40{"));
    assert!(connect(&server, Some(&una), &foreign).await.contains("cross_site_request"));
    assert!(connect(&server, Some(&una), &[]).await.contains("cross_site_request"));
    assert!(connect(&server, None, &own).await.contains("unauthenticated"));
}
