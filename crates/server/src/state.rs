//! What the handlers share.

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use bytes::Bytes;
use dealwright::{Crm, scope::Scope};

use crate::{Options, admit, client::origin, cookies, in_flight::InFlight, limits::Costs, origins, problem::Problem};

/// What the handlers share; cheap to clone.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    crm: Crm,
    options: Options,
    in_flight: InFlight,
    costs: Costs,
    openapi: Bytes,
    docs: Bytes,
}

impl Shared {
    pub(crate) fn new(crm: Crm, options: Options, openapi: Bytes, docs: Bytes) -> Self {
        let costs = Costs::of_the_tables();
        Self(Arc::new(Inner { crm, options, in_flight: InFlight::default(), costs, openapi, docs }))
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

    /// What calls cost.
    pub(crate) fn costs(&self) -> &Costs {
        &self.0.costs
    }

    /// The scope of whoever sent the request that has these extensions.
    ///
    /// # Errors
    /// 401 without a credential, or with one that does not count.
    pub fn scope(&self, extensions: &Extensions) -> Result<Scope, Problem> {
        admit::scope(extensions)
    }

    /// The scope of whoever shows a credential: a token, or a browser's cookie.
    ///
    /// # Errors
    /// 401 without one, or with one that does not count; 403 for a cookie that another site makes a browser send.
    pub(crate) async fn authenticate(&self, parts: &Parts) -> Result<Scope, Problem> {
        let token = match cookies::access(&parts.headers) {
            Some(token) if !parts.headers.contains_key(header::AUTHORIZATION) => {
                origins::accept_cookie(self, parts)?;
                token
            }
            _ => bearer(&parts.headers)?,
        };
        let scope = self.crm().identity().authenticate(token).await?;
        Ok(Scope { origin: Some(Arc::new(origin(&parts.extensions, &parts.headers))), ..scope })
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
