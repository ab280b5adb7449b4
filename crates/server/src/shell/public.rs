//! What anybody may ask: health, the OpenAPI document, the page that shows it.

use axum::{
    http::{StatusCode, header},
    response::IntoResponse,
};

use dealwright::services::identity::PublicKeys;

use super::{ShellRoute, schema};
use crate::{problem::Problem, route::Verb};

/// One page of plain HTML with its style in it, and links.
const PAGE: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const fn public(path: &'static str, name: &'static str, doc: &'static str) -> ShellRoute {
    ShellRoute {
        method: Verb::Get,
        path,
        name,
        doc,
        stands_for: &[],
        status: 200,
        cost: 1,
        signed_in: false,
        query: &[],
        input: None,
        output: None,
        media_type: Some("application/json"),
        uploads: &[],
        problems: &[429, 500, 503],
        handler: |_, _| Box::pin(async { Ok(json("{\"status\":\"ok\"}")) }),
    }
}

fn json(text: &'static str) -> axum::response::Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) const HEALTH: ShellRoute = public("/healthz", "health.live", "Answers as long as the process lives.");

pub(super) const READY: ShellRoute = ShellRoute {
    handler: |shared, _| {
        Box::pin(async move {
            shared.crm().ping().await?;
            Ok(json("{\"status\":\"ok\"}"))
        })
    },
    ..public("/readyz", "health.ready", "Answers if the store does; else 503.")
};

pub(super) const KEYS: ShellRoute = ShellRoute {
    output: schema!(PublicKeys),
    media_type: None,
    handler: |shared, _| {
        Box::pin(async move {
            let keys = serde_json::to_string(&shared.crm().identity().public_keys());
            let keys = keys.map_err(|error| Problem::internal(format!("the keys are no JSON: {error}")))?;
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
            Ok((StatusCode::OK, headers, keys).into_response())
        })
    },
    ..public(
        "/.well-known/jwks.json",
        "auth.public_keys",
        "The public keys of access tokens as a JWK set (RFC 7517, RFC 8037), the newest first.",
    )
};

pub(super) const OPENAPI: ShellRoute = ShellRoute {
    handler: |shared, _| {
        Box::pin(async move {
            let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")];
            Ok((StatusCode::OK, headers, shared.openapi()).into_response())
        })
    },
    ..public("/api/openapi.json", "openapi.get", "This API as an OpenAPI 3.1 document.")
};

pub(super) const DOCS: ShellRoute = ShellRoute {
    media_type: Some("text/html; charset=utf-8"),
    handler: |shared, _| {
        Box::pin(async move {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CACHE_CONTROL, "max-age=300"),
                (header::CONTENT_SECURITY_POLICY, PAGE),
            ];
            Ok((StatusCode::OK, headers, shared.docs()).into_response())
        })
    },
    ..public("/docs", "docs.get", "This API as a page to read.")
};
