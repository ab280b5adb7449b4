//! The three databases, and walks through lists.

use std::{collections::HashSet, fmt::Debug, future::Future, hash::Hash, sync::OnceLock};

use dealwright::{
    Result,
    page::{Page, PageRequest},
    ports::store::{Store, Write},
    store::sql::{SqlStore, StoreOptions, migrate},
    testkit::samples::Samples,
};
use dealwright_peers::Postgres;

pub struct Place {
    pub name: &'static str,
    pub store: SqlStore,
    _folder: Option<tempfile::TempDir>,
}

/// An empty store on each database.
pub async fn everywhere() -> Vec<Place> {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start().unwrap());
    let urls = server.fresh_database("reads").unwrap();
    let options = StoreOptions::default();
    migrate(&urls.owner, "crm_app", &options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/crm.db", folder.path().display());
    let open = |url: String| async move { SqlStore::open(&url, StoreOptions::default()).await.unwrap() };
    vec![
        Place { name: "SQLite in memory", store: open("sqlite::memory:".to_owned()).await, _folder: None },
        Place { name: "SQLite in a file", store: open(file).await, _folder: Some(folder) },
        Place { name: "PostgreSQL", store: open(urls.app).await, _folder: None },
    ]
}

/// Writes rows, some hundred a commit, in order.
pub async fn fill(store: &SqlStore, samples: &mut Samples, writes: impl IntoIterator<Item = Write>) {
    let mut writes = writes.into_iter().peekable();
    while writes.peek().is_some() {
        let batch = samples.batch(writes.by_ref().take(400).collect::<Vec<_>>());
        store.commit(samples.organization_id, batch).await.unwrap();
    }
}

/// Every item of a list, page by page. Each page but the last is full.
pub async fn walk<T, F>(limit: u32, mut fetch: impl FnMut(PageRequest) -> F) -> Vec<T>
where
    F: Future<Output = Result<Page<T>>>,
{
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = fetch(PageRequest { limit: Some(limit), cursor }).await.unwrap();
        assert!(page.data.len() <= limit as usize);
        assert!(page.next_cursor.is_none() || page.data.len() == limit as usize, "a page with a next one is not full");
        all.extend(page.data);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

pub fn assert_distinct<K: Eq + Hash + Debug>(keys: &[K]) {
    let mut seen = HashSet::new();
    for key in keys {
        assert!(seen.insert(key), "{key:?} comes twice");
    }
}

/// A cursor of one list is refused by the others, and limits are bounded.
pub async fn assert_bounds<T: Debug, F>(cursor: &str, mut other: impl FnMut(PageRequest) -> F)
where
    F: Future<Output = Result<Page<T>>>,
{
    let strange = other(PageRequest { limit: None, cursor: Some(cursor.to_owned()) }).await.unwrap_err();
    assert_eq!((strange.code(), strange.kind().status()), ("invalid_cursor", 400));
    for limit in [0, 201, u32::MAX] {
        let error = other(PageRequest { limit: Some(limit), cursor: None }).await.unwrap_err();
        assert_eq!((error.code(), error.kind().status()), ("invalid_parameter", 400), "limit {limit}");
    }
    other(PageRequest { limit: Some(200), cursor: None }).await.unwrap();
}
