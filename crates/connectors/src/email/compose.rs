//! An outgoing message as a mail. The same message gives the same bytes at every try: date, Message-ID and boundary come
//! from the message, not from the moment. Nothing that people typed can break out of its header.

use std::borrow::Cow;

use dealwright::{
    domain::media::Attachment,
    error::{Error, Result},
    ports::connector::{Address, Outgoing},
};
use mail_builder::{
    MessageBuilder,
    headers::{address::Address as Mailbox, content_type::ContentType, date::Date},
    mime::{BodyPart, MimePart},
};
use sha2::{Digest, Sha256};

use super::{address, mime, threading};

/// Longest name or subject that is written.
const MAX_LINE: usize = 250;

/// A mail and its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Composed {
    /// Whom the envelope names as sender.
    pub(super) from: String,
    /// Whom the envelope names as recipient.
    pub(super) to: String,
    /// The mail.
    pub(super) bytes: Vec<u8>,
}

/// Writes `outgoing`. `account` is the mailbox's own address and `name` what it calls itself when the message does not
/// say otherwise.
pub(super) fn compose(outgoing: &Outgoing, account: &str, name: Option<&str>) -> Result<Composed> {
    let to = recipient(&outgoing.to)?;
    let reference = usable_id(&outgoing.reference).ok_or_else(|| {
        Error::internal(format!(
            "{:?} can be no Message-ID; it must be one word without angle brackets",
            outgoing.reference
        ))
    })?;
    let from_name = outgoing.from.name.as_deref().or(name).map(line).filter(|name| !name.is_empty());
    let to_name = outgoing.to.name.as_deref().map(line).filter(|name| !name.is_empty());
    let mut builder = MessageBuilder::new()
        .from(Mailbox::new_address(from_name.as_deref().map(Cow::from), account.to_owned()))
        .to(Mailbox::new_address(to_name.map(Cow::from), to.clone()))
        .subject(subject(outgoing, from_name.as_deref().unwrap_or(account)))
        .date(Date::new(outgoing.written_at.timestamp()))
        .message_id(reference.clone());
    let references = references(&outgoing.references);
    if let Some(answered) = references.last() {
        builder = builder.in_reply_to(answered.clone()).references(references);
    }
    let text = MimePart::new("text/plain", BodyPart::Text(body(&outgoing.text).into()));
    let builder = if outgoing.media.is_empty() {
        builder.body(text)
    } else {
        let parts = std::iter::once(text).chain(outgoing.media.iter().map(file)).collect::<Vec<_>>();
        builder
            .body(MimePart::new(ContentType::new("multipart/mixed").attribute("boundary", boundary(&reference)), parts))
    };
    let bytes = builder.write_to_vec().map_err(|e| Error::internal(format!("the mail could not be written: {e}")))?;
    Ok(Composed { from: account.to_owned(), to, bytes })
}

fn recipient(to: &Address) -> Result<String> {
    let stated = to.email.as_deref().unwrap_or(&to.id);
    address::normalize(stated).ok_or_else(|| {
        Error::invalid(
            "/to",
            "invalid",
            format!("{stated:?} is not an e-mail address that can be written to; correct it at the contact"),
        )
    })
}

/// `Re: …` for an answer, once; the title for a new chat.
fn subject(outgoing: &Outgoing, sender: &str) -> String {
    let title = outgoing.title.as_deref().map(line).filter(|title| !title.is_empty());
    match (title, outgoing.references.is_empty()) {
        (Some(title), true) => title,
        (Some(title), false) if is_answer(&title) => title,
        (Some(title), false) => format!("Re: {title}"),
        (None, true) => format!("Message from {sender}"),
        (None, false) => "Re: your message".to_owned(),
    }
}

/// Whether a subject says already that it answers: `Re:`, and `Re[2]:` as some programs count.
fn is_answer(subject: &str) -> bool {
    let Some((prefix, _)) = subject.split_once(':') else { return false };
    let prefix = prefix.trim_end().trim_end_matches(|c: char| c.is_ascii_digit() || "[]()^".contains(c));
    prefix.eq_ignore_ascii_case("re")
}

/// The thread, oldest first. A long one keeps its root and its end (RFC 5537, 3.4.4).
fn references(ids: &[String]) -> Vec<String> {
    let mut usable: Vec<String> = Vec::new();
    for id in ids.iter().filter_map(|id| usable_id(id)) {
        usable.retain(|known| *known != id);
        usable.push(id);
    }
    if usable.len() > threading::MAX_REFERENCES {
        usable.drain(1..=usable.len() - threading::MAX_REFERENCES);
    }
    usable
}

/// An id that can stand between angle brackets.
fn usable_id(id: &str) -> Option<String> {
    threading::bare(id).filter(|bare| bare == id && !bare.contains(['<', '>']))
}

fn body(text: &str) -> String {
    let mut body = text.replace("\r\n", "\n").replace('\r', "\n");
    body.retain(|c| c == '\n' || c == '\t' || !c.is_control());
    if !body.ends_with('\n') {
        body.push('\n');
    }
    body
}

fn line(text: &str) -> String {
    mime::line(text, MAX_LINE)
}

/// Nested mails and multiparts may not be encoded (RFC 2046, 5.2.1), so they travel as plain files.
fn file(file: &Attachment) -> MimePart<'_> {
    let name = mime::file_name(&file.name);
    let name = if name.is_empty() { "attachment".to_owned() } else { name };
    let media_type = file.media_type.to_ascii_lowercase();
    let composite = media_type.starts_with("message/") || media_type.starts_with("multipart/");
    let media_type =
        if mime::is_media_type(&media_type) && !composite { media_type } else { "application/octet-stream".to_owned() };
    MimePart::new(media_type, BodyPart::Binary(Cow::Borrowed(&file.bytes))).attachment(name)
}

/// `=_` occurs neither in base64 nor in quoted-printable text.
fn boundary(reference: &str) -> String {
    let digest: String =
        Sha256::digest(reference.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("=_{digest}")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::{TimeZone, Utc};
    use dealwright::ports::connector::{Delivery, Incoming};
    use proptest::prelude::*;

    use super::*;

    const ACCOUNT: &str = "me@example.test";

    fn person(email: &str, name: Option<&str>) -> Address {
        Address {
            id: email.to_owned(),
            name: name.map(str::to_owned),
            email: Some(email.to_owned()),
            ..Address::default()
        }
    }

    fn outgoing() -> Outgoing {
        Outgoing {
            message_id: uuid::Uuid::from_u128(1).into(),
            reference: "one.two@example.test".to_owned(),
            from: person(ACCOUNT, Some("Jürgen, \"J\"")),
            to: person("ada@example.test", Some("Ada Lovelace")),
            chat: None,
            title: Some("Größe und Maß".to_owned()),
            text: "Hallo Ada,\n\nschöne Grüße – 50 % = viel\n.\n\tJ".to_owned(),
            references: vec![],
            media: vec![],
            written_at: Utc.with_ymd_and_hms(2026, 3, 2, 9, 0, 0).unwrap(),
        }
    }

    fn text(outgoing: &Outgoing) -> String {
        String::from_utf8(compose(outgoing, ACCOUNT, None).unwrap().bytes).unwrap()
    }

    fn received(outgoing: &Outgoing) -> Incoming {
        let bytes = compose(outgoing, ACCOUNT, None).unwrap().bytes;
        match mime::parse(&bytes, mime::Received { account: "ada@example.test", at: outgoing.written_at }) {
            Delivery::Message(mail) => *mail,
            Delivery::Skipped { reason, .. } => panic!("{reason}"),
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let sent = Outgoing {
            references: vec!["root@x".into(), "last@x".into()],
            media: vec![
                Attachment {
                    name: "März.csv".into(),
                    media_type: "text/csv".into(),
                    bytes: Bytes::from_static(b"a;b\n\xe4;\x00\n"),
                },
                Attachment {
                    name: "../x.eml".into(),
                    media_type: "message/rfc822".into(),
                    bytes: Bytes::from_static(b"Subject: x\r\n\r\ny"),
                },
            ],
            ..outgoing()
        };
        let mail = received(&sent);
        assert_eq!(mail.text, sent.text);
        assert_eq!(mail.title.as_deref(), Some("Re: Größe und Maß"));
        assert_eq!((mail.sender.id.as_str(), mail.sender.name.as_deref()), (ACCOUNT, Some("Jürgen, \"J\"")));
        assert_eq!(mail.reference.as_deref(), Some("one.two@example.test"));
        assert_eq!(mail.replies_to, ["last@x", "root@x"]);
        assert_eq!(mail.sent_at, sent.written_at);
        let files: Vec<_> =
            mail.media.iter().map(|f| (f.name.as_str(), f.media_type.as_str(), f.bytes.clone())).collect();
        assert_eq!(
            files,
            [
                ("März.csv", "text/csv", sent.media[0].bytes.clone()),
                ("x.eml", "application/octet-stream", sent.media[1].bytes.clone())
            ]
        );
    }

    #[test]
    fn a_plain_mail_looks_like_this() {
        let mail = Outgoing {
            from: person(ACCOUNT, Some("Jo")),
            title: Some("Offer".into()),
            text: "Hello".into(),
            ..outgoing()
        };
        assert_eq!(
            text(&mail),
            "From: \"Jo\" <me@example.test>\r\nTo: \"Ada Lovelace\" <ada@example.test>\r\nSubject: Offer\r\n\
             Date: Mon, 2 Mar 2026 09:00:00 +0000\r\nMessage-ID: <one.two@example.test>\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHello\r\n"
        );
    }

    #[test]
    fn every_try_writes_the_same_bytes() {
        let mut mail = outgoing();
        mail.media.push(Attachment {
            name: "a".into(),
            media_type: "image/png".into(),
            bytes: Bytes::from_static(b"x"),
        });
        assert_eq!(text(&mail), text(&mail));
    }

    #[test]
    fn an_answer_says_re_once() {
        let subject = |title: Option<&str>, answers: bool| {
            let references = if answers { vec!["a@b".to_owned()] } else { vec![] };
            received(&Outgoing { title: title.map(str::to_owned), references, ..outgoing() }).title.unwrap()
        };
        assert_eq!(subject(Some("Offer"), false), "Offer");
        assert_eq!(subject(Some("Offer"), true), "Re: Offer");
        for title in ["Re: Offer", "RE:Offer", "re[2]: Offer", "Re : Offer"] {
            assert_eq!(subject(Some(title), true), title);
        }
        assert_eq!(subject(Some("Report: May"), true), "Re: Report: May");
        assert_eq!(subject(Some(" \r\n"), true), "Re: your message");
        assert_eq!(subject(None, false), "Message from Jürgen, \"J\"");
    }

    #[test]
    fn a_long_thread_keeps_root_and_end_in_short_lines() {
        let ids: Vec<String> = (0..300).map(|n| format!("{n}.{}@example.test", "x".repeat(40))).collect();
        let mail = Outgoing { references: ids.clone(), ..outgoing() };
        let nearest = received(&mail).replies_to;
        assert_eq!((nearest.len(), &nearest[0], &nearest[49]), (50, &ids[299], &ids[0]));
        assert!(text(&mail).lines().all(|line| line.len() <= 998));
    }

    #[test]
    fn nothing_breaks_out_of_a_header() {
        let evil = "x\r\nBcc: eve@example.test\r\n\r\nbody\u{0}";
        let mail = Outgoing {
            from: person(ACCOUNT, Some(evil)),
            to: person("ada@example.test", Some(evil)),
            title: Some(evil.into()),
            references: vec![evil.into(), "a> <b".into(), "good@x".into()],
            media: vec![Attachment { name: evil.into(), media_type: evil.into(), bytes: Bytes::new() }],
            ..outgoing()
        };
        let written = text(&mail);
        assert!(!written.lines().any(|line| line.starts_with("Bcc") || line.starts_with("body")), "{written}");
        assert_eq!(received(&mail).replies_to, ["good@x"]);
        let to = Outgoing { to: person("ada@example.test\r\nBcc: eve@example.test", None), ..outgoing() };
        assert_eq!(compose(&to, ACCOUNT, None).unwrap_err().fields()[0].pointer, "/to");
        assert!(compose(&Outgoing { reference: "a b".into(), ..outgoing() }, ACCOUNT, None).is_err());
    }

    proptest! {
        #[test]
        fn any_text_arrives(body in "\\PC{0,200}(\n\\PC{0,100}){0,5}", title in "\\PC{0,120}") {
            let sent = Outgoing { text: body.clone(), title: Some(title.clone()), ..outgoing() };
            let mail = received(&sent);
            prop_assert_eq!(mail.text, mime_text(&body));
            if !line(&title).is_empty() {
                prop_assert_eq!(mail.title.unwrap(), line(&title));
            }
            prop_assert!(compose(&sent, ACCOUNT, None).unwrap().bytes.is_ascii());
        }
    }

    fn mime_text(body: &str) -> String {
        body.trim_end().trim_start_matches('\n').replace('\u{feff}', "")
    }
}
