//! Google, or any other provider of OpenID Connect: who came back stands in an ID token, of which everything is checked
//! (OpenID Connect Core 1.0, 3.1.3.7): signature, issuer, audience, expiry, nonce.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use dealwright::{
    Error, Result,
    ports::sign_in_provider::{Attempt, SignInProvider, Vouched},
};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
    core::{CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType},
};
use tokio::sync::Mutex;

use super::{OAuthClient, OAuthHttp, address, causes, code, not_traded, proves_nothing};

/// Google's own issuer.
const ISSUER: &str = "https://accounts.google.com";
const NAME: &str = "google";
/// How long what the provider publishes of itself is remembered: a new key is published long before it signs.
const REMEMBERED: Duration = Duration::minutes(5);
/// How far a provider's clock may be ahead of ours.
const SKEW: Duration = Duration::minutes(1);

/// What signs: never nothing at all, never a secret that we share (RFC 8725, 2.1 and 3.1).
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// Signing in by a Google account.
#[derive(Debug)]
pub struct Google {
    client: OAuthClient,
    issuer: IssuerUrl,
    http: OAuthHttp,
    published: Mutex<Option<(DateTime<Utc>, CoreProviderMetadata)>>,
}

impl Google {
    /// A client of Google, or of another issuer that speaks the same.
    ///
    /// # Errors
    /// `validation_failed` for an issuer that is no address.
    pub fn new(client: OAuthClient, issuer: Option<&str>, http: OAuthHttp) -> Result<Self> {
        let text = issuer.unwrap_or(ISSUER);
        address(text)?;
        // As it is written: the `iss` of tokens is compared with it letter by letter.
        let issuer = IssuerUrl::new(text.to_owned())
            .map_err(|e| Error::invalid("/address", "invalid", "the issuer is no address").with_source(e))?;
        Ok(Self { client, issuer, http, published: Mutex::new(None) })
    }

    /// What the provider publishes of itself: where to sign in, where to trade a code in, its keys.
    async fn published(&self, now: DateTime<Utc>) -> Result<CoreProviderMetadata> {
        let mut published = self.published.lock().await;
        if let Some((at, known)) = &*published
            && (now - *at).abs() < REMEMBERED
        {
            return Ok(known.clone());
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let found = found.map_err(|e| {
            Error::unavailable(format!("{NAME} does not say how to sign in there")).with_source(causes(&e))
        })?;
        *published = Some((now, found.clone()));
        Ok(found)
    }

    async fn client(&self, attempt: &Attempt) -> Result<Client> {
        let redirect = RedirectUrl::new(attempt.callback.clone())
            .map_err(|e| Error::internal("public_url is no address").with_source(e))?;
        let (id, secret) = (ClientId::new(self.client.id.clone()), ClientSecret::new(self.client.secret.clone()));
        let published = self.published(attempt.now).await?;
        Ok(CoreClient::from_provider_metadata(published, id, Some(secret)).set_redirect_uri(redirect))
    }
}

#[async_trait]
impl SignInProvider for Google {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn begin(&self, attempt: &Attempt) -> Result<String> {
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let (state, nonce) = (CsrfToken::new(attempt.state.clone()), Nonce::new(attempt.nonce.clone()));
        let client = self.client(attempt).await?;
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let (url, _, _) = client
            .authorize_url(flow, move || state, move || nonce)
            .add_scope(Scope::new("email".to_owned()))
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    async fn finish(&self, attempt: &Attempt, answer: &BTreeMap<String, String>) -> Result<Vouched> {
        // Somebody else's answer is not shown to this provider (RFC 9207).
        if answer.get("iss").is_some_and(|iss| iss != self.issuer.as_str()) {
            return Err(proves_nothing(NAME, "another issuer gave it"));
        }
        let code = AuthorizationCode::new(code(NAME, answer)?);
        let client = self.client(attempt).await?;
        let trade = client
            .exchange_code(code)
            .map_err(|e| Error::unavailable(format!("{NAME} trades no codes in")).with_source(e))?
            .set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let token = trade.request_async(&self.http).await.map_err(|error| not_traded(NAME, error))?;
        let id_token = token.id_token().ok_or_else(|| proves_nothing(NAME, "it holds no ID token"))?;
        let now = attempt.now;
        let verifier = client
            .id_token_verifier()
            .set_allowed_algs(ALGORITHMS)
            .set_time_fn(move || now)
            .set_issue_time_verifier_fn(move |at| {
                if at <= now + SKEW { Ok(()) } else { Err("it was issued in the future".to_owned()) }
            });
        let claims = id_token.claims(&verifier, &Nonce::new(attempt.nonce.clone()));
        let claims = claims.map_err(|error| proves_nothing(NAME, causes(&error)))?;
        Ok(Vouched {
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            email_verified: claims.email_verified() == Some(true),
            name: claims.name().and_then(|names| names.get(None)).map(|name| name.to_string()),
            once: None,
        })
    }
}
