//! The frame around all routes: gives each request its id, catches panics, writes problem documents, counts and logs.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dealwright::env::Env;
use futures::FutureExt;
use metrics::{counter, histogram};
use tracing::{error, info};
use uuid::Uuid;

use crate::{admit::Refused, client::Client, guard, problem::Problem, state::Shared};

/// The header that carries the request's id, in both directions.
pub const REQUEST_ID: &str = "x-request-id";
/// The longest id that is taken over.
const LONGEST: usize = 128;

/// Wraps one request.
pub async fn frame(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let client = Client::of(&request, &shared.options().trusted_proxies);
    request.extensions_mut().insert(client);
    let id = request_id(shared.crm().env(), request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    let code = finish(&id, &method, &mut response);
    guard::write(response.headers_mut(), client, shared.options().hsts_subdomains);

    let seconds = started.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    let labels = [("method", known(&method)), ("route", route.clone())];
    histogram!("http_request_duration_seconds", &labels).record(seconds);
    let labels = [("method", known(&method)), ("route", route.clone()), ("status", status.to_string())];
    counter!("http_requests_total", &labels).increment(1);
    let who = response.extensions_mut().remove::<Refused>();
    info!(
        request_id = %id,
        client = %client,
        method = known(&method),
        route,
        status,
        seconds,
        code,
        // Of who was refused.
        user = who.and_then(|it| it.user).map(display),
        key = who.and_then(|it| it.key).map(display),
        organization = who.map(|it| display(it.organization)),
        "answered"
    );
    response
}

/// Methods as a label: whatever a client makes up is one.
fn known(method: &Method) -> String {
    let all = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    if all.contains(method) { method.to_string() } else { "other".to_owned() }
}

/// Writes what every answer has; answers the code of a problem.
fn finish(id: &str, method: &Method, response: &mut Response) -> Option<String> {
    let problem = response.extensions_mut().remove::<Problem>().or_else(|| {
        // What the router says itself.
        (response.status() == StatusCode::METHOD_NOT_ALLOWED).then(|| {
            let allowed = response.headers().get(header::ALLOW).and_then(|it| it.to_str().ok()).unwrap_or_default();
            let detail = format!("{method} is not answered here; allowed: {allowed}");
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
    });
    let code = problem.as_ref().map(|problem| problem.code().to_owned());
    if let Some(problem) = problem {
        if let Some(internal) = problem.for_the_log() {
            error!(request_id = %id, error = internal, "failed");
        }
        problem.write(id, response);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    code
}

/// The client's id if it is a sane one, else a new one.
fn request_id(env: &Env, headers: &HeaderMap) -> String {
    let sane = |it: &&str| {
        (1..=LONGEST).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match headers.get(REQUEST_ID).and_then(|it| it.to_str().ok()).filter(sane) {
        Some(id) => id.to_owned(),
        // Without randomness the answer will be an error anyway; it still gets an id.
        None => env.bytes().map(Uuid::from_bytes).unwrap_or_default().simple().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use bytes::Bytes;
    use dealwright::Crm;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::Options;

    /// ASVS 13.4.2 and 16.5.1.
    #[tokio::test]
    async fn a_panic_is_told_without_its_words() {
        let crm = Crm::builder().database("sqlite::memory:").build().await.unwrap();
        let shared = Shared::new(crm, Options::default(), Bytes::new(), Bytes::new());
        let boom = || async {
            if shared_secret().len() > 1 {
                panic!("the password is hunter2");
            }
        };
        let router: Router =
            Router::new().route("/boom", get(boom)).layer(middleware::from_fn_with_state(shared, frame));
        let request = Request::get("/boom").header(REQUEST_ID, "r1").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[REQUEST_ID]),
            (500, &HeaderValue::from_static("r1"))
        );
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("hunter2"), "{text}");
    }

    fn shared_secret() -> &'static str {
        "hunter2"
    }
}
