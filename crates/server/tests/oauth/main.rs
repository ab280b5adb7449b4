//! Signing in by providers that nobody here wrote, over HTTP: OpenID Connect and what looks like GitHub, whole and forged,
//! and once by a browser (OWASP ASVS 5.0, 10.1, 10.2 and 10.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod browser;
mod github;
mod openid;

use axum::serve;
use dealwright::{Crm, Registry, ports::sign_in_provider::SignInProvider};
use dealwright_connectors::oauth::{OAuthClient, OAuthHttp, OAuthOptions};
use dealwright_server::{Options, app, limits::Limits};
use reqwest::{Client, Response, redirect::Policy};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What each provider knows us by.
pub fn client() -> OAuthClient {
    OAuthClient { id: "crm".to_owned(), secret: "hush".to_owned() }
}

/// How providers are spoken to.
pub fn http() -> OAuthHttp {
    // A provider of TLS is wanted even where nobody speaks it; a second installation of one is refused, and fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    OAuthHttp::new(&OAuthOptions::default()).unwrap()
}

/// A server at a real address, where people sign in by one provider, and a browser that follows nothing by itself.
pub struct Server {
    pub url: String,
    pub client: Client,
    name: &'static str,
}

/// A browser that was sent to the provider.
pub struct Away {
    pub location: String,
    pub cookie: String,
}

impl Server {
    pub async fn start(provider: impl SignInProvider + 'static) -> Self {
        let name = provider.name();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut registry = Registry::new();
        registry.sign_in_provider(provider);
        let builder = Crm::builder().database("sqlite::memory:").registry(registry).public_url(&url);
        let router = app(builder.build().await.unwrap(), Options::default().limits(Limits::off()));
        tokio::spawn(async move { serve(listener, router).await });
        Self { url, client: Client::builder().redirect(Policy::none()).build().unwrap(), name }
    }

    pub async fn away(&self) -> Away {
        let start = format!("{}/api/auth/oauth/{}/start?return_to=/healthz", self.url, self.name);
        let answer = self.client.get(start).send().await.unwrap();
        assert_eq!(answer.status(), 303, "{}", answer.text().await.unwrap());
        let cookie = header(&answer, "set-cookie").split(';').next().unwrap().to_owned();
        Away { location: header(&answer, "location"), cookie }
    }

    /// Where a browser that comes back is sent on to, or the code of the problem.
    pub async fn back(&self, cookie: &str, callback: &str) -> Result<String, String> {
        let answer = self.client.get(callback).header("cookie", cookie).send().await.unwrap();
        if answer.status() == 303 {
            return Ok(header(&answer, "location"));
        }
        Err(answer.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned())
    }

    /// Trades what a browser came back with in.
    pub async fn trade(&self, cookie: &str, location: &str) -> Value {
        let code = location.split_once("#oauth_code=").unwrap_or_else(|| panic!("{location}")).1;
        let body = json!({ "code": code, "organization_name": "Acme" });
        let trade = self.client.post(format!("{}/api/auth/oauth/signin", self.url));
        let answer = trade.header("cookie", cookie).json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

pub fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap().to_owned()
}

/// The value of a parameter of an address.
pub fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once('?')?;
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(it, _)| *it == name)?;
    Some(pair.1.to_owned())
}

/// A text as part of a query.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A peer, which is waited for by a thread of its own.
pub async fn peer<T: Send + 'static>(start: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> T {
    tokio::task::spawn_blocking(|| start().unwrap()).await.unwrap()
}
