//! Time-based one-time passwords (RFC 6238 over RFC 4226): HMAC-SHA-1, six digits, thirty seconds, as every authenticator
//! application has them. Fifteen lines over `hmac`, which is here already, and held to the vectors of the standard.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::error::{Error, Result};

/// Bytes of a seed: the length of the digest (RFC 4226, 4, R6).
pub(super) const SEED: usize = 20;
/// How long a code is shown, in seconds.
const STEP: i64 = 30;
/// Digits of a code.
const DIGITS: usize = 6;

/// The code of a step.
fn code(seed: &[u8], step: i64) -> Result<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(seed)
        .map_err(|e| Error::internal("a seed was refused as a key").with_source(e))?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = digest.last().map_or(0, |last| usize::from(last & 15));
    let part = digest.get(offset..offset + 4).and_then(|part| <[u8; 4]>::try_from(part).ok());
    let part = part.ok_or_else(|| Error::internal("a digest of SHA-1 is too short"))?;
    Ok(format!("{:06}", (u32::from_be_bytes(part) & 0x7fff_ffff) % 1_000_000))
}

/// Whether a text has the form of a code.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit())
}

/// The step whose code this is: the present one, the one before or the one after (RFC 6238, 5.2), and later than the last
/// that was used.
pub(super) fn step_of(seed: &[u8], given: &str, now: DateTime<Utc>, last_used: i64) -> Result<Option<i64>> {
    let present = now.timestamp().div_euclid(STEP);
    let mut found = None;
    for step in [present - 1, present, present + 1] {
        // All three are compared, and each to its end.
        let code = code(seed, step)?;
        let differs =
            code.bytes().zip(given.bytes()).fold(code.len() ^ given.len(), |sum, (a, b)| sum | usize::from(a ^ b));
        if differs == 0 && step > last_used {
            found = Some(step);
        }
    }
    Ok(found)
}

/// The code that an application shows which was given this secret.
#[cfg(feature = "testkit")]
pub(crate) fn code_shown(secret: &str, now: DateTime<Utc>) -> Result<String> {
    let (mut sum, mut bits, mut seed) = (0_u32, 0, Vec::new());
    for letter in secret.bytes() {
        let value = ALPHABET.iter().position(|it| *it == letter).and_then(|place| u32::try_from(place).ok());
        sum = (sum << 5 | value.ok_or_else(|| Error::malformed(format!("{secret:?} is no base32")))?) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            seed.extend(u8::try_from(sum >> bits & 0xff));
        }
    }
    code_at(&seed, now)
}

/// The code that is shown at an instant.
#[cfg(any(test, feature = "testkit"))]
fn code_at(seed: &[u8], now: DateTime<Utc>) -> Result<String> {
    code(seed, now.timestamp().div_euclid(STEP))
}

/// What base32 is written with (RFC 4648, 6).
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes as base32 without padding; all that is written so here is a multiple of five bytes.
pub(super) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    for chunk in bytes.chunks(5) {
        let number =
            chunk.iter().chain(std::iter::repeat(&0)).take(5).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let letters = (chunk.len() * 8).div_ceil(5);
        for place in 0..letters {
            let index = usize::try_from(number >> (35 - 5 * place) & 31).unwrap_or_default();
            text.extend(ALPHABET.get(index).copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED_OF_THE_RFC: &[u8] = b"12345678901234567890";

    /// RFC 6238, appendix B.
    /// ASVS 6.5.4.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            assert_eq!(code_at(SEED_OF_THE_RFC, at).unwrap(), expected);
            assert_eq!(step_of(SEED_OF_THE_RFC, expected, at, -1).unwrap(), Some(seconds / 30));
        }
    }

    #[test]
    fn a_code_counts_a_step_early_or_late_and_once() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
        let code = code_at(SEED_OF_THE_RFC, at(3_000)).unwrap();
        let counts = |seconds, last| step_of(SEED_OF_THE_RFC, &code, at(seconds), last).unwrap();
        assert_eq!((counts(2_969, 0), counts(2_970, 0)), (None, Some(100)));
        assert_eq!((counts(3_059, 0), counts(3_060, 0)), (Some(100), None));
        assert_eq!((counts(3_000, 99), counts(3_000, 100)), (Some(100), None));
        for wrong in ["", "12345", "1234567", "abcdef"] {
            assert_eq!(step_of(SEED_OF_THE_RFC, wrong, at(3_000), 0).unwrap(), None, "{wrong}");
        }
    }

    /// RFC 4648, 10.
    #[test]
    fn seeds_are_written_as_base32() {
        for (text, expected) in [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")] {
            assert_eq!(base32(text.as_bytes()), expected);
        }
    }
}
