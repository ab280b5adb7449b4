//! Migrations: plain SQL, one file per database and step, never edited once published. The table `schema_migrations`
//! keeps each one's name and SHA-256.

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::{
    error::{Error, Result},
    ports::store::{Column, TABLES, Value},
    store::sql::{
        db::Db,
        error::{chain, from_postgres, from_sqlite},
        options::StoreOptions,
        postgres::Postgres,
        sqlite,
        statement::Statement,
        tls,
    },
};

/// One step of the schema.
struct Migration {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Every step, oldest first.
const MIGRATIONS: &[Migration] = &[Migration {
    name: "0001_init",
    sqlite: include_str!("../../../migrations/sqlite/0001_init.sql"),
    postgres: include_str!("../../../migrations/postgres/0001_init.sql"),
}];

/// Tables beside those of records.
pub(crate) const OWN_TABLES: &[&str] = &["subjects", "work"];

pub(crate) const HISTORY: &str = "schema_migrations";
/// Any number that nobody else locks by: the first eight bytes of the word `dealwrig`.
const LOCK: i64 = 0x6465_616c_7772_6967;

impl Migration {
    fn sql(&self, db: Db) -> &'static str {
        match db {
            Db::Sqlite => self.sqlite,
            Db::Postgres => self.postgres,
        }
    }

    fn digest(&self, db: Db) -> Vec<u8> {
        Sha256::digest(self.sql(db)).to_vec()
    }
}

/// The text of all steps, one after the other.
pub(crate) fn all(db: Db) -> String {
    MIGRATIONS.iter().map(|it| it.sql(db)).collect::<Vec<_>>().join("\n")
}

/// A step that a database has had.
pub(crate) type Applied = (String, Vec<u8>);

/// The steps that a database still needs.
fn missing(db: Db, applied: &[Applied]) -> Result<&'static [Migration]> {
    let mut known = MIGRATIONS.iter();
    for (name, digest) in applied {
        match known.next() {
            Some(migration) if migration.name == name && migration.digest(db) == *digest => {}
            Some(migration) if migration.name == name => {
                return Err(Error::conflict(
                    "schema_edited",
                    format!(
                        "the database was made by another text of migration {name} than this program has: a published \
                         migration must never be edited; run the program that made it, or restore a backup"
                    ),
                ));
            }
            _ => {
                return Err(Error::conflict(
                    "schema_newer",
                    format!(
                        "the database has had migration {name}, which this program does not know: it belongs to a newer \
                         program; install that"
                    ),
                ));
            }
        }
    }
    Ok(known.as_slice())
}

/// Fails unless the database has had every step and none that is not known.
fn check(db: Db, applied: &[Applied]) -> Result<()> {
    let Some(first) = missing(db, applied)?.first() else { return Ok(()) };
    let name = first.name;
    Err(match db {
        Db::Sqlite => Error::conflict("schema_older", format!("the database lacks migration {name}: open it anew")),
        Db::Postgres => Error::conflict("schema_older", format!("the database lacks migration {name}: {REMEDY}")),
    })
}

const REMEDY: &str = "run `dealwright-server migrate --database URL --app-role NAME` with the URL of the tables' owner";

/// Fails unless an SQLite database is this program's.
pub(crate) fn check_sqlite(connection: &rusqlite::Connection) -> Result<()> {
    check(Db::Sqlite, &applied_sqlite(connection)?)
}

/// Fails unless a PostgreSQL database is this program's and its role may look.
pub(crate) async fn check_postgres(postgres: &Postgres) -> Result<()> {
    let mut look = Statement::new("SELECT to_regclass(");
    look.bind(&HISTORY.to_owned()).push(") IS NOT NULL, COALESCE(has_table_privilege(to_regclass(");
    look.bind(&HISTORY.to_owned()).push("), 'SELECT'), false)");
    let rows = postgres.read(None, &look).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Value::Bool(true), Value::Bool(true)]) => {}
        Some([Value::Bool(true), _]) => {
            return Err(Error::conflict("role_unfit", format!("the role has no rights in the database: {REMEDY}")));
        }
        _ => return check(Db::Postgres, &[]),
    }
    let rows =
        postgres.read(None, &Statement::new(format!("SELECT name, digest FROM {HISTORY} ORDER BY name"))).await?;
    let applied = rows.into_iter().map(|row| {
        let mut row = row.into_iter();
        let mut next = || row.next().unwrap_or(Value::Null);
        Ok((String::from_value(next())?, Vec::from_value(next())?))
    });
    check(Db::Postgres, &applied.collect::<Result<Vec<Applied>>>()?)
}

/// Brings an SQLite database up to date, in one transaction.
pub(crate) fn migrate_sqlite(connection: &mut rusqlite::Connection) -> Result<()> {
    let transaction = connection.transaction().map_err(from_sqlite)?;
    transaction
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {HISTORY} (name TEXT NOT NULL PRIMARY KEY, digest BLOB NOT NULL) STRICT"
        ))
        .map_err(from_sqlite)?;
    for migration in missing(Db::Sqlite, &applied_sqlite(&transaction)?)? {
        transaction.execute_batch(migration.sqlite).map_err(from_sqlite)?;
        let mut insert = Statement::new(format!("INSERT INTO {HISTORY} (name, digest) VALUES ("));
        insert.bind_value(Value::Text(migration.name.to_owned())).push(", ");
        insert.bind_value(Value::Bytes(migration.digest(Db::Sqlite))).push(")");
        sqlite::run(&transaction, &insert)?;
    }
    transaction.commit().map_err(from_sqlite)
}

fn applied_sqlite(connection: &rusqlite::Connection) -> Result<Vec<Applied>> {
    let sql = format!("SELECT name, digest FROM {HISTORY} ORDER BY name");
    let mut statement = connection.prepare(&sql).map_err(from_sqlite)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(from_sqlite)?;
    rows.collect::<Result<_, _>>().map_err(from_sqlite)
}

/// Brings a PostgreSQL database up to date, in one transaction, as its owner, and grants `app_role` what the engine needs
/// to work. Answers the names of the migrations that were new. Several at a time take turns.
///
/// # Errors
/// `validation_failed` for a role that is unknown or that row-level security would not bind; `conflict` for a schema that
/// is newer than this program or was made by edited migrations; `unavailable` if the database does not answer.
pub async fn migrate(owner_url: &str, app_role: &str, options: &StoreOptions) -> Result<Vec<&'static str>> {
    let config = tls::config(owner_url, options)?;
    let (mut client, connection) = config
        .connect(tls::connector(options)?)
        .await
        .map_err(|e| Error::unavailable(format!("no connection to PostgreSQL: {}", chain(&e))).with_source(e))?;
    let connection = tokio::spawn(connection);
    let result = migrate_postgres(&mut client, app_role).await;
    drop(client);
    // What went wrong with the connection, the client has told already.
    let _ = connection.await;
    result
}

async fn migrate_postgres(client: &mut Client, app_role: &str) -> Result<Vec<&'static str>> {
    let transaction = client.transaction().await.map_err(from_postgres)?;
    // Building an index takes as long as it takes.
    let prelude =
        format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({LOCK})");
    transaction.batch_execute(&prelude).await.map_err(from_postgres)?;
    check_role(transaction.client(), app_role).await?;
    check_letters(transaction.client()).await?;
    let history = format!(
        "CREATE TABLE IF NOT EXISTS {HISTORY} (name text COLLATE \"C\" NOT NULL PRIMARY KEY, digest bytea NOT NULL)"
    );
    transaction.batch_execute(&history).await.map_err(from_postgres)?;
    let mut new = Vec::new();
    for migration in missing(Db::Postgres, &applied_postgres(transaction.client()).await?)? {
        transaction.batch_execute(migration.postgres).await.map_err(from_postgres)?;
        let insert = format!("INSERT INTO {HISTORY} (name, digest) VALUES ($1, $2)");
        let digest = migration.digest(Db::Postgres);
        transaction.execute(&insert, &[&migration.name, &digest]).await.map_err(from_postgres)?;
        new.push(migration.name);
    }
    transaction.batch_execute(&grants(app_role)).await.map_err(from_postgres)?;
    transaction.commit().await.map_err(from_postgres)?;
    Ok(new)
}

fn grants(role: &str) -> String {
    let role = quoted(role);
    let tables: Vec<_> = TABLES.iter().map(|it| it.name).chain(OWN_TABLES.iter().copied()).collect();
    // What was done is added to the audit log, sealed, and may be cleared; nobody removes it, or says that it was otherwise.
    format!(
        "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {}', current_schema()); END $$; \
         GRANT SELECT ON {HISTORY} TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {role}; \
         REVOKE UPDATE, DELETE ON audit_entries FROM {role}; GRANT UPDATE (payload, seq, seal, sealed_by, sealed) ON audit_entries TO {role};",
        role.replace('\'', "''").replace('%', "%%"),
        tables.join(", ")
    )
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

async fn check_role(client: &Client, role: &str) -> Result<()> {
    let invalid = |detail: String| Err(Error::invalid("/app_role", "invalid", detail));
    let sql = "SELECT rolsuper, rolbypassrls, rolname = current_user FROM pg_roles WHERE rolname = $1";
    let Some(found) = client.query_opt(sql, &[&role]).await.map_err(from_postgres)? else {
        return invalid(format!(
            "there is no role {role:?}: CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD '…'",
            quoted(role)
        ));
    };
    let flag = |place: usize| found.try_get::<_, bool>(place).map_err(from_postgres);
    if flag(0)? || flag(1)? {
        return invalid(format!(
            "row-level security does not bind the role {role:?}: ALTER ROLE {} NOSUPERUSER NOBYPASSRLS",
            quoted(role)
        ));
    }
    if flag(2)? {
        return invalid(format!("{role:?} owns the tables: the engine's role must be another one than their owner's"));
    }
    Ok(())
}

/// Searches fold letters by ICU: what the database's own locale knows of them differs from machine to machine.
async fn check_letters(client: &Client) -> Result<()> {
    let sql = "SELECT FROM pg_collation WHERE collname = 'und-x-icu'";
    match client.query_opt(sql, &[]).await.map_err(from_postgres)? {
        Some(_) => Ok(()),
        None => Err(Error::conflict(
            "no_icu",
            "this PostgreSQL was built without ICU, by which searches ignore letter case: install one that has it, as all \
             packaged ones do, or run pg_import_system_collations if it came with an upgrade",
        )),
    }
}

async fn applied_postgres(client: &Client) -> Result<Vec<Applied>> {
    let sql = format!("SELECT name, digest FROM {HISTORY} ORDER BY name");
    let rows = client.query(&sql, &[]).await.map_err(from_postgres)?;
    let applied = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    applied.collect::<Result<_, _>>().map_err(from_postgres)
}
