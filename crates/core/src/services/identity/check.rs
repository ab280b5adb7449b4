//! Passwords as people choose them: what is long enough, what is too long to be one.

use std::ops::RangeInclusive;

use crate::domain::text::{Checked, Flaw};

/// Length of passwords, in characters (OWASP ASVS 5.0, 6.2.1 and 6.2.9).
const LENGTH: RangeInclusive<usize> = 8..=200;

/// A new password: as it is, not trimmed.
pub(super) fn password(text: &str) -> Checked<()> {
    let length = text.chars().count();
    if length < *LENGTH.start() {
        return Err(Flaw::new("too_short", format!("it has {length} characters: at least {} count", LENGTH.start())));
    }
    if length > *LENGTH.end() {
        return Err(Flaw::new("too_long", format!("it has {length} characters: at most {} count", LENGTH.end())));
    }
    Ok(())
}

/// Whether a password is worth comparing: a longer one was never accepted.
pub(super) fn comparable(text: &str) -> bool {
    text.chars().count() <= *LENGTH.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_bounded_and_not_trimmed() {
        assert_eq!(password("1234567").unwrap_err().code, "too_short");
        assert!(password("1234567 ").is_ok());
        assert!(password(&"ä".repeat(200)).is_ok());
        assert_eq!(password(&"ä".repeat(201)).unwrap_err().code, "too_long");
    }
}
