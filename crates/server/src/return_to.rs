//! Where a browser may be sent on to: pages of ours, and of sites that may call with its credentials anyway. Everything else
//! would make us vouch for somebody else's page (OWASP ASVS 5.0, 3.7.2 and 10.4.1; CWE-601).

use crate::{origins::Origins, problem::Problem};

/// The longest address.
const LONGEST: usize = 2_000;

/// The address that was asked for, if a browser may be sent there; `/` for none.
///
/// # Errors
/// 400 `invalid_parameter` at `/return_to`.
pub fn checked(wanted: Option<&str>, origins: &Origins) -> Result<String, Problem> {
    let Some(wanted) = wanted else { return Ok("/".to_owned()) };
    // Browsers take a backslash for a slash, and leave out what cannot be seen (WHATWG URL).
    let plain = wanted.len() <= LONGEST && wanted.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let ours = wanted.starts_with('/') && !wanted.starts_with("//");
    if plain && (ours || origin_of(wanted).is_some_and(|origin| origins.lists(origin))) {
        return Ok(wanted.to_owned());
    }
    let detail = "nobody is sent there: give a path of ours such as /inbox, or an address of a site of cors_origins, \
                  percent-encoded";
    Err(Problem::parameter("return_to", detail))
}

/// What stands before the path of an address.
fn origin_of(address: &str) -> Option<&str> {
    let host = address.find("://")? + "://".len();
    let end = address.get(host..)?.find(['/', '?', '#']).map_or(address.len(), |at| host + at);
    address.get(..end)
}

/// An address with a value behind its `#`; behind a page's own, if it has one there.
pub fn with(address: &str, name: &str, value: &str) -> String {
    let between = match address.split_once('#') {
        None => '#',
        Some((_, page)) if page.contains('?') => '&',
        Some(_) => '?',
    };
    format!("{address}{between}{name}={value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins() -> Origins {
        Origins::read(&["https://app.acme.example".to_owned()]).unwrap()
    }

    #[test]
    fn pages_of_ours_and_of_allowed_sites_are_gone_on_to() {
        assert_eq!(checked(None, &origins()).unwrap(), "/");
        for good in ["/", "/inbox?tab=1#x", "/#/inbox", "https://app.acme.example", "https://app.acme.example/a?b#c"] {
            assert_eq!(checked(Some(good), &origins()).unwrap(), good);
        }
    }

    /// ASVS 3.7.2.
    #[test]
    fn nobody_is_sent_to_a_strangers_page() {
        for bad in [
            "",
            "inbox",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "https:evil.example",
            "https://app.acme.example.evil.example/",
            "https://app.acme.example@evil.example/",
            "https://evil.example/https://app.acme.example",
            "http://app.acme.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a b",
            "/\u{e4}",
            &format!("/{}", "x".repeat(LONGEST)),
        ] {
            let problem = checked(Some(bad), &origins()).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid_parameter"), "{bad}");
        }
    }

    /// ASVS 3.4.5 and 14.2.1.
    #[test]
    fn a_value_stands_where_no_server_sees_it() {
        assert_eq!(with("/inbox?a=b", "oauth_code", "x"), "/inbox?a=b#oauth_code=x");
        assert_eq!(with("/#/inbox", "oauth_code", "x"), "/#/inbox?oauth_code=x");
        assert_eq!(with("/#/inbox?a=b", "oauth_error", "x"), "/#/inbox?a=b&oauth_error=x");
    }
}
