//! What must be true of a database before the engine may trust it. [`SqlStore::open`](super::SqlStore::open) asks for
//! what cannot be done without; `doctor` looks at everything.

use super::{
    Adapter, Address, SqlStore, StoreOptions, migrate, postgres::Postgres, sqlite::Sqlite, statement::Statement,
};
use crate::{
    error::{Error, Result},
    ports::store::{Column, Row, TABLES, Value},
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
    fn fine(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Fine, subject, sentence: sentence.into() }
    }

    fn warning(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Warning, subject, sentence: sentence.into() }
    }

    fn broken(subject: &'static str, sentence: impl Into<String>) -> Self {
        Self { level: Level::Broken, subject, sentence: sentence.into() }
    }
}

const SCHEMA: &str = "schema";
const ROLE: &str = "role";
const WALL: &str = "row-level security";
const FILE: &str = "file";

/// The closed list of tables that stand outside row-level security (ARCHITECTURE, decision 5).
pub(super) fn is_global(table: &str) -> bool {
    table == "work" || table == migrate::HISTORY || TABLES.iter().any(|it| it.global && it.name == table)
}

impl SqlStore {
    /// The same for a database that may not be opened, or that another process has open. Changes nothing.
    ///
    /// # Errors
    /// `validation_failed` for a URL that is none; `unavailable` if the database does not answer.
    pub async fn examine(url: &str, options: StoreOptions) -> Result<Vec<Finding>> {
        match Address::of(url)? {
            Address::Sqlite(place) => examine_sqlite(&Sqlite::look(place).await?).await,
            Address::Postgres => examine_postgres(&Postgres::new(url, &options)?).await,
        }
    }

    /// Looks at everything that must be true of the database: its schema; on PostgreSQL the role and the row-level
    /// security of every table; on SQLite the soundness of the file.
    ///
    /// # Errors
    /// `unavailable` if the database does not answer. What is wrong with it is a finding, not an error.
    pub async fn doctor(&self) -> Result<Vec<Finding>> {
        match &self.adapter {
            Adapter::Sqlite(sqlite) => examine_sqlite(sqlite).await,
            Adapter::Postgres(postgres) => examine_postgres(postgres).await,
        }
    }
}

/// Fails unless the schema is this program's and row-level security binds the role.
pub(crate) async fn check_postgres(postgres: &Postgres) -> Result<()> {
    migrate::check_postgres(postgres).await?;
    let unfit = role(postgres).await?.into_iter().filter(|finding| finding.level == Level::Broken);
    let unfit: Vec<_> = unfit.map(|finding| finding.sentence).collect();
    if unfit.is_empty() { Ok(()) } else { Err(Error::conflict("role_unfit", unfit.join("; "))) }
}

async fn examine_postgres(postgres: &Postgres) -> Result<Vec<Finding>> {
    let mut findings = vec![match migrate::check_postgres(postgres).await {
        Ok(()) => Finding::fine(SCHEMA, "the schema is this program's"),
        Err(error) if error.kind() == crate::ErrorKind::Unavailable => return Err(error),
        Err(error) => Finding::broken(SCHEMA, error.message()),
    }];
    findings.extend(role(postgres).await?);
    findings.extend(walls(postgres).await?);
    Ok(findings)
}

/// A row-level security that the role is not bound by is none.
async fn role(postgres: &Postgres) -> Result<Vec<Finding>> {
    let sql = "SELECT rolname::text, rolsuper, rolbypassrls, EXISTS (SELECT 1 FROM pg_class \
               WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
               AND pg_has_role(current_user, relowner, 'MEMBER')) FROM pg_roles WHERE rolname = current_user";
    let rows = postgres.read(None, &Statement::new(sql)).await?;
    let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
    let name = text(row.next())?;
    let [superuser, bypasses, owns] = [row.next(), row.next(), row.next()].map(|it| it == Some(Value::Bool(true)));
    let mut findings = Vec::new();
    let mut broken = |is: bool, what: &str, remedy: &str| {
        if is {
            findings.push(Finding::broken(
                ROLE,
                format!("the role {name} {what}, so organisations are not kept apart: {remedy}"),
            ));
        }
    };
    let alter = format!("ALTER ROLE {name} NOSUPERUSER NOBYPASSRLS, or use another one");
    broken(superuser, "is a superuser", &alter);
    broken(bypasses, "may bypass row-level security", &alter);
    // A superuser may act as every owner; that has been said.
    let remedy = "use a role of its own for the engine, and the owner for `dealwright-server migrate` alone";
    broken(
        owns && !superuser,
        "owns tables, or may act as their owner, and could switch row-level security off",
        remedy,
    );
    if findings.is_empty() {
        findings.push(Finding::fine(ROLE, format!("row-level security binds the role {name}")));
    }
    Ok(findings)
}

async fn walls(postgres: &Postgres) -> Result<Vec<Finding>> {
    let sql = "SELECT relname::text, relrowsecurity, relforcerowsecurity, \
               (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid), \
               (SELECT count(*) FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd = '*' \
               AND pg_get_expr(polqual, polrelid) LIKE '%organization_id = %app.organization_id%' \
               AND pg_get_expr(polwithcheck, polrelid) LIKE '%organization_id = %app.organization_id%') \
               FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') \
               ORDER BY relname";
    let mut findings = Vec::new();
    let mut bound = 0;
    for row in postgres.read(None, &Statement::new(sql)).await? {
        let mut row = row.into_iter();
        let table = text(row.next())?;
        if is_global(&table) {
            continue;
        }
        let [enabled, forced] = [row.next(), row.next()].map(|it| it == Some(Value::Bool(true)));
        let (all, ours) = (row.next(), row.next());
        let sentence = if !enabled {
            format!("is off for {table}: ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        } else if !forced {
            format!("does not bind the owner of {table}: ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        } else if ours == Some(Value::Int(0)) {
            format!("of {table} lacks the policy that compares organization_id with app.organization_id")
        } else if all != ours {
            format!("of {table} has a further policy, which lets more rows through: drop it")
        } else {
            bound += 1;
            continue;
        };
        findings.push(Finding::broken(WALL, sentence));
    }
    if findings.is_empty() {
        findings.push(Finding::fine(WALL, format!("is forced for all {bound} tables of organisations")));
    }
    Ok(findings)
}

fn text(value: Option<Value>) -> Result<String> {
    String::from_value(value.unwrap_or(Value::Null))
}

async fn examine_sqlite(sqlite: &Sqlite) -> Result<Vec<Finding>> {
    let mut findings = vec![match sqlite.run(|connection| migrate::check_sqlite(connection)).await {
        Ok(()) => Finding::fine(SCHEMA, "the schema is this program's"),
        Err(error) => Finding::broken(SCHEMA, error.message()),
    }];
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
