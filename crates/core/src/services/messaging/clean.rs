//! Bounds on what strangers send. Nothing of it is refused, since a refused message would be a lost one: what is too long
//! is cut, what no text may hold is left out, what lies in the future is now.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    domain::text::{MAX_NAME, MAX_REMARK, salvage_line},
    ports::connector::{Address, Incoming},
};

/// The most bytes of a body.
pub(super) const TEXT_BYTES: usize = 1 << 20;
/// The most bytes of a provider's id, a reference, a chat's key: an index entry of PostgreSQL has room for 2,700.
const KEY_BYTES: usize = 1000;
/// The most characters of a title: a header line has at most 998 (RFC 5322, 2.1.1).
const TITLE: usize = 998;
/// How many references back an answer is followed.
const REFERENCES: usize = 100;
/// Bounds of the metadata: bytes of one text, members of one object, levels, bytes in all.
const META_TEXT: usize = 8 << 10;
const META_MEMBERS: usize = 100;
const META_LEVELS: usize = 6;
const META_BYTES: usize = 64 << 10;

/// Brings a message to what the inbox keeps.
pub(crate) fn clean(incoming: Incoming, now: DateTime<Utc>) -> Incoming {
    let (text, cut) = body(&incoming.text);
    let mut metadata = members(incoming.metadata, META_LEVELS);
    let title = incoming.title.as_deref().and_then(|it| salvage_line(it, TITLE));
    // Where chats are made by references, the title is the message's own: its subject.
    if let (Some(title), None) = (&title, &incoming.chat) {
        metadata.entry("subject").or_insert_with(|| Value::String(title.clone()));
    }
    let automatic =
        incoming.automatic.map(|why| salvage_line(&why, MAX_REMARK).unwrap_or_else(|| "automatic".to_owned()));
    if let Some(why) = &automatic {
        metadata.insert("automatic".to_owned(), Value::String(why.clone()));
    }
    if cut {
        metadata.insert("truncated".to_owned(), Value::Bool(true));
    }
    Incoming {
        provider_id: key(&incoming.provider_id),
        reference: incoming.reference.as_deref().map(key).filter(|it| !it.is_empty()),
        replies_to: incoming.replies_to.iter().take(REFERENCES).map(|it| key(it)).filter(|it| !it.is_empty()).collect(),
        chat: incoming.chat.as_deref().map(key).filter(|it| !it.is_empty()),
        title,
        sender: address(incoming.sender),
        text,
        media: incoming.media,
        // Messages and answers sort by time: one of tomorrow would stand above every answer until then.
        sent_at: incoming.sent_at.min(now),
        automatic,
        metadata,
    }
}

fn address(address: Address) -> Address {
    let line = |text: Option<String>, most| text.and_then(|it| salvage_line(&it, most));
    Address {
        id: key(&address.id),
        name: line(address.name, MAX_NAME),
        email: line(address.email, MAX_NAME * 2),
        phone: line(address.phone, MAX_NAME),
        handle: line(address.handle, MAX_NAME),
    }
}

/// A body: line ends are one character, other control characters but the tabulator are left out. And whether it was cut.
pub(super) fn body(text: &str) -> (String, bool) {
    let mut clean = text.replace("\r\n", "\n").replace('\r', "\n");
    clean.retain(|c| matches!(c, '\n' | '\t') || !c.is_control());
    let cut = clean.len() > TEXT_BYTES;
    if cut {
        clean.truncate(clean.floor_char_boundary(TEXT_BYTES));
    }
    (clean, cut)
}

/// A provider's id, as it is kept and looked up: one that is too long for an index is cut, and told from others by its
/// digest.
pub(super) fn key(text: &str) -> String {
    let clean: String = text.trim().chars().filter(|c| !c.is_control()).collect();
    if clean.len() <= KEY_BYTES {
        return clean;
    }
    let digest: String = Sha256::digest(clean.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let end = clean.floor_char_boundary(KEY_BYTES - digest.len() - 1);
    format!("{}#{digest}", clean.get(..end).unwrap_or_default())
}

fn members(map: Map<String, Value>, levels: usize) -> Map<String, Value> {
    let mut room = META_BYTES;
    let mut kept = Map::new();
    for (name, member) in map.into_iter().take(META_MEMBERS) {
        let Some(name) = salvage_line(&name, MAX_NAME) else { continue };
        let member = value(member, levels - 1);
        let size = name.len() + member.to_string().len();
        if size <= room {
            room -= size;
            kept.insert(name, member);
        }
    }
    kept
}

fn value(value: Value, levels: usize) -> Value {
    match value {
        Value::String(mut text) => {
            text.retain(|c| matches!(c, '\n' | '\t') || !c.is_control());
            text.truncate(text.floor_char_boundary(META_TEXT));
            Value::String(text)
        }
        Value::Array(_) | Value::Object(_) if levels == 0 => Value::Null,
        Value::Array(items) => {
            Value::Array(items.into_iter().take(META_MEMBERS).map(|it| self::value(it, levels - 1)).collect())
        }
        Value::Object(map) => Value::Object(members(map, levels)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incoming() -> Incoming {
        Incoming {
            provider_id: "1".to_owned(),
            reference: None,
            replies_to: Vec::new(),
            chat: None,
            title: None,
            sender: Address { id: "ada@acme.example".to_owned(), ..Address::default() },
            text: String::new(),
            media: Vec::new(),
            sent_at: DateTime::UNIX_EPOCH,
            automatic: None,
            metadata: Map::new(),
        }
    }

    #[test]
    fn a_body_keeps_its_lines_and_loses_what_no_text_may_hold() {
        assert_eq!(body("a\r\nb\rc\td\u{0}\u{1b}[2J\u{85}"), ("a\nb\nc\td[2J".to_owned(), false));
        let long = "ä".repeat(TEXT_BYTES);
        let (text, cut) = body(&long);
        assert!(cut && text.len() <= TEXT_BYTES && text.len() > TEXT_BYTES - 4);
    }

    #[test]
    fn long_keys_stay_different() {
        let (a, b) = (key(&"a".repeat(5000)), key(&"a".repeat(5001)));
        assert!(a.len() <= KEY_BYTES && a != b);
        assert_eq!(key(&"a".repeat(5000)), a);
        assert_eq!(key(" <x@y>\u{0}\n"), "<x@y>");
    }

    #[test]
    fn a_message_of_tomorrow_is_of_now() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let tomorrow = Incoming { sent_at: now + chrono::TimeDelta::days(1), ..incoming() };
        assert_eq!(clean(tomorrow, now).sent_at, now);
        assert_eq!(clean(incoming(), now).sent_at, DateTime::UNIX_EPOCH);
    }

    #[test]
    fn metadata_is_bounded_in_every_direction() {
        let mut deep = json!(1);
        for _ in 0..100 {
            deep = json!({ "in": deep });
        }
        let wide: Map<String, Value> = (0..1000).map(|n| (format!("k{n:04}"), json!("x".repeat(20_000)))).collect();
        for metadata in [json!({ "deep": deep }), Value::Object(wide), json!({ "nul\u{0}": "a\u{0}b" })] {
            let Value::Object(metadata) = metadata else { panic!("an object") };
            let kept =
                Value::Object(clean(Incoming { metadata, ..incoming() }, DateTime::UNIX_EPOCH).metadata).to_string();
            assert!(kept.len() <= META_BYTES + 1000, "{} bytes", kept.len());
            assert!(!kept.contains("\\u0000"));
        }
    }

    #[test]
    fn the_subject_and_the_reason_why_it_is_automatic_stand_in_the_metadata() {
        let mail = Incoming { title: Some(" Hello\n".to_owned()), automatic: Some("list".to_owned()), ..incoming() };
        let kept = clean(mail, DateTime::UNIX_EPOCH);
        assert_eq!(Value::Object(kept.metadata), json!({ "subject": "Hello", "automatic": "list" }));
        let group = Incoming { title: Some("Group".to_owned()), chat: Some("7".to_owned()), ..incoming() };
        assert_eq!(clean(group, DateTime::UNIX_EPOCH).metadata, Map::new());
    }
}
