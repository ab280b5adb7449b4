//! Jobs, notifications, idempotency keys.

use async_trait::async_trait;

use super::{
    list::{Order, and_equal, by_number, by_time},
    select::{select, select_by},
};
use crate::{
    domain::{
        job::{Job, JobState},
        notification::Notification,
    },
    error::Result,
    id::*,
    page::{ListKey, Page, PageRequest, Position},
    ports::store::{JobReads, idempotency::IdempotencyRecord},
    store::sql::{SqlStore, statement::Statement},
};

/// What is unread counts as later than everything read, by 2⁶² microseconds: the table's `list_key` has the same.
const LATER: i64 = 1 << 62;

#[async_trait]
impl JobReads for SqlStore {
    async fn job(&self, organization: OrganizationId, id: JobId) -> Result<Option<Job>> {
        self.record(Some(organization), select_by::<Job>(organization, "id", &id)).await
    }

    async fn job_by_dedup_key(&self, organization: OrganizationId, key: &str) -> Result<Option<Job>> {
        self.record(Some(organization), select_by::<Job>(organization, "dedup_key", &key.to_owned())).await
    }

    async fn jobs(
        &self,
        organization: OrganizationId,
        state: Option<JobState>,
        page: &PageRequest,
    ) -> Result<Page<Job>> {
        let (statement, order) = jobs(organization, state);
        let list = ListKey::of(&("jobs", state));
        self.page_of(organization, statement, order, list, page, |it: &Job| by_time(it.created_at, it.id)).await
    }

    async fn notifications(
        &self,
        organization: OrganizationId,
        user: UserId,
        page: &PageRequest,
    ) -> Result<Page<Notification>> {
        let (statement, order) = notifications(organization, user);
        let list = ListKey::of(&("notifications", user));
        self.page_of(organization, statement, order, list, page, place).await
    }

    async fn notification(&self, organization: OrganizationId, id: NotificationId) -> Result<Option<Notification>> {
        self.record(Some(organization), select_by::<Notification>(organization, "id", &id)).await
    }

    async fn idempotency(
        &self,
        organization: OrganizationId,
        actor: &str,
        operation: &str,
        key: &str,
    ) -> Result<Option<IdempotencyRecord>> {
        let mut statement = select_by::<IdempotencyRecord>(organization, "actor", &actor.to_owned());
        statement.push(" AND t.operation = ").bind(&operation.to_owned());
        statement.push(" AND t.key = ").bind(&key.to_owned());
        self.record(Some(organization), statement).await
    }
}

/// Jobs, newest first.
pub(super) fn jobs(organization: OrganizationId, state: Option<JobState>) -> (Statement, Order) {
    let mut statement = select::<Job>(organization);
    and_equal(&mut statement, "state", state.as_ref());
    (statement, Order::newest("t.created_at"))
}

/// A user's notifications, unread first, then newest first.
pub(super) fn notifications(organization: OrganizationId, user: UserId) -> (Statement, Order) {
    (select_by::<Notification>(organization, "user_id", &user), Order::newest("t.list_key"))
}

fn place(notification: &Notification) -> Position {
    let created_at = notification.created_at.timestamp_micros();
    by_number(if notification.read { created_at } else { created_at.saturating_add(LATER) }, notification.id)
}
