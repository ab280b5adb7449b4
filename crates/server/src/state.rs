//! What the handlers share.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use dealwright::{Crm, scope::Scope};

use crate::{Options, in_flight::InFlight, problem::Problem};

/// What the handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    crm: Crm,
    options: Options,
    in_flight: InFlight,
    openapi: Bytes,
    docs: Bytes,
}

impl Shared {
    pub(crate) fn new(crm: Crm, options: Options, openapi: Bytes, docs: Bytes) -> Self {
        Self(Arc::new(Inner { crm, options, in_flight: InFlight::default(), openapi, docs }))
    }

    /// The engine.
    pub fn crm(&self) -> &Crm {
        &self.0.crm
    }

    /// How the server was set up.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// The idempotency keys whose calls are being answered.
    pub fn in_flight(&self) -> &InFlight {
        &self.0.in_flight
    }

    /// The OpenAPI document.
    pub fn openapi(&self) -> Bytes {
        self.0.openapi.clone()
    }

    /// The page that shows it.
    pub fn docs(&self) -> Bytes {
        self.0.docs.clone()
    }

    /// The scope of whoever shows a credential.
    ///
    /// # Errors
    /// 401 without one, or with one that does not count.
    pub async fn scope(&self, headers: &HeaderMap) -> Result<Scope, Problem> {
        let token = bearer(headers)?;
        Ok(self.crm().identity().authenticate(token).await?)
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || {
        let detail = "sign in and show the access token as \"Authorization: Bearer …\"";
        Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    };
    let text = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str).ok_or_else(missing)?;
    let (scheme, token) = text.ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}
