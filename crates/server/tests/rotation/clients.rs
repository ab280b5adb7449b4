//! People who go on, whatever becomes of the keys: each does one thing over HTTP, again and again, and writes down what was
//! refused.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use dealwright::testkit::voucher::code_for;
use reqwest::{Client, Method, redirect::Policy};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::place::Place;

/// What they do, each at each server.
const KINDS: [&str; 5] = ["contacts", "accounts", "seeds", "sign-ins", "invitations"];

pub struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    refused: Mutex<Vec<String>>,
    done: [[AtomicUsize; KINDS.len()]; 2],
    invited: Mutex<Vec<String>>,
}

/// One of them, at one server.
struct One {
    shared: Arc<Shared>,
    http: Client,
    url: String,
    token: String,
    account: Value,
    server: usize,
}

/// An owner and the token by which both servers let them in.
pub async fn sign_up(url: &str, name: &str) -> Value {
    let body = json!({
        "email": format!("{name}@acme.example"), "password": "correct horse battery", "name": name,
        "organization_name": name,
    });
    let answer = client().post(format!("{url}/api/auth/signup")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().redirect(Policy::none()).build().unwrap()
}

impl Clients {
    pub async fn begin(place: &Place) -> Self {
        let (shared, mut tasks) = (Arc::<Shared>::default(), Vec::new());
        for (server, url) in place.urls.iter().enumerate() {
            let token = sign_up(url, &format!("una{server}")).await["access_token"].as_str().unwrap().to_owned();
            for kind in 0..KINDS.len() {
                let one = One {
                    shared: shared.clone(),
                    http: client(),
                    url: url.clone(),
                    token: token.clone(),
                    account: serde_json::to_value(place.provider.account("handle")).unwrap(),
                    server,
                };
                tasks.push(tokio::spawn(one.go_on(kind)));
            }
        }
        Self { shared, tasks }
    }

    /// Waits until each has done as much again.
    pub async fn go_on_for(&self, times: usize) {
        let count = || self.shared.done.iter().flatten().map(|it| it.load(Ordering::SeqCst)).collect::<Vec<_>>();
        let before = count();
        while count().iter().zip(&before).any(|(now, before)| now - before < times) {
            assert_eq!(*self.shared.refused.lock().unwrap(), Vec::<String>::new());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets them end; answers how many calls there were. None may have been refused, and each invitation was mailed.
    pub async fn end(self, place: &Place) -> usize {
        self.shared.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        assert_eq!(*self.shared.refused.lock().unwrap(), Vec::<String>::new());
        let invited = self.shared.invited.lock().unwrap().clone();
        let mailed = async {
            for address in invited {
                while !place.outbox.has(&address) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), mailed).await.expect("an invitation was not mailed");
        self.shared.done.iter().flatten().map(|it| it.load(Ordering::SeqCst)).sum()
    }
}

impl One {
    async fn go_on(self, kind: usize) {
        let mut turn = 0;
        while !self.shared.over.load(Ordering::SeqCst) {
            let name = format!("{}-{}-{turn}", KINDS[kind], self.server);
            match KINDS[kind] {
                "contacts" => self.make_and_read(&name).await,
                "accounts" => self.connect(&name).await,
                "seeds" => drop(self.call(Method::POST, "/api/auth/2fa/setup", Some(json!({}))).await),
                "sign-ins" => self.come_back(&name).await,
                _ => self.invite(&name).await,
            }
            self.shared.done[self.server][kind].fetch_add(1, Ordering::SeqCst);
            turn += 1;
        }
    }

    /// A call that must not be refused.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        if !status.is_success() {
            self.shared.refused.lock().unwrap().push(format!("{method} {path}: {status} {text}"));
            return None;
        }
        serde_json::from_str(&text).ok()
    }

    async fn make_and_read(&self, name: &str) {
        let Some(made) = self.call(Method::POST, "/api/crm/clients", Some(json!({ "name": name }))).await else {
            return;
        };
        let read = self.call(Method::GET, &format!("/api/crm/clients/{}", made["id"].as_str().unwrap()), None).await;
        assert_eq!(read.unwrap()["name"], name);
    }

    async fn connect(&self, name: &str) {
        let mut account = self.account.clone();
        account["handle"] = format!("{name}@mail.example").into();
        self.call(Method::POST, "/api/bd-accounts/connect", Some(account)).await;
    }

    async fn invite(&self, name: &str) {
        let address = format!("{name}@people.example");
        let invitation = json!({ "email": address, "role": "member" });
        if self.call(Method::POST, "/api/team/members/invite", Some(invitation)).await.is_some() {
            self.shared.invited.lock().unwrap().push(address);
        }
    }

    /// Goes to a provider of sign-ins and comes back with a proof: what waits meanwhile lies sealed.
    async fn come_back(&self, name: &str) {
        let start = self.http.get(format!("{}/api/auth/oauth/google/start", self.url)).send().await.unwrap();
        let header =
            |name: &str| start.headers().get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned();
        let (location, cookie) = (header("location"), header("set-cookie"));
        let Some((_, state)) = location.split_once("state=") else {
            self.shared.refused.lock().unwrap().push(format!("start: {} {location}", start.status()));
            return;
        };
        let code = code_for(name, Some(&format!("{name}@people.example")), true);
        let code: String = code.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let back = format!("{}/api/auth/oauth/google/callback?state={state}&code={code}", self.url);
        let back = self.http.get(back).header("cookie", cookie.split(';').next().unwrap());
        let back = back.header("sec-fetch-site", "cross-site").send().await.unwrap();
        let location = back.headers().get("location").and_then(|it| it.to_str().ok()).unwrap_or_default();
        if !location.contains("oauth_code=") {
            self.shared.refused.lock().unwrap().push(format!("callback: {} {location}", back.status()));
        }
    }
}
