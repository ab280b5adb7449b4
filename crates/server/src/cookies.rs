//! The cookies of browsers: an access token for every call, a refresh token for the calls that need one. No script sees
//! them (`HttpOnly`), no other host gets or sets them (`__Host-`, `__Secure-`), no other site sends them with what
//! changes anything (`SameSite=Lax`; `csrf` does not rely on it).

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use dealwright::services::identity::{LOGIN_KEPT, SESSION_KEPT, SignedIn};

/// The access token; whole-host, as its prefix has the browser make sure of.
pub const ACCESS: &str = "__Host-dealwright_access";
/// The refresh token. It goes to the calls of signing in alone, for which `__Host-` allows no path.
pub const REFRESH: &str = "__Secure-dealwright_refresh";
/// What a browser is known by while it signs in by a provider: `Lax`, for it comes back from another site.
pub const LOGIN: &str = "__Host-dealwright_login";
const ACCESS_PATH: &str = "/";
const REFRESH_PATH: &str = "/api/auth";

/// The access token that a browser sends.
pub fn access(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, ACCESS)
}

/// The refresh token that a browser sends.
pub fn refresh(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, REFRESH)
}

/// What a browser is known by that signs in by a provider.
pub fn login(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, LOGIN)
}

/// The first cookie of a name (RFC 6265, 5.4: the one with the longest path).
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// Has the browser keep a pair of tokens.
pub fn keep(response: &mut Response, signed_in: &SignedIn) {
    set(response, ACCESS, &signed_in.access_token, ACCESS_PATH, signed_in.expires_in);
    set(response, REFRESH, &signed_in.refresh_token, REFRESH_PATH, SESSION_KEPT.num_seconds());
}

/// Has the browser keep what it is known by until it is back from a provider and has gone on.
pub fn keep_login(response: &mut Response, browser: &str) {
    set(response, LOGIN, browser, ACCESS_PATH, LOGIN_KEPT.num_seconds() * 2);
}

/// Has the browser forget them.
pub fn forget(response: &mut Response) {
    set(response, ACCESS, "", ACCESS_PATH, 0);
    set(response, REFRESH, "", REFRESH_PATH, 0);
}

fn set(response: &mut Response, name: &str, value: &str, path: &str, seconds: i64) {
    // Tokens are base64url and dots: nothing in them means anything to a header or a cookie.
    let text = format!("{name}={value}; Path={path}; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; x__Host-dealwright_access=no"));
        headers.append(header::COOKIE, HeaderValue::from_static(" c=\"d=e\";__Host-dealwright_access=yes; f"));
        assert_eq!((access(&headers), refresh(&headers)), (Some("yes"), None));
        headers.insert(header::COOKIE, HeaderValue::from_static("__Host-dealwright_access="));
        assert_eq!(access(&headers), None);
    }
}
