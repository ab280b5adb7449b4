//! A server in this process, and what one needs to talk to it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Request, Response, StatusCode},
};
use chrono::{TimeZone, Utc};
use dealwright::testkit::voucher::Voucher;
use dealwright::{
    Crm, Registry,
    env::{Env, ManualClock},
    ports::mailer::{Mail, Mailer},
};
use dealwright_server::{Options, app};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

pub struct Server {
    pub crm: Crm,
    /// Every mail that was handed over, oldest first.
    pub mails: Arc<Mutex<Vec<Mail>>>,
    pub clock: ManualClock,
    router: Router,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

/// A mail server that keeps what it is given.
struct Outbox(Arc<Mutex<Vec<Mail>>>);

#[async_trait::async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: &Mail) -> dealwright::Result<()> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

/// A call being put together.
pub struct Call<'s> {
    server: &'s Server,
    builder: axum::http::request::Builder,
    body: Body,
}

/// The token of a bot by which people sign in.
pub const TELEGRAM_BOT: &str = "42:AAH-example";

/// Somebody who signed up.
pub struct Member {
    pub token: String,
    pub refresh: String,
    pub organization: String,
    pub user: String,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        let clock = ManualClock::at(Utc.with_ymd_and_hms(2026, 11, 22, 10, 0, 0).unwrap());
        let mut registry = Registry::new();
        registry.rule_engine(dealwright_rules::declarative::Declarative).sign_in_provider(Voucher::new("google"));
        registry.sign_in_provider(dealwright_connectors::oauth::Telegram::new(TELEGRAM_BOT, None).unwrap());
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let crm = Crm::builder()
            .mailer(Arc::new(Outbox(mails.clone())))
            .public_url("https://crm.acme.example")
            .database("sqlite::memory:")
            .registry(registry)
            .env(Env::system().with_clock(clock.clone()))
            .build()
            .await
            .unwrap();
        let router = app(crm.clone(), options);
        Self { crm, mails, clock, router }
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call { server: self, builder: Request::builder().method(method).uri(path), body: Body::empty() }
    }

    /// The newest mail to an address that says this; what sends it may still be at work.
    pub async fn mail(&self, to: &str, subject: &str) -> Mail {
        loop {
            self.crm.runtime().drain().await.unwrap();
            let found = self.mails.lock().unwrap().iter().rfind(|it| it.to == to && it.subject == subject).cloned();
            match found {
                Some(mail) => return mail,
                None => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            }
        }
    }

    /// Signs up `NAME@acme.example` with an organisation of their own.
    pub async fn sign_up(&self, name: &str) -> Member {
        let input = json!({
            "email": format!("{name}@acme.example"), "password": "correct horse", "name": name,
            "organization_name": format!("{name}'s"),
        });
        let reply = self.call("POST", "/api/auth/signup").json(&input).send().await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        Member::of(&reply.json())
    }
}

impl Member {
    pub fn of(answer: &Value) -> Self {
        let text = |pointer: &str| answer.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Self {
            token: text("/access_token"),
            refresh: text("/refresh_token"),
            organization: text("/organization/id"),
            user: text("/user/id"),
        }
    }
}

impl Call<'_> {
    pub fn by(self, member: &Member) -> Self {
        let value = format!("Bearer {}", member.token);
        self.header("authorization", &value)
    }

    /// As a browser does: with the cookies that an answer has set.
    pub fn cookies(mut self, kept: &Reply) -> Self {
        for (name, value) in kept.cookies() {
            self = self.header("cookie", &format!("{name}={value}"));
        }
        self
    }

    /// From this address.
    pub fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 4711);
        self.builder = self.builder.extension(ConnectInfo(peer));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Reply {
        let request = self.builder.body(self.body).unwrap();
        let response: Response<Body> = self.server.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        let reply = Reply { status: parts.status, headers: parts.headers, bytes };
        reply.check();
        reply
    }
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|it| it.to_str().unwrap()).unwrap_or_default()
    }

    /// The cookies that it sets, by name; those that it takes away are empty.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let lines = self.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap());
        let pairs = lines.map(|line| line.split(';').next().unwrap().split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Status and code of a problem.
    pub fn problem(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap().to_owned())
    }

    /// Pointers and codes of the wrong members of a problem.
    pub fn wrong(&self) -> Vec<(String, String)> {
        let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
        let errors = self.json()["errors"].as_array().unwrap().clone();
        errors.iter().map(|it| (text(it, "pointer"), text(it, "code"))).collect()
    }

    /// What is true of every answer.
    fn check(&self) {
        assert!(!self.header("x-request-id").is_empty(), "an answer without X-Request-Id");
        if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
            let document = self.json();
            assert_eq!(document["status"], self.status.as_u16());
            assert_eq!(document["request_id"], self.header("x-request-id"));
            for member in ["type", "title", "detail", "code"] {
                assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {document}");
            }
            assert_eq!(self.status == 401, self.headers.contains_key("www-authenticate"));
        }
    }
}
