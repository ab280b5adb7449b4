//! Reads of what is held about one person, deleted or not, and of what is held for longer than it is to be.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    domain::{
        audit::AuditEntry,
        company::Company,
        contact::Contact,
        deal::Deal,
        erasure::Erasure,
        event::{Event, Subject},
        job::Job,
        media::Media,
        message::Message,
        notification::Notification,
        pipeline::StageMove,
        retention::{Retention, RetentionMark, Walk},
        run::Run,
        task::Task,
    },
    error::Result,
    id::{ContactId, OrganizationId},
    page::{Page, PageRequest},
    ports::store::idempotency::IdempotencyRecord,
};

/// Which rows of a walk through old things.
#[derive(Debug, Clone, PartialEq)]
pub enum Old {
    /// Those behind a place, oldest first: their id, in the trash when they were deleted and their id.
    Behind {
        /// When the last one seen was deleted; of the trash alone.
        at: DateTime<Utc>,
        /// The id of the last one seen.
        id: Uuid,
        /// They came to be, or were deleted, earlier than this.
        before: DateTime<Utc>,
        /// At most so many.
        limit: u32,
    },
    /// Those with these ids, in any order.
    Ids(Vec<Uuid>),
}

/// Rows of a walk through old things.
#[derive(Debug, Clone, PartialEq)]
pub enum Aged {
    /// Messages.
    Messages(Vec<Message>),
    /// Files.
    Files(Vec<Media>),
    /// Runs of rules.
    Runs(Vec<Run>),
    /// Events, each with how many of its subject's the rules have seen.
    Events(Vec<(Event, i64)>),
    /// Moves into stages.
    Moves(Vec<StageMove>),
    /// Notifications.
    Notifications(Vec<Notification>),
    /// Jobs.
    Jobs(Vec<Job>),
    /// Deleted contacts.
    Contacts(Vec<Contact>),
    /// Deleted deals.
    Deals(Vec<Deal>),
    /// Deleted companies.
    Companies(Vec<Company>),
    /// Entries of the audit log.
    Audit(Vec<AuditEntry>),
}

/// What is held about one person, where other reads do not find it.
#[async_trait]
pub trait PrivacyReads {
    /// A contact's erasure, if it was asked for.
    async fn erasure(&self, organization: OrganizationId, contact: ContactId) -> Result<Option<Erasure>>;
    /// A page of the contact's deals, deleted ones too, newest first.
    async fn deals_of(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Deal>>;
    /// A page of the messages from and to the contact, in whichever chat, newest first.
    async fn messages_with(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Message>>;
    /// A page of the files that are the contact's alone, newest first.
    async fn files_of(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Media>>;
    /// A page of the tasks for a contact or a deal, deleted or not, newest first.
    async fn tasks_for(&self, organization: OrganizationId, subject: Subject, page: &PageRequest)
    -> Result<Page<Task>>;
    /// A page of everybody's notifications about a contact or a deal, newest first.
    async fn notifications_about(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<Notification>>;
    /// The remembered answers that name one of these ids, at most `limit`. They are those of a day: all are looked at.
    async fn answers_naming(
        &self,
        organization: OrganizationId,
        ids: &[Uuid],
        limit: u32,
    ) -> Result<Vec<IdempotencyRecord>>;
    /// The jobs with these de-duplication keys, in any order.
    async fn jobs_by_dedup_keys(&self, organization: OrganizationId, keys: &[String]) -> Result<Vec<Job>>;
    /// How long an organisation keeps what; `None`: everything for ever.
    async fn retention(&self, organization: OrganizationId) -> Result<Option<Retention>>;
    /// Old rows of a walk. Ids tell when rows came to be, so that a walk needs no index of its own.
    async fn old(&self, organization: OrganizationId, walk: Walk, which: &Old) -> Result<Aged>;
    /// What a walk by age has marked behind an id, in their order: rows that came to be before an instant, at most `limit`.
    async fn retention_marks(
        &self,
        organization: OrganizationId,
        walk: Walk,
        after: Uuid,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<RetentionMark>>;
    /// Whether a walk through the trash has emptied a row.
    async fn is_purged(&self, organization: OrganizationId, walk: Walk, id: Uuid) -> Result<bool>;
}
