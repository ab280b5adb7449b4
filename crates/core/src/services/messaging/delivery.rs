//! What becomes of an outgoing message, step by step. Each step expects the state that it was decided upon, so that of
//! two workers who think they have the message one is told otherwise.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{chat, credits, message, send::settle_key, subject};
use crate::{
    domain::{
        event::EventKind,
        job::JobKind,
        message::{Message, MessageStatus},
        text::{MAX_REMARK, salvage_line},
    },
    error::Result,
    id::MessageId,
    ports::{connector::Sent, store::Update},
    services::unit::{Fact, Unit},
};

/// How long after a doubtful send its traces are first looked for: the provider may show it late.
const FIRST_LOOK: TimeDelta = TimeDelta::seconds(30);

/// What a claimed message is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// To be handed over now: it is marked as being sent.
    Go,
    /// It was being sent already when its worker died: nobody knows whether it went.
    Interrupted,
    /// Not before this time.
    Later(DateTime<Utc>),
    /// Sent, cancelled or given up.
    Over,
}

/// Marks a message as being sent; `at` is when it is said to be written.
pub(crate) async fn begin(unit: &mut Unit, id: MessageId, at: DateTime<Utc>) -> Result<Begun> {
    let message = message(unit, id).await?;
    match message.status {
        MessageStatus::Queued | MessageStatus::Scheduled => {
            if let Some(send_at) = message.send_at.filter(|it| *it > unit.now()) {
                return Ok(Begun::Later(send_at));
            }
            unit.note_touch(step(&message, MessageStatus::Sending, None).set("timestamp", &at))?;
            Ok(Begun::Go)
        }
        MessageStatus::Sending => Ok(Begun::Interrupted),
        _ => Ok(Begun::Over),
    }
}

/// The provider has it. Whoever learns it records it, once.
pub(crate) async fn sent(unit: &mut Unit, id: MessageId, sent: &Sent) -> Result<()> {
    let before = message(unit, id).await?;
    if matches!(before.status, MessageStatus::Sent | MessageStatus::Delivered | MessageStatus::Read) {
        return Ok(());
    }
    let known = unit
        .store()
        .known_provider_ids(before.organization_id, before.account_id, std::slice::from_ref(&sent.provider_id))
        .await?;
    let provider_id = known.is_empty().then(|| super::clean::key(&sent.provider_id));
    let after = Message { status: MessageStatus::Sent, provider_id, error: None, ..before.clone() };
    let chat = chat(unit, after.chat_id).await?;
    let contact = match after.contact_id {
        Some(id) => unit.contact(id).await?,
        None => None,
    };
    let at = after.timestamp;
    let (touch, credit) = credits::spoken(&chat, &after);
    let update = step(&before, after.status, None).set("provider_id", &after.provider_id);
    let mut fact =
        fact(unit, EventKind::MessageSent, &after)?.data("provider_id", &sent.provider_id).touch(update).touch(touch);
    if let Some(credit) = &credit {
        fact = fact.insert(credit);
    }
    if let Some(contact) = contact {
        if contact.last_message_at.is_none_or(|before| before < at) {
            fact = fact.change("last_message_at", contact.last_message_at, at);
        }
        fact.touch(Update::of(&contact).max("last_message_at", &at));
    }
    Ok(())
}

/// It surely did not go, and is tried again.
pub(crate) async fn postpone(unit: &mut Unit, id: MessageId, error: &str) -> Result<()> {
    turn(unit, id, &[MessageStatus::Sending], MessageStatus::Queued, error).await
}

/// It will never go.
pub(crate) async fn fail(unit: &mut Unit, id: MessageId, error: &str) -> Result<()> {
    let from = [MessageStatus::Sending, MessageStatus::Queued, MessageStatus::Scheduled];
    turn(unit, id, &from, MessageStatus::Failed, error).await
}

/// Nobody knows whether it went: it is never sent again by itself, and its traces are looked for.
pub(crate) async fn doubtful(unit: &mut Unit, id: MessageId, error: &str) -> Result<()> {
    turn(unit, id, &[MessageStatus::Sending], MessageStatus::Unknown, error).await?;
    let payload = payload(unit, id);
    let first_look = unit.now() + FIRST_LOOK;
    unit.queue_job(JobKind::SettleMessage, payload, first_look, Some(settle_key(id)))?;
    Ok(())
}

/// Its traces were looked for in vain.
pub(crate) async fn unsettled(unit: &mut Unit, id: MessageId, error: &str) -> Result<()> {
    let message = message(unit, id).await?;
    if message.status == MessageStatus::Unknown {
        unit.note_touch(step(&message, MessageStatus::Unknown, Some(error)))?;
    }
    Ok(())
}

/// What a job about a message carries: which one, and who wanted it for what reason, so that what comes of it is theirs.
pub(super) fn payload(unit: &Unit, id: MessageId) -> serde_json::Value {
    let scope = unit.scope();
    json!({ "message_id": id, "actor": scope.actor, "cause": scope.cause })
}

/// Turns a message from one of the states `from`; one that is elsewhere by now stays there.
async fn turn(unit: &mut Unit, id: MessageId, from: &[MessageStatus], to: MessageStatus, error: &str) -> Result<()> {
    let before = message(unit, id).await?;
    if !from.contains(&before.status) {
        return Ok(());
    }
    let after = Message { status: to, ..before.clone() };
    let update = step(&before, to, Some(error));
    fact(unit, EventKind::MessageUpdated, &after)?.data("error", salvage_line(error, MAX_REMARK)).touch(update);
    Ok(())
}

fn step(before: &Message, to: MessageStatus, error: Option<&str>) -> Update {
    let error = error.and_then(|it| salvage_line(it, MAX_REMARK));
    Update::of(before).set("status", &to).set("error", &error).expect("status", &before.status)
}

/// An event about an outgoing message.
pub(super) fn fact<'u>(unit: &'u mut Unit, kind: EventKind, message: &Message) -> Result<Fact<'u>> {
    Ok(unit
        .fact(kind, subject(message))?
        .data("message_id", message.id)
        .data("chat_id", message.chat_id)
        .data("account_id", message.account_id)
        .data("status", message.status))
}
