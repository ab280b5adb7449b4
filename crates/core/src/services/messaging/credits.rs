//! Whose work a message is, and how long the contact waited for it: settled once, when it is sent or comes in, from what
//! its chat remembers. Analytics read it off one narrow table and never look at messages.

use chrono::{DateTime, Utc};

use super::newest;
use crate::{
    domain::{
        chat::Chat,
        message::{CreditKind, Message, MessageCredit},
    },
    error::Result,
    id::{ChatId, UserId},
    ports::store::Update,
    services::unit::Unit,
};

/// What an incoming message means for its chat.
pub(super) struct Heard {
    /// Since when the contact waits for an answer, now.
    pub(super) waiting_since: Option<DateTime<Utc>>,
    /// Whose message it replies to.
    pub(super) credit: Option<MessageCredit>,
}

/// What an incoming message means. One that asks for nothing (a machine's, or history from before the account was
/// connected, which people answered elsewhere) means nothing, and so does one that we have written after: it may have been
/// answered before it came to be here. In whatever order messages come in, the wait began with the oldest of them.
pub(super) fn heard(chat: &Chat, message: &Message, asks_nothing: bool) -> Heard {
    let at = message.timestamp;
    if asks_nothing || chat.sent_at.is_some_and(|sent| at <= sent) {
        return Heard { waiting_since: chat.waiting_since, credit: None };
    }
    // Of several messages in a row the first is the reply.
    let replied = chat.sent_by.filter(|_| chat.waiting_since.is_none());
    Heard {
        waiting_since: Some(chat.waiting_since.map_or(at, |since| since.min(at))),
        credit: replied.map(|user| credit(message, user, CreditKind::Reply, None)),
    }
}

impl Heard {
    /// Adds to a change of the chat what becomes of its wait.
    pub(super) fn touch(&self, chat: &Chat, update: Update) -> Update {
        if self.waiting_since == chat.waiting_since {
            return update;
        }
        waiting(chat, update, self.waiting_since)
    }
}

/// What a message of ours that was sent means: the change of its chat, and whose work it is. A rule's message is nobody's
/// answer: the contact goes on waiting for a person.
pub(super) fn spoken(chat: &Chat, message: &Message) -> (Update, Option<MessageCredit>) {
    let at = message.timestamp;
    let mut update = newest(chat, message);
    let mut waited = None;
    if let (Some(_), Some(since)) = (message.sent_by, chat.waiting_since.filter(|since| *since <= at)) {
        waited = at.signed_duration_since(since).num_microseconds();
        update = waiting(chat, update, None);
    }
    if chat.sent_at.is_none_or(|before| before <= at) {
        update = said(chat, update, at, message.sent_by);
    }
    (update, message.sent_by.map(|user| credit(message, user, CreditKind::Sent, waited)))
}

/// Somebody wrote into a chat without us, so nobody knows who: what the contact waited for is there, and no answer of ours
/// is measured against it.
pub(super) async fn elsewhere(unit: &mut Unit, chat: Option<ChatId>, at: DateTime<Utc>) -> Result<()> {
    let Some(id) = chat else { return Ok(()) };
    let chat = super::chat(unit, id).await?;
    let mut update = Update::of(&chat);
    if chat.waiting_since.is_some_and(|since| since <= at) {
        update = waiting(&chat, update, None);
    }
    if chat.sent_at.is_none_or(|before| before < at) {
        update = said(&chat, update, at, None);
    }
    if update.set.is_empty() { Ok(()) } else { unit.note_touch(update) }
}

fn waiting(chat: &Chat, update: Update, since: Option<DateTime<Utc>>) -> Update {
    update.expect("waiting_since", &chat.waiting_since).set("waiting_since", &since)
}

fn said(chat: &Chat, update: Update, at: DateTime<Utc>, by: Option<UserId>) -> Update {
    update.expect("sent_at", &chat.sent_at).set("sent_at", &Some(at)).set("sent_by", &by)
}

fn credit(message: &Message, user_id: UserId, kind: CreditKind, waited_us: Option<i64>) -> MessageCredit {
    let Message { organization_id, timestamp: at, id: message_id, .. } = *message;
    MessageCredit { organization_id, at, message_id, user_id, kind, waited_us }
}
