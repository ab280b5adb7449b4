//! Signing in by a provider: the browser goes there, comes back, and is sent on to a page of ours with a code that the page
//! trades in. The code stands behind the `#`, which a browser keeps to itself, and counts in this browser alone.

use std::collections::BTreeMap;

use axum::{
    extract::{FromRequestParts, RawPathParams, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use dealwright::services::identity::{IdentityView, LinkIdentity, ProviderSignIn, SignedIn};

use super::{
    ShellRoute,
    auth::{auth, end, former, json, read, signed_in},
    landing, schema,
};
use crate::{client::origin, cookies, problem::Problem, query, return_to, route::Verb, state::Shared};

pub(super) const START: ShellRoute = ShellRoute {
    method: Verb::Get,
    doc: "Sends a browser to `google`, `github` or `telegram` to sign in there. It comes back to `return_to`, with \
          `oauth_code` behind the `#`, or with `oauth_error`: `access_denied`, `invalid_provider_answer`, \
          `email_unverified`, `unavailable`.",
    status: 303,
    query: &[("return_to", "string", "A path of ours, `/` if left out, or an address of a site of cors_origins")],
    problems: &[400, 401, 403, 404, 429, 500, 503],
    handler: |shared, request| Box::pin(start(shared, request)),
    ..auth("/api/auth/oauth/{provider}/start", "auth.oauth_start")
};

pub(super) const CALLBACK: ShellRoute = ShellRoute {
    method: Verb::Get,
    doc: "Takes a browser back from a provider and sends it on to where it wanted to go. `invalid_oauth_state` if it was not \
          sent there, more than ten minutes ago, or came back before.",
    status: 303,
    query: &[
        ("state", "string", "What the browser was sent away with"),
        ("code", "string", "The provider's code"),
        ("error", "string", "Why there is none"),
    ],
    problems: &[400, 401, 403, 404, 429, 500, 503],
    handler: |shared, request| Box::pin(callback(shared, request)),
    ..auth("/api/auth/oauth/{provider}/callback", "auth.oauth_callback")
};

pub(super) const LANDING: ShellRoute = ShellRoute {
    method: Verb::Get,
    doc: "The page that a browser comes back to from a provider whose answer stands behind the `#`, where no server sees it \
          (`telegram`): it goes on to the callback with it.",
    media_type: Some("text/html; charset=utf-8"),
    problems: &[400, 401, 403, 404, 429, 500, 503],
    handler: |_, _| {
        Box::pin(async {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, landing::CONTENT),
                (header::REFERRER_POLICY, "no-referrer"),
            ];
            Ok((StatusCode::OK, headers, landing::PAGE).into_response())
        })
    },
    ..auth("/api/auth/oauth/{provider}/landing", "auth.oauth_landing")
};

pub(super) const SIGN_IN: ShellRoute = ShellRoute {
    doc: "Trades an `oauth_code` in for a session, within ten minutes and in the same browser; of somebody new with an \
          organisation of their own, or by `invite_token`. `link_required` if the address has an account already: sign in \
          to it, then link.",
    input: schema!(ProviderSignIn),
    output: schema!(SignedIn),
    handler: |shared, request| {
        Box::pin(async move {
            let origin = origin(request.extensions(), request.headers());
            let browser = browser(request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let former = former(request.headers());
            let given = read::<ProviderSignIn>(request).await?;
            let answer = identity.sign_in_by_provider(given, browser.as_deref()).await?;
            end(identity, former).await;
            Ok(signed_in(StatusCode::OK, &answer))
        })
    },
    ..auth("/api/auth/oauth/signin", "auth.oauth_sign_in")
};

pub(super) const LINK: ShellRoute = ShellRoute {
    doc: "Trades an `oauth_code` in for a further way into the caller's account. `step_up_required` unless they signed in \
          within the last ten minutes or send `password` or `totp_code`; `identity_taken` if somebody else signs in by it.",
    status: 201,
    signed_in: true,
    input: schema!(LinkIdentity),
    output: schema!(IdentityView),
    handler: |shared, request| {
        Box::pin(async move {
            let scope = shared.scope(request.extensions())?;
            let origin = origin(request.extensions(), request.headers());
            let browser = browser(request.headers());
            let identity = shared.crm().identity().from_origin(&origin);
            let given = read::<LinkIdentity>(request).await?;
            let answer = identity.link_identity(&scope, given, browser.as_deref()).await?;
            Ok(json(StatusCode::CREATED, &answer))
        })
    },
    ..auth("/api/auth/identities", "identities.link")
};

fn browser(headers: &HeaderMap) -> Option<String> {
    cookies::login(headers).map(str::to_owned)
}

async fn start(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let provider = provider(&mut parts).await?;
    let mut wanted = None;
    for (name, value) in query::pairs(parts.uri.query().unwrap_or_default())? {
        match name.as_str() {
            "return_to" if wanted.is_none() => wanted = Some(value),
            "return_to" => return Err(Problem::parameter("return_to", "return_to stands twice: give it once")),
            other => return Err(Problem::parameter(other, format!("{other} is no parameter here; known: return_to"))),
        }
    }
    let return_to = return_to::checked(wanted.as_deref(), &shared.options().origins)?;
    let callback = callback_address(&shared, &provider)?;
    let browser = cookies::login(&parts.headers);
    let sent = shared.crm().identity().begin_at_provider(&provider, &callback, &return_to, browser).await?;
    let mut response = see_other(&sent.location)?;
    cookies::keep_login(&mut response, &sent.browser);
    Ok(response)
}

async fn callback(shared: Shared, request: Request) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let provider = provider(&mut parts).await?;
    let mut answer = BTreeMap::new();
    for (name, value) in query::pairs(parts.uri.query().unwrap_or_default())? {
        if answer.insert(name.clone(), value).is_some() {
            // Which of the two counts would be anybody's guess (RFC 6749, 3.1).
            return Err(Problem::parameter(&name, format!("{name} stands twice")));
        }
    }
    let callback = callback_address(&shared, &provider)?;
    let browser = cookies::login(&parts.headers);
    let back = shared.crm().identity().back_from_provider(&provider, &callback, &answer, browser).await?;
    see_other(&match &back.outcome {
        Ok(code) => return_to::with(&back.return_to, "oauth_code", code),
        Err(error) => return_to::with(&back.return_to, "oauth_error", dealwright::Error::code(error)),
    })
}

/// The provider that the path names.
async fn provider(parts: &mut Parts) -> Result<String, Problem> {
    let path = RawPathParams::from_request_parts(parts, &()).await.map_err(|_| Problem::not_found())?;
    path.iter().next().map(|(_, name)| name.to_owned()).ok_or_else(Problem::not_found)
}

/// Where a provider sends browsers back to: the operator's word, never the request's.
fn callback_address(shared: &Shared, provider: &str) -> Result<String, Problem> {
    let url = shared.crm().public_url().unwrap_or_default();
    if url.is_empty() {
        return Err(Problem::internal("public_url is not set, so no provider can send anybody back"));
    }
    let page = if shared.crm().identity().answers_behind_hash(provider)? { "landing" } else { "callback" };
    Ok(format!("{url}/api/auth/oauth/{provider}/{page}"))
}

fn see_other(location: &str) -> Result<Response, Problem> {
    let value = HeaderValue::try_from(location);
    let value = value.map_err(|_| Problem::internal("an address to be sent to is no header"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, value)]).into_response())
}
