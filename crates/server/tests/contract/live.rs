//! A server on a real address, in it an organisation with one of everything.

use std::collections::BTreeSet;

use axum::middleware;
use dealwright::{
    domain::{
        data_key::CommonKey,
        organization::{Factor, SecondFactor},
    },
    ports::store::{Batch, IdentityReads, Store, Update, Write},
    runtime::Running,
    services::identity::SignedIn,
};
use dealwright_server::{Options, app, limits::Limits};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    answers::{Answers, note},
    support::{things::Side, world::World},
};

pub struct Live {
    pub side: Side,
    pub world: World,
    pub signed_in: SignedIn,
    url: String,
    client: Client,
    answers: Answers,
    running: Option<Running>,
}

impl Live {
    pub async fn start(world: World) -> Self {
        let (mut side, signed_in) = world.sign_up("una", "initech").await;
        side.fill().await;
        ask_for_codes(&side, &signed_in).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Answers::default();
        let router = app(world.crm.clone(), Options::default().limits(Limits::off()));
        let router = router.layer(middleware::from_fn_with_state(answers.clone(), note));
        tokio::spawn(async move { axum::serve(listener, router).await });
        // reqwest wants a provider of TLS even where nobody speaks it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { side, world, signed_in, url, client, answers, running: None }
    }

    /// From now on rules run and messages are sent.
    pub async fn run_loops(&mut self) {
        self.running = Some(self.world.crm.runtime().start().await.unwrap());
    }

    pub fn document_url(&self) -> String {
        format!("{}/api/openapi.json", self.url)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn token(&self) -> String {
        self.signed_in.access_token.clone()
    }

    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Every operation of the document, as `METHOD path`.
    pub async fn operations(&self) -> BTreeSet<String> {
        let document: Value = self.client.get(self.document_url()).send().await.unwrap().json().await.unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let calls = paths.flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        calls.collect()
    }

    /// Asks as `token`, or as nobody.
    pub async fn ask(&self, method: &Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// Asks as a browser does that signs in by a provider.
    pub async fn browse(&self, method: &Method, path: &str, cookie: &str, body: Option<&Value>) -> Response {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url)).header("cookie", cookie);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    /// Does what owners alone may, by the token of the whole run: it has neither run out nor lost its powers meanwhile.
    pub async fn still_owns(&mut self) {
        self.side.forget();
        let path = format!("/api/team/members/{}/role", self.side.id("user").await);
        let body = serde_json::json!({ "role": "owner" });
        let answer = self.ask(&Method::PUT, &path, Some(&self.token()), Some(&body)).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        // Whoever is no owner is not asked for proof, which a run of more than ten minutes no longer has.
        let is_owner = status == 200 || text.contains("\"step_up_required\"");
        assert!(is_owner, "the fuzzing went on without an owner's powers: {status} {text}");
    }

    /// The same with a raw body.
    pub async fn upload(&self, path: &str, bytes: &'static str) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.signed_in.access_token);
        request.header("content-type", "application/octet-stream").body(bytes).send().await.unwrap()
    }
}

/// Gives whoever asks everything a second factor, which they have shown: an organisation that comes to require one keeps
/// nothing from them.
async fn ask_for_codes(side: &Side, signed_in: &SignedIn) {
    let (id, created_at) = (side.crm.env().id().unwrap(), side.crm.env().now());
    let key = CommonKey { id, master_key: None, wrapped: None, created_at, retired_at: Some(created_at) };
    let factor = SecondFactor {
        user_id: signed_in.user.id,
        key_id: key.id,
        sealed: Vec::new(),
        enabled: true,
        last_step: 0,
        recovery: Vec::new(),
        created_at,
    };
    let scope = side.crm.identity().authenticate(&signed_in.access_token).await.unwrap();
    let session = side.store.session(scope.session_id.unwrap()).await.unwrap().unwrap();
    let shown = Update::of(&session).set("factors", &session.factors_with(Factor::Totp));
    let mut batch = Batch::default();
    batch.note(Write::insert(&key)).unwrap();
    batch.note(Write::insert(&factor)).unwrap();
    batch.note(Write::Update(shown)).unwrap();
    side.store.commit(side.organization, batch).await.unwrap();
}
