//! The audit log.

use async_trait::async_trait;

use super::{
    list::{Conditions, Order, by_time},
    select::{cell, select, select_by},
};
use crate::{
    domain::audit::{AuditChain, AuditEntry},
    error::{Error, Result},
    id::*,
    page::{ListKey, Page, PageRequest},
    ports::store::{AuditFilter, AuditReads},
    store::sql::{SqlStore, statement::Statement},
};

#[async_trait]
impl AuditReads for SqlStore {
    async fn audit_entries(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        let (statement, order) = entries(organization, filter);
        let list = ListKey::of(&("audit", filter));
        self.page_of(organization, statement, order, list, page, |it: &AuditEntry| by_time(it.at, it.id)).await
    }

    async fn audit_entry(&self, organization: OrganizationId, id: AuditEntryId) -> Result<Option<AuditEntry>> {
        self.record(Some(organization), select_by::<AuditEntry>(organization, "id", &id)).await
    }

    async fn unsealed_entries(&self, organization: OrganizationId, limit: u32) -> Result<Vec<AuditEntry>> {
        self.records(Some(organization), unsealed(organization, limit)).await
    }

    async fn count_unsealed(&self, organization: OrganizationId) -> Result<i64> {
        let mut statement = Statement::new("SELECT COUNT(*) FROM audit_entries t WHERE t.organization_id = ");
        statement.bind(&organization).push(" AND t.seq IS NULL");
        let row = self.rows(Some(organization), statement).await?.into_iter().next();
        let row = row.ok_or_else(|| Error::internal("a count answers no row"))?;
        cell(&mut row.into_iter())
    }

    async fn sealed_entries(&self, organization: OrganizationId, seq: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        self.records(Some(organization), sealed(organization, seq, limit)).await
    }

    async fn audit_chain(&self, organization: OrganizationId) -> Result<Option<AuditChain>> {
        self.record(Some(organization), select::<AuditChain>(organization)).await
    }
}

/// Entries, newest first.
pub(super) fn entries(organization: OrganizationId, filter: &AuditFilter) -> (Statement, Order) {
    let mut statement = select::<AuditEntry>(organization);
    if let Some(from) = &filter.from {
        statement.push(" AND t.at >= ").bind(from);
    }
    if let Some(to) = &filter.to {
        statement.push(" AND t.at < ").bind(to);
    }
    let mut conditions = Conditions::new();
    conditions.equal("object_id", filter.object_id.as_ref());
    conditions.equal("actor_id", filter.actor_id.as_ref());
    conditions.equal("action", filter.action.as_ref());
    conditions.equal("object_kind", filter.object_kind.as_ref());
    conditions.push(&mut statement);
    (statement, Order::newest("t.at"))
}

/// What has no seal yet, oldest first.
pub(super) fn unsealed(organization: OrganizationId, limit: u32) -> Statement {
    let mut statement = select::<AuditEntry>(organization);
    statement.push(" AND t.seq IS NULL ORDER BY t.at, t.id").limit(limit);
    statement
}

/// What is sealed after a number, in order.
pub(super) fn sealed(organization: OrganizationId, seq: i64, limit: u32) -> Statement {
    let mut statement = select::<AuditEntry>(organization);
    statement.push(" AND t.seq > ").bind(&seq).push(" ORDER BY t.seq").limit(limit);
    statement
}
