//! The inbox: chats with what is new in them, and who looks after them.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chat;
use crate::{
    domain::{
        account::Account,
        chat::{Chat, ChatState, LastMessage},
        event::{EventKind, Subject},
        text::{Flaws, tag},
    },
    error::Result,
    id::{AccountId, ChatId, ContactId, UserId},
    page::{Page, PageRequest},
    patch::Patch,
    ports::store::{ChatFilter, InboxRow},
    services::{
        accounts::{self, Reader},
        unit::{Unit, check_version},
    },
};

/// The most labels of a chat.
const MAX_LABELS: usize = 50;

/// Which chats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListChats {
    /// On this account.
    pub account_id: Option<AccountId>,
    /// With this contact.
    pub contact_id: Option<ContactId>,
    /// Looked after by this user.
    pub assigned_to: Option<UserId>,
    /// In this state.
    pub state: Option<ChatState>,
    /// With unread messages (`true`) or without (`false`).
    pub unread: Option<bool>,
    /// Items a page, 1…200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A chat's contact as the inbox shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InboxContact {
    /// Its id.
    pub id: ContactId,
    /// Its name.
    pub name: String,
}

/// A chat as the inbox shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InboxChat {
    /// The chat.
    pub chat_id: ChatId,
    /// The account it is on.
    pub account_id: AccountId,
    /// Its platform.
    pub platform: String,
    /// With whom.
    pub contact: Option<InboxContact>,
    /// Its title; for e-mail the subject of its first message.
    pub title: Option<String>,
    /// The newest message; its text is `null` for those who may not read bodies.
    pub last_message: Option<LastMessage>,
    /// When it was written: the order of the inbox.
    pub last_message_at: DateTime<Utc>,
    /// Incoming messages not yet read.
    pub unread_count: i64,
    /// Who looks after it.
    pub assigned_to: Option<UserId>,
    /// Whether it wants attention.
    pub state: ChatState,
    /// Until when it does not.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// Counts edits by people, from 1.
    pub version: i64,
}

/// A change of a chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatPatch {
    /// Who looks after it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub assigned_to: Patch<UserId>,
    /// Whether it wants attention. `snoozed` needs `snoozed_until`.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub state: Patch<ChatState>,
    /// Until when it does not; an open chat is snoozed by it.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub snoozed_until: Patch<DateTime<Utc>>,
    /// Labels; they replace the present ones.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub labels: Patch<Vec<String>>,
}

/// Which chat, and its change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateChat {
    /// Which one.
    pub id: ChatId,
    /// Its change.
    pub patch: ChatPatch,
    /// Only if it still has this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<i64>,
}

pub(crate) async fn list(unit: &mut Unit, input: ListChats) -> Result<Page<InboxChat>> {
    let filter = ChatFilter {
        account_id: input.account_id,
        contact_id: input.contact_id,
        assigned_to: input.assigned_to,
        state: input.state,
        unread: input.unread,
    };
    let page = PageRequest { limit: input.limit, cursor: input.cursor };
    let rows = unit.store().inbox(unit.organization_id(), &filter, &page).await?;
    let accounts: Vec<_> = rows.data.iter().map(|row| (row.account_owner, row.visibility)).collect();
    let reader = accounts::reader(unit, &accounts).await?;
    Ok(rows.map(|row| shown(&reader, row)))
}

pub(crate) async fn get(unit: &mut Unit, id: ChatId) -> Result<InboxChat> {
    let chat = chat(unit, id).await?;
    let account = accounts::find(unit, chat.account_id).await?;
    one(unit, chat, &account).await
}

async fn one(unit: &mut Unit, chat: Chat, account: &Account) -> Result<InboxChat> {
    let contact_name = match chat.contact_id {
        Some(id) => unit.store().contact(unit.organization_id(), id).await?.map(|it| it.name),
        None => None,
    };
    let row = InboxRow { chat, contact_name, account_owner: account.owner_id, visibility: account.visibility };
    let reader = accounts::reader(unit, &[(row.account_owner, row.visibility)]).await?;
    Ok(shown(&reader, row))
}

fn shown(reader: &Reader, row: InboxRow) -> InboxChat {
    let chat = row.chat;
    let readable = reader.may_read(row.account_owner, row.visibility);
    let contact = chat.contact_id.map(|id| InboxContact { id, name: row.contact_name.unwrap_or_default() });
    let last_message = chat.last_message.map(|last| LastMessage { text: last.text.filter(|_| readable), ..last });
    InboxChat {
        chat_id: chat.id,
        account_id: chat.account_id,
        platform: chat.platform,
        contact,
        title: chat.title,
        last_message,
        last_message_at: chat.last_message_at,
        unread_count: chat.unread_count.max(0),
        assigned_to: chat.assigned_to,
        state: chat.state,
        snoozed_until: chat.snoozed_until,
        labels: chat.labels,
        version: chat.version,
    }
}

pub(crate) async fn update(unit: &mut Unit, input: UpdateChat) -> Result<InboxChat> {
    let before = chat(unit, input.id).await?;
    check_version("chat", input.if_version, before.version)?;
    let account = accounts::find(unit, before.account_id).await?;
    let after = patched(unit, &before, input.patch).await?;
    let after = if after == before { after } else { edit(unit, &before, &after)? };
    one(unit, after, &account).await
}

async fn patched(unit: &mut Unit, before: &Chat, patch: ChatPatch) -> Result<Chat> {
    let mut after = before.clone();
    let mut flaws = Flaws::default();
    if let Patch::Value(user) = patch.assigned_to
        && unit.store().membership(unit.organization_id(), user).await?.is_none()
    {
        flaws.add("/assigned_to", "unknown", format!("user {user} is no member of this organisation"));
    }
    patch.assigned_to.apply(&mut after.assigned_to);
    match (flaws.given("/state", patch.state), patch.snoozed_until) {
        (None, Patch::Absent) => {}
        (None | Some(ChatState::Snoozed), Patch::Value(until)) if until > unit.now() => {
            after.state = ChatState::Snoozed;
            after.snoozed_until = Some(until);
        }
        (None | Some(ChatState::Snoozed), Patch::Value(until)) => {
            flaws.add("/snoozed_until", "out_of_range", format!("{until} has passed: name a time to come"));
        }
        (Some(ChatState::Snoozed), Patch::Absent) if before.snoozed_until.is_some_and(|it| it > unit.now()) => {
            after.state = ChatState::Snoozed;
        }
        (Some(ChatState::Snoozed), _) => {
            flaws.add("/snoozed_until", "required", "until when is the chat to be snoozed?");
        }
        (None, Patch::Null) => {
            after.snoozed_until = None;
            if before.state == ChatState::Snoozed {
                after.state = ChatState::Open;
            }
        }
        (Some(state), Patch::Absent | Patch::Null) => {
            after.state = state;
            after.snoozed_until = None;
        }
        (Some(state), Patch::Value(_)) => {
            flaws.add("/snoozed_until", "invalid", format!("a chat that is {state} is not snoozed: leave it out"));
        }
    }
    patch.labels.replace(&mut after.labels);
    if after.labels != before.labels {
        flaws.each("/labels", MAX_LABELS, &mut after.labels, tag);
        after.labels.sort();
    }
    flaws.end()?;
    Ok(after)
}

/// What people edit of a chat, for the event that states it.
#[derive(Serialize)]
struct Edited<'c> {
    contact_id: Option<ContactId>,
    assigned_to: Option<UserId>,
    state: ChatState,
    snoozed_until: Option<DateTime<Utc>>,
    labels: &'c [String],
}

impl<'c> From<&'c Chat> for Edited<'c> {
    fn from(chat: &'c Chat) -> Self {
        Self {
            contact_id: chat.contact_id,
            assigned_to: chat.assigned_to,
            state: chat.state,
            snoozed_until: chat.snoozed_until,
            labels: &chat.labels,
        }
    }
}

/// Gives a chat to somebody, or to nobody.
pub(crate) fn give(unit: &mut Unit, before: &Chat, to: Option<UserId>) -> Result<()> {
    let after = Chat { assigned_to: to, ..before.clone() };
    if after != *before {
        edit(unit, before, &after)?;
    }
    Ok(())
}

/// Writes an edited chat. The changes stand in the event's data: its subject is the contact.
pub(super) fn edit(unit: &mut Unit, before: &Chat, after: &Chat) -> Result<Chat> {
    let subject = after.contact_id.map_or_else(|| after.id.into(), Subject::from);
    let changes = crate::domain::event::changes(Some(&Edited::from(before)), &Edited::from(after));
    let (_, after) = unit
        .fact(EventKind::ChatUpdated, subject)?
        .data("chat_id", after.id)
        .data("account_id", after.account_id)
        .data("changes", changes)
        .edit(before, after)?;
    Ok(after)
}
