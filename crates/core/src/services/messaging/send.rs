//! Asking a message to go out: into a chat, or to begin one. It is only written down here, with the job that hands it
//! over; whether it may go is checked now, so that the caller is told and not a log.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{chat, clean, delivery};
use crate::{
    domain::{
        account::Account,
        chat::{Chat, ChatState},
        contact::{Contact, IdentityKind},
        event::EventKind,
        job::JobKind,
        media::Media,
        message::{Content, Direction, Message, MessageStatus, Sender, SenderType},
        text::{Flaw, Flaws, line},
    },
    error::{Error, ErrorKind, Result},
    id::{AccountId, ChatId, ContactId, MediaId, MessageId},
    page::PageRequest,
    ports::{
        connector::{Address, Connector},
        store::Update,
    },
    services::{accounts, contacts, media, unit::Unit},
};

/// The most files of one message.
const MAX_FILES: usize = 20;
/// The most bytes of all its files.
const MAX_FILES_BYTES: i64 = 25 << 20;
/// The most characters of a subject.
const MAX_SUBJECT: usize = 250;
/// How far ahead a message may be scheduled.
const MAX_AHEAD: TimeDelta = TimeDelta::days(366);
/// How many messages back the address is looked for from which the contact last wrote.
const LOOK_BACK: u32 = 20;

/// A stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaRef {
    /// Its id.
    pub id: MediaId,
}

/// A message to send: into a chat, or from an account to a contact, which begins one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SendMessage {
    /// Into this chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_id: Option<ChatId>,
    /// From this account, to begin a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// To this contact, to begin a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact_id: Option<ContactId>,
    /// The title of the chat that begins; for e-mail the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The body as plain text.
    pub text: String,
    /// Files, stored before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<MediaRef>,
    /// The message of the chat that this one answers; the newest if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<MessageId>,
    /// When it shall go out; at once if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_at: Option<DateTime<Utc>>,
}

/// Where a message goes.
enum Target {
    Chat(ChatId),
    New(AccountId, ContactId),
}

/// An input whose texts are in the form in which they are kept.
struct Draft {
    target: Target,
    subject: Option<String>,
    text: String,
    send_at: Option<DateTime<Utc>>,
}

/// Asks a message to go out.
pub(crate) async fn send(unit: &mut Unit, input: SendMessage) -> Result<Message> {
    let draft = check(&input, unit.now())?;
    let (account, contact, chat) = match draft.target {
        Target::Chat(id) => existing(unit, id).await?,
        Target::New(account, contact) => {
            (accounts::account(unit, account).await?, contacts::contact(unit, contact).await?, None)
        }
    };
    accounts::require_use(unit.scope(), &account)?;
    let connector = capable(unit, &account, &input)?;
    let files = files(unit, &account, &contact, &input.media, draft.send_at).await?;
    let reply_to = reply_to(unit, chat.as_ref(), input.reply_to).await?;
    let to = recipient(unit, &account, &contact, chat.as_ref()).await?;

    let now = unit.now();
    let id = unit.id()?;
    let begins = chat.is_none();
    let reference = connector.reference(&own_address(&account), id);
    let chat = match chat {
        Some(chat) => chat,
        None => begin(unit, &account, &contact, &draft, &reference)?,
    };
    let mut metadata = Map::new();
    metadata.insert("to".to_owned(), Value::String(to));
    if let Some(subject) = subject(&account, &chat, begins) {
        metadata.insert("subject".to_owned(), Value::String(subject));
    }
    if let Some(answered) = reply_to {
        metadata.insert("reply_to".to_owned(), Value::String(answered.to_string()));
    }
    let message = Message {
        id,
        organization_id: unit.organization_id(),
        account_id: account.id,
        chat_id: chat.id,
        platform: account.platform.clone(),
        direction: Direction::Outgoing,
        sender: Sender { id: account.handle.clone(), name: account.display_name.clone(), sender_type: SenderType::Bd },
        content: Some(Content { text: draft.text, media: files.iter().map(media::shown).collect() }),
        contact_id: Some(contact.id),
        timestamp: draft.send_at.unwrap_or(now),
        read: true,
        status: if draft.send_at.is_some() { MessageStatus::Scheduled } else { MessageStatus::Queued },
        error: None,
        send_at: draft.send_at,
        metadata,
        provider_id: None,
        reference: Some(reference),
        sent_by: unit.scope().user_id(),
        created_at: now,
    };
    let mut fact = delivery::fact(unit, EventKind::MessageQueued, &message)?;
    if begins {
        fact = fact.insert(&chat);
    }
    fact.insert(&message);
    let payload = delivery::payload(unit, id);
    unit.queue_job(JobKind::SendMessage, payload, draft.send_at.unwrap_or(now), Some(job_key(id)))?;
    Ok(message)
}

/// Sends a text into the contact's latest chat.
pub(crate) async fn send_to_contact(unit: &mut Unit, contact: ContactId, text: String) -> Result<Message> {
    let chat = unit.store().latest_chat(unit.organization_id(), contact, None).await?;
    let chat =
        chat.ok_or_else(|| Error::conflict("no_chat", format!("there is no chat with the contact {contact} yet")))?;
    send(unit, SendMessage { chat_id: Some(chat.id), text, ..SendMessage::default() }).await
}

/// The de-duplication keys of all jobs about a message.
pub(crate) fn job_keys(id: MessageId) -> [String; 2] {
    [job_key(id), settle_key(id)]
}

/// That of the job that finds out what became of it.
pub(super) fn settle_key(id: MessageId) -> String {
    format!("settle:{id}")
}

/// The de-duplication key of the job that sends a message.
pub(super) fn job_key(id: MessageId) -> String {
    format!("send:{id}")
}

fn check(input: &SendMessage, now: DateTime<Utc>) -> Result<Draft> {
    let mut flaws = Flaws::default();
    let target = match (input.chat_id, input.account_id, input.contact_id) {
        (Some(chat), None, None) => Some(Target::Chat(chat)),
        (None, Some(account), Some(contact)) => Some(Target::New(account, contact)),
        (Some(_), _, _) => {
            let pointer = if input.account_id.is_some() { "/account_id" } else { "/contact_id" };
            flaws.add(pointer, "invalid", "a chat has its account and contact: leave them out, or leave out the chat");
            None
        }
        (None, Some(_), None) => {
            flaws.add("/contact_id", "required", "name the contact to whom the account shall write");
            None
        }
        (None, None, Some(_)) => {
            flaws.add("/account_id", "required", "name the account from which the contact shall be written to");
            None
        }
        (None, None, None) => {
            flaws.add("/chat_id", "required", "name a chat, or an account and a contact to begin one");
            None
        }
    };
    let subject = input.subject.as_deref().and_then(|it| flaws.take("/subject", line(it, MAX_SUBJECT)));
    if subject.is_some() && input.chat_id.is_some() {
        flaws.add("/subject", "invalid", "a chat has its title already: a subject is for a message that begins one");
    }
    if input.reply_to.is_some() && input.chat_id.is_none() {
        flaws.add(
            "/reply_to",
            "invalid",
            "a message that begins a chat answers none: name the chat of the answered one",
        );
    }
    let text = flaws.take("/text", body(&input.text)).unwrap_or_default();
    if text.trim().is_empty() && input.media.is_empty() {
        flaws.add("/text", "required", "there is neither a text nor a file: give one of them");
    }
    if input.media.len() > MAX_FILES {
        flaws.add("/media", "too_many", format!("{} files are given: at most {MAX_FILES} go", input.media.len()));
    }
    let send_at = input.send_at.filter(|it| *it > now);
    if send_at.is_some_and(|it| it > now + MAX_AHEAD) {
        flaws.add("/send_at", "out_of_range", format!("at most {} days ahead can be scheduled", MAX_AHEAD.num_days()));
    }
    flaws.end()?;
    let target = target.ok_or_else(|| Error::internal("a message without a target was not refused"))?;
    Ok(Draft { target, subject, text, send_at })
}

/// A body as people type it: what no text may hold is refused and not left out, they would miss it.
fn body(text: &str) -> Result<String, Flaw> {
    if text.len() > clean::TEXT_BYTES {
        return Err(Flaw::new("too_long", format!("it has {} bytes: at most {} go", text.len(), clean::TEXT_BYTES)));
    }
    if let Some(found) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Flaw::new("control_character", format!("it holds the control character {found:?}: leave it out")));
    }
    Ok(clean::body(text).0)
}

async fn existing(unit: &mut Unit, id: ChatId) -> Result<(Account, Contact, Option<Chat>)> {
    let chat = chat(unit, id).await?;
    let account = accounts::find(unit, chat.account_id).await?;
    if account.deleted_at.is_some() {
        let message = format!("the chat's account {} was removed: connect it again", account.handle);
        return Err(Error::conflict("account_removed", message));
    }
    let contact = match chat.contact_id {
        Some(id) => unit.contact(id).await?,
        None => None,
    };
    let contact = contact.ok_or_else(|| Error::conflict("no_contact", "the chat's contact was deleted: restore it"))?;
    Ok((account, contact, Some(chat)))
}

/// The account's connector, if it can do what is asked.
fn capable(unit: &Unit, account: &Account, input: &SendMessage) -> Result<std::sync::Arc<dyn Connector>> {
    let unsupported = |what: &str| Error::new(ErrorKind::Unsupported, format!("{} {what}", account.platform));
    let connector = unit.engine().connector(&account.platform).map_err(|_| unsupported("is not available here"))?;
    let can = connector.capabilities();
    if !can.send {
        return Err(unsupported("sends nothing"));
    }
    if !can.begin_chat && input.chat_id.is_none() {
        return Err(unsupported("cannot write to somebody who never wrote"));
    }
    if !can.media && !input.media.is_empty() {
        return Err(unsupported("sends no files"));
    }
    Ok(connector)
}

/// The files of a message. From now on they are as private as its account, and the contact's as long as they go to nobody
/// else; they are kept as long as the message is.
async fn files(
    unit: &mut Unit,
    account: &Account,
    contact: &Contact,
    wanted: &[MediaRef],
    send_at: Option<DateTime<Utc>>,
) -> Result<Vec<Media>> {
    let mut flaws = Flaws::default();
    let mut files: Vec<Media> = Vec::with_capacity(wanted.len());
    for (place, file) in wanted.iter().enumerate() {
        match media::find(unit, file.id).await {
            Ok(file) => files.push(file),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) => {
                flaws.add(
                    format!("/media/{place}/id"),
                    "unknown",
                    format!("there is no file {}: upload it first", file.id),
                );
            }
            Err(error) => return Err(error),
        }
    }
    if files.iter().map(|it| it.size).sum::<i64>() > MAX_FILES_BYTES {
        flaws.add("/media", "too_large", format!("the files have more than {MAX_FILES_BYTES} bytes together"));
    }
    flaws.end()?;
    for file in &files {
        let is_new = file.account_id.is_none();
        let contact_id = (is_new || file.contact_id == Some(contact.id)).then_some(contact.id);
        let account_id = file.account_id.or(Some(account.id));
        let update = Update::of(file).set("account_id", &account_id).set("contact_id", &contact_id);
        let update = update.max("used_at", &send_at.unwrap_or(unit.now()));
        unit.note_touch(update.expect("account_id", &file.account_id).expect("contact_id", &file.contact_id))?;
    }
    Ok(files)
}

async fn reply_to(unit: &mut Unit, chat: Option<&Chat>, id: Option<MessageId>) -> Result<Option<MessageId>> {
    let (Some(chat), Some(id)) = (chat, id) else { return Ok(None) };
    match unit.store().message(unit.organization_id(), id).await? {
        Some(message) if message.chat_id == chat.id => Ok(Some(id)),
        _ => Err(Error::invalid("/reply_to", "unknown", format!("the chat has no message {id}"))),
    }
}

/// The address to write to: the one from which the contact last wrote in this chat, as long as it is the contact's.
async fn recipient(unit: &mut Unit, account: &Account, contact: &Contact, chat: Option<&Chat>) -> Result<String> {
    let kind = kind_of(&account.platform);
    let last = match chat {
        Some(chat) if kind != Some(IdentityKind::Email) || contact.emails.len() > 1 => {
            let page = PageRequest { limit: Some(LOOK_BACK), cursor: None };
            let messages = unit.store().messages(unit.organization_id(), chat.id, &page).await?.data;
            let theirs = |it: &&Message| it.direction == Direction::Incoming && it.contact_id == Some(contact.id);
            // What was kept long enough tells no address any more.
            let last = messages.iter().find(theirs).map(|it| it.sender.id.clone());
            last.filter(|address| !address.is_empty())
        }
        _ => None,
    };
    let found = match kind {
        Some(IdentityKind::Email) => last
            .filter(|last| contact.emails.iter().any(|email| email.eq_ignore_ascii_case(last)))
            .or_else(|| contact.emails.first().cloned()),
        kind => last.or_else(|| handle(contact, kind).cloned()).or_else(|| contact.phones.first().cloned()),
    };
    found.ok_or_else(|| {
        let message = format!("{} has no address on {}: add one to the contact", contact.name, account.platform);
        Error::conflict("no_address", message)
    })
}

/// By what kind of identity people are written to on a platform.
fn kind_of(platform: &str) -> Option<IdentityKind> {
    platform.parse().ok()
}

fn handle(contact: &Contact, kind: Option<IdentityKind>) -> Option<&String> {
    match kind? {
        IdentityKind::Telegram => contact.handles.telegram.as_ref(),
        IdentityKind::Linkedin => contact.handles.linkedin.as_ref(),
        IdentityKind::Twitter => contact.handles.twitter.as_ref(),
        IdentityKind::Email => contact.emails.first(),
        IdentityKind::Phone => contact.phones.first(),
    }
}

/// A recipient as connectors want it.
pub(super) fn address(platform: &str, to: &str, contact: &Contact) -> Address {
    let kind = kind_of(platform);
    Address {
        id: to.to_owned(),
        name: Some(contact.name.clone()).filter(|name| name != to),
        email: (kind == Some(IdentityKind::Email)).then(|| to.to_owned()),
        phone: contact.phones.first().cloned(),
        handle: handle(contact, kind).filter(|_| kind != Some(IdentityKind::Email)).cloned(),
    }
}

/// An account as the sender of its messages.
pub(super) fn own_address(account: &Account) -> Address {
    let is_email = kind_of(&account.platform) == Some(IdentityKind::Email);
    Address {
        id: account.handle.clone(),
        name: Some(account.display_name.clone()).filter(|name| *name != account.handle),
        email: is_email.then(|| account.handle.clone()),
        phone: None,
        handle: (!is_email).then(|| account.handle.clone()),
    }
}

/// A new chat, known by the reference of its first message until the provider says more.
fn begin(unit: &mut Unit, account: &Account, contact: &Contact, draft: &Draft, reference: &str) -> Result<Chat> {
    Ok(Chat {
        id: unit.id()?,
        organization_id: account.organization_id,
        account_id: account.id,
        platform: account.platform.clone(),
        chat_key: clean::key(reference),
        title: draft.subject.clone(),
        contact_id: Some(contact.id),
        last_message: None,
        last_message_at: unit.now(),
        unread_count: 0,
        assigned_to: unit.scope().user_id(),
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

/// What clients see as the subject: on e-mail the chat's title, and `Re: …` in an answer.
fn subject(account: &Account, chat: &Chat, begins: bool) -> Option<String> {
    if kind_of(&account.platform) != Some(IdentityKind::Email) {
        return None;
    }
    let title = chat.title.clone()?;
    let is_answer = title.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
    Some(if begins || is_answer { title } else { format!("Re: {title}") })
}
