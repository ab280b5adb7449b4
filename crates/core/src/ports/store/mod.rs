//! The port to a store: reads by noun and one write door. A store keeps; it decides nothing.

pub mod analytics;
pub mod audit;
pub mod batch;
pub mod crm;
pub mod idempotency;
pub mod listing;
pub mod people;
pub mod privacy;
pub mod reads;
pub mod record;
pub mod secrets;
pub mod value;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    analytics::{
        AnalyticsReads, ConversionFilter, DealSum, Group, GroupBy, MessageCount, Period, StageConversion, ValueFilter,
        Waits, WonSum, WorkFilter,
    },
    audit::{AuditFilter, AuditReads},
    batch::{Batch, Guard, Must, Update, WorkEnd, WorkItem, Write},
    crm::*,
    listing::{Bounds, CONDITION_DEPTH, Field, FieldKind, Filter, Is, Place, SortBy, field_named, fields},
    people::{MemberReads, TeamReads},
    privacy::{Aged, Old, PrivacyReads},
    reads::*,
    record::{Record, Row, RuleVersion, TABLES, Table},
    secrets::SecretReads,
    value::{Column, Value},
};
use crate::{error::Result, id::OrganizationId, scope::Sight};

/// A store: every read, and the one write door.
#[async_trait]
pub trait Store:
    ContactReads
    + CompanyReads
    + FieldReads
    + DealReads
    + ActivityReads
    + PipelineReads
    + AnalyticsReads
    + AuditReads
    + AccountReads
    + MessageReads
    + AutomationReads
    + JobReads
    + IdentityReads
    + SecretReads
    + MemberReads
    + TeamReads
    + PrivacyReads
    + WorkQueue
    + Send
    + Sync
{
    /// The same store, of which this much is read; it writes as before.
    fn seeing(&self, sight: &Sight) -> Arc<dyn Store>;

    /// Counts what was written of sessions, members, roles and teams, if nobody but this process writes: what was read of
    /// them at one count is true for as long as it stays. `None` where others write too.
    fn seats_epoch(&self) -> Option<u64>;

    /// Writes all of a batch or nothing, in one transaction; events get their place in their subject's order, and the
    /// subject is put up for dispatch.
    ///
    /// # Errors
    /// A write conflict ([`Error::is_write_conflict`](crate::Error::is_write_conflict)) if a guard, an expectation or a
    /// unique index says no; a guard's own conflict code if it names one; `unavailable` if the database does not answer.
    /// What was handed over is written even if the caller is dropped.
    async fn commit(&self, organization: OrganizationId, batch: Batch) -> Result<()>;

    /// The same for many batches: one result each; a failed one spoils none of the others.
    async fn commit_many(&self, batches: Vec<(OrganizationId, Batch)>) -> Vec<Result<()>>;

    /// Removes idempotency keys made at `before` or earlier, in one organisation.
    async fn forget_idempotency(
        &self,
        organization: OrganizationId,
        before: chrono::DateTime<chrono::Utc>,
    ) -> Result<()>;

    /// Removes steps of signing in that ended at `before` or earlier, of everybody.
    async fn forget_login_states(&self, before: chrono::DateTime<chrono::Utc>) -> Result<()>;

    /// Takes what was overwritten or removed out of what the database keeps beside its tables, as far as it can: on SQLite
    /// the write-ahead log. PostgreSQL's is overwritten in its course, and its tables are cleaned by autovacuum.
    ///
    /// # Errors
    /// `unavailable` while somebody still reads an earlier state.
    async fn scrub(&self) -> Result<()>;

    /// Whether the store answers.
    async fn ping(&self) -> Result<()>;
}
