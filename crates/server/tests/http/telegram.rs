//! Signing in by Telegram over HTTP: its answer stands behind the `#`, which a page of ours brings, and is bound to no attempt.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use chrono::Duration;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::server::{Member, Reply, Server, TELEGRAM_BOT};

/// What Telegram would say behind the `#` of somebody at this second.
fn said(id: u64, at: i64) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(&Sha256::digest(TELEGRAM_BOT)).unwrap();
    let mac = mac.chain_update(format!("auth_date={at}\nfirst_name=Una\nid={id}")).finalize().into_bytes();
    let hash: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let fields = json!({ "id": id, "first_name": "Una", "auth_date": at, "hash": hash });
    format!("tgAuthResult={}", URL_SAFE_NO_PAD.encode(fields.to_string()))
}

/// A browser that was sent there: its cookie, and the query that it comes back with.
async fn away(server: &Server) -> (String, String) {
    let reply = server.call("GET", "/api/auth/oauth/telegram/start?return_to=/me").send().await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let back = reply.header("location").split_once("return_to=").unwrap().1;
    let landing = "https%3A%2F%2Fcrm.acme.example%2Fapi%2Fauth%2Foauth%2Ftelegram%2Flanding%3F";
    let query = back.strip_prefix(landing).unwrap().replace("%3D", "=");
    (reply.header("set-cookie").split(';').next().unwrap().to_owned(), query)
}

async fn back(server: &Server, (cookie, query): &(String, String), said: &str) -> Reply {
    let path = format!("/api/auth/oauth/telegram/callback?{query}&{said}");
    server.call("GET", &path).header("sec-fetch-site", "same-origin").header("cookie", cookie).send().await
}

/// The code that somebody's browser comes back with.
async fn proof(server: &Server, said: &str) -> (String, String) {
    let away = away(server).await;
    let reply = back(server, &away, said).await;
    let code = reply.header("location").strip_prefix("/me#oauth_code=").unwrap().to_owned();
    (away.0, code)
}

async fn trade(server: &Server, (cookie, code): &(String, String)) -> Reply {
    let call = server.call("POST", "/api/auth/oauth/signin").header("sec-fetch-site", "same-origin");
    call.header("cookie", cookie).json(&json!({ "code": code, "organization_name": "Acme" })).send().await
}

#[tokio::test]
async fn whoever_has_linked_telegram_is_let_in_by_it() {
    let server = Server::start().await;
    let now = server.crm.env().now().timestamp();
    let una = server.sign_up("una").await;
    let mail = server.mail("una@acme.example", "Confirm your e-mail address").await;
    let token = mail.text.split_once("/#/verify-email/").unwrap().1.split_whitespace().next().unwrap().to_owned();
    let call = server.call("POST", "/api/auth/verify-email").json(&json!({ "token": token }));
    assert_eq!(call.send().await.status, 204);
    // It tells no address to make somebody new by.
    let (cookie, code) = proof(&server, &said(7, now)).await;
    let proof_of_una = (cookie, code);
    assert_eq!(trade(&server, &proof_of_una).await.problem(), (409, "link_required".to_owned()));
    let call = server.call("POST", "/api/auth/identities").by(&una).header("cookie", &proof_of_una.0);
    let linked = call.json(&json!({ "code": proof_of_una.1 })).send().await;
    assert_eq!((linked.status.as_u16(), &linked.json()["provider"]), (201, &json!("telegram")), "{}", linked.text());

    let again = proof(&server, &said(7, now + 1)).await;
    let reply = trade(&server, &again).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(Member::of(&reply.json()).user, una.user);
}

/// ASVS 10.1.2: whoever reads an answer cannot show it again, and what is old, forged or of another bot counts for nothing.
#[tokio::test]
async fn an_answer_counts_just_now_and_once() {
    let server = Server::start().await;
    let now = server.crm.env().now().timestamp();
    let (mine, theirs) = (away(&server).await, away(&server).await);
    let answer = said(7, now);
    assert!(back(&server, &mine, &answer).await.header("location").starts_with("/me#oauth_code="));
    assert_eq!(back(&server, &mine, &answer).await.problem(), (401, "invalid_oauth_state".to_owned()));
    let fields = URL_SAFE_NO_PAD.decode(answer.strip_prefix("tgAuthResult=").unwrap()).unwrap();
    let mut forged: Value = serde_json::from_slice(&fields).unwrap();
    forged["id"] = json!(8);
    let forged = format!("tgAuthResult={}", URL_SAFE_NO_PAD.encode(forged.to_string()));
    let nothing = "/me#oauth_error=invalid_provider_answer";
    assert_eq!(back(&server, &theirs, &answer).await.header("location"), nothing);
    for (said, expected) in [
        (said(7, now - 300), nothing),
        (said(7, now + 61), nothing),
        (forged, nothing),
        ("code=x".to_owned(), nothing),
        ("tgAuthResult=false".to_owned(), "/me#oauth_error=access_denied"),
    ] {
        assert_eq!(back(&server, &away(&server).await, &said).await.header("location"), expected, "{said}");
    }
    server.clock.advance(Duration::minutes(6));
    assert_eq!(back(&server, &away(&server).await, &answer).await.header("location"), nothing);
}

/// The page runs its own script and nothing else (ASVS 3.4.3).
#[tokio::test]
async fn the_page_that_brings_an_answer_runs_one_script() {
    let server = Server::start().await;
    let reply = server.call("GET", "/api/auth/oauth/telegram/landing?state=x").send().await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!((reply.header("referrer-policy"), reply.header("cache-control")), ("no-referrer", "no-store"));
    let page = reply.text();
    let script = page.split_once("<script>").unwrap().1.split_once("</script>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(script));
    let content = reply.header("content-security-policy");
    assert!(content.starts_with(&format!("default-src 'none'; script-src 'sha256-{hash}';")), "{content}: {hash}");
}
