//! Everything that is held about one person, for whoever may see it all: also what private accounts hold, since it is
//! the person's own. That somebody asked for it is told in the audit log.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::sections::{Held, Place, Section, piece};
use crate::{
    domain::{
        audit::AuditObject, chat::Chat, contact::Contact, event::Event, media::Media, notification::Notification,
    },
    error::{Error, Result},
    id::{ContactId, Id},
    page::invalid_cursor,
    services::{
        audit::{self, AuditView},
        media::MediaView,
        unit::Unit,
    },
};

/// Rows read at once: bodies may have a megabyte each.
const AT_ONCE: u32 = 50;

/// Whose data is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportContact {
    /// The contact, deleted or not.
    pub id: ContactId,
    /// The `next_cursor` of the part before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A part of what is held about a person. Each section comes at least once, empty if there is nothing in it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ContactExport {
    /// Of which section.
    pub section: Section,
    /// What is held there.
    pub data: Vec<Map<String, Value>>,
    /// Where the next part begins; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// A place in the walk through one contact's data.
#[derive(Serialize, Deserialize)]
struct Cursor {
    contact_id: ContactId,
    place: Place,
}

pub(crate) async fn export(unit: &mut Unit, input: ExportContact) -> Result<ContactExport> {
    let contact = unit.store().contact(unit.organization_id(), input.id).await?;
    let contact = contact.ok_or_else(|| Error::not_found("contact", input.id))?;
    let place = match &input.cursor {
        Some(cursor) => read(cursor, contact.id)?,
        None => {
            audit::tell_reading(unit, AuditObject::Contact, contact.id.uuid())?;
            Place::FIRST
        }
    };
    let (held, next) = piece(unit, &contact, &place, AT_ONCE).await?;
    let next_cursor = next.map(|place| write(&Cursor { contact_id: contact.id, place })).transpose()?;
    Ok(ContactExport { section: place.section, data: told(held)?, next_cursor })
}

fn write(cursor: &Cursor) -> Result<String> {
    let text = serde_json::to_vec(cursor).map_err(|e| Error::internal("a place is no JSON").with_source(e))?;
    Ok(URL_SAFE_NO_PAD.encode(text))
}

fn read(text: &str, contact: ContactId) -> Result<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid_cursor())?;
    let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| invalid_cursor())?;
    if cursor.contact_id == contact { Ok(cursor.place) } else { Err(invalid_cursor()) }
}

fn told(held: Held) -> Result<Vec<Map<String, Value>>> {
    match held {
        Held::Contact(contact) => all(vec![*contact], contact_as_kept),
        Held::Deals(deals) => all(deals, |it| json!(it)),
        Held::Chats(chats) => all(chats, chat),
        Held::Messages(messages) => all(messages, |it| json!(it)),
        Held::Files(files) => all(files, file),
        Held::History(moves) => all(moves, |it| json!(it)),
        Held::Notes(notes) => all(notes, |it| json!(it)),
        Held::Tasks(tasks) => all(tasks, |it| json!(it)),
        Held::Events(events) => all(events, event),
        Held::Runs(runs) => all(runs, |it| json!(it)),
        Held::Notifications(all_of_them) => all(all_of_them, notification),
        Held::Audit(entries) => all(entries, |it| json!(AuditView::of(it.clone()))),
    }
}

fn all<T>(rows: Vec<T>, tell: fn(&T) -> Value) -> Result<Vec<Map<String, Value>>> {
    let object = |row: &T| match tell(row) {
        Value::Object(members) => Ok(members),
        _ => Err(Error::internal("what is held about somebody is no object")),
    };
    rows.iter().map(object).collect()
}

/// The same object with more members.
fn with<const N: usize>(mut value: Value, more: [(&str, Value); N]) -> Value {
    if let Value::Object(members) = &mut value {
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    value
}

fn contact_as_kept(contact: &Contact) -> Value {
    with(json!(contact), [("deleted_at", json!(contact.deleted_at))])
}

fn chat(chat: &Chat) -> Value {
    json!({
        "id": chat.id, "account_id": chat.account_id, "platform": chat.platform, "provider_id": chat.chat_key,
        "title": chat.title, "contact_id": chat.contact_id, "last_message": chat.last_message,
        "last_message_at": chat.last_message_at, "unread_count": chat.unread_count, "assigned_to": chat.assigned_to,
        "state": chat.state, "snoozed_until": chat.snoozed_until, "labels": chat.labels, "created_at": chat.created_at,
    })
}

fn file(file: &Media) -> Value {
    with(json!(MediaView::from(file.clone())), [("created_at", json!(file.created_at))])
}

fn event(event: &Event) -> Value {
    json!({
        "id": event.id, "kind": event.kind, "subject": event.subject, "seq": event.subject_seq,
        "occurred_at": event.occurred_at, "actor": event.actor, "changes": event.changes, "data": event.data,
    })
}

fn notification(notification: &Notification) -> Value {
    with(json!(notification), [("user_id", json!(notification.user_id))])
}
