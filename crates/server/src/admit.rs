//! Before any route: who is asking, and may they ask at all. What comes of it stands in the request's extensions.

use axum::{
    extract::{Request, State},
    http::{Extensions, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use dealwright::{
    id::{ApiKeyId, OrganizationId, UserId},
    scope::{Actor, Scope},
};

use crate::{client::Client, limits, origins, problem::Problem, state::Shared};

/// The largest headers, names and values together.
const LARGEST_HEADERS: usize = 16 << 10;
/// The longest path and query.
const LONGEST_ADDRESS: usize = 8 << 10;

/// Who is asking, or why their credential does not count.
#[derive(Debug, Clone)]
struct Caller(Result<Scope, Problem>);

/// Who was refused: ids alone, for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    /// The signed-in person, or whom the key acts for.
    pub user: Option<UserId>,
    /// The key.
    pub key: Option<ApiKeyId>,
    /// Where.
    pub organization: OrganizationId,
}

impl Refused {
    fn of(scope: &Scope) -> Self {
        let key = match scope.actor {
            Actor::ApiKey { id, .. } => Some(id),
            _ => None,
        };
        Self { user: scope.user_id(), key, organization: scope.organization_id }
    }
}

/// Whether an answer says that somebody may not do what they have asked for, or not so, or not so often.
fn refuses(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::TOO_MANY_REQUESTS
    )
}

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
    let mut who = None;
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
        who = caller.as_ref().ok().map(Refused::of);
        parts.extensions.insert(Caller(caller));
        told
    };
    let mut response = match told {
        Ok(told) => {
            let mut response = next.run(Request::from_parts(parts, body)).await;
            if let Some(told) = told {
                told.write(&mut response);
            }
            response
        }
        Err(problem) => problem.into_response(),
    };
    if let Some(who) = who.filter(|_| refuses(response.status())) {
        response.extensions_mut().insert(who);
    }
    response
}
