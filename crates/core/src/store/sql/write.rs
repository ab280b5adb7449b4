//! The one write door: batches become scripts here, without a database, and are handed to the adapter.

use super::{Adapter, SqlStore, postgres::Postgres, render::render, script::Script, statement::Statement};
use crate::{
    error::{Error, ErrorKind, Result},
    id::OrganizationId,
    ports::store::{Batch, Row},
};

/// Batches of one organisation that share a transaction on PostgreSQL.
const TOGETHER: usize = 64;

impl SqlStore {
    /// Writes all of a batch or nothing. From the first poll on it happens whether or not the caller waits for it.
    pub(crate) async fn write_batch(&self, organization: OrganizationId, batch: Batch) -> Result<()> {
        self.write(Some(organization), render(self.db(), organization, batch)?).await.map(drop)
    }

    /// Carries out a script in a transaction; the answer is that of its last statement.
    pub(crate) async fn write(&self, organization: Option<OrganizationId>, script: Script) -> Result<Vec<Row>> {
        if script.steps.is_empty() {
            return Ok(Vec::new());
        }
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => sqlite.write(script).await,
            Adapter::Postgres(postgres) => postgres.write(organization, script).await,
        }
    }

    /// Writes many batches, in their order: one result each.
    pub(crate) async fn write_batches(&self, batches: Vec<(OrganizationId, Batch)>) -> Vec<Result<()>> {
        let scripts: Vec<_> = batches
            .into_iter()
            .map(|(organization, batch)| (organization, render(self.db(), organization, batch)))
            .collect();
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => {
                let submit = |(_, script): (_, Result<Script>)| script.map(|script| sqlite.submit(script));
                let submitted: Vec<_> = scripts.into_iter().map(submit).collect();
                let mut results = Vec::with_capacity(submitted.len());
                for answer in submitted {
                    results.push(match answer {
                        Ok(answer) => super::sqlite::answered(answer.await).map(drop),
                        Err(error) => Err(error),
                    });
                }
                results
            }
            Adapter::Postgres(postgres) => {
                let count = scripts.len();
                let postgres = postgres.clone();
                let work = tokio::spawn(async move { write_runs(&postgres, scripts).await });
                work.await.unwrap_or_else(|_| (0..count).map(|_| Err(Error::internal("a commit died"))).collect())
            }
        }
    }

    /// Empties SQLite's write-ahead log.
    pub(crate) async fn truncate_log(&self) -> Result<()> {
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => sqlite.truncate_log().await,
            Adapter::Postgres(_) => Ok(()),
        }
    }

    /// Whether the database answers.
    pub(crate) async fn answers(&self) -> Result<()> {
        self.rows(None, Statement::new("SELECT 1")).await.map(drop)
    }
}

/// Takes the batches that follow one another in one organisation into one transaction; if that fails, each into its own.
async fn write_runs(postgres: &Postgres, scripts: Vec<(OrganizationId, Result<Script>)>) -> Vec<Result<()>> {
    let mut results = Vec::with_capacity(scripts.len());
    let mut run: Vec<Script> = Vec::new();
    let mut of = None;
    for (organization, script) in scripts {
        let script = match script {
            Ok(script) => script,
            Err(error) => {
                write_run(postgres, of, &mut run, &mut results).await;
                results.push(Err(error));
                continue;
            }
        };
        if of != Some(organization) || run.len() == TOGETHER {
            write_run(postgres, of, &mut run, &mut results).await;
        }
        of = Some(organization);
        run.push(script);
    }
    write_run(postgres, of, &mut run, &mut results).await;
    results
}

async fn write_run(
    postgres: &Postgres,
    organization: Option<OrganizationId>,
    run: &mut Vec<Script>,
    results: &mut Vec<Result<()>>,
) {
    let run = std::mem::take(run);
    let together: Vec<_> = run.iter().collect();
    if together.is_empty() {
        return;
    }
    match postgres.transaction(organization, &together).await {
        Ok(_) => results.extend(run.iter().map(|_| Ok(()))),
        Err(error) if run.len() == 1 => results.push(Err(error)),
        // Nobody knows whether a commit without an answer happened: each is told so.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            results.extend(run.iter().map(|_| Err(error.retold())));
        }
        Err(_) => {
            for script in &run {
                results.push(postgres.transaction(organization, &[script]).await.map(drop));
            }
        }
    }
}
