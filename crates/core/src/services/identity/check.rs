//! Passwords as people choose them (OWASP ASVS 5.0, 6.2; NIST SP 800-63B, 3.1.1.2): what is long enough, what is too long
//! to be one, and what everybody would try first. No rule says of which characters they are made.

use std::{ops::RangeInclusive, sync::LazyLock};

use crate::domain::text::{self, Checked, Flaw};

/// Length of passwords, in characters (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
const LENGTH: RangeInclusive<usize> = 8..=200;
/// What the service is called: nobody's secret.
const SERVICE: &str = "dealwright";
/// So many digits behind a word make no secret of it: a year at most.
const TAIL: usize = 4;

/// What many people choose, sorted. A list and not a judge of strength: it takes 80 kB where a judge takes a megabyte and a
/// dozen crates, and it can be told why a password was refused (ASVS 6.2.4 asks for the 3,000 most common ones that are
/// long enough).
static COMMON: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#')).collect());

/// A new password: as it is, not trimmed. `about` is what its owner and their organisation are called.
pub(super) fn password(text: &str, about: &[&str]) -> Checked<()> {
    let length = text.chars().count();
    if length < *LENGTH.start() {
        return Err(Flaw::new("too_short", format!("it has {length} characters: at least {} count", LENGTH.start())));
    }
    if length > *LENGTH.end() {
        return Err(Flaw::new("too_long", format!("it has {length} characters: at most {} count", LENGTH.end())));
    }
    let common =
        |why: &str| Err(Flaw::new("too_common", format!("{why}: choose another one, several words for example")));
    let lower = text.to_lowercase();
    if COMMON.binary_search(&lower.trim()).is_ok() {
        return common("it is one of those that are tried first");
    }
    let mut letters = lower.chars();
    if let Some(first) = letters.next()
        && letters.all(|c| c == first)
    {
        return common("it is one character again and again");
    }
    if about.iter().copied().chain([SERVICE]).any(|word| is_named_by(&lower, word)) {
        return common("it is what you, your organisation or this service is called");
    }
    Ok(())
}

/// Whether a password is no more than `word`, or what stands before the `@` of it: whatever stands between the letters, and
/// with a year behind it.
fn is_named_by(password: &str, word: &str) -> bool {
    let bare = |text: &str| text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let password = bare(password);
    let local = word.rsplit_once('@').map(|(local, _)| local);
    [Some(word), local].into_iter().flatten().map(bare).any(|word| {
        let rest = password.strip_prefix(&word).filter(|_| !word.is_empty());
        rest.is_some_and(|rest| rest.len() <= TAIL && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// An e-mail address as it is kept, to look for its user by; whatever is none finds nobody.
pub(super) fn sought(given: &str) -> String {
    let text = text::plain(given).trim().to_lowercase();
    if text.len() <= 254 && !text.contains(char::is_control) { text } else { String::new() }
}

/// Whether a password is worth comparing: a longer one was never accepted.
pub(super) fn comparable(text: &str) -> bool {
    text.chars().count() <= *LENGTH.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        password(text, &["una.ortega@acme.example", "Una Ortega", "Acme & Sons"]).map_or_else(|flaw| flaw.code, |()| "")
    }

    /// ASVS 6.2.1, 6.2.8 and 6.2.9.
    #[test]
    fn passwords_are_bounded_and_not_trimmed() {
        assert_eq!(code("1x3 567"), "too_short");
        assert_eq!(code("1x3 567 "), "");
        assert_eq!(code(&"äö".repeat(100)), "");
        assert_eq!(code(&"äö".repeat(101)), "too_long");
    }

    /// ASVS 6.2.5: no rule of composition.
    #[test]
    fn of_what_a_password_is_made_does_not_matter() {
        for text in ["correct horse battery", "pferd stapel korrekt", "73829104655", "ОченьДлинный", "        x "]
        {
            assert_eq!(code(text), "", "{text}");
        }
    }

    /// ASVS 6.2.4.
    #[test]
    fn what_is_tried_first_is_refused() {
        assert!(COMMON.len() >= 3_000 && COMMON.is_sorted() && COMMON.iter().all(|it| it.len() >= 8));
        for text in ["password", "PassWord1", "12345678", " 1q2w3e4r ", "zzzzzzzzzzzz", "ÄÄÄÄÄÄÄÄÄ"] {
            assert_eq!(code(text), "too_common", "{text}");
        }
    }

    /// ASVS 6.2.11.
    #[test]
    fn a_name_is_no_password() {
        for text in [
            "una.ortega@acme.example",
            "Una.Ortega",
            "una ortega",
            "UnaOrtega1999",
            "acme&sons",
            "Acme-Sons-26",
            "Dealwright",
            "dealwright2026",
        ] {
            assert_eq!(code(text), "too_common", "{text}");
        }
        for text in ["una ortega likes tea", "acme & daughters", "dealwright-demo"] {
            assert_eq!(code(text), "", "{text}");
        }
    }
}
