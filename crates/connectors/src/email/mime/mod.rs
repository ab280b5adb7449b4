//! A mail's bytes as a message: body, files, sender, thread. Whatever comes in, this neither fails nor panics: a broken
//! mail is delivered as best it can be, or skipped with a reason. No I/O here.

mod attachment;
mod html;
mod mask;
#[cfg(any(test, feature = "testkit"))]
mod promises;
mod text;

pub(super) use attachment::{file_name, is_media_type};
#[cfg(any(test, feature = "testkit"))]
pub use promises::holds_its_promises;
pub(super) use text::line;

use chrono::{DateTime, Duration, Utc};
use dealwright::ports::connector::{Address, Delivery, Incoming};
use mail_parser::{Addr, Header, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use serde_json::{Map, Value, json};

use super::{
    automatic,
    provider_id::{Written, provider_id},
    threading,
};

/// Longest body that is kept.
const MAX_TEXT: usize = 1 << 20;
/// Longest header section. Mail servers take much less (Postfix: 100 KiB a header).
const MAX_HEADERS: usize = 1 << 20;
/// Most lines that may be the boundary of a part.
const MAX_BOUNDARIES: usize = 10_000;
/// How much the parser may have to search: for every multipart that names a boundary, the rest of the mail.
const MAX_SEARCH: usize = 2 << 30;
/// Longest subject: what one header line may hold (RFC 5322, 2.1.1).
const MAX_SUBJECT: usize = 998;
const MAX_PERSON: usize = 200;
/// Longest address that is believed; SMTP carries 254 octets.
const MAX_ADDRESS: usize = 320;
const MAX_RECIPIENTS: usize = 100;

/// What the mailbox knows of a mail beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    /// The mailbox's own address, lower-cased.
    pub(super) account: &'a str,
    /// When it arrived there.
    pub(super) at: DateTime<Utc>,
}

/// Reads one mail.
pub(super) fn parse(raw: &[u8], received: Received<'_>) -> Delivery {
    let header_end = header_end(raw);
    let whole = || provider_id(Written { message_id: None, from: b"", date: b"", body: raw });
    if header_end > MAX_HEADERS {
        return skipped(whole(), format!("its headers are larger than {} KiB", MAX_HEADERS >> 10));
    }
    if raw.windows(3).filter(|window| *window == b"\n--").take(MAX_BOUNDARIES + 1).count() > MAX_BOUNDARIES {
        return skipped(whole(), format!("it has more than {MAX_BOUNDARIES} parts"));
    }
    if multiparts(raw).saturating_mul(raw.len()) > MAX_SEARCH {
        return skipped(whole(), "it nests or repeats its parts beyond reason".to_owned());
    }
    let masked = mask::mask(raw);
    let Some(message) = MessageParser::default().parse(&*masked).filter(has_headers) else {
        return skipped(whole(), "it is no mail: it has no headers".to_owned());
    };
    Mail { raw, message }.read(received)
}

/// The provider's id of a mail, by the same rule as in [`parse`].
pub(super) fn provider_id_of(raw: &[u8]) -> String {
    let masked = mask::mask(raw);
    match MessageParser::default().parse_headers(&*masked).filter(has_headers) {
        Some(message) => Mail { raw, message }.provider_id(),
        None => provider_id(Written { message_id: None, from: b"", date: b"", body: raw }),
    }
}

fn has_headers(message: &Message<'_>) -> bool {
    message.parts.first().is_some_and(|root| !root.headers.is_empty())
}

fn skipped(provider_id: String, reason: String) -> Delivery {
    Delivery::Skipped { provider_id, reason }
}

/// Where the header section ends: behind its last line break.
fn header_end(raw: &[u8]) -> usize {
    let mut end = 0;
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            return end;
        }
        end += line.len();
    }
    raw.len()
}

fn multiparts(raw: &[u8]) -> usize {
    const WORD: &[u8] = b"multipart";
    raw.windows(WORD.len())
        .filter(|window| matches!(window.first(), Some(b'm' | b'M')) && window.eq_ignore_ascii_case(WORD))
        .count()
}

struct Mail<'x> {
    raw: &'x [u8],
    message: Message<'x>,
}

impl Mail<'_> {
    fn read(&self, received: Received<'_>) -> Delivery {
        let provider_id = self.provider_id();
        let message_id = self.message_id();
        let Some(sender) = self.sender() else {
            return skipped(provider_id, "it names no sender address".to_owned());
        };
        if sender.id == received.account
            || message_id.as_deref().is_some_and(|id| threading::is_own(received.account, id))
        {
            return skipped(provider_id, "this account sent it itself".to_owned());
        }
        let automatic = automatic::reason(|name| self.header(name), self.is_report(), &sender.id);
        let (media, files_left) = attachment::attachments(&self.message, self.raw);
        let mut text = self.text();
        let cut = text::truncate(&mut text, MAX_TEXT);
        let subject =
            self.message.subject().map(|subject| line(subject, MAX_SUBJECT)).filter(|subject| !subject.is_empty());

        let mut metadata = Map::new();
        let mut note = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        note("subject", json!(subject));
        note("message_id", json!(message_id));
        note("to", json!(people(self.message.to())));
        note("cc", json!(people(self.message.cc())));
        if let Some(reason) = &automatic {
            note("automatic", json!(reason));
        }
        if let Some(address) = self.message.reply_to().and_then(|list| list.iter().find_map(address)) {
            note("reply_to", json!(address));
        }
        if cut {
            note("text_truncated", json!(true));
        }
        if files_left > 0 {
            note("attachments_left_out", json!(files_left));
        }
        Delivery::Message(Box::new(Incoming {
            provider_id,
            reference: message_id,
            replies_to: self.replies_to(),
            chat: None,
            title: subject,
            sender,
            text,
            media,
            sent_at: self.sent_at(received.at),
            automatic,
            metadata,
        }))
    }

    fn headers(&self) -> &[Header<'_>] {
        self.message.parts.first().map_or(&[], |root| root.headers.as_slice())
    }

    fn raw_header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers().iter().find(|header| header.name().eq_ignore_ascii_case(name))?;
        self.raw.get(header.offset_start as usize..header.offset_end as usize)
    }

    /// A header's value as it stands there, unfolded.
    fn header(&self, name: &str) -> Option<String> {
        self.raw_header(name).map(|raw| String::from_utf8_lossy(raw).replace(['\r', '\n'], ""))
    }

    fn message_id(&self) -> Option<String> {
        let value = self.header("Message-ID")?;
        threading::message_ids(&value).into_iter().next().or_else(|| threading::bare(&value))
    }

    fn provider_id(&self) -> String {
        let body = self.raw.get(header_end(self.raw)..);
        provider_id(Written {
            message_id: self.message_id().as_deref(),
            from: self.raw_header("From").unwrap_or_default(),
            date: self.raw_header("Date").unwrap_or_default(),
            body: body.unwrap_or_default(),
        })
    }

    /// The author; where From holds no address, whoever else is named as having sent it.
    fn sender(&self) -> Option<Address> {
        let named = [self.message.from(), self.message.sender(), self.message.reply_to()];
        named.into_iter().flatten().find_map(|list| {
            list.iter().find_map(|person| {
                let email = address(person)?;
                let name = person.name.as_deref().map(|name| line(name, MAX_PERSON)).filter(|name| !name.is_empty());
                Some(Address { id: email.clone(), name, email: Some(email), ..Address::default() })
            })
        })
    }

    fn is_report(&self) -> bool {
        self.message.is_content_type("multipart", "report")
    }

    /// A bounce also answers the mail that it is about; its answer headers often name nothing.
    fn replies_to(&self) -> Vec<String> {
        let ids = |name| self.header(name).map(|value| threading::message_ids(&value)).unwrap_or_default();
        let mut answered = threading::replies_to(&ids("In-Reply-To"), &ids("References"));
        if self.is_report()
            && let Some(returned) = self.returned_message_id()
            && !answered.contains(&returned)
        {
            answered.insert(0, returned);
        }
        answered
    }

    /// The Message-ID of the mail, or of its headers, that a report encloses (RFC 3462, 1).
    fn returned_message_id(&self) -> Option<String> {
        let is_returned = |part: &&MessagePart<'_>| {
            part.content_type().is_some_and(|stated| {
                let stated = format!("{}/{}", stated.ctype(), stated.subtype().unwrap_or_default());
                matches!(
                    &*mask::unmask_text(&stated),
                    "message/rfc822" | "message/global" | "text/rfc822-headers" | "message/global-headers"
                )
            })
        };
        let returned = attachment::contents(self.message.parts.iter().find(is_returned)?, self.raw);
        let headers = MessageParser::default().parse_headers(&*returned)?;
        let ids = headers.parts.first()?.headers.iter().find(|header| header.name == HeaderName::MessageId)?;
        let value = returned.get(ids.offset_start as usize..ids.offset_end as usize)?;
        threading::message_ids(&String::from_utf8_lossy(value)).into_iter().next()
    }

    /// The body: all text parts that are no files; HTML where there is no plain text; of a mail cut off in the middle,
    /// what there is.
    fn text(&self) -> String {
        let fragments: Vec<u32> = (0..)
            .zip(&self.message.parts)
            .filter(|(_, part)| attachment::is_fragment(part))
            .map(|(id, _)| id)
            .collect();
        let sources = [&self.message.text_body, &self.message.html_body, &fragments];
        sources.into_iter().map(|ids| self.bodies(ids)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    fn bodies(&self, ids: &[u32]) -> String {
        let mut bodies: Vec<String> = Vec::new();
        let mut length = 0;
        for part in
            ids.iter().filter_map(|id| self.message.part(*id)).filter(|part| !attachment::is_file(&self.message, part))
        {
            let body = match &part.body {
                PartType::Text(text) if !part.is_content_type("text", "html") => text::body(&mask::unmask_text(text)),
                PartType::Text(html) | PartType::Html(html) => text::body(&html::to_text(&mask::unmask_text(html))),
                _ => continue,
            };
            length += body.len();
            if !body.is_empty() {
                bodies.push(body);
            }
            if length > MAX_TEXT {
                break;
            }
        }
        bodies.join("\n\n")
    }

    /// The author's date, as long as it makes sense: no mail arrives before it was sent (an hour for clocks that are
    /// off), and none is older than the format (RFC 822, 1982).
    fn sent_at(&self, arrived: DateTime<Utc>) -> DateTime<Utc> {
        let date = self
            .message
            .date()
            .filter(|date| date.is_valid())
            .and_then(|date| DateTime::from_timestamp(date.to_timestamp(), 0));
        let oldest = DateTime::from_timestamp(378_691_200, 0).unwrap_or_default();
        date.filter(|date| *date >= oldest && *date <= arrived + Duration::hours(1))
            .map_or(arrived, |date| date.min(arrived))
    }
}

/// An address that can be answered, lower-cased.
fn address(person: &Addr<'_>) -> Option<String> {
    let address = person.address.as_deref()?.trim().to_lowercase();
    let whole = address.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = !address.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;()[]\"\\".contains(c));
    (whole && plain && address.len() <= MAX_ADDRESS).then_some(address)
}

fn people(list: Option<&mail_parser::Address<'_>>) -> Vec<String> {
    list.map(|list| list.iter().filter_map(address).take(MAX_RECIPIENTS).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
