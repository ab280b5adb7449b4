//! The whole way by a browser: our address, the provider's form, back to us, and in.

use dealwright_connectors::oauth::Google;
use dealwright_peers::{Browser, SignInPeer};
use serde_json::json;

use crate::{Server, client, http, peer};

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_signs_in_by_the_providers_form() {
    let (provider, browser) = peer(|| {
        let provider = SignInPeer::with_a_form()?;
        let claims = json!({ "email": "una@acme.example", "email_verified": true, "name": "Una" });
        provider.introduce("una-1", &claims)?;
        Ok((provider, Browser::new()?))
    })
    .await;
    let server = Server::start(Google::new(client(), Some(&provider.url), http()).unwrap()).await;
    let start = format!("{}/api/auth/oauth/google/start?return_to=/healthz", server.url);
    let told = peer(move || browser.sign_in(&start, "sub", "una-1", "oauth_")).await;

    assert!(told["form"].as_str().unwrap().starts_with(&provider.url), "{told:#}");
    assert!(told["url"].as_str().unwrap().starts_with(&format!("{}/healthz#oauth_code=", server.url)), "{told:#}");
    assert_eq!(told["traded"]["status"], 200, "{told:#}");
    assert_eq!(told["traded"]["body"]["user"]["email"], "una@acme.example");
    // From then on the browser's cookies say who it is, which no script sees.
    assert_eq!((&told["profile"]["name"], &told["script_sees"]), (&json!("Una"), &json!("")), "{told:#}");
}
