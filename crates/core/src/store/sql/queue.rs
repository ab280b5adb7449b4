//! Work shared out among replicas: the port's side of [`work`](super::work).

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

use super::{
    Adapter, SqlStore,
    script::{Check, Script},
    statement::Statement,
    work,
};
use crate::{
    domain::job::{Claim, Lane},
    error::Result,
    ports::store::{Column, Row, WorkQueue},
};

impl SqlStore {
    /// Statements on global tables, each in its own transaction; the answer is that of the last one.
    async fn loose(&self, script: Script) -> Result<(u64, Vec<Row>)> {
        match &*self.adapter {
            // The writer answers rows alone: these statements answer the rows that they changed.
            Adapter::Sqlite(sqlite) => sqlite.write(script).await.map(|rows| (rows.len() as u64, rows)),
            Adapter::Postgres(postgres) => {
                let last = postgres.loose(&script).await?.pop().unwrap_or_default();
                Ok((last.count, last.rows))
            }
        }
    }
}

fn answering(mut statement: Statement) -> Script {
    statement.push(" RETURNING 1");
    alone(statement)
}

fn alone(statement: Statement) -> Script {
    let mut script = Script::default();
    script.push(statement, Check::Any);
    script
}

#[async_trait]
impl WorkQueue for SqlStore {
    async fn free(&self, lanes: &[Lane], now: DateTime<Utc>, lease: Duration) -> Result<()> {
        self.loose(work::free(self.db(), lanes, now, lease)).await.map(drop)
    }

    async fn claim(
        &self,
        lanes: &[Lane],
        owner: Uuid,
        now: DateTime<Utc>,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Claim>> {
        if lanes.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let (_, rows) = self.loose(alone(work::claim(self.db(), lanes, owner, now, lease, limit))).await?;
        work::claims(rows)
    }

    async fn renew(&self, claim: &Claim, until: DateTime<Utc>) -> Result<bool> {
        let (count, _) = self.loose(answering(work::renew(claim, until))).await?;
        Ok(count > 0)
    }

    async fn release(&self, claim: &Claim, due_at: DateTime<Utc>) -> Result<()> {
        self.loose(answering(work::later(claim, due_at))).await.map(drop)
    }

    async fn next_due(&self, lanes: &[Lane]) -> Result<Option<DateTime<Utc>>> {
        if lanes.is_empty() {
            return Ok(None);
        }
        let rows = self.rows(None, work::next_due(lanes)).await?;
        let due = rows.into_iter().next().and_then(|row| row.into_iter().next());
        due.map_or(Ok(None), Option::from_value)
    }
}
