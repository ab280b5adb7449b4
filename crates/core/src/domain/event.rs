//! Every fact the system can state. An event is written in the transaction of the change it states, never without it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    domain::word::words,
    id::{AccountId, ChatId, CompanyId, ContactId, DealId, EventId, Id, OrganizationId, PipelineId},
    scope::{Actor, Cause},
};

words! {
    /// What happened.
    EventKind {
        /// A contact was made.
        ContactCreated = "contact.created",
        /// A contact was edited.
        ContactUpdated = "contact.updated",
        /// A contact was deleted; it may be restored.
        ContactDeleted = "contact.deleted",
        /// A deleted contact came back.
        ContactRestored = "contact.restored",
        /// A contact was erased: nothing personal of it is left, for good.
        ContactErased = "contact.erased",
        /// A company was made.
        CompanyCreated = "company.created",
        /// A company was edited.
        CompanyUpdated = "company.updated",
        /// A company was deleted; it may be restored.
        CompanyDeleted = "company.deleted",
        /// A deleted company came back.
        CompanyRestored = "company.restored",
        /// A custom field was defined, edited or removed.
        FieldChanged = "field.changed",
        /// A deal was made.
        DealCreated = "deal.created",
        /// A deal was edited.
        DealUpdated = "deal.updated",
        /// A deal was deleted; it may be restored.
        DealDeleted = "deal.deleted",
        /// A deleted deal came back.
        DealRestored = "deal.restored",
        /// A deal was won: it entered a stage of that kind.
        DealWon = "deal.won",
        /// A deal was lost.
        DealLost = "deal.lost",
        /// A contact or a deal entered a stage.
        StageChanged = "stage.changed",
        /// A note was written.
        NoteCreated = "note.created",
        /// A note was edited.
        NoteUpdated = "note.updated",
        /// A note was removed.
        NoteDeleted = "note.deleted",
        /// A task was made.
        TaskCreated = "task.created",
        /// A task was edited, or done.
        TaskUpdated = "task.updated",
        /// A task was removed.
        TaskDeleted = "task.deleted",
        /// A task that is not done has fallen due.
        TaskDue = "task.due",
        /// A message came in.
        MessageReceived = "message.received",
        /// A message was asked to go out.
        MessageQueued = "message.queued",
        /// The provider took a message.
        MessageSent = "message.sent",
        /// A message's status changed otherwise.
        MessageUpdated = "message.updated",
        /// Messages of a chat were read.
        MessageRead = "message.read",
        /// A chat was edited.
        ChatUpdated = "chat.updated",
        /// An account was connected.
        AccountConnected = "account.connected",
        /// An account's status changed.
        AccountStatusChanged = "account.status_changed",
        /// An account was edited.
        AccountUpdated = "account.updated",
        /// An account was removed.
        AccountDeleted = "account.deleted",
        /// A pipeline or one of its stages was made, edited or removed.
        PipelineChanged = "pipeline.changed",
        /// A rule was made, edited, paused or removed. Its subject is the organisation: the number of its events tells
        /// whether rules held in memory are still true.
        RuleChanged = "rule.changed",
        /// A time rule's time has come for a subject.
        TimeElapsed = "time.elapsed",
        /// A schedule came due for a subject.
        ScheduleDue = "schedule.due",
        /// A user was notified.
        NotificationCreated = "notification.created",
        /// The organisation or its members were changed.
        OrganizationUpdated = "organization.updated",
        /// Somebody was invited, or an invitation was taken back.
        InvitationChanged = "invitation.changed",
        /// A role of the organisation's own was made, edited or removed.
        RoleChanged = "role.changed",
        /// An API key was made or revoked.
        ApiKeyChanged = "api_key.changed",
        /// A team was made, edited or removed, or its members changed. Its subject is the organisation: rules name teams.
        TeamChanged = "team.changed",
    }
}

words! {
    /// What an event is about; order is kept per subject.
    SubjectKind {
        /// A contact.
        Contact = "contact",
        /// A company.
        Company = "company",
        /// A deal.
        Deal = "deal",
        /// A chat without a contact.
        Chat = "chat",
        /// An account.
        Account = "account",
        /// A pipeline.
        Pipeline = "pipeline",
        /// The organisation itself.
        Organization = "organization",
    }
}

/// What an event is about. Everything that concerns a contact, its messages too, has the contact as its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// Which one.
    pub id: Uuid,
}

macro_rules! subjects {
    ($($id:ty => $kind:ident,)*) => {$(
        impl From<$id> for Subject {
            fn from(id: $id) -> Self { Self { kind: SubjectKind::$kind, id: id.uuid() } }
        }
    )*};
}
subjects! {
    ContactId => Contact,
    CompanyId => Company,
    DealId => Deal,
    ChatId => Chat,
    AccountId => Account,
    PipelineId => Pipeline,
    OrganizationId => Organization,
}

impl Subject {
    /// The contact, if it is one.
    pub fn contact(self) -> Option<ContactId> {
        (self.kind == SubjectKind::Contact).then(|| ContactId::from_uuid(self.id))
    }

    /// The deal, if it is one.
    pub fn deal(self) -> Option<DealId> {
        (self.kind == SubjectKind::Deal).then(|| DealId::from_uuid(self.id))
    }
}

/// One field's value before and after a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Before; `null` at creation.
    pub before: Value,
    /// After.
    pub after: Value,
}

/// A stated fact.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// What happened.
    pub kind: EventKind,
    /// What it is about.
    pub subject: Subject,
    /// Ascending per subject, from 1, without holes. Given by the store at commit; 0 before.
    pub subject_seq: i64,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Who did it.
    pub actor: Actor,
    /// Why.
    pub cause: Cause,
    /// Each changed field with its value before and after; at creation all of them.
    pub changes: BTreeMap<String, Change>,
    /// What only the moment of commit knows: ids, `is_first_response`, from and to stage.
    pub data: Map<String, Value>,
    /// By whose key a part of it is sealed.
    pub sealed_by: Option<ContactId>,
    /// What is sealed of it ([`Personal`](crate::domain::payload::Personal)).
    pub sealed: Option<Vec<u8>>,
}

/// The fields whose values differ between two states of a thing; `None` is "did not exist".
pub fn changes(before: Option<&impl Serialize>, after: &impl Serialize) -> BTreeMap<String, Change> {
    let object = |value: Option<Value>| match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let mut before = object(before.and_then(|it| serde_json::to_value(it).ok()));
    object(serde_json::to_value(after).ok())
        .into_iter()
        .map(|(name, after)| {
            let before = before.remove(&name).unwrap_or(Value::Null);
            (name, Change { before, after })
        })
        .filter(|(_, change)| change.before != change.after)
        .collect()
}
