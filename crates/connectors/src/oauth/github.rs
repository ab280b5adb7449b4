//! GitHub: OAuth 2.0 alone, so who came back is asked of its API with the token, which is forgotten then. Of the addresses
//! only the primary one counts, and only if GitHub says that it is verified.

use std::collections::BTreeMap;

use async_trait::async_trait;
use dealwright::{
    Error, Result,
    ports::sign_in_provider::{Attempt, SignInProvider, Vouched},
};
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, TokenUrl,
    basic::BasicClient,
    http::header::{ACCEPT, AUTHORIZATION, HeaderValue},
    url::Url,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{OAuthClient, OAuthHttp, address, code, not_traded, proves_nothing};

const NAME: &str = "github";
const SITE: &str = "https://github.com";
const API: &str = "https://api.github.com";
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.github+json");

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// Signing in by a GitHub account.
#[derive(Debug)]
pub struct GitHub {
    client: OAuthClient,
    site: String,
    api: String,
    http: OAuthHttp,
}

/// `GET /user`: the id stays, the login may be given to somebody else.
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    #[serde(default)]
    name: Option<String>,
}

/// `GET /user/emails`.
#[derive(Deserialize)]
struct Email {
    email: String,
    #[serde(default)]
    primary: bool,
    #[serde(default)]
    verified: bool,
}

impl GitHub {
    /// A client of GitHub, or of another server that speaks the same (GitHub Enterprise): where people sign in, and its API.
    ///
    /// # Errors
    /// `validation_failed` for what is no address.
    pub fn new(client: OAuthClient, site: Option<&str>, api: Option<&str>, http: OAuthHttp) -> Result<Self> {
        let [site, api] = [site.unwrap_or(SITE), api.unwrap_or(API)].map(|text| text.trim_end_matches('/').to_owned());
        address(&site)?;
        address(&api)?;
        Ok(Self { client, site, api, http })
    }

    fn client(&self, attempt: &Attempt) -> Result<Client> {
        let at = |path: &str| address(&format!("{}/login/oauth/{path}", self.site));
        let redirect = RedirectUrl::new(attempt.callback.clone())
            .map_err(|e| Error::internal("public_url is no address").with_source(e))?;
        Ok(BasicClient::new(ClientId::new(self.client.id.clone()))
            .set_client_secret(ClientSecret::new(self.client.secret.clone()))
            // Where GitHub documents them.
            .set_auth_type(AuthType::RequestBody)
            .set_auth_uri(AuthUrl::from_url(at("authorize")?))
            .set_token_uri(TokenUrl::from_url(at("access_token")?))
            .set_redirect_uri(redirect))
    }

    /// Asks the API as whoever the token is of.
    async fn ask<T: DeserializeOwned>(&self, path: &str, token: &AccessToken) -> Result<T> {
        let url: Url = address(&format!("{}{path}", self.api))?;
        let mut request = HttpRequest::new(Vec::new());
        *request.uri_mut() =
            url.as_str().parse().map_err(|e| Error::internal("an address of the API is none").with_source(e))?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", token.secret()));
        let mut bearer = bearer.map_err(|_| proves_nothing(NAME, "its token is no text"))?;
        bearer.set_sensitive(true);
        request.headers_mut().extend([(ACCEPT, MEDIA_TYPE), (AUTHORIZATION, bearer)]);
        let answer = self.http.send(request).await.map_err(|failure| failure.told(NAME))?;
        if !answer.status().is_success() {
            return Err(proves_nothing(NAME, format!("{path} is answered with {}", answer.status())));
        }
        serde_json::from_slice(answer.body()).map_err(|error| proves_nothing(NAME, format!("{path}: {error}")))
    }
}

#[async_trait]
impl SignInProvider for GitHub {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn begin(&self, attempt: &Attempt) -> Result<String> {
        let verifier = PkceCodeVerifier::new(attempt.verifier.clone());
        let state = CsrfToken::new(attempt.state.clone());
        let client = self.client(attempt)?;
        let (url, _) = client
            .authorize_url(move || state)
            .add_scope(Scope::new("read:user".to_owned()))
            .add_scope(Scope::new("user:email".to_owned()))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url.into())
    }

    async fn finish(&self, attempt: &Attempt, answer: &BTreeMap<String, String>) -> Result<Vouched> {
        let code = AuthorizationCode::new(code(NAME, answer)?);
        let client = self.client(attempt)?;
        let trade = client.exchange_code(code).set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone()));
        let token = trade.request_async(&self.http).await.map_err(|error| not_traded(NAME, error))?;
        let user: User = self.ask("/user", token.access_token()).await?;
        let emails: Vec<Email> = self.ask("/user/emails", token.access_token()).await?;
        let primary = emails.into_iter().find(|it| it.primary);
        Ok(Vouched {
            subject: user.id.to_string(),
            email_verified: primary.as_ref().is_some_and(|it| it.verified),
            email: primary.map(|it| it.email),
            name: Some(user.name.unwrap_or(user.login)),
            once: None,
        })
    }
}
