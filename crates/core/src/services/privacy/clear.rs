//! What is personal of each kind of row, and what stands there once it is gone. Ids, times, states and counts stay.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::sections::Held;
use crate::{
    domain::{
        audit::AuditEntry,
        chat::{Chat, ChatState, LastMessage},
        erasure::{ERASED, unlinked},
        event::Event,
        job::{JobState, Lane},
        media::Media,
        message::{Content, Direction, Message, MessageStatus, Sender},
        note::Note,
        notification::Notification,
        payload::Personal,
        pipeline::StageMove,
        run::Run,
        task::Task,
    },
    error::Result,
    id::{ChatId, DataKeyId, Id},
    ports::store::{Record, Update, Write},
    services::{deals, idempotency, mail, messaging, notifications, unit::Unit},
};

/// Takes what is personal out of rows; answers out of how many.
pub(super) async fn clear(unit: &mut Unit, held: Held, gone: &[Media]) -> Result<i64> {
    match held {
        Held::Contact(contact) => idempotency::forget_answers(unit, &[contact.id.uuid()]).await,
        Held::Deals(all) => {
            let ids: Vec<_> = all.iter().map(|deal| deal.id.uuid()).collect();
            let mut cleared = idempotency::forget_answers(unit, &ids).await?;
            for deal in &all {
                cleared += i64::from(deals::erase(unit, deal).await?);
            }
            Ok(cleared)
        }
        Held::Chats(all) => Ok(each(unit, &all, chat)),
        Held::Messages(all) => messages(unit, &all, false).await,
        Held::Files(_) => files(unit, gone).await,
        Held::History(all) => Ok(each(unit, &all, StageMove::erased)),
        Held::Notes(all) => Ok(each(unit, &all, note)),
        Held::Tasks(all) => tasks(unit, &all),
        Held::Events(all) => Ok(each(unit, &all, Event::erased)),
        Held::Runs(all) => Ok(each(unit, &all, Run::erased)),
        Held::Notifications(all) => told(unit, &all).await,
        Held::Audit(all) => Ok(each(unit, &all, AuditEntry::erased)),
    }
}

pub(super) fn each<T: Record + PartialEq>(unit: &mut Unit, rows: &[T], clean: fn(&T) -> T) -> i64 {
    let mut cleared = 0;
    for row in rows {
        let clean = clean(row);
        if clean != *row {
            unit.batch.erase(Update::between(row, &clean));
            cleared += 1;
        }
    }
    cleared
}

fn chat(chat: &Chat) -> Chat {
    let last_message = chat.last_message.clone().map(|last| LastMessage { text: None, ..last });
    Chat {
        chat_key: format!("{ERASED}:{}", chat.id),
        title: None,
        last_message,
        state: ChatState::Closed,
        snoozed_until: None,
        waiting_since: None,
        labels: Vec::new(),
        ..chat.clone()
    }
}

fn message(message: &Message) -> Message {
    let theirs = message.direction == Direction::Incoming;
    let sender = match theirs {
        true => Sender { id: String::new(), name: ERASED.to_owned(), ..message.sender.clone() },
        false => message.sender.clone(),
    };
    let status = match message.status {
        MessageStatus::Queued | MessageStatus::Scheduled => MessageStatus::Cancelled,
        status => status,
    };
    Message {
        sender,
        content: Some(Content { text: String::new(), media: Vec::new() }),
        metadata: Map::from_iter([(ERASED.to_owned(), Value::Bool(true))]),
        status,
        error: None,
        // Ours names nobody, and is by what a message of ours is known that comes back.
        reference: message.reference.clone().filter(|_| !theirs),
        provider_id: message.provider_id.as_deref().map(unlinked),
        ..message.clone()
    }
}

/// Clears messages, and what the inbox shows of them: with `titles` the subjects too that their chats have as titles.
pub(super) async fn messages(unit: &mut Unit, all: &[Message], titles: bool) -> Result<i64> {
    let mut cleared = 0;
    for before in all {
        let after = message(before);
        if after != *before {
            unit.batch.erase(Update::between(before, &after).expect("status", &before.status));
            cleared += 1;
        }
    }
    // What the inbox shows of them, in chats of others too.
    let chats: BTreeSet<ChatId> = all.iter().map(|message| message.chat_id).collect();
    for id in chats {
        let before = messaging::chat(unit, id).await?;
        let shown = before.last_message.as_ref().filter(|last| last.text.is_some());
        let shown = shown.and_then(|last| Some((last, all.iter().find(|it| it.id == last.id)?)));
        let Some((last, message)) = shown else { continue };
        let after = LastMessage { text: None, ..last.clone() };
        let mut update = Update::of(&before).expect("last_message_at", &before.last_message_at);
        if titles && message.metadata.contains_key("subject") {
            update = update.set("title", &None::<String>);
        }
        unit.note_touch(update.set("last_message", &Some(after)))?;
        cleared += 1;
    }
    // Providers name the recipient in what they complain of.
    let keys = all.iter().filter(|it| it.direction == Direction::Outgoing);
    let keys: Vec<_> = keys.flat_map(|it| messaging::job_keys(it.id)).collect();
    Ok(cleared + jobs(unit, &keys, false).await?)
}

/// Forgets why jobs failed, and with `payload` what they carry, whether or not they have ended.
async fn jobs(unit: &mut Unit, keys: &[String], payload: bool) -> Result<i64> {
    let mut cleared = 0;
    for job in unit.store().jobs_by_dedup_keys(unit.organization_id(), keys).await? {
        let carries = payload && job.payload != json!({});
        if job.last_error.is_none() && !carries {
            continue;
        }
        let mut update = Update::of(&job).set("last_error", &None::<String>).expect("state", &job.state);
        if carries {
            update = update.set("payload", &json!({})).set("key_id", &None::<DataKeyId>);
            if job.state == JobState::Queued {
                update = update.set("state", &JobState::Cancelled);
                unit.batch.uproot(Lane::Job, job.id.uuid());
            }
        }
        unit.note(Write::Update(update))?;
        cleared += 1;
    }
    Ok(cleared)
}

/// Removes files whose bytes are gone.
async fn files(unit: &mut Unit, gone: &[Media]) -> Result<i64> {
    let ids: Vec<_> = gone.iter().map(|file| file.id.uuid()).collect();
    for file in gone {
        unit.note(Write::delete(file))?;
    }
    Ok(idempotency::forget_answers(unit, &ids).await? + i64::try_from(gone.len()).unwrap_or(i64::MAX))
}

fn note(note: &Note) -> Note {
    Note { text: ERASED.to_owned(), ..note.clone() }
}

/// What is still to be done for somebody who is gone is done.
fn tasks(unit: &mut Unit, all: &[Task]) -> Result<i64> {
    let now = unit.now();
    let mut cleared = 0;
    for before in all {
        let done_at = before.done_at.or(Some(now));
        let after = Task { title: ERASED.to_owned(), done: true, done_at, ..before.clone() };
        if after != *before {
            unit.batch.erase(Update::between(before, &after));
            unit.batch.uproot(Lane::Task, before.id.uuid());
            cleared += 1;
        }
    }
    Ok(cleared)
}

async fn told(unit: &mut Unit, all: &[Notification]) -> Result<i64> {
    let clean =
        |it: &Notification| Notification { title: ERASED.to_owned(), body: None, data: Map::new(), ..it.clone() };
    let cleared = each(unit, all, clean);
    let keys: Vec<_> = all.iter().map(|it| mail::job_key(&notifications::mail_key(it.id))).collect();
    Ok(cleared + jobs(unit, &keys, true).await?)
}
