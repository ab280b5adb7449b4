//! Whether the tables are still as the migrations made them: no table or column is gone, no index that a promise or the
//! speed of a list hangs on, and no table stands among them that this program knows nothing of.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, SCHEMA, text};
use crate::{
    error::Result,
    ports::store::{Row, TABLES},
    store::sql::{Db, migrate},
};

/// Whether a table is one of this program's.
pub(super) fn is_known(table: &str) -> bool {
    table == migrate::HISTORY || migrate::OWN_TABLES.contains(&table) || TABLES.iter().any(|it| it.name == table)
}

/// What the migrations make.
#[derive(Default)]
struct Made<'s> {
    /// The columns of each table.
    columns: BTreeMap<&'s str, BTreeSet<&'s str>>,
    /// Each index, and the statement that makes it.
    indexes: BTreeMap<&'s str, String>,
}

impl<'s> Made<'s> {
    /// Reads the text of migrations: a column a line, as the house writes them.
    fn by(sql: &'s str) -> Self {
        let (mut made, mut table, mut index) = (Self::default(), None, None);
        for line in sql.lines() {
            let word = |rest: &'s str| rest.split([' ', '(', ',']).next().unwrap_or_default();
            if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                table = Some(word(rest));
            } else if let Some(rest) =
                line.strip_prefix("CREATE INDEX ").or_else(|| line.strip_prefix("CREATE UNIQUE INDEX "))
            {
                index = Some(word(rest));
            } else if line.starts_with(')') {
                table = None;
            } else if let (Some(table), Some(rest)) = (table, line.strip_prefix("    "))
                && rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '"')
            {
                made.columns.entry(table).or_default().insert(word(rest).trim_matches('"'));
            }
            if let Some(name) = index {
                let statement: &mut String = made.indexes.entry(name).or_default();
                statement.push_str(line.trim());
                if line.ends_with(';') {
                    index = None;
                } else {
                    statement.push(' ');
                }
            }
        }
        made
    }
}

/// Compares what is there, as rows of table and column and rows of indexes, with what was made.
pub(super) fn findings(db: Db, columns: Vec<Row>, indexes: Vec<Row>) -> Result<Vec<Finding>> {
    let mut present: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in columns {
        let mut row = row.into_iter();
        let table = text(row.next())?;
        present.entry(table).or_default().insert(text(row.next())?);
    }
    let indexes: BTreeSet<String> =
        indexes.into_iter().map(|row| text(row.into_iter().next())).collect::<Result<_>>()?;
    let sql = migrate::all(db);
    let made = Made::by(&sql);
    let mut findings = Vec::new();
    for (table, columns) in &made.columns {
        let Some(present) = present.get(*table) else {
            findings.push(Finding::broken(SCHEMA, format!("the table {table} is gone: restore a backup")));
            continue;
        };
        for gone in columns.iter().filter(|it| !present.contains(**it)) {
            findings.push(Finding::broken(SCHEMA, format!("the column {table}.{gone} is gone: restore a backup")));
        }
        for further in present.iter().filter(|it| !columns.contains(it.as_str())) {
            let sentence =
                format!("{table}.{further} is no column of this program's: drop it, for no row will have it");
            findings.push(Finding::broken(SCHEMA, sentence));
        }
    }
    for (name, statement) in made.indexes.iter().filter(|(name, _)| !indexes.contains(**name)) {
        findings.push(Finding::broken(SCHEMA, format!("the index {name} is gone: {statement}")));
    }
    for table in present.keys().filter(|table| !is_known(table) && !table.starts_with("sqlite_")) {
        let sentence = format!(
            "the table {table} is none of this program's, and nothing keeps organisations apart in it: move it to a \
             schema or a file of its own"
        );
        findings.push(Finding::broken(SCHEMA, sentence));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(SCHEMA, "the schema is this program's, as its migrations made it"));
    }
    Ok(findings)
}
