//! What is held about one person.

use async_trait::async_trait;

use super::{
    activities::on_subject,
    list::{Order, by_time},
    select::{portions, select, select_by},
};
use crate::{
    domain::{
        deal::Deal, erasure::Erasure, event::Subject, job::Job, media::Media, message::Message,
        notification::Notification, task::Task,
    },
    error::Result,
    id::{ContactId, OrganizationId},
    page::{ListKey, Page, PageRequest},
    ports::store::{PrivacyReads, Record, idempotency::IdempotencyRecord},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl PrivacyReads for SqlStore {
    async fn erasure(&self, organization: OrganizationId, contact: ContactId) -> Result<Option<Erasure>> {
        self.record(Some(organization), select_by::<Erasure>(organization, "contact_id", &contact)).await
    }

    async fn deals_of(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Deal>> {
        let (statement, order) = of::<Deal>(organization, contact.into());
        let list = ListKey::of(&("deals_of", contact));
        self.page_of(organization, statement, order, list, page, |it: &Deal| by_time(it.created_at, it.id)).await
    }

    async fn messages_with(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Message>> {
        let (statement, order) = with(organization, contact);
        let list = ListKey::of(&("messages_with", contact));
        self.page_of(organization, statement, order, list, page, |it: &Message| by_time(it.timestamp, it.id)).await
    }

    async fn files_of(
        &self,
        organization: OrganizationId,
        contact: ContactId,
        page: &PageRequest,
    ) -> Result<Page<Media>> {
        let (statement, order) = of::<Media>(organization, contact.into());
        let list = ListKey::of(&("files_of", contact));
        self.page_of(organization, statement, order, list, page, |it: &Media| by_time(it.created_at, it.id)).await
    }

    async fn tasks_for(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<Task>> {
        let (statement, order) = of::<Task>(organization, subject);
        let list = ListKey::of(&("tasks_for", subject));
        self.page_of(organization, statement, order, list, page, |it: &Task| by_time(it.created_at, it.id)).await
    }

    async fn notifications_about(
        &self,
        organization: OrganizationId,
        subject: Subject,
        page: &PageRequest,
    ) -> Result<Page<Notification>> {
        let (statement, order) = of::<Notification>(organization, subject);
        let list = ListKey::of(&("notifications_about", subject));
        let place = |it: &Notification| by_time(it.created_at, it.id);
        self.page_of(organization, statement, order, list, page, place).await
    }

    async fn answers_naming(
        &self,
        organization: OrganizationId,
        ids: &[uuid::Uuid],
        limit: u32,
    ) -> Result<Vec<IdempotencyRecord>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement = select::<IdempotencyRecord>(organization);
        for (place, id) in ids.iter().enumerate() {
            statement.push(if place == 0 { " AND (" } else { " OR " });
            statement.push("t.answer LIKE ").bind(&format!("%{id}%"));
        }
        statement.push(")").limit(limit);
        self.records(Some(organization), statement).await
    }

    async fn jobs_by_dedup_keys(&self, organization: OrganizationId, keys: &[String]) -> Result<Vec<Job>> {
        let mut found = Vec::new();
        for keys in portions(keys) {
            let mut statement = select::<Job>(organization);
            statement.push(" AND t.dedup_key IN (").bind_all(&keys).push(")");
            found.extend(self.records(Some(organization), statement).await?);
        }
        Ok(found)
    }
}

/// What is a contact's or deal's, newest first.
pub(super) fn of<T: Record>(organization: OrganizationId, subject: Subject) -> (Statement, Order) {
    (on_subject::<T>(organization, subject), Order::newest("t.created_at"))
}

/// The messages from and to a contact, newest first.
pub(super) fn with(organization: OrganizationId, contact: ContactId) -> (Statement, Order) {
    (select_by::<Message>(organization, "contact_id", &contact), Order::newest("t.timestamp"))
}
