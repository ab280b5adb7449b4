//! Messages as clients see them: reading them, marking them as read, taking back what has not gone, and asking why one
//! waits.

use std::collections::{HashMap, hash_map::Entry};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    chat, delivery, message,
    send::{job_key, settle_key},
};
use crate::{
    domain::{
        account::AccountStatus,
        event::{EventKind, Subject},
        job::{JobState, Lane},
        message::{Message, MessageStatus},
        word::words,
    },
    error::{Error, Result},
    id::{ChatId, Id, MessageId},
    page::{Page, PageRequest},
    ports::store::{Record, Update, Write},
    services::{
        accounts,
        unit::{Unit, keyed},
    },
};

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMessages {
    /// Of this chat.
    pub chat_id: ChatId,
    /// Items a page, 1…200.
    #[serde(default)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// What marking as read answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReadAnswer {
    /// What the chat still has unread.
    pub unread_count: i64,
}

words! {
    /// What a message waits for.
    WaitsFor {
        /// Its time.
        Schedule = "schedule",
        /// Its turn.
        Turn = "turn",
        /// The next try, after one that failed.
        Retry = "retry",
        /// Its account, which is cut off.
        Account = "account",
        /// The provider's answer.
        Provider = "provider",
        /// Somebody finding out whether it went.
        Settlement = "settlement",
    }
}

/// Why a message waits.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MessageExplanation {
    /// How far it is.
    pub status: MessageStatus,
    /// What it waits for; `null`: nothing.
    pub waits_for: Option<WaitsFor>,
    /// Until when.
    pub until: Option<DateTime<Utc>>,
    /// Tries so far.
    pub attempts: i64,
    /// Why the last one failed.
    pub last_error: Option<String>,
}

/// A message with its body, or without.
fn shown(message: Message, readable: bool) -> Message {
    let content = message.content.filter(|_| readable);
    Message { content, ..message }
}

pub(crate) async fn list(unit: &mut Unit, input: ListMessages) -> Result<Page<Message>> {
    let chat = chat(unit, input.chat_id).await?;
    let account = accounts::find(unit, chat.account_id).await?;
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let messages = unit.store().messages(unit.organization_id(), chat.id, &page).await?;
    let readable = accounts::may_read(unit, &account).await?;
    Ok(messages.map(|it| shown(it, readable)))
}

/// Messages of any accounts as the caller may see them.
pub(crate) async fn shown_to(unit: &mut Unit, messages: Vec<Message>) -> Result<Vec<Message>> {
    let mut known = HashMap::new();
    for message in &messages {
        if let Entry::Vacant(new) = known.entry(message.account_id) {
            let account = accounts::find(unit, message.account_id).await?;
            new.insert((account.owner_id, account.visibility));
        }
    }
    let accounts: Vec<_> = known.values().copied().collect();
    let reader = accounts::reader(unit, &accounts).await?;
    let readable = |id| known.get(&id).is_some_and(|(owner, visibility)| reader.may_read(*owner, *visibility));
    let shown = |message: Message| {
        let readable = readable(message.account_id);
        shown(message, readable)
    };
    Ok(messages.into_iter().map(shown).collect())
}

pub(crate) async fn get(unit: &mut Unit, id: MessageId) -> Result<Message> {
    let message = message(unit, id).await?;
    let account = accounts::find(unit, message.account_id).await?;
    let readable = accounts::may_read(unit, &account).await?;
    Ok(shown(message, readable))
}

/// Marks a message and all before it as read.
pub(crate) async fn read(unit: &mut Unit, id: MessageId) -> Result<ReadAnswer> {
    let message = message(unit, id).await?;
    let account = accounts::find(unit, message.account_id).await?;
    if !accounts::may_read(unit, &account).await? {
        return Err(Error::forbidden("the account's messages are private: who may not read them marks none as read"));
    }
    let organization = unit.organization_id();
    let unread = unit.store().unread_messages(organization, message.chat_id, message.timestamp).await?;
    // After the messages: what comes in meanwhile is counted.
    let chat = chat(unit, message.chat_id).await?;
    if unread.is_empty() {
        return Ok(ReadAnswer { unread_count: chat.unread_count.max(0) });
    }
    let count = i64::try_from(unread.len()).unwrap_or(i64::MAX);
    let left = (chat.unread_count - count).max(0);
    let subject = chat.contact_id.map_or_else(|| chat.id.into(), Subject::from);
    let mut fact = unit
        .fact(EventKind::MessageRead, subject)?
        .data("chat_id", chat.id)
        .data("account_id", chat.account_id)
        .data("unread_count", left)
        .touch(Update::of(&chat).add("unread_count", -count).expect("unread_count", &chat.unread_count));
    for id in unread {
        // Each is counted down once, whoever else marks it at the same time.
        fact = fact.touch(
            update_of(&keyed(organization, id))
                .set("read", &true)
                .set("status", &MessageStatus::Read)
                .expect("read", &false),
        );
    }
    Ok(ReadAnswer { unread_count: left })
}

fn update_of(key: &[crate::ports::store::Value]) -> Update {
    Update {
        table: Message::TABLE,
        key: key.to_vec(),
        set: Vec::new(),
        add: Vec::new(),
        max: Vec::new(),
        expect: Vec::new(),
        before: None,
    }
}

/// Takes back a message that has not gone yet.
pub(crate) async fn cancel(unit: &mut Unit, id: MessageId) -> Result<()> {
    let before = message(unit, id).await?;
    let account = accounts::find(unit, before.account_id).await?;
    accounts::require_use(unit.scope(), &account)?;
    match before.status {
        MessageStatus::Cancelled => return Ok(()),
        MessageStatus::Queued | MessageStatus::Scheduled => {}
        status => {
            let message = format!("the message is {status}: only what is scheduled or queued can be taken back");
            return Err(Error::conflict("already_sent", message));
        }
    }
    let after = Message { status: MessageStatus::Cancelled, ..before.clone() };
    let update = Update::of(&before).set("status", &after.status).expect("status", &before.status);
    delivery::fact(unit, EventKind::MessageUpdated, &after)?.touch(update);
    if let Some(job) = unit.store().job_by_dedup_key(unit.organization_id(), &job_key(id)).await? {
        let now = unit.now();
        let update = Update::of(&job).set("state", &JobState::Cancelled).set("updated_at", &now);
        unit.note(Write::Update(update.expect("state", &job.state)))?;
        unit.batch.uproot(Lane::Job, job.id.uuid());
    }
    Ok(())
}

/// Says why a message waits, and until when.
pub(crate) async fn explain(unit: &mut Unit, id: MessageId) -> Result<MessageExplanation> {
    let message = message(unit, id).await?;
    let account = accounts::find(unit, message.account_id).await?;
    let job = unit.store().job_by_dedup_key(unit.organization_id(), &job_key(id)).await?;
    let next = job.as_ref().filter(|job| job.state == JobState::Queued).map(|job| job.run_at);
    let attempts = job.as_ref().map_or(0, |job| job.attempts);
    let cut_off = matches!(account.status, AccountStatus::Disconnected | AccountStatus::Banned);
    let (waits_for, until) = match message.status {
        MessageStatus::Scheduled => (Some(WaitsFor::Schedule), message.send_at),
        MessageStatus::Queued if cut_off => (Some(WaitsFor::Account), next),
        MessageStatus::Queued if message.error.is_some() => (Some(WaitsFor::Retry), next),
        MessageStatus::Queued => (Some(WaitsFor::Turn), next),
        MessageStatus::Sending => (Some(WaitsFor::Provider), None),
        MessageStatus::Unknown => {
            let key = settle_key(id);
            let job = unit.store().job_by_dedup_key(unit.organization_id(), &key).await?;
            match job.filter(|job| job.state == JobState::Queued) {
                Some(job) => (Some(WaitsFor::Settlement), Some(job.run_at)),
                None => (None, None),
            }
        }
        _ => (None, None),
    };
    let last_error = message.error.or_else(|| job.and_then(|job| job.last_error));
    Ok(MessageExplanation { status: message.status, waits_for, until, attempts, last_error })
}
