//! Whether the key file has every key that secrets lie under. Each row names its data key, each data key its master key, and
//! the database lets none of those go, so the names of the master keys tell all.

use super::{Finding, text};
use crate::{
    cipher::Cipher,
    error::Result,
    ports::store::{Row, Value},
};

const KEYS: &str = "keys of secrets";

/// Which master keys something is wrapped by, and whether a rotation of data keys is under way.
pub(super) const NAMED: &str = "SELECT t.id, (SELECT count(*) FROM common_keys c \
                                WHERE c.retired_at IS NOT NULL AND c.wrapped IS NOT NULL) FROM master_keys t ORDER BY t.id";

/// Compares what the database names with what the key file has; without one that is nothing.
pub(super) fn findings(named: Vec<Row>, masters: Option<&Cipher>) -> Result<Vec<Finding>> {
    let (mut findings, mut older, mut rotating) = (Vec::new(), Vec::new(), false);
    for row in named {
        let mut row = row.into_iter();
        let id = text(row.next())?;
        rotating |= row.next() != Some(Value::Int(0));
        if !masters.is_some_and(|it| it.has(&id)) {
            let sentence = format!(
                "secrets lie under the master key {id}, which is not in the key file, and cannot be read: put its line back \
                 below the newest one"
            );
            findings.push(Finding::broken(KEYS, sentence));
        } else if masters.is_some_and(|it| it.current() != id) {
            older.push(id);
        }
    }
    if !older.is_empty() {
        let sentence = format!(
            "secrets still lie under older lines of the key file ({}): run `dealwright-server rotate-keys`",
            older.join(", ")
        );
        findings.push(Finding::warning(KEYS, sentence));
    }
    if rotating {
        let sentence = "a rotation of data keys was broken off, or goes on: run `dealwright-server rotate-keys` again";
        findings.push(Finding::warning(KEYS, sentence));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(KEYS, "every secret lies under the newest line of the key file"));
    }
    Ok(findings)
}
