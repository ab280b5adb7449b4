//! Who vouches for people that sign in: Google by OpenID Connect, GitHub by OAuth 2.0 and its API, both by the authorization
//! code flow with PKCE (RFC 6749, 7636, 9700); Telegram by its Login Widget. They say who came back and whose address that
//! is; nothing else is asked of them, and no token of theirs is kept.

mod github;
mod google;
mod http;
mod telegram;

use std::collections::BTreeMap;
use std::fmt;

use dealwright::{Error, Result};

pub use self::{
    github::GitHub,
    google::Google,
    http::{OAuthHttp, OAuthOptions},
    telegram::Telegram,
};

/// What a provider knows this installation by.
#[derive(Clone)]
pub struct OAuthClient {
    /// The client id: everybody may know it.
    pub id: String,
    /// The client secret: nobody else may.
    pub secret: String,
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthClient").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An address of a provider: HTTPS, or a machine's own (a provider that is being tried out).
///
/// # Errors
/// `validation_failed` for anything else.
fn address(text: &str) -> Result<oauth2::url::Url> {
    let wrong = || {
        let detail =
            format!("{text:?} is no address of a provider: https://HOST is expected, http:// for this machine");
        Error::invalid("/address", "invalid", detail)
    };
    let url = oauth2::url::Url::parse(text).map_err(|_| wrong())?;
    let own = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let fits = url.scheme() == "https" || (url.scheme() == "http" && own);
    if fits { Ok(url) } else { Err(wrong()) }
}

/// The code that a browser brings back.
fn code(provider: &str, answer: &BTreeMap<String, String>) -> Result<String> {
    match (answer.get("error").map(String::as_str), answer.get("code")) {
        (None, Some(code)) => Ok(code.clone()),
        (Some("server_error" | "temporarily_unavailable"), _) => {
            Err(Error::unavailable(format!("{provider} cannot sign anybody in at the moment")))
        }
        (Some(error), _) => {
            let shown: String = error.chars().take(100).collect();
            Err(Error::forbidden(format!("{provider} let nobody in: {shown:?}")).code_of("access_denied"))
        }
        (None, None) => Err(proves_nothing(provider, "it brings no code")),
    }
}

/// What a provider answered says nothing that counts.
fn proves_nothing(provider: &str, why: impl fmt::Display) -> Error {
    Error::unauthenticated("invalid_provider_answer", format!("the answer of {provider} does not count: {why}"))
}

/// A chain of errors as one line: those of the libraries say what failed only in their causes.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A code that was not traded in, whatever kind of answer the provider has.
fn not_traded<T>(provider: &str, error: oauth2::RequestTokenError<http::Failure, T>) -> Error
where
    T: oauth2::ErrorResponse + 'static,
{
    match error {
        oauth2::RequestTokenError::Request(failure) => failure.told(provider),
        // Whatever stands in the answer is not told on: it may hold a token.
        oauth2::RequestTokenError::Parse(..) => proves_nothing(provider, "it is no token"),
        other => proves_nothing(provider, causes(&other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 12.3.1.
    #[test]
    fn a_provider_is_spoken_to_in_private() {
        for good in ["https://accounts.google.com", "http://127.0.0.1:8080", "http://localhost:1/x", "http://[::1]:2"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in
            ["", "accounts.google.com", "http://accounts.google.com", "http://127.0.0.1.evil.example", "file:///x"]
        {
            assert_eq!(address(bad).unwrap_err().code(), "validation_failed", "{bad}");
        }
    }

    #[test]
    fn what_comes_back_without_a_code_is_told_apart() {
        let of = |pairs: &[(&str, &str)]| {
            let answer = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            code("google", &answer).map_err(|error| error.code().to_owned())
        };
        assert_eq!(of(&[("code", "c")]), Ok("c".to_owned()));
        assert_eq!(of(&[]), Err("invalid_provider_answer".to_owned()));
        assert_eq!(of(&[("error", "access_denied"), ("code", "c")]), Err("access_denied".to_owned()));
        assert_eq!(of(&[("error", "temporarily_unavailable")]), Err("unavailable".to_owned()));
    }
}
