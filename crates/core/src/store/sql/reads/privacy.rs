//! What is held about one person, and what is held for longer than it is to be.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    activities::on_subject,
    list::{Order, by_time},
    select::{cell, portions, select, select_by, select_by_ids},
};
use crate::{
    domain::{
        deal::Deal,
        erasure::Erasure,
        event::{Event, Subject},
        job::Job,
        media::Media,
        message::Message,
        notification::Notification,
        retention::{Retention, RetentionMark, Walk},
        task::Task,
    },
    error::Result,
    id::{ContactId, OrganizationId},
    page::{ListKey, Page, PageRequest},
    ports::store::{Aged, Old, PrivacyReads, Record, idempotency::IdempotencyRecord},
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
        ids: &[Uuid],
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

    async fn retention(&self, organization: OrganizationId) -> Result<Option<Retention>> {
        self.record(Some(organization), select::<Retention>(organization)).await
    }

    async fn old(&self, organization: OrganizationId, walk: Walk, which: &Old) -> Result<Aged> {
        Ok(match walk {
            Walk::Messages => Aged::Messages(self.aged(organization, walk, which).await?),
            Walk::Files => Aged::Files(self.aged(organization, walk, which).await?),
            Walk::Runs => Aged::Runs(self.aged(organization, walk, which).await?),
            Walk::Events => {
                let events: Vec<Event> = self.aged(organization, walk, which).await?;
                let seen = self.consumed(organization, &events).await?;
                let seen = |event: &Event| seen.get(&event.subject.id).copied().unwrap_or_default();
                Aged::Events(events.into_iter().map(|event| (event.clone(), seen(&event))).collect())
            }
            Walk::Moves => Aged::Moves(self.aged(organization, walk, which).await?),
            Walk::Notifications => Aged::Notifications(self.aged(organization, walk, which).await?),
            Walk::Jobs => Aged::Jobs(self.aged(organization, walk, which).await?),
            Walk::Contacts => Aged::Contacts(self.aged(organization, walk, which).await?),
            Walk::Deals => Aged::Deals(self.aged(organization, walk, which).await?),
            Walk::Companies => Aged::Companies(self.aged(organization, walk, which).await?),
            Walk::Audit => Aged::Audit(self.aged(organization, walk, which).await?),
        })
    }

    async fn retention_marks(
        &self,
        organization: OrganizationId,
        walk: Walk,
        after: Uuid,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<RetentionMark>> {
        self.records(Some(organization), marks(organization, walk, after, before, limit)).await
    }

    async fn is_purged(&self, organization: OrganizationId, walk: Walk, id: Uuid) -> Result<bool> {
        let mut statement = select_by::<RetentionMark>(organization, "walk", &walk);
        statement.push(" AND t.id = ").bind(&id);
        Ok(self.record::<RetentionMark>(Some(organization), statement).await?.is_some())
    }
}

impl SqlStore {
    async fn aged<T: Record>(&self, organization: OrganizationId, walk: Walk, which: &Old) -> Result<Vec<T>> {
        self.records(Some(organization), old::<T>(organization, walk, which)).await
    }

    /// How many events of each of these events' subjects the rules have seen.
    async fn consumed(&self, organization: OrganizationId, events: &[Event]) -> Result<HashMap<Uuid, i64>> {
        let subjects: Vec<_> = events.iter().map(|event| event.subject.id).collect();
        let mut seen = HashMap::new();
        for subjects in portions(&subjects) {
            let mut statement =
                Statement::new("SELECT t.subject_id, t.consumed_seq FROM subjects t WHERE t.organization_id = ");
            statement.bind(&organization).push(" AND t.subject_id IN (").bind_all(&subjects).push(")");
            for row in self.rows(Some(organization), statement).await? {
                let mut row = row.into_iter();
                seen.insert(cell(&mut row)?, cell(&mut row)?);
            }
        }
        Ok(seen)
    }
}

/// The first id that may be made at an instant.
fn first_id(at: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or_default();
    // RFC 9562, 5.7: 48 bits of milliseconds before everything else.
    Uuid::from_u128(millis << 80)
}

/// Rows of a walk through old things.
pub(super) fn old<T: Record>(organization: OrganizationId, walk: Walk, which: &Old) -> Statement {
    match which {
        Old::Ids(ids) => select_by_ids::<T>(organization, ids),
        Old::Behind { at, id, before, limit } => {
            let mut statement = select::<T>(organization);
            if walk.is_trash() {
                statement.push(" AND t.deleted_at < ").bind(before);
                statement.push(" AND (t.deleted_at, t.id) > (").bind(at).push(", ").bind(id).push(")");
                statement.push(" ORDER BY t.deleted_at, t.id").limit(*limit);
            } else {
                statement.push(" AND t.id > ").bind(id).push(" AND t.id < ").bind(&first_id(*before));
                statement.push(" ORDER BY t.id").limit(*limit);
            }
            statement
        }
    }
}

/// What a walk by age has marked, in the order of ids.
pub(super) fn marks(
    organization: OrganizationId,
    walk: Walk,
    after: Uuid,
    before: DateTime<Utc>,
    limit: u32,
) -> Statement {
    let mut statement = select_by::<RetentionMark>(organization, "walk", &walk);
    statement.push(" AND t.id > ").bind(&after).push(" AND t.id < ").bind(&first_id(before));
    statement.push(" ORDER BY t.id").limit(limit);
    statement
}

/// What is a contact's or deal's, newest first.
pub(super) fn of<T: Record>(organization: OrganizationId, subject: Subject) -> (Statement, Order) {
    (on_subject::<T>(organization, subject), Order::newest("t.created_at"))
}

/// The messages from and to a contact, newest first.
pub(super) fn with(organization: OrganizationId, contact: ContactId) -> (Statement, Order) {
    (select_by::<Message>(organization, "contact_id", &contact), Order::newest("t.timestamp"))
}
