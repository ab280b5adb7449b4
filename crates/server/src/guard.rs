//! What every answer tells a browser: that only our own pages use it, that nobody frames it, that it is what it says it is.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::client::Client;

/// Fit for a console served from here: its own scripts and styles, nothing inline, nothing from elsewhere.
const CONTENT: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; \
                       base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A year, for this host alone: what else runs below it is the operator's to decide.
const HSTS: &str = "max-age=31536000";
/// For what runs below it too.
const HSTS_BELOW: &str = "max-age=31536000; includeSubDomains";

/// Writes them, unless the route has said something of its own.
pub fn write(headers: &mut HeaderMap, client: Client, hsts_subdomains: bool) {
    let all = [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // For browsers that know no frame-ancestors.
        (header::X_FRAME_OPTIONS, "DENY"),
        // `no-referrer` would make the `Origin` of forms `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    headers.reserve(all.len() + 1);
    for (name, value) in all {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // Over plain HTTP it means nothing, and must not be sent (RFC 6797, 7.2).
    if client.secure {
        let value = if hsts_subdomains { HSTS_BELOW } else { HSTS };
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(value));
    }
}
