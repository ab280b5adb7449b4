//! What the databases' errors mean to the engine: somebody was faster, the database is away, or a defect.

use tokio_postgres::error::SqlState;

use crate::error::Error;

impl Error {
    /// The same error for another caller of the same transaction.
    pub(crate) fn retold(&self) -> Self {
        Self::new(self.kind(), self.to_string()).code_of(self.code().to_owned())
    }
}

/// What an error of SQLite means.
pub(crate) fn from_sqlite(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let Some(code) = error.sqlite_error_code() else {
        return Error::internal("SQLite did not understand a statement").with_source(error);
    };
    match code {
        ErrorCode::ConstraintViolation => from_sqlite_constraint(error),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::unavailable("another process keeps the database locked: try again").with_source(error)
        }
        ErrorCode::DiskFull => Error::unavailable("the disk of the database is full").with_source(error),
        ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly => {
            Error::unavailable("the database's file cannot be read or written").with_source(error)
        }
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            Error::unavailable("the database's file is damaged or none of SQLite: restore a backup").with_source(error)
        }
        _ => Error::internal("SQLite refused a statement").with_source(error),
    }
}

fn from_sqlite_constraint(error: rusqlite::Error) -> Error {
    use rusqlite::ffi::{
        SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE,
    };
    match error.sqlite_error().map(|it| it.extended_code) {
        Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_ROWID) => {
            // "UNIQUE constraint failed: users.email"
            let message = error.to_string();
            let what = message.rsplit_once(": ").map_or(message.as_str(), |(_, what)| what);
            Error::write_conflict(format!("there is a row with the same {what} already")).with_source(error)
        }
        Some(SQLITE_CONSTRAINT_FOREIGNKEY) => {
            Error::write_conflict("a row that this one refers to is gone, or one that is removed is still referred to")
                .with_source(error)
        }
        _ => Error::internal("a row breaks a rule of its table").with_source(error),
    }
}

/// What an error of PostgreSQL means.
pub(crate) fn from_postgres(error: tokio_postgres::Error) -> Error {
    let Some(db) = error.as_db_error() else {
        // Without an answer of the server it is the connection, or a value that a column does not take.
        let text = chain(&error);
        let connection = error.is_closed() || is_io(&error) || text == "timeout waiting for server";
        return if connection {
            Error::unavailable(format!("PostgreSQL does not answer: {text}")).with_source(error)
        } else {
            Error::internal(format!("PostgreSQL and the engine do not understand each other: {text}"))
                .with_source(error)
        };
    };
    let (code, text) = (db.code(), db.message().to_owned());
    if [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE]
        .contains(code)
    {
        return Error::write_conflict(format!("other writers were in the way: {text}")).with_source(error);
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        let constraint = db.constraint().unwrap_or("unique index");
        let message = format!("{} has a row like this already ({constraint})", db.table().unwrap_or("a table"));
        return Error::write_conflict(message).with_source(error);
    }
    if *code == SqlState::FOREIGN_KEY_VIOLATION {
        let message = "a row that this one refers to is gone, or one that is removed is still referred to";
        return Error::write_conflict(message).with_source(error);
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return Error::internal(format!("PostgreSQL forbids this: {text}")).with_source(error);
    }
    if *code == SqlState::QUERY_CANCELED {
        return Error::unavailable(format!("PostgreSQL took too long: {text}")).with_source(error);
    }
    // Classes 08 (connection), 53 (resources), 57P (shutdown, starting up), 58 (system).
    if ["08", "53", "57P", "58"].iter().any(|class| code.code().starts_with(class)) {
        return Error::unavailable(format!("PostgreSQL is not available: {text}")).with_source(error);
    }
    Error::internal(format!("PostgreSQL refused a statement: {text}")).with_source(error)
}

/// An error and what caused it, in one line: the driver's own texts say little without their causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}
