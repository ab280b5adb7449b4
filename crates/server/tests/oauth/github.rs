//! What looks like GitHub: a form, a code, and an API that tells who one is.

use dealwright_connectors::oauth::GitHub;
use dealwright_peers::SignInPeer;
use serde_json::json;

use crate::{Away, Server, client, header, http, parameter, peer};

/// Fills the provider's form in as somebody; where it sends the browser back to.
async fn sign_in(server: &Server, provider: &str, away: &Away, email: &str) -> String {
    let mut form: Vec<String> =
        ["client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"]
            .iter()
            .map(|name| format!("{name}={}", parameter(&away.location, name).unwrap()))
            .collect();
    form.push(format!("email={}", crate::encoded(email)));
    let request = server.client.post(format!("{provider}/login/oauth/authorize")).body(form.join("&"));
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert!(answer.status().is_redirection(), "{}", answer.status());
    header(&answer, "location")
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_is_let_in_by_their_verified_primary_address() {
    let peer = peer(SignInPeer::github).await;
    let provider = GitHub::new(client(), Some(&peer.url), Some(&format!("{}/api", peer.url)), http()).unwrap();
    let server = Server::start(provider).await;

    let away = server.away().await;
    assert_eq!(parameter(&away.location, "code_challenge_method").unwrap(), "S256");
    let callback = sign_in(&server, &peer.url, &away, "max@acme.example").await;
    let location = server.back(&away.cookie, &callback).await.unwrap();
    let signed_in = server.trade(&away.cookie, &location).await;
    assert_eq!((&signed_in["user"]["email"], &signed_in["user"]["name"]), (&json!("max@acme.example"), &json!("Max")));
    assert_eq!(server.back(&away.cookie, &callback).await, Err("invalid_oauth_state".to_owned()));

    // Whose address GitHub does not vouch for is refused, and so is a code that is none.
    let away = server.away().await;
    let callback = sign_in(&server, &peer.url, &away, "unverified@acme.example").await;
    let found = server.back(&away.cookie, &callback).await;
    assert_eq!(found, Ok("/healthz#oauth_error=email_unverified".to_owned()));
    let away = server.away().await;
    let state = parameter(&away.location, "state").unwrap();
    let forged = format!("{}/api/auth/oauth/github/callback?state={state}&code=forged", server.url);
    let found = server.back(&away.cookie, &forged).await;
    assert_eq!(found, Ok("/healthz#oauth_error=invalid_provider_answer".to_owned()));
    // Who changes their mind is told so.
    let away = server.away().await;
    let state = parameter(&away.location, "state").unwrap();
    let denied = format!("{}/api/auth/oauth/github/callback?state={state}&error=access_denied", server.url);
    let found = server.back(&away.cookie, &denied).await;
    assert_eq!(found, Ok("/healthz#oauth_error=access_denied".to_owned()));
}
