//! One store for two databases. What a statement says is the same on both; `db.rs` names the exceptions.

mod db;
mod doctor;
mod error;
mod events;
mod migrate;
mod options;
mod postgres;
mod queue;
mod reads;
mod render;
mod script;
#[cfg(any(test, feature = "testkit"))]
mod second_wall;
mod sight;
mod sqlite;
pub(crate) mod statement;
mod store;
mod tls;
mod work;
mod write;

use std::{fmt, sync::Arc};

pub(crate) use self::db::Db;
pub use self::{
    doctor::{Finding, Level},
    migrate::migrate,
    options::StoreOptions,
};
use self::{postgres::Postgres, sqlite::Sqlite, statement::Statement};
use crate::{
    error::{Error, Result},
    id::OrganizationId,
    ports::store::{Row, Value},
    scope::Sight,
};

/// The store on SQLite or PostgreSQL.
pub struct SqlStore {
    adapter: Arc<Adapter>,
    /// What of it is read.
    sight: Sight,
}

enum Adapter {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// What a URL names.
enum Address {
    Sqlite(sqlite::Place),
    Postgres,
}

impl Address {
    fn of(url: &str) -> Result<Self> {
        if let Some(place) = sqlite::Place::of(url) {
            return place.map(Self::Sqlite);
        }
        if ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Ok(Self::Postgres);
        }
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(Error::invalid(
            "/database",
            "invalid",
            format!("{scheme:?} is no scheme of a database: write sqlite://PATH, sqlite::memory: or postgres://…"),
        ))
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("db", &self.db()).finish_non_exhaustive()
    }
}

impl SqlStore {
    /// Opens a database: `sqlite://PATH` (relative without a leading slash, absolute with one), `sqlite::memory:`, or
    /// `postgres://USER:PASSWORD@HOST/DATABASE`. SQLite is brought up to date; PostgreSQL must be ([`migrate`]).
    ///
    /// # Errors
    /// `validation_failed` for a URL that is none; `unavailable` if the database does not answer; `conflict` for a schema
    /// that does not fit this program, a role that row-level security does not bind, or a file that another process has
    /// open.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self> {
        if let Address::Sqlite(place) = Address::of(url)? {
            let settings = sqlite::Settings { readers: options.readers, durable: options.durable };
            let prepare = |connection: &mut rusqlite::Connection| {
                migrate::migrate_sqlite(connection)?;
                // One process has it open, this one: whoever claimed work before is dead.
                sqlite::run(connection, &work::free_all()).map(drop)
            };
            let sqlite = Sqlite::open(place, settings, prepare).await?;
            return Ok(Self::whole(Adapter::Sqlite(sqlite)));
        }
        let postgres = Postgres::new(url, &options)?;
        doctor::check_postgres(&postgres).await?;
        Ok(Self::whole(Adapter::Postgres(postgres)))
    }

    fn whole(adapter: Adapter) -> Self {
        Self { adapter: Arc::new(adapter), sight: Sight::Organization }
    }

    /// Which database it is, for the few statements that must differ.
    pub(crate) fn db(&self) -> Db {
        match *self.adapter {
            Adapter::Sqlite(_) => Db::Sqlite,
            Adapter::Postgres(_) => Db::Postgres,
        }
    }

    /// Reads with one statement. With an organisation PostgreSQL shows that one's rows (the statement names it all the
    /// same: SQLite has no second wall); without one, global tables alone.
    pub(crate) async fn rows(
        &self,
        organization: Option<OrganizationId>,
        mut statement: Statement,
    ) -> Result<Vec<Row>> {
        for value in &mut statement.values {
            // PostgreSQL keeps no NUL in a text and writes refuse it, so nothing equals such a text.
            if matches!(value, Value::Text(text) if text.contains('\0')) {
                *value = Value::Null;
            }
        }
        let statement = sight::limit(self.db(), &self.sight, statement);
        match &*self.adapter {
            Adapter::Sqlite(sqlite) => sqlite.read(statement).await,
            Adapter::Postgres(postgres) => postgres.read(organization, &statement).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::store::TABLES;

    #[tokio::test]
    async fn what_foreign_keys_point_at_is_written_first_and_removed_last() {
        let store = SqlStore::open("sqlite::memory:", StoreOptions::default()).await.unwrap();
        let keys =
            "SELECT DISTINCT fk.\"table\", it.name FROM sqlite_schema AS it, pragma_foreign_key_list(it.name) AS fk";
        let mut referenced = std::collections::BTreeSet::new();
        for row in store.rows(None, Statement::new(keys)).await.unwrap() {
            let [to, from] = <[Value; 2]>::try_from(row).unwrap().map(|it| {
                let Value::Text(name) = it else { panic!("{it:?} is no name") };
                TABLES.iter().position(|table| table.name == name).unwrap()
            });
            assert!(to < from, "{} must come before {} in TABLES", TABLES[to].name, TABLES[from].name);
            referenced.insert(TABLES[to].name);
        }
        assert_eq!(referenced, render::REFERENCED.iter().copied().collect());
    }

    #[tokio::test]
    async fn both_databases_answer_the_same_statement_with_the_same_values() {
        let server = dealwright_peers::shared_postgres().unwrap();
        let urls = server.fresh_database("values").unwrap();
        let options = StoreOptions::default();
        assert_eq!(migrate(&urls.owner, "crm_app", &options).await.unwrap(), ["0001_init"]);
        assert!(migrate(&urls.owner, "crm_app", &options).await.unwrap().is_empty());
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/crm.db", folder.path().display());
        for url in ["sqlite::memory:", &file, &urls.app] {
            let store = SqlStore::open(url, options.clone()).await.unwrap();
            let mut statement = Statement::new("SELECT count(*), COALESCE(NULL, ");
            statement.bind(&"ä".to_owned()).push(") FROM contacts WHERE organization_id = ");
            statement.bind(&OrganizationId::from(uuid::Uuid::nil()));
            let rows = store.rows(Some(uuid::Uuid::nil().into()), statement).await.unwrap();
            assert_eq!(rows, [[Value::Int(0), Value::Text("ä".to_owned())]], "{url}");
        }
    }
}
