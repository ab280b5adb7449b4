//! Where a store can be: each time an empty one.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use dealwright::{
    ports::store::Store,
    store::sql::{SqlStore, StoreOptions, migrate},
};
use dealwright_peers::{Urls, shared_postgres};
use tempfile::TempDir;
use tokio::sync::OnceCell;

#[derive(Debug, Clone, Copy)]
pub enum Place {
    Memory,
    File,
    Postgres,
}

impl Place {
    pub const ALL: [Self; 3] = [Self::Memory, Self::File, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Postgres => "postgres",
        }
    }

    /// An empty store, and what must live as long as it.
    pub async fn open(self) -> (Arc<dyn Store>, Option<TempDir>) {
        let (url, folder) = match self {
            Self::Memory => ("sqlite::memory:".to_owned(), None),
            Self::File => {
                let folder = tempfile::tempdir().unwrap();
                (sqlite_url(&folder), Some(folder))
            }
            Self::Postgres => (database("case").await.app, None),
        };
        (Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap()), folder)
    }
}

pub fn sqlite_url(folder: &TempDir) -> String {
    format!("sqlite://{}", folder.path().join("crm.db").display())
}

/// A database with tables and nothing in them: a copy of one that was migrated once.
pub async fn database(name: &str) -> Urls {
    static MIGRATED: OnceCell<String> = OnceCell::const_new();
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let server = shared_postgres().unwrap();
    let template = MIGRATED.get_or_init(|| async {
        let urls = server.fresh_database("template").unwrap();
        migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
        database_of(&urls).to_owned()
    });
    let template = template.await;
    let urls = |name: &str| {
        let instead = |url: &str| format!("{}/{name}", url.rsplit_once('/').unwrap().0);
        let superuser = server.superuser().rsplit_once('@').unwrap().1;
        Urls {
            owner: instead(&format!("postgres://crm_owner:owner@{superuser}")),
            app: instead(&format!("postgres://crm_app:app@{superuser}")),
        }
    };
    let name = format!("{template}_{name}_{}", MADE.fetch_add(1, Ordering::Relaxed));
    server.sql(&format!("create database {name} template {template} owner crm_owner")).unwrap();
    urls(&name)
}

fn database_of(urls: &Urls) -> &str {
    urls.app.rsplit_once('/').unwrap().1
}

/// The superuser's URL of the same database.
pub fn superuser(urls: &Urls) -> String {
    let (server, _) = shared_postgres().unwrap().superuser().rsplit_once('/').unwrap();
    format!("{server}/{}", database_of(urls))
}

/// A connection of one's own.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
