//! The id under which a mail is known, the same however often and by whatever way it is fetched: its Message-ID and a
//! digest of what its author wrote. The Message-ID alone would not do: a reused or forged one would swallow a mail.

use sha2::{Digest, Sha256};

/// Digits of the digest: 128 bits.
const DIGEST_DIGITS: usize = 32;

/// Room for the Message-ID in the id. A longer one is cut; the digest tells such mails apart, it has it whole.
const MAX_MESSAGE_ID: usize = 200;

/// The parts of a mail that its author fixed and no transport changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written<'a> {
    /// The bare Message-ID.
    pub(super) message_id: Option<&'a str>,
    /// The From header as it stands in the mail.
    pub(super) from: &'a [u8],
    /// The Date header as it stands in the mail.
    pub(super) date: &'a [u8],
    /// Everything behind the headers.
    pub(super) body: &'a [u8],
}

/// `<Message-ID>#<digest>`, or the digest alone for a mail without one.
pub(super) fn provider_id(written: Written<'_>) -> String {
    let mut digest = Sha256::new();
    let message_id = written.message_id.unwrap_or_default();
    for header in [message_id.as_bytes(), written.from, written.date] {
        for word in header.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            digest.update(word);
            digest.update(b" ");
        }
        digest.update(b"\n");
    }
    update_body(&mut digest, written.body);
    let mut digest: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    digest.truncate(DIGEST_DIGITS);
    if message_id.is_empty() {
        return digest;
    }
    let end = message_id.floor_char_boundary(MAX_MESSAGE_ID);
    format!("{}#{digest}", message_id.get(..end).unwrap_or_default())
}

/// Line ends, white space at them and empty lines at the end of the body may change on the way (RFC 6376, 3.4.4).
fn update_body(digest: &mut Sha256, body: &[u8]) {
    let mut empty_lines = 0_usize;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            digest.update(b"\n");
        }
        digest.update(line);
        digest.update(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: Written<'_> = Written {
        message_id: Some("a@b"),
        from: b" Ada <ada@example.test>",
        date: b" Mon, 1 Jan 2026 10:00:00 +0000",
        body: b"Hello\r\n\r\nthere\r\n",
    };

    #[test]
    fn the_id_is_the_message_id_and_128_bits() {
        let id = provider_id(MAIL);
        let digest = id.strip_prefix("a@b#").unwrap();
        assert!(digest.len() == 32 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_eq!(provider_id(Written { message_id: None, ..MAIL }).len(), 32);
    }

    #[test]
    fn transport_changes_nothing() {
        let folded = Written { from: b"Ada\r\n\t<ada@example.test>\r\n", body: b"Hello  \n\nthere\n\n\n", ..MAIL };
        assert_eq!(provider_id(folded), provider_id(MAIL));
    }

    #[test]
    fn a_reused_message_id_with_another_author_date_or_body_is_another_mail() {
        let ids = [
            provider_id(MAIL),
            provider_id(Written { from: b"Eve <eve@example.test>", ..MAIL }),
            provider_id(Written { date: b"Tue, 2 Jan 2026 10:00:00 +0000", ..MAIL }),
            provider_id(Written { body: b"Hello\r\nthere\r\n", ..MAIL }),
        ];
        for (i, id) in ids.iter().enumerate() {
            assert!(!ids[..i].contains(id));
        }
    }

    #[test]
    fn a_very_long_message_id_is_cut_and_still_counts_whole() {
        let (a, b) = ("ä".repeat(500), "ä".repeat(501));
        let (a, b) = (
            provider_id(Written { message_id: Some(&a), ..MAIL }),
            provider_id(Written { message_id: Some(&b), ..MAIL }),
        );
        assert!(a.len() <= 240 && a != b);
    }
}
