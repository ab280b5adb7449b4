//! The files of a mail, byte for byte as they were attached.

use bytes::Bytes;
use dealwright::domain::media::Attachment;
use mail_parser::{
    Encoding, Message, MessagePart, MimeHeaders, PartType,
    decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode},
};

use super::{mask, text};

/// Most files that are taken from one mail.
pub(super) const MAX_ATTACHMENTS: usize = 100;
const MAX_NAME: usize = 200;

/// The files of `message`, at most [`MAX_ATTACHMENTS`], and how many were left.
pub(super) fn attachments(message: &Message<'_>, raw: &[u8]) -> (Vec<Attachment>, usize) {
    let named_bodies = message.text_body.iter().filter(|id| !message.attachments.contains(id));
    let named_bodies = named_bodies.filter(|id| part(message, **id).is_some_and(|part| is_file(message, part)));
    let mut ids: Vec<u32> = message.attachments.iter().chain(named_bodies).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let parts: Vec<&MessagePart<'_>> = ids
        .iter()
        .filter_map(|id| part(message, *id))
        .filter(|part| !matches!(part.body, PartType::Multipart(_)) && !is_fragment(part))
        .collect();
    let left = parts.len().saturating_sub(MAX_ATTACHMENTS);
    let files = parts.into_iter().take(MAX_ATTACHMENTS).enumerate().map(|(n, part)| attachment(part, raw, n + 1));
    (files.collect(), left)
}

/// Whether a text part is a file rather than the body: it has a file name and is not all there is.
pub(super) fn is_file(message: &Message<'_>, part: &MessagePart<'_>) -> bool {
    message.parts.len() > 1 && part.attachment_name().is_some()
}

/// Whether a part is the text of a mail that was cut off: it never ended, and it is not said to be a file.
pub(super) fn is_fragment(part: &MessagePart<'_>) -> bool {
    let unnamed =
        part.attachment_name().is_none() && part.content_disposition().is_none_or(|stated| !stated.is_attachment());
    part.is_encoding_problem && unnamed && matches!(part.body, PartType::Text(_) | PartType::Html(_))
}

fn part<'a, 'x>(message: &'a Message<'x>, id: u32) -> Option<&'a MessagePart<'x>> {
    message.parts.get(usize::try_from(id).ok()?)
}

fn attachment(part: &MessagePart<'_>, raw: &[u8], number: usize) -> Attachment {
    let media_type = media_type(part);
    let name = part.attachment_name().map(|name| file_name(&mask::unmask_text(name))).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| format!("attachment-{number}.{}", extension(&media_type)));
    Attachment { name, media_type, bytes: contents(part, raw) }
}

/// The bytes as attached. The parser has already turned text parts into UTF-8, so those are decoded here again.
pub(super) fn contents(part: &MessagePart<'_>, raw: &[u8]) -> Bytes {
    let own = || Bytes::copy_from_slice(&mask::unmask(part.contents()));
    if !matches!(part.body, PartType::Text(_) | PartType::Html(_)) {
        return own();
    }
    let range = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
    let Some(encoded) = raw.get(range) else { return own() };
    match part.encoding {
        Encoding::None => Bytes::copy_from_slice(encoded),
        Encoding::Base64 => base64_decode(encoded).map_or_else(own, Bytes::from),
        Encoding::QuotedPrintable => quoted_printable_decode(encoded).map_or_else(own, Bytes::from),
    }
}

fn media_type(part: &MessagePart<'_>) -> String {
    let fallback = if matches!(part.body, PartType::Text(_)) { "text/plain" } else { "application/octet-stream" };
    let stated = part.content_type().and_then(|ct| ct.subtype().map(|subtype| format!("{}/{subtype}", ct.ctype())));
    let stated = stated.map(|stated| mask::unmask_text(&stated).to_ascii_lowercase());
    stated.filter(|stated| is_media_type(stated)).unwrap_or_else(|| fallback.to_owned())
}

/// `type/subtype` of tokens (RFC 6838, 4.2).
pub(in crate::email) fn is_media_type(text: &str) -> bool {
    let is_token = |t: &str| {
        (1..=127).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b))
}

/// The last component of a name, without what is not shown; never `.` or `..`.
pub(in crate::email) fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = text::line(last, usize::MAX);
    let name = name.trim_matches([' ', '.']);
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    // Long names lose their middle, not their ending.
    let (stem, ending) = name.rsplit_once('.').filter(|(_, ending)| ending.len() <= 16).unwrap_or((name, ""));
    let room = stem.floor_char_boundary(MAX_NAME - ending.len() - 1);
    let stem = stem.get(..room).unwrap_or_default();
    if ending.is_empty() { stem.to_owned() } else { format!("{stem}.{ending}") }
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "application/pdf" => "pdf",
        "image/gif" => "gif",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "message/global" | "message/rfc822" => "eml",
        "message/delivery-status" | "message/disposition-notification" | "text/plain" | "text/rfc822-headers" => "txt",
        "text/calendar" => "ics",
        "text/csv" => "csv",
        "text/html" => "html",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ASVS 5.3.2.
    #[test]
    fn a_file_name_is_no_path_and_no_disguise() {
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name("C:\\temp\\a b.txt"), "a b.txt");
        assert_eq!(file_name(".."), "");
        assert_eq!(file_name("invoice\u{202e}fdp.exe"), "invoicefdp.exe");
        assert_eq!(file_name("a\r\nb.txt"), "a b.txt");
        let long = file_name(&format!("{}.pdf", "ä".repeat(300)));
        assert!(long.len() <= MAX_NAME && long.ends_with(".pdf"));
    }

    #[test]
    fn a_media_type_is_two_tokens() {
        assert!(is_media_type("image/svg+xml"));
        for text in ["image", "image/", "a b/c", "text/plain; x=y", "text/pl\r\nain"] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }
}
