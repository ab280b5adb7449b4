//! Before any route: who is asking, and may they ask at all. What comes of it stands in the request's extensions.

use axum::{
    extract::{Request, State},
    http::{Extensions, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dealwright::scope::Scope;

use crate::{client::Client, limits, origins, problem::Problem, state::Shared};

/// The largest headers, names and values together.
const LARGEST_HEADERS: usize = 16 << 10;
/// The longest path and query.
const LONGEST_ADDRESS: usize = 8 << 10;

/// Who is asking, or why their credential does not count.
#[derive(Debug, Clone)]
struct Caller(Result<Scope, Problem>);

/// The scope of whoever asks.
///
/// # Errors
/// 401 without a credential, or with one that does not count.
pub fn scope(extensions: &Extensions) -> Result<Scope, Problem> {
    match extensions.get::<Caller>() {
        Some(Caller(caller)) => caller.clone(),
        None => Err(Problem::internal("nobody has looked who is asking")),
    }
}

/// Refuses what no client of ours sends, before anything is made of it.
fn size(parts: &Parts) -> Result<(), Problem> {
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > LARGEST_HEADERS {
        let detail = format!("the headers are larger than {LARGEST_HEADERS} bytes: send less, or in the body");
        return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail));
    }
    let address = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    if address > LONGEST_ADDRESS {
        let detail = format!("the address is longer than {LONGEST_ADDRESS} bytes: search by POST instead");
        return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    Ok(())
}

/// What is refused whoever asks counts too.
async fn refuse(shared: &Shared, client: Client, problem: Problem) -> Response {
    limits::stranger(shared, client).await.err().unwrap_or(problem).into_response()
}

/// Looks who asks and counts the call.
pub async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = parts.extensions.get::<Client>().copied().unwrap_or_default();
    let told = if limits::comes_by_itself(&parts) {
        limits::background(&shared, client).await
    } else {
        let fits = size(&parts).and_then(|()| origins::refuse_foreign(&shared, &parts));
        let caller = match fits {
            Ok(()) => shared.authenticate(&parts).await,
            Err(problem) => return refuse(&shared, client, problem).await,
        };
        let told = match &caller {
            Ok(scope) => limits::caller(&shared, &parts, scope).await,
            Err(problem) if problem.is_of_the_caller() => limits::stranger(&shared, client).await,
            // Nobody can tell at the moment whether it counts.
            Err(_) => Ok(None),
        };
        parts.extensions.insert(Caller(caller));
        told
    };
    let told = match told {
        Ok(told) => told,
        Err(problem) => return problem.into_response(),
    };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(told) = told {
        told.write(&mut response);
    }
    response
}
