//! From which site a call comes, and whether that site may: the defence against calls that another site makes with a
//! browser's cookies (OWASP Cross-Site Request Forgery Prevention Cheat Sheet: Fetch Metadata first, `Origin` where a browser
//! sends none, a header of one's own where it sends neither), and the allow-list of CORS.

use std::time::Duration;

use anyhow::{Result, bail};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{client::Client, frame::REQUEST_ID, in_flight, problem::Problem, state::Shared};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What no other site can send without a preflight.
pub const OWN_HEADER: HeaderName = HeaderName::from_static("x-requested-with");
/// How long a browser may remember what CORS allows; most cap it there.
const REMEMBERED: Duration = Duration::from_secs(2 * 60 * 60);

/// Sites beside our own that may call with a browser's credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

impl Origins {
    /// Reads origins such as `https://app.acme.example`.
    ///
    /// # Errors
    /// For what is none; `*` is none, for everybody would be let in with the cookies of our users.
    pub fn read(texts: &[String]) -> Result<Self> {
        let origin = |text: &String| {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
            let fits = !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b));
            match HeaderValue::from_str(text) {
                Ok(value) if fits => Ok(value),
                _ => bail!(
                    "{text:?} is no origin: https://app.acme.example is expected, in lower case and without a path"
                ),
            }
        };
        Ok(Self(texts.iter().map(origin).collect::<Result<_>>()?))
    }

    /// The origins, as they were told.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|origin| origin.to_str().ok())
    }

    fn allow(&self, origin: Option<&HeaderValue>) -> bool {
        origin.is_some_and(|origin| self.0.contains(origin))
    }

    /// Whether a browser may be sent to a page of this site, which may call with its credentials anyway.
    pub(crate) fn lists(&self, origin: &str) -> bool {
        self.0.iter().any(|it| it.as_bytes() == origin.as_bytes())
    }

    /// What answers preflights and lets these sites read answers; nothing if there are none.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let headers = [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            header::RANGE,
            HeaderName::from_static(in_flight::HEADER),
            HeaderName::from_static(REQUEST_ID),
            OWN_HEADER,
        ];
        let exposed = [
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            header::CONTENT_DISPOSITION,
            header::CONTENT_RANGE,
            HeaderName::from_static(in_flight::REPLAYED),
            HeaderName::from_static(REQUEST_ID),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
        ];
        (!self.0.is_empty()).then(|| {
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(self.0.clone()))
                .allow_credentials(true)
                .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
                .allow_headers(headers)
                .expose_headers(exposed)
                .max_age(REMEMBERED)
        })
    }
}

/// From which site a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Site {
    /// Our own, or one that is allowed.
    Ours,
    /// Another one.
    Foreign,
    /// Nothing says so: no browser of today, or none at all.
    Untold,
}

/// Reads what the browser says of it.
pub(crate) fn site(shared: &Shared, parts: &Parts) -> Site {
    let origin = parts.headers.get(header::ORIGIN);
    let allowed = shared.options().origins.allow(origin);
    let ours = |yes| if yes { Site::Ours } else { Site::Foreign };
    if let Some(told) = parts.headers.get(SEC_FETCH_SITE) {
        return ours(allowed || matches!(told.as_bytes(), b"same-origin" | b"none"));
    }
    match origin {
        Some(origin) => ours(allowed || is_own(shared, parts, origin)),
        None => Site::Untold,
    }
}

/// Whether an origin is that of the address at which we were asked, or the one that people are told.
fn is_own(shared: &Shared, parts: &Parts, origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    if shared.crm().public_url().is_some_and(|url| url.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let secure = parts.extensions.get::<Client>().is_some_and(|client| client.secure);
    // A page of plain HTTP is not the same origin as one of HTTPS at the same host.
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://").filter(|_| !secure));
    let asked = parts.headers.get(header::HOST).and_then(|it| it.to_str().ok());
    host.is_some() && host == asked
}

/// Whether a method changes nothing (RFC 9110, 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Refuses what another site has a browser do: to sign in as somebody else, or anything with cookies.
///
/// # Errors
/// 403 `cross_site_request`.
pub(crate) fn refuse_foreign(shared: &Shared, parts: &Parts) -> Result<(), Problem> {
    let foreign = !is_safe(&parts.method)
        // Whoever can show a token is no stranger to its owner.
        && !parts.headers.contains_key(header::AUTHORIZATION)
        && site(shared, parts) == Site::Foreign;
    if foreign { Err(refused("this call comes from another site")) } else { Ok(()) }
}

/// Lets a cookie count: for what changes nothing, for our own pages, and for whoever says so by a header of their own.
///
/// # Errors
/// 403 `cross_site_request`.
pub(crate) fn accept_cookie(shared: &Shared, parts: &Parts) -> Result<(), Problem> {
    if is_safe(&parts.method) { Ok(()) } else { accept_cookie_always(shared, parts) }
}

/// The same for what is worth guarding whatever its method.
pub(crate) fn accept_cookie_always(shared: &Shared, parts: &Parts) -> Result<(), Problem> {
    match site(shared, parts) {
        Site::Ours => Ok(()),
        Site::Untold if parts.headers.get(OWN_HEADER).is_some_and(|it| !it.is_empty()) => Ok(()),
        Site::Untold => Err(refused("nothing tells that this call comes from one of our pages: send X-Requested-With")),
        Site::Foreign => Err(refused("this call comes from another site")),
    }
}

fn refused(why: &'static str) -> Problem {
    let detail = format!(
        "{why}; programs show their token as \"Authorization: Bearer …\", other sites are let in by cors_origins"
    );
    Problem::new(StatusCode::FORBIDDEN, "cross_site_request", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 3.4.2.
    #[test]
    fn origins_are_told_apart_from_everything_else() {
        let read = |text: &str| Origins::read(&[text.to_owned()]);
        for good in ["https://app.acme.example", "http://localhost:5173", "https://[::1]:8443"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "app.acme.example",
            "https://",
            "https://a/",
            "https://A.example",
            "https://*.a",
            "https://a b",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(Origins::default().cors().is_none());
    }
}
