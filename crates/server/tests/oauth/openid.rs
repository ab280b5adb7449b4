//! Google's protocol: an ID token counts if everything about it does.

use std::sync::OnceLock;

use dealwright_connectors::oauth::Google;
use dealwright_peers::SignInPeer;
use serde_json::{Value, json};

use crate::{Away, Server, client, encoded, header, http, parameter, peer};

/// One provider for all of these tests.
async fn provider() -> &'static str {
    static PROVIDER: OnceLock<SignInPeer> = OnceLock::new();
    peer(|| Ok(PROVIDER.get_or_init(|| SignInPeer::forging().unwrap()).url.as_str())).await
}

async fn server() -> Server {
    Server::start(Google::new(client(), Some(provider().await), http()).unwrap()).await
}

/// Signs in at the provider, whose ID token will hold these claims and be forged so; where it sends the browser back to.
async fn sign_in(server: &Server, away: &Away, claims: &Value, forge: &str) -> String {
    let address = format!("{}&claims={}&forge={forge}", away.location, encoded(&claims.to_string()));
    header(&server.client.get(address).send().await.unwrap(), "location")
}

fn una() -> Value {
    json!({ "sub": "una", "email": "una@acme.example", "email_verified": true, "name": "Una" })
}

/// What becomes of a browser whose ID token is `una`'s with these claims.
async fn outcome(server: &Server, claims: Value, forge: &str) -> Result<String, String> {
    let away = server.away().await;
    let mut all = una();
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let callback = sign_in(server, &away, &all, forge).await;
    server.back(&away.cookie, &callback).await
}

/// ASVS 10.5.2.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_let_in_by_what_the_provider_signs() {
    let server = server().await;
    let away = server.away().await;
    let asked = |name: &str| parameter(&away.location, name).unwrap_or_default();
    assert_eq!((asked("response_type").as_str(), asked("code_challenge_method").as_str()), ("code", "S256"));
    assert_eq!(asked("scope"), "openid+email+profile");
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked(secret).len(), 43, "{secret} of {}", away.location);
    }
    let callback = sign_in(&server, &away, &una(), "").await;
    let location = server.back(&away.cookie, &callback).await.unwrap();
    let signed_in = server.trade(&away.cookie, &location).await;
    assert_eq!((&signed_in["user"]["email"], &signed_in["user"]["name"]), (&json!("una@acme.example"), &json!("Una")));
    // A callback that comes again is refused.
    assert_eq!(server.back(&away.cookie, &callback).await, Err("invalid_oauth_state".to_owned()));
    // The same person is known the next time.
    let away = server.away().await;
    let callback = sign_in(&server, &away, &una(), "").await;
    let location = server.back(&away.cookie, &callback).await.unwrap();
    assert_eq!(server.trade(&away.cookie, &location).await["user"]["id"], signed_in["user"]["id"]);
}

/// ASVS 10.5.1 to 10.5.4 and 9.1: each of these tokens is right but for one thing.
/// ASVS 6.8.2.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_that_is_wrong_in_one_thing_lets_nobody_in() {
    let server = server().await;
    let refused = |code: &str| Ok(format!("/healthz#oauth_error={code}"));
    for (claims, forge) in [
        (json!({ "nonce": "of-another-sign-in" }), ""),
        (json!({ "nonce": null }), ""),
        (json!({ "aud": "somebody-else" }), ""),
        (json!({ "aud": ["crm", "somebody-else"] }), ""),
        (json!({ "iss": "https://evil.example" }), ""),
        (json!({ "exp": 1_700_000_000, "iat": 1_699_999_000 }), ""),
        (json!({ "iat": 4_000_000_000_u64, "exp": 4_000_003_600_u64 }), ""),
        (json!({}), "none"),
        (json!({}), "signature"),
    ] {
        let found = outcome(&server, claims.clone(), forge).await;
        assert_eq!(found, refused("invalid_provider_answer"), "{claims} {forge}");
    }
    for claims in [json!({ "email_verified": false }), json!({ "email_verified": null })] {
        assert_eq!(outcome(&server, claims, "").await, refused("email_unverified"));
    }
    // Nothing but that was wrong.
    let found = outcome(&server, json!({}), "").await.unwrap();
    assert!(found.starts_with("/healthz#oauth_code="), "{found}");
}

/// ASVS 10.2.1: a code counts with the state, the verifier and the browser that it was asked for with.
/// ASVS 10.2.2.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_another_sign_in_lets_nobody_in() {
    let server = server().await;
    let (mine, theirs) = (server.away().await, server.away().await);
    let callback = sign_in(&server, &theirs, &una(), "").await;
    // Their whole callback in my browser.
    assert_eq!(server.back(&mine.cookie, &callback).await, Err("invalid_oauth_state".to_owned()));
    // Their code with my state: my verifier is of another challenge, my nonce of another token.
    let code = parameter(&callback, "code").unwrap();
    let state = parameter(&mine.location, "state").unwrap();
    let injected = format!("{}/api/auth/oauth/google/callback?code={code}&state={state}", server.url);
    assert_eq!(
        server.back(&mine.cookie, &injected).await,
        Ok("/healthz#oauth_error=invalid_provider_answer".to_owned())
    );
    // Another issuer's answer is not shown to this one (RFC 9207).
    let away = server.away().await;
    let callback = format!("{}&iss=https%3A%2F%2Fevil.example", sign_in(&server, &away, &una(), "").await);
    let found = server.back(&away.cookie, &callback).await;
    assert_eq!(found, Ok("/healthz#oauth_error=invalid_provider_answer".to_owned()));
}

/// ASVS 16.5.2.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_away_is_told_so() {
    let nobody = dealwright_peers::free_port().unwrap();
    let issuer = format!("http://127.0.0.1:{}", nobody.number);
    let server = Server::start(Google::new(client(), Some(&issuer), http()).unwrap()).await;
    let answer = server.client.get(format!("{}/api/auth/oauth/google/start", server.url)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains("\"unavailable\"") && !text.contains(&issuer), "{text}");
}
