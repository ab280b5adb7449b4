//! Reads of the audit log.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    domain::audit::{AuditChain, AuditEntry, AuditObject},
    error::Result,
    id::{AuditEntryId, OrganizationId},
    page::{Page, PageRequest},
};

/// Which entries of the audit log.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AuditFilter {
    /// By this user, key, rule or account.
    pub actor_id: Option<Uuid>,
    /// Of this operation.
    pub action: Option<String>,
    /// About this kind of thing.
    pub object_kind: Option<AuditObject>,
    /// About this thing.
    pub object_id: Option<Uuid>,
    /// At this instant or later.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
}

/// The audit log.
#[async_trait]
pub trait AuditReads {
    /// A page of entries, newest first.
    async fn audit_entries(
        &self,
        organization: OrganizationId,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>>;
    /// One entry.
    async fn audit_entry(&self, organization: OrganizationId, id: AuditEntryId) -> Result<Option<AuditEntry>>;
    /// The entries that have no seal yet, oldest first, at most `limit`.
    async fn unsealed_entries(&self, organization: OrganizationId, limit: u32) -> Result<Vec<AuditEntry>>;
    /// How many entries have no seal yet.
    async fn count_unsealed(&self, organization: OrganizationId) -> Result<i64>;
    /// The sealed entries after number `seq`, in their order, at most `limit`.
    async fn sealed_entries(&self, organization: OrganizationId, seq: i64, limit: u32) -> Result<Vec<AuditEntry>>;
    /// The head of the chain; `None` before anything was sealed.
    async fn audit_chain(&self, organization: OrganizationId) -> Result<Option<AuditChain>>;
}
