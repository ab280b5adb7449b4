//! What must be true of a database before the engine may trust it. [`SqlStore::open`](super::SqlStore::open) asks for
//! what cannot be done without; `doctor` looks at everything.

mod clock;
mod drift;
mod keys;
mod postgres;
mod sqlite;

pub(crate) use self::postgres::check_postgres;

use super::{
    Adapter, Address, SqlStore, StoreOptions, migrate, postgres::Postgres, sqlite::Sqlite, statement::Statement,
};
use crate::{
    cipher::Cipher,
    env::Env,
    error::Result,
    ports::store::{Column, TABLES, Value},
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Works, but not as it should.
    Warning,
    /// Must be put right before the engine is used.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at, for example `row-level security`.
    pub subject: &'static str,
    /// What was found, and what to do about it.
    pub sentence: String,
}

impl Finding {
    /// All is well with it.
    pub fn fine(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Fine, subject, sentence: sentence.into() }
    }

    /// It works, but not as it should.
    pub fn warning(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Warning, subject, sentence: sentence.into() }
    }

    /// It must be put right.
    pub fn broken(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Broken, subject, sentence: sentence.into() }
    }
}

const SCHEMA: &str = "schema";
const ROLE: &str = "role";
const WALL: &str = "row-level security";
const AUDIT: &str = "audit log";
const FILE: &str = "file";
const CLOCK: &str = "clock";

/// The closed list of tables that stand outside row-level security (ARCHITECTURE, decision 5).
pub(super) fn is_global(table: &str) -> bool {
    table == "work" || table == migrate::HISTORY || TABLES.iter().any(|it| it.global && it.name == table)
}

impl SqlStore {
    /// The same for a database that may not be opened, or that another process has open. Changes nothing.
    ///
    /// # Errors
    /// `validation_failed` for a URL that is none; `unavailable` if the database does not answer.
    pub async fn examine(url: &str, options: StoreOptions, env: &Env) -> Result<Vec<Finding>> {
        match Address::of(url)? {
            Address::Sqlite(place) => sqlite::examine(&Sqlite::look(place).await?).await,
            Address::Postgres => postgres::examine(&Postgres::new(url, &options)?, env).await,
        }
    }

    /// Looks at whether the key file, as far as there is one, has every key that secrets lie under, for a database of this
    /// program's schema.
    ///
    /// # Errors
    /// As [`SqlStore::examine`].
    pub async fn examine_keys(url: &str, options: StoreOptions, masters: Option<&Cipher>) -> Result<Vec<Finding>> {
        let named = Statement::new(keys::NAMED);
        let named = match Address::of(url)? {
            Address::Sqlite(place) => Sqlite::look(place).await?.read(named).await?,
            Address::Postgres => Postgres::new(url, &options)?.read(None, &named).await?,
        };
        keys::findings(named, masters)
    }

    /// Looks at everything that must be true of the database: its schema; on PostgreSQL the role and the row-level
    /// security of every table, and its clock beside that of `env`; on SQLite the soundness of the file.
    ///
    /// # Errors
    /// `unavailable` if the database does not answer. What is wrong with it is a finding, not an error.
    pub async fn doctor(&self, env: &Env) -> Result<Vec<Finding>> {
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => sqlite::examine(sqlite).await,
            Adapter::Postgres(postgres) => postgres::examine(postgres, env).await,
        }
    }
}

fn text(value: Option<Value>) -> Result<String> {
    String::from_value(value.unwrap_or(Value::Null))
}
