//! One inbox over all accounts: what comes in becomes messages of chats with contacts, what goes out waits its turn as a
//! job. Speaks no protocol; may call accounts, media, contacts.

mod chats;
mod clean;
mod credits;
mod delivery;
mod ingest;
mod live;
mod messages;
mod outgoing;
mod send;

pub use self::{
    chats::{ChatPatch, InboxChat, InboxContact, ListChats, UpdateChat},
    live::{LiveMessage, Sees},
    messages::{ListMessages, MessageExplanation, ReadAnswer, WaitsFor},
    send::{MediaRef, SendMessage},
};
pub(crate) use self::{
    chats::{get as get_chat, give as give_chat, list as list_chats, update as update_chat},
    clean::clean,
    delivery::{Begun, begin, doubtful, fail, postpone, sent, unsettled},
    ingest::{Arrival, ingest, is_quiet},
    live::live,
    messages::{cancel, explain, get, list, read, shown_to},
    outgoing::{Prepared, prepare},
    send::{job_keys, send, send_to_contact},
};

use crate::{
    domain::{
        chat::{Chat, LastMessage},
        event::Subject,
        message::Message,
    },
    error::{Error, Result},
    id::{ChatId, MessageId},
    ports::store::Update,
    services::unit::{Unit, keyed},
};

/// Characters of a text that the inbox shows.
const PREVIEW: usize = 200;

/// A chat as this unit knows it.
pub(crate) async fn chat(unit: &mut Unit, id: ChatId) -> Result<Chat> {
    let missing = || Error::not_found("chat", id);
    if let Some(known) = unit.known::<Chat>(&keyed(unit.organization_id(), id))? {
        return known.ok_or_else(missing);
    }
    let chat = unit.store().chat(unit.organization_id(), id).await?.ok_or_else(missing)?;
    unit.meet(chat)?.ok_or_else(missing)
}

/// A message as this unit knows it.
pub(crate) async fn message(unit: &mut Unit, id: MessageId) -> Result<Message> {
    let missing = || Error::not_found("message", id);
    if let Some(known) = unit.known::<Message>(&keyed(unit.organization_id(), id))? {
        return known.ok_or_else(missing);
    }
    let message = unit.store().message(unit.organization_id(), id).await?.ok_or_else(missing)?;
    unit.meet(message)?.ok_or_else(missing)
}

/// What an event about a message has as its subject: its contact, or its chat without one.
fn subject(message: &Message) -> Subject {
    message.contact_id.map_or_else(|| message.chat_id.into(), Subject::from)
}

/// What the inbox shows of a message.
fn preview(message: &Message) -> LastMessage {
    let text = message.content.as_ref().map(|content| content.text.chars().take(PREVIEW).collect());
    LastMessage { id: message.id, direction: message.direction, text, timestamp: message.timestamp }
}

/// The change that makes `message` the newest of its chat, if it is. Two at the same time take turns: the one that read
/// an older state reads again.
fn newest(chat: &Chat, message: &Message) -> Update {
    let update = Update::of(chat);
    if chat.last_message.is_some() && message.timestamp < chat.last_message_at {
        return update;
    }
    update
        .expect("last_message_at", &chat.last_message_at)
        .set("last_message", &Some(preview(message)))
        .set("last_message_at", &message.timestamp.max(chat.last_message_at))
}
