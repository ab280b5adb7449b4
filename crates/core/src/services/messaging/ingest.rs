//! The one path of everything that comes in, by whatever way. Safe to repeat: a message is one by its provider's id; ids
//! that are known are passed over, and where two are faster than the look, the unique index decides.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    clean,
    credits::{self, Heard},
    delivery, newest, preview,
};
use crate::{
    domain::{
        account::{Account, SkippedMessage, SyncCursor},
        chat::{Chat, ChatState},
        contact::Contact,
        erasure::unlinked,
        event::EventKind,
        media::Media,
        message::{Content, Direction, Message, MessageStatus, Sender, SenderType},
        text::{MAX_REMARK, salvage_line},
    },
    error::Result,
    id::{AccountId, ChatId, MessageId},
    ports::{
        connector::{Address, Incoming, Sent},
        store::{Update, Write},
    },
    services::{accounts, contacts, media, unit::Unit},
};

/// What a step of synchronisation brought, ready to be taken in.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A message, cleaned; its files are stored and their bytes let go.
    Message { incoming: Box<Incoming>, media: Vec<Media> },
    /// A message that is not taken in.
    Skipped { provider_id: String, reason: String },
}

/// How far a sender's clock may be behind ours, in seconds; mails are dated in whole seconds besides.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

/// Whether a message is history that was there before the account was connected: rules stay quiet about it.
pub(crate) fn is_quiet(account: &Account, incoming: &Incoming) -> bool {
    incoming.sent_at + SKEW < account.created_at
}

/// Takes in messages of one account, in their order, and how far the synchronisation went with them.
pub(crate) async fn ingest(
    unit: &mut Unit,
    account: AccountId,
    arrivals: &[Arc<Arrival>],
    cursor: Option<&Value>,
) -> Result<()> {
    let account = accounts::account(unit, account).await?;
    let mut known = Known::look_up(unit, &account, arrivals).await?;
    for arrival in arrivals {
        match &**arrival {
            Arrival::Message { incoming, media } => {
                take_in(unit, &account, &mut known, incoming, media).await?;
            }
            Arrival::Skipped { provider_id, reason } => skip(unit, &account, provider_id, reason)?,
        }
    }
    if let Some(cursor) = cursor {
        let cursor =
            SyncCursor { account_id: account.id, organization_id: account.organization_id, cursor: cursor.clone() };
        unit.note(Write::put(&cursor))?;
        let now = unit.now();
        unit.note_touch(Update::of(&account).max("last_sync_at", &now))?;
    }
    Ok(())
}

/// What the store knows already of what arrives; grows with what this unit adds.
struct Known {
    provider_ids: HashSet<String>,
    own: HashMap<String, MessageId>,
    by_key: HashMap<String, ChatId>,
    by_reference: HashMap<String, ChatId>,
}

impl Known {
    async fn look_up(unit: &mut Unit, account: &Account, arrivals: &[Arc<Arrival>]) -> Result<Self> {
        let mut messages = Vec::new();
        for arrival in arrivals {
            if let Arrival::Message { incoming, .. } = &**arrival {
                messages.push(incoming);
            }
        }
        let organization = account.organization_id;
        let ids = distinct(messages.iter().flat_map(|it| [it.provider_id.clone(), unlinked(&it.provider_id)]));
        let provider_ids: HashSet<_> = match ids.is_empty() {
            true => HashSet::new(),
            false => unit.store().known_provider_ids(organization, account.id, &ids).await?.into_iter().collect(),
        };
        // Of somebody who was erased the digest is known.
        let is_known = |id: &String| provider_ids.contains(id) || provider_ids.contains(&unlinked(id));
        let provider_ids: HashSet<_> = messages.iter().map(|it| it.provider_id.clone()).filter(is_known).collect();
        messages.retain(|it| !provider_ids.contains(&it.provider_id));
        let mut known =
            Self { provider_ids, own: HashMap::new(), by_key: HashMap::new(), by_reference: HashMap::new() };
        let references = distinct(messages.iter().filter_map(|it| it.reference.clone()));
        if !references.is_empty() {
            for own in unit.store().messages_by_references(organization, account.id, &references).await? {
                if let Some(reference) = &own.reference {
                    known.own.insert(reference.clone(), own.id);
                }
            }
        }
        let keys = distinct(messages.iter().map(|it| chat_key(it).to_owned()));
        if !keys.is_empty() {
            for chat in unit.store().chats_by_keys(organization, account.id, &keys).await? {
                known.by_key.insert(chat.chat_key.clone(), chat.id);
                unit.meet(chat)?;
            }
        }
        let answered = distinct(messages.iter().flat_map(|it| it.replies_to.iter().cloned()));
        if !answered.is_empty() {
            for (reference, chat) in unit.store().chats_by_references(organization, account.id, &answered).await? {
                // A reference that several chats have (it was reused, or forged) means the oldest.
                let first = known.by_reference.entry(reference).or_insert(chat.id);
                *first = (*first).min(chat.id);
                unit.meet(chat)?;
            }
        }
        Ok(known)
    }

    fn chat_of(&self, incoming: &Incoming) -> Option<ChatId> {
        match &incoming.chat {
            Some(key) => self.by_key.get(key).copied(),
            None => incoming.replies_to.iter().find_map(|reference| self.by_reference.get(reference)).copied(),
        }
    }
}

fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts.dedup();
    texts
}

/// The key of the chat that a message begins, if it begins one.
fn chat_key(incoming: &Incoming) -> &str {
    incoming.chat.as_ref().or(incoming.reference.as_ref()).unwrap_or(&incoming.provider_id)
}

async fn take_in(
    unit: &mut Unit,
    account: &Account,
    known: &mut Known,
    incoming: &Incoming,
    files: &[Media],
) -> Result<()> {
    if !known.provider_ids.insert(incoming.provider_id.clone()) {
        return Ok(());
    }
    if let Some(own) = incoming.reference.as_ref().and_then(|it| known.own.get(it)) {
        return came_back(unit, account, *own, incoming).await;
    }
    if is_self(account, &incoming.sender) {
        credits::elsewhere(unit, known.chat_of(incoming), incoming.sent_at).await?;
        return skip(unit, account, &incoming.provider_id, "written by the account itself, elsewhere");
    }
    let chat = match known.chat_of(incoming) {
        Some(id) => Some(super::chat(unit, id).await?),
        None => None,
    };
    let contact = contact_of(unit, account, incoming, chat.as_ref()).await?;
    let begins = chat.is_none();
    let chat = match chat {
        Some(chat) => wake(unit, chat, &contact, incoming.sent_at).await?,
        None => new_chat(unit, account, known, incoming, &contact)?,
    };
    let message = new_message(unit, account, incoming, files, &chat, &contact)?;
    for file in files {
        unit.note(Write::insert(&Media { contact_id: Some(contact.id), ..file.clone() }))?;
    }
    known.by_key.insert(chat.chat_key.clone(), chat.id);
    if let Some(reference) = &message.reference {
        known.by_reference.entry(reference.clone()).or_insert(chat.id);
    }
    let heard = credits::heard(&chat, &message, incoming.automatic.is_some() || is_quiet(account, incoming));
    state(unit, &chat, begins, &contact, &message, incoming, heard)
}

/// States that a message came in: the message, what the inbox shows of its chat, and what it means for the contact.
fn state(
    unit: &mut Unit,
    chat: &Chat,
    begins: bool,
    contact: &Contact,
    message: &Message,
    incoming: &Incoming,
    heard: Heard,
) -> Result<()> {
    let at = message.timestamp;
    let is_response = incoming.automatic.is_none();
    let is_first = is_response && contact.first_response_at.is_none();
    let mut touch = Update::of(contact).max("last_message_at", &at);
    let mut fact = unit
        .fact(EventKind::MessageReceived, contact.id)?
        .at(at)
        .data("message_id", message.id)
        .data("chat_id", chat.id)
        .data("account_id", message.account_id)
        .data("is_first_response", is_first)
        .data("automatic", &incoming.automatic);
    let raised = |before: Option<DateTime<Utc>>| before.is_none_or(|before| before < at);
    if raised(contact.last_message_at) {
        fact = fact.change("last_message_at", contact.last_message_at, at);
    }
    if is_response {
        touch = touch.max("last_response_at", &at);
        if raised(contact.last_response_at) {
            fact = fact.change("last_response_at", contact.last_response_at, at);
        }
    }
    if is_first {
        // Of two at the same time one is the first; the other finds itself mistaken and looks again.
        touch = touch.set("first_response_at", &Some(at)).expect("first_response_at", &None::<DateTime<Utc>>);
        fact = fact.change("first_response_at", None::<DateTime<Utc>>, at);
    }
    fact = fact.touch(touch);
    fact = match begins {
        true => {
            let begun = Chat {
                last_message: Some(preview(message)),
                unread_count: 1,
                waiting_since: heard.waiting_since,
                ..chat.clone()
            };
            fact.insert(&begun)
        }
        false => fact.touch(heard.touch(chat, newest(chat, message).add("unread_count", 1))),
    };
    fact = fact.insert(message);
    if let Some(credit) = &heard.credit {
        fact.insert(credit);
    }
    Ok(())
}

/// The contact who wrote. What a machine answers in a chat (a bounce, a note of absence) comes with an address of its own,
/// and is about the chat's contact.
async fn contact_of(unit: &mut Unit, account: &Account, incoming: &Incoming, chat: Option<&Chat>) -> Result<Contact> {
    if incoming.automatic.is_some()
        && let Some(id) = chat.and_then(|chat| chat.contact_id)
        && let Some(contact) = unit.contact(id).await?
    {
        return Ok(contact);
    }
    contacts::from_address(unit, &incoming.sender, &account.platform, incoming.sent_at).await
}

fn is_self(account: &Account, sender: &Address) -> bool {
    let is = |text: &str| text.eq_ignore_ascii_case(&account.handle);
    is(&sender.id) || sender.email.as_deref().is_some_and(is)
}

/// One of our own messages as the provider shows it: proof that it was sent, and nothing that came in.
async fn came_back(unit: &mut Unit, account: &Account, own: MessageId, incoming: &Incoming) -> Result<()> {
    let message = super::message(unit, own).await?;
    let unproven = [MessageStatus::Sending, MessageStatus::Unknown, MessageStatus::Failed];
    if unproven.contains(&message.status) {
        return delivery::sent(unit, own, &Sent { provider_id: incoming.provider_id.clone() }).await;
    }
    skip(unit, account, &incoming.provider_id, "one of our own messages came back")
}

/// An existing chat gets a new message: it wants attention again, and a contact if it lost its own.
async fn wake(unit: &mut Unit, chat: Chat, contact: &Contact, at: DateTime<Utc>) -> Result<Chat> {
    let has_contact = match chat.contact_id {
        Some(id) if id == contact.id => true,
        Some(id) => unit.contact(id).await?.is_some(),
        None => false,
    };
    let mut after = chat.clone();
    if !has_contact {
        after.contact_id = Some(contact.id);
    }
    // History that is read in does not open what people have closed since.
    if at >= chat.last_message_at {
        after.state = ChatState::Open;
        after.snoozed_until = None;
    }
    if after == chat {
        return Ok(chat);
    }
    super::chats::edit(unit, &chat, &after)
}

fn new_chat(unit: &mut Unit, account: &Account, known: &Known, incoming: &Incoming, contact: &Contact) -> Result<Chat> {
    let key = chat_key(incoming);
    // A reference that began a chat before was reused or forged: this is another chat all the same.
    let key = if known.by_key.contains_key(key) { &incoming.provider_id } else { key };
    Ok(Chat {
        id: unit.id()?,
        organization_id: account.organization_id,
        account_id: account.id,
        platform: account.platform.clone(),
        chat_key: key.to_owned(),
        title: incoming.title.clone(),
        contact_id: Some(contact.id),
        last_message: None,
        last_message_at: incoming.sent_at,
        unread_count: 0,
        assigned_to: None,
        state: ChatState::Open,
        snoozed_until: None,
        waiting_since: None,
        sent_at: None,
        sent_by: None,
        labels: Vec::new(),
        created_at: unit.now(),
        version: 1,
    })
}

fn new_message(
    unit: &mut Unit,
    account: &Account,
    incoming: &Incoming,
    files: &[Media],
    chat: &Chat,
    contact: &Contact,
) -> Result<Message> {
    let sender = &incoming.sender;
    let shown = [&sender.name, &sender.email, &sender.handle, &sender.phone].into_iter().flatten().next();
    Ok(Message {
        id: unit.id()?,
        organization_id: account.organization_id,
        account_id: account.id,
        chat_id: chat.id,
        platform: account.platform.clone(),
        direction: Direction::Incoming,
        sender: Sender {
            id: sender.id.clone(),
            name: shown.unwrap_or(&sender.id).clone(),
            sender_type: SenderType::Client,
        },
        content: Some(Content { text: incoming.text.clone(), media: files.iter().map(media::shown).collect() }),
        contact_id: Some(contact.id),
        timestamp: incoming.sent_at,
        read: false,
        status: MessageStatus::Delivered,
        error: None,
        send_at: None,
        metadata: incoming.metadata.clone(),
        provider_id: Some(incoming.provider_id.clone()),
        reference: incoming.reference.clone(),
        sent_by: None,
        created_at: unit.now(),
    })
}

/// Records that a message was seen and not taken in.
fn skip(unit: &mut Unit, account: &Account, provider_id: &str, reason: &str) -> Result<()> {
    let skipped = SkippedMessage {
        account_id: account.id,
        organization_id: account.organization_id,
        provider_id: clean::key(provider_id),
        reason: salvage_line(reason, MAX_REMARK).unwrap_or_default(),
        skipped_at: unit.now(),
    };
    unit.note(Write::insert_or_skip(&skipped))
}
