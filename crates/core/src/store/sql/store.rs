//! The port's side of [`write`](super::write).

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Adapter, SqlStore,
    script::{Check, Script},
    statement::Statement,
};
use crate::{
    error::Result,
    id::OrganizationId,
    ports::store::{Batch, Store},
    scope::Sight,
};

#[async_trait]
impl Store for SqlStore {
    fn seeing(&self, sight: &Sight) -> Arc<dyn Store> {
        Arc::new(Self { adapter: self.adapter.clone(), sight: sight.clone() })
    }

    fn seats_epoch(&self) -> Option<u64> {
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => sqlite.seats_epoch(),
            Adapter::Postgres(_) => None,
        }
    }

    async fn commit(&self, organization: OrganizationId, batch: Batch) -> Result<()> {
        self.write_batch(organization, batch).await
    }

    async fn commit_many(&self, batches: Vec<(OrganizationId, Batch)>) -> Vec<Result<()>> {
        self.write_batches(batches).await
    }

    async fn forget_idempotency(&self, organization: OrganizationId, before: DateTime<Utc>) -> Result<()> {
        let mut statement = Statement::new("DELETE FROM idempotency_keys WHERE organization_id = ");
        statement.bind(&organization).push(" AND created_at <= ").bind(&before);
        let mut script = Script::default();
        script.push(statement, Check::Any);
        self.write(Some(organization), script).await.map(drop)
    }

    async fn forget_login_states(&self, before: DateTime<Utc>) -> Result<()> {
        let mut statement = Statement::new("DELETE FROM login_states WHERE expires_at <= ");
        statement.bind(&before);
        let mut script = Script::default();
        script.push(statement, Check::Any);
        self.write(None, script).await.map(drop)
    }

    async fn scrub(&self) -> Result<()> {
        self.truncate_log().await
    }

    async fn ping(&self) -> Result<()> {
        self.answers().await
    }
}
