//! The keys that secrets lie under are replaced while people go on, by processes that do not know of each other, on both
//! databases; a replacement that was broken off is gone on with; and without its keys an organisation has no secrets.
//! OWASP ASVS 5.0, 11.2.2 (keys can be replaced, and what they sealed sealed anew) and 13.3.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod clients;
mod place;

use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use dealwright::{Handle, services::vault::Rotated, testkit::totp_code};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{
    clients::{Clients, client, sign_up},
    place::Place,
};

/// More than one batch of rows.
const ACCOUNTS: usize = 230;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_no_call_is_refused_on_sqlite() {
    under_load(Place::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_no_call_is_refused_on_postgresql() {
    under_load(Place::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_broken_off_is_gone_on_with_on_sqlite() {
    broken_off(Place::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_broken_off_is_gone_on_with_on_postgresql() {
    broken_off(Place::postgres().await).await;
}

async fn rotate(place: &Place, data: bool) -> Rotated {
    // A process of its own each time, as the command is.
    let done = place.engine().await.secrets().rotate(data, |_| {}).await.unwrap();
    assert_eq!(done.left, Vec::<String>::new());
    assert_eq!(done.owners.0, done.owners.1);
    done
}

/// Seals everything anew once more: whatever does not open is told.
async fn assert_that_all_opens(place: &Place) -> u64 {
    rotate(place, true).await.sealed
}

async fn under_load(place: Place) {
    let una = armed(&place).await;
    let clients = Clients::begin(&place).await;
    clients.go_on_for(3).await;

    let old = place.add_line();
    let done = rotate(&place, false).await;
    assert!(done.wrapped >= 4, "three organisations and people in common have keys: {done:?}");
    assert_eq!((done.free.as_slice(), done.data_since, done.sealed), (&[old][..], None, 0));
    place.keep_newest_line();
    clients.go_on_for(3).await;

    let done = rotate(&place, true).await;
    assert!(done.removed >= 4 && done.sealed > 6, "{done:?}");
    clients.go_on_for(3).await;

    // Both at once, while they go on.
    place.add_line();
    let done = rotate(&place, true).await;
    assert!(done.wrapped >= 4 && done.removed >= 4, "{done:?}");
    place.keep_newest_line();
    clients.go_on_for(3).await;

    let calls = clients.end(&place).await;
    let sealed = assert_that_all_opens(&place).await;
    assert!(sealed > 30, "{sealed} secrets of {calls} rounds of calls");
    assert!(una.is_let_in(&place).await);
}

async fn broken_off(place: Place) {
    let una = armed(&place).await;
    let me = owner(&place, &una.signed_up).await;
    for number in 0..ACCOUNTS {
        me.accounts().connect(place.provider.account(&format!("{number}@mail.example"))).await.unwrap();
    }
    place.add_line();
    // It dies when the first batch is written.
    let (reached, since) = (Arc::new(Notify::new()), Arc::new(Mutex::new(None::<DateTime<Utc>>)));
    let (rings, keeps, dying) = (reached.clone(), since.clone(), place.engine().await);
    let (lives, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let dies = tokio::spawn(async move {
        let tell = move |done: &Rotated| {
            if done.sealed > 0 {
                *keeps.lock().unwrap() = done.data_since;
                rings.notify_one();
                let _ = held.lock().unwrap().recv();
            }
        };
        dying.secrets().rotate(true, tell).await
    });
    reached.notified().await;
    dies.abort();
    drop(lives);
    assert!(dies.await.unwrap_err().is_cancelled(), "it was over before it died");

    // Meanwhile they go on.
    me.accounts().connect(place.provider.account("meanwhile@mail.example")).await.unwrap();
    // Whoever rotates next goes on with it, asked for or not.
    let done = rotate(&place, false).await;
    assert_eq!(done.data_since, *since.lock().unwrap());
    assert!(done.sealed > 0 && done.sealed < ACCOUNTS as u64, "{done:?}");
    assert_eq!(done.free.len(), 1, "{done:?}");
    place.keep_newest_line();
    let done = rotate(&place, false).await;
    assert_eq!((done.data_since, done.wrapped, done.sealed), (None, 0, 0), "nothing is left to be done");
    assert_eq!(assert_that_all_opens(&place).await, ACCOUNTS as u64 + 2, "with una's seed");
    assert!(una.is_let_in(&place).await);
}

/// An owner with a second factor.
struct Armed {
    signed_up: Value,
    seed: String,
}

async fn post(url: &str, path: &str, token: &str, body: Value) -> Value {
    let answer = client().post(format!("{url}{path}")).bearer_auth(token).json(&body).send().await.unwrap();
    let (status, answer) = (answer.status(), answer.json().await.unwrap());
    assert!(status.is_success(), "{path}: {status} {answer}");
    answer
}

async fn armed(place: &Place) -> Armed {
    let url = &place.urls[0];
    let signed_up = sign_up(url, "una").await;
    let token = signed_up["access_token"].as_str().unwrap();
    let setup = post(url, "/api/auth/2fa/setup", token, json!({})).await;
    let seed = setup["secret"].as_str().unwrap().to_owned();
    let code = totp_code(&seed, place.crm.env().now()).unwrap();
    post(url, "/api/auth/2fa/enable", token, json!({ "code": code })).await;
    Armed { signed_up, seed }
}

impl Armed {
    /// Whether their code, of a step that was not used yet, is compared with the seed as it was.
    async fn is_let_in(&self, place: &Place) -> bool {
        // A code counts one step early too, and none counts twice: those of two steps are two tries.
        let now = place.crm.env().now();
        for step in [0, 30] {
            let code = totp_code(&self.seed, now + chrono::Duration::seconds(step)).unwrap();
            let body = json!({ "email": "una@acme.example", "password": "correct horse battery", "totp_code": code });
            let answer = client().post(format!("{}/api/auth/signin", place.urls[1])).json(&body).send().await.unwrap();
            match answer.status().as_u16() {
                200 => return true,
                401 => {}
                status => panic!("{status} {}", answer.text().await.unwrap()),
            }
        }
        false
    }
}

async fn owner(place: &Place, signed_up: &Value) -> Handle {
    let id = |pointer: &str| signed_up.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    place.crm.as_user(id("/organization/id").parse().unwrap(), id("/user/id").parse().unwrap()).await.unwrap()
}
