//! Reads of what is held about one person, deleted or not.

use async_trait::async_trait;

use crate::{
    domain::{
        deal::Deal, erasure::Erasure, event::Subject, job::Job, media::Media, message::Message,
        notification::Notification, task::Task,
    },
    error::Result,
    id::{ContactId, OrganizationId},
    page::{Page, PageRequest},
    ports::store::idempotency::IdempotencyRecord,
};

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
        ids: &[uuid::Uuid],
        limit: u32,
    ) -> Result<Vec<IdempotencyRecord>>;
    /// The jobs with these de-duplication keys, in any order.
    async fn jobs_by_dedup_keys(&self, organization: OrganizationId, keys: &[String]) -> Result<Vec<Job>>;
}
