//! The page that brings what stands behind the `#` of a callback. Its script is known by its hash: nothing else runs there,
//! and nothing of anybody else's is fetched.

macro_rules! script {
    () => {
        "if(location.hash.length>1)location.replace('callback'+location.search+'&'+location.hash.slice(1))"
    };
}

/// The page.
pub(super) const PAGE: &str = concat!(
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Signing in</title></head><body>",
    "<p>One moment. If nothing happens, no answer has come, or this browser runs no scripts: go back and sign in again.</p>",
    "<script>",
    script!(),
    "</script></body></html>"
);

/// What may run there; a test compares it with the script.
pub(super) const CONTENT: &str = "default-src 'none'; script-src 'sha256-1c7E4wb+w+nKJe/hMqHusWwvUuXKLoMpv/rW21bYv0I='; \
                                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
