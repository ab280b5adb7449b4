//! Signing up, in and out.

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dealwright::{
    ErrorKind, read_input,
    scope::Scope,
    services::{
        identity::{AcceptInvitation, Origin, Refresh, SignIn, SignUp, SignedIn, Switch, TokenState},
        organization::Belonging,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{ShellRoute, schema};
use crate::{
    body::{JSON, read_object},
    client::Client,
    cookies, in_flight, origins,
    problem::Problem,
    route::Verb,
    state::Shared,
};

/// A token to be looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Verify {
    /// An access token.
    token: String,
}

/// A refresh token to be spent; without one the cookie's is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RefreshBody {
    /// The newest refresh token of the session. Browsers leave it out.
    refresh_token: Option<String>,
}

/// The end of the caller's own session takes no input; an empty object is fine.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

const fn auth(path: &'static str, name: &'static str) -> ShellRoute {
    ShellRoute {
        method: Verb::Post,
        path,
        name,
        doc: "",
        stands_for: &[],
        status: 200,
        cost: 1,
        signed_in: false,
        query: &[],
        input: None,
        output: None,
        media_type: None,
        uploads: &[],
        problems: &[400, 401, 403, 409, 413, 415, 422, 429, 500, 503],
        handler: |_, _| Box::pin(async { Err(Problem::not_found()) }),
    }
}

pub(super) const SIGN_UP: ShellRoute = ShellRoute {
    doc: "Makes a user and signs them in: with an organisation of their own and its default pipeline, or by `invite_token` in \
          the one that has invited them.",
    status: 201,
    input: schema!(SignUp),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let answer = identity.sign_up(read::<SignUp>(request).await?).await?;
            Ok(signed_in(StatusCode::CREATED, &answer))
        })
    },
    ..auth("/api/auth/signup", "auth.sign_up")
};

pub(super) const SIGN_IN: ShellRoute = ShellRoute {
    doc: "Signs in by e-mail address and password.",
    input: schema!(SignIn),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let answer = identity.sign_in(read::<SignIn>(request).await?).await?;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/signin", "auth.sign_in")
};

pub(super) const REFRESH: ShellRoute = ShellRoute {
    doc: "Spends a refresh token, or the one in a browser's cookie, for the next pair of tokens. One that comes back after it \
          was spent ends its session.",
    input: schema!(RefreshBody),
    output: schema!(SignedIn),
    handler: |shared, request| Box::pin(refresh(shared, request)),
    ..auth("/api/auth/refresh", "auth.refresh")
};

async fn refresh(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let given: RefreshBody = read(Request::from_parts(parts.clone(), body)).await?;
    let origin = origin(&parts.extensions, &parts.headers);
    let identity = shared.crm().identity().from_origin(&origin);
    if let Some(refresh_token) = given.refresh_token {
        return Ok(signed_in(StatusCode::OK, &identity.refresh(Refresh { refresh_token }).await?));
    }
    let Some(token) = cookies::refresh(&parts.headers) else {
        let detail = "there is no cookie: send the refresh token";
        return Err(Problem::member("/refresh_token", "required", detail));
    };
    origins::accept_cookie(&shared, &parts)?;
    match identity.refresh(Refresh { refresh_token: token.to_owned() }).await {
        Ok(answer) => Ok(signed_in(StatusCode::OK, &answer)),
        Err(error) => {
            let ended = error.kind() == ErrorKind::Unauthenticated;
            let mut response = Problem::from(error).into_response();
            if ended {
                cookies::forget(&mut response);
            }
            Ok(response)
        }
    }
}

pub(super) const VERIFY: ShellRoute = ShellRoute {
    doc: "Tells whether an access token counts, and whose it is.",
    input: schema!(Verify),
    output: schema!(TokenState),
    handler: |shared, request| {
        Box::pin(async move {
            let given = read::<Verify>(request).await?;
            let answer = shared.crm().identity().verify(&given.token).await?;
            Ok(json(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/verify", "auth.verify")
};

pub(super) const SIGN_OUT: ShellRoute = ShellRoute {
    doc: "Ends the caller's session: its tokens count no more.",
    status: 204,
    signed_in: true,
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            read::<Nothing>(request).await?;
            if let Some(session) = scope.session_id {
                shared.crm().identity().sign_out(session).await?;
            }
            let mut response = StatusCode::NO_CONTENT.into_response();
            cookies::forget(&mut response);
            Ok(response)
        })
    },
    ..auth("/api/auth/signout", "auth.sign_out")
};

pub(super) const SWITCH: ShellRoute = ShellRoute {
    doc: "Answers a new pair of tokens for another organisation that the caller belongs to.",
    signed_in: true,
    input: schema!(Switch),
    output: schema!(SignedIn),
    problems: &[400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503],
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let origin = origin(request.extensions(), request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let answer = identity.switch(&scope, read::<Switch>(request).await?).await?;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/switch", "auth.switch")
};

pub(super) const ACCEPT: ShellRoute = ShellRoute {
    doc: "Makes the caller a member of the organisation that has invited their address.",
    signed_in: true,
    input: schema!(AcceptInvitation),
    output: schema!(Belonging),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let key = in_flight::key(request.headers())?;
            let given = read::<AcceptInvitation>(request).await?;
            let _place =
                key.as_deref().map(|key| shared.in_flight().enter(&scope, "invitations.accept", key)).transpose()?;
            let scope = Scope { idempotency_key: key, ..scope };
            let (answer, replayed) = shared.crm().identity().accept_invitation_once(&scope, given).await?;
            let mut answer = json(StatusCode::OK, &answer);
            if replayed {
                answer.headers_mut().insert(in_flight::REPLAYED, HeaderValue::from_static("true"));
            }
            Ok(answer)
        })
    },
    ..auth("/api/team/invitations/accept", "invitations.accept")
};

/// Where a request comes from.
fn origin(extensions: &Extensions, headers: &HeaderMap) -> Origin {
    let address = extensions.get::<Client>().and_then(|it| it.address);
    let user_agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
    Origin { address, user_agent: user_agent.map(|it| String::from_utf8_lossy(it).into_owned()) }
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let object = read_object(&parts.headers, body, JSON, None).await?;
    Ok(read_input(Value::Object(object.unwrap_or_default()))?)
}

/// A sign-in's answer; browsers keep the tokens as cookies, whoever else reads them in the body.
fn signed_in(status: StatusCode, answer: &SignedIn) -> Response {
    let mut response = json(status, answer);
    cookies::keep(&mut response, answer);
    response
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => Problem::internal(format!("an answer is no JSON: {error}")).into_response(),
    }
}
