//! Keeps mails inside mails closed. The parser would open `message/rfc822` parts, and digests of them, recursively; a
//! mail nested a hundred thousand deep then ends the process by its stack when it is dropped. So in everything that can
//! be a Content-Type header the words `message` and `digest` lose one letter before parsing and get it back afterwards;
//! a nested mail comes out as a file. The length stays, so offsets hold for the unmasked bytes too.

use std::borrow::Cow;

const HEADER: &[u8] = b"content-type";

/// A word that opens nested mails, and the letter of it that is exchanged, in both cases, for a mark.
struct Word {
    word: &'static [u8],
    at: usize,
    marks: [(u8, u8); 2],
}

const WORDS: [Word; 2] = [
    Word { word: b"message", at: 4, marks: [(b'a', 1), (b'A', 2)] },
    Word { word: b"digest", at: 1, marks: [(b'i', 3), (b'I', 4)] },
];

/// `raw` with every word masked that the parser could take for the type of a nested mail.
pub(super) fn mask(raw: &[u8]) -> Cow<'_, [u8]> {
    let mut masked = Cow::Borrowed(raw);
    let mut from = 0;
    while let Some(colon) = find(raw, from, b':') {
        from = colon + 1;
        if !names_content_type(raw, colon) {
            continue;
        }
        let end = header_end(raw, from);
        for Word { word, at, marks } in WORDS {
            exchange(&mut masked, from..end, word, at, |byte| {
                marks.iter().find(|(plain, _)| *plain == byte).map(|(_, mark)| *mark)
            });
        }
        from = end;
    }
    masked
}

/// Undoes [`mask`].
pub(super) fn unmask(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut plain = Cow::Borrowed(bytes);
    for Word { word, at, marks } in WORDS {
        for (letter, mark) in marks {
            let mut pattern = word.to_vec();
            if let Some(byte) = pattern.get_mut(at) {
                *byte = mark;
            }
            let whole = 0..bytes.len();
            exchange(&mut plain, whole, &pattern, at, |byte| (byte == mark).then_some(letter));
        }
    }
    plain
}

/// [`unmask`] for text.
pub(super) fn unmask_text(text: &str) -> Cow<'_, str> {
    match unmask(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// In `range`, wherever `word` stands in any case, the byte at `at` becomes what `new` says.
fn exchange(
    bytes: &mut Cow<'_, [u8]>,
    range: std::ops::Range<usize>,
    word: &[u8],
    at: usize,
    new: impl Fn(u8) -> Option<u8>,
) {
    let places: Vec<usize> = bytes
        .get(range.clone())
        .unwrap_or_default()
        .windows(word.len())
        .enumerate()
        .filter(|(_, window)| window.eq_ignore_ascii_case(word))
        .map(|(place, _)| range.start + place + at)
        .collect();
    for place in places {
        let Some(byte) = bytes.get(place).copied().and_then(&new) else { continue };
        if let Some(slot) = bytes.to_mut().get_mut(place) {
            *slot = byte;
        }
    }
}

fn find(bytes: &[u8], from: usize, wanted: u8) -> Option<usize> {
    bytes.get(from..)?.iter().position(|byte| *byte == wanted).map(|place| from + place)
}

/// Whether what stands before `colon` on its line ends in the header's name; the parser ignores white space inside it.
fn names_content_type(raw: &[u8], colon: usize) -> bool {
    let line = raw.get(..colon).unwrap_or_default().iter().rev().take_while(|byte| **byte != b'\n');
    let mut letters = line.filter(|byte| !byte.is_ascii_whitespace());
    HEADER.iter().rev().all(|wanted| letters.next().is_some_and(|byte| byte.eq_ignore_ascii_case(wanted)))
}

/// The end of a header: a line break that is not followed by a space or tab.
fn header_end(raw: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(newline) = find(raw, at, b'\n') {
        at = newline + 1;
        if !matches!(raw.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    raw.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_types_are_masked_and_everything_comes_back() {
        let raw = b"Subject: a message digest\r\nContent - TYPE:\r\n\tMessage/rfc822; name=\"message.eml\"\r\nX: message\r\n\r\nmessage";
        let masked = mask(raw);
        let text = String::from_utf8_lossy(&masked);
        assert!(text.starts_with("Subject: a message digest"));
        assert!(text.contains("Mess\u{1}ge/rfc822; name=\"mess\u{1}ge.eml\""), "{text:?}");
        assert!(text.ends_with("X: message\r\n\r\nmessage"));
        assert_eq!(masked.len(), raw.len());
        assert_eq!(unmask(&masked), &raw[..]);
    }

    #[test]
    fn a_header_right_behind_a_boundary_is_masked() {
        assert_eq!(&*mask(b"--bContent-Type: MESSAGE/global\n"), b"--bContent-Type: MESS\x02GE/global\n");
        assert_eq!(&*mask(b"content-type: multipart/digest"), b"content-type: multipart/d\x03gest");
    }

    #[test]
    fn a_mail_without_nested_mails_is_not_copied() {
        assert!(matches!(mask(b"Content-Type: text/plain\r\n\r\na message"), Cow::Borrowed(_)));
        assert!(matches!(unmask(b"a message"), Cow::Borrowed(_)));
    }
}
