//! What must be true of an SQLite database: the schema, and the soundness of the file.

use super::{FILE, Finding, SCHEMA, drift, text};
use crate::{
    error::Result,
    ports::store::Row,
    store::sql::{Db, migrate, sqlite::Sqlite, statement::Statement},
};

pub(super) async fn examine(sqlite: &Sqlite) -> Result<Vec<Finding>> {
    let mut findings = match sqlite.run(|connection| migrate::check_sqlite(connection)).await {
        Ok(()) => schema(sqlite).await?,
        Err(error) => vec![Finding::broken(SCHEMA, error.message())],
    };
    let lines = |rows: Vec<Row>| {
        let texts = rows.into_iter().map(|row| text(row.into_iter().next()));
        texts.collect::<Result<Vec<_>>>().map(|texts| texts.join("; "))
    };
    let sound = lines(sqlite.read(Statement::new("PRAGMA quick_check")).await?)?;
    findings.push(if sound == "ok" {
        Finding::fine(FILE, "the database is sound")
    } else {
        Finding::broken(FILE, format!("the database is damaged: restore a backup ({sound})"))
    });
    let dangling = lines(sqlite.read(Statement::new("SELECT \"table\" FROM pragma_foreign_key_check")).await?)?;
    if !dangling.is_empty() {
        findings.push(Finding::broken(FILE, format!("rows of these tables refer to rows that are gone: {dangling}")));
    }
    let mode = lines(sqlite.read(Statement::new("PRAGMA journal_mode")).await?)?;
    findings.push(match mode.as_str() {
        "wal" | "memory" => Finding::fine(FILE, format!("the journal mode is {mode}")),
        _ => Finding::warning(
            FILE,
            format!("the journal mode is {mode}, so reads and writes wait for each other: the file system lacks what WAL needs"),
        ),
    });
    Ok(findings)
}

async fn schema(sqlite: &Sqlite) -> Result<Vec<Finding>> {
    let columns = "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_xinfo(m.name) c WHERE m.type = 'table'";
    let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index'";
    let columns = sqlite.read(Statement::new(columns)).await?;
    drift::findings(Db::Sqlite, columns, sqlite.read(Statement::new(indexes)).await?)
}
