//! What the server has answered: noted at its door, so that it is known whoever asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};

/// How often each call was answered with each status.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<BTreeMap<String, BTreeMap<u16, usize>>>>);

/// Notes one answer.
pub async fn note(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str);
    let call = format!("{} {path}", request.method());
    let response = next.run(request).await;
    *answers.0.lock().unwrap().entry(call).or_default().entry(response.status().as_u16()).or_default() += 1;
    response
}

impl Answers {
    /// The calls that were answered with a defect of the server's.
    pub fn server_errors(&self) -> Vec<String> {
        let all = self.0.lock().unwrap();
        let bad = all.iter().filter(|(_, statuses)| statuses.keys().any(|status| *status >= 500));
        bad.map(|(call, statuses)| format!("{call} {statuses:?}")).collect()
    }

    /// The calls that have succeeded since it was asked last; from here on it is counted anew.
    pub fn good_since(&self) -> BTreeSet<String> {
        let all = std::mem::take(&mut *self.0.lock().unwrap());
        // To be sent on is what is asked for, where a call answers so.
        let good = |it: &u16| (200..300).contains(it) || *it == 303;
        let good = |statuses: &BTreeMap<u16, usize>| statuses.keys().any(good);
        all.into_iter().filter(|(_, statuses)| good(statuses)).map(|(call, _)| call).collect()
    }
}
