//! The tables: the same on both databases, and never other ones than the program's.

use std::collections::{BTreeMap, BTreeSet};

use dealwright::{
    ports::store::TABLES,
    store::sql::{SqlStore, StoreOptions, migrate},
};
use dealwright_peers::shared_postgres;
use futures::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::places::{connect, database, sqlite_url};

/// A column: whether it may be null, and what it keeps.
type Columns = BTreeMap<String, (bool, &'static str)>;

#[derive(Debug, PartialEq, Eq)]
struct Shape {
    columns: Columns,
    generated: BTreeSet<String>,
    key: Vec<String>,
    indexes: BTreeSet<String>,
    references: BTreeSet<String>,
}

async fn sqlite_file() -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    drop(SqlStore::open(&sqlite_url(&folder), StoreOptions::default()).await.unwrap());
    let raw = Connection::open(folder.path().join("crm.db")).unwrap();
    (folder, raw)
}

fn texts(raw: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = raw.prepare(sql).unwrap();
    let count = statement.column_count();
    let rows = statement.query_map([], |row| (0..count).map(|it| row.get::<_, String>(it)).collect());
    rows.unwrap().map(Result::unwrap).collect()
}

/// `CREATE UNIQUE INDEX name ON table (…) WHERE …` without what each database adds of its own.
fn plain(definition: &str) -> String {
    let noise = ["public.", " USING btree", "::text", "::bigint"];
    let definition = noise.iter().fold(definition.to_owned(), |text, it| text.replace(it, ""));
    definition.chars().filter(|it| !it.is_whitespace() && !"()'\"".contains(*it)).collect()
}

async fn sqlite_shapes() -> BTreeMap<String, Shape> {
    let (_folder, raw) = sqlite_file().await;
    let tables = texts(&raw, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
    let shape = |table: &str| {
        let mut keys = Vec::new();
        let mut columns = Columns::new();
        let info = format!(
            "SELECT name, type, CAST(\"notnull\" AS TEXT), printf('%03d', pk) FROM pragma_table_info('{table}')"
        );
        for row in texts(&raw, &info) {
            let kind = match row[1].as_str() {
                "INTEGER" => "number",
                "TEXT" => "text",
                "BLOB" => "bytes",
                "REAL" => "fraction",
                other => panic!("{table}.{} is {other}", row[0]),
            };
            columns.insert(row[0].clone(), (row[2] == "0", kind));
            if row[3] != "000" {
                keys.push((row[3].clone(), row[0].clone()));
            }
        }
        keys.sort();
        let indexes = texts(
            &raw,
            &format!("SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = '{table}'"),
        );
        let generated = format!("SELECT name FROM pragma_table_xinfo('{table}') WHERE hidden IN (2, 3)");
        let references = texts(
            &raw,
            &format!(
                "SELECT \"table\", group_concat(\"from\", ','), group_concat(\"to\", ',') FROM \
                      (SELECT * FROM pragma_foreign_key_list('{table}') ORDER BY id, seq) GROUP BY id"
            ),
        );
        Shape {
            columns,
            generated: texts(&raw, &generated).concat().into_iter().collect(),
            key: keys.into_iter().map(|(_, column)| column).collect(),
            indexes: indexes.iter().map(|row| plain(&row[0])).collect(),
            references: references.iter().map(|row| row.join(" ")).collect(),
        }
    };
    tables.iter().map(|row| (row[0].clone(), shape(&row[0]))).collect()
}

async fn postgres_shapes() -> BTreeMap<String, Shape> {
    let client = connect(&database("shapes").await.owner).await;
    let list = |sql: String| {
        let client = &client;
        async move {
            let rows = client.query(&sql, &[]).await.unwrap();
            let texts =
                |row: tokio_postgres::Row| (0..row.len()).map(|it| row.get::<_, String>(it)).collect::<Vec<_>>();
            rows.into_iter().map(texts).collect::<Vec<_>>()
        }
    };
    let mut shapes = BTreeMap::new();
    for table in list("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'".into()).await {
        let table = &table[0];
        let mut columns = Columns::new();
        let sql = format!(
            "SELECT column_name::text, data_type::text, is_nullable::text, COALESCE(collation_name, '')::text \
             FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' AND is_generated = 'NEVER'"
        );
        let generated = format!(
            "SELECT column_name::text FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = '{table}' AND is_generated = 'ALWAYS'"
        );
        for row in list(sql).await {
            let kind = match row[1].as_str() {
                "bigint" | "boolean" => "number",
                "text" => "text",
                "uuid" | "bytea" => "bytes",
                "double precision" => "fraction",
                other => panic!("{table}.{} is {other}", row[0]),
            };
            assert_eq!(row[3] == "C", kind == "text", "{table}.{} does not sort by bytes", row[0]);
            columns.insert(row[0].clone(), (row[2] == "YES", kind));
        }
        let columns_of = |numbers: &str, relation: &str| {
            format!(
                "(SELECT string_agg(attname::text, ',' ORDER BY place) FROM unnest({numbers}) WITH ORDINALITY AS it (number, place) \
                 JOIN pg_attribute ON attrelid = {relation} AND attnum = number)"
            )
        };
        let key = format!(
            "SELECT {} FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'p'",
            columns_of("conkey", "conrelid")
        );
        let references = format!(
            "SELECT confrelid::regclass::text, {}, {} FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'f'",
            columns_of("conkey", "conrelid"),
            columns_of("confkey", "confrelid")
        );
        let definitions = format!(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{table}'::regclass AND NOT indisprimary"
        );
        let shape = Shape {
            columns,
            generated: list(generated).await.concat().into_iter().collect(),
            key: list(key).await[0][0].split(',').map(str::to_owned).collect(),
            indexes: list(definitions).await.iter().map(|row| plain(&row[0])).collect(),
            references: list(references).await.iter().map(|row| row.join(" ")).collect(),
        };
        shapes.insert(table.clone(), shape);
    }
    shapes
}

pub async fn both_databases_have_the_tables_of_the_records() {
    let (sqlite, postgres) = (sqlite_shapes().await, postgres_shapes().await);
    assert_eq!(sqlite.keys().collect::<Vec<_>>(), postgres.keys().collect::<Vec<_>>());
    for (table, shape) in &sqlite {
        assert_eq!(*shape, postgres[table], "{table}");
    }
    for table in TABLES {
        let shape = sqlite.get(table.name).unwrap_or_else(|| panic!("there is no table {}", table.name));
        let columns: BTreeSet<_> = table.columns.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(shape.columns.keys().cloned().collect::<BTreeSet<_>>(), columns, "{}", table.name);
        assert_eq!(shape.key, table.key, "{}", table.name);
        assert!(table.global || table.key.first() == Some(&"organization_id"), "{}", table.name);
    }
    let own: Vec<_> = sqlite.keys().filter(|name| TABLES.iter().all(|table| table.name != **name)).collect();
    assert_eq!(own, ["schema_migrations", "subjects", "work"]);
}

pub async fn a_newer_database_is_refused() {
    let (folder, raw) = sqlite_file().await;
    raw.execute("INSERT INTO schema_migrations VALUES ('9999_from_the_future', x'00')", []).unwrap();
    drop(raw);
    let error = SqlStore::open(&sqlite_url(&folder), StoreOptions::default()).await.unwrap_err();
    assert!(error.code() == "schema_newer" && error.message().contains("9999_from_the_future"), "{error}");

    let urls = database("newer").await;
    let owner = connect(&urls.owner).await;
    owner.batch_execute("INSERT INTO schema_migrations VALUES ('9999_from_the_future', '')").await.unwrap();
    let error = SqlStore::open(&urls.app, StoreOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "schema_newer", "{error}");
    let error = migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "schema_newer", "{error}");
}

pub async fn a_database_of_edited_migrations_is_refused() {
    let (folder, raw) = sqlite_file().await;
    raw.execute("UPDATE schema_migrations SET digest = x'00' WHERE name = '0001_init'", []).unwrap();
    drop(raw);
    let error = SqlStore::open(&sqlite_url(&folder), StoreOptions::default()).await.unwrap_err();
    assert!(error.code() == "schema_edited" && error.message().contains("0001_init"), "{error}");

    let urls = database("edited").await;
    let owner = connect(&urls.owner).await;
    owner.batch_execute("UPDATE schema_migrations SET digest = '' WHERE name = '0001_init'").await.unwrap();
    for error in [
        SqlStore::open(&urls.app, StoreOptions::default()).await.map(drop).unwrap_err(),
        migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.code(), "schema_edited", "{error}");
    }
}

pub async fn an_empty_postgres_is_refused_with_the_remedy() {
    let urls = shared_postgres().unwrap().fresh_database("empty").unwrap();
    let error = SqlStore::open(&urls.app, StoreOptions::default()).await.unwrap_err();
    assert_eq!(error.code(), "schema_older");
    assert!(error.message().contains("dealwright-server migrate --database URL --app-role NAME"), "{error}");
    // Tables without rights in them.
    migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap();
    let owner = connect(&urls.owner).await;
    owner.batch_execute("REVOKE ALL ON schema_migrations FROM crm_app").await.unwrap();
    let error = SqlStore::open(&urls.app, StoreOptions::default()).await.unwrap_err();
    assert!(error.code() == "role_unfit" && error.message().contains("migrate"), "{error}");
}

pub async fn a_postgres_that_cannot_fold_letters_is_refused() {
    let server = shared_postgres().unwrap();
    let urls = server.fresh_database("letters").unwrap();
    let (address, _) = server.superuser().rsplit_once('/').unwrap();
    let (_, name) = urls.app.rsplit_once('/').unwrap();
    let superuser = connect(&format!("{address}/{name}")).await;
    superuser.batch_execute("ALTER COLLATION \"und-x-icu\" RENAME TO gone").await.unwrap();
    let error = migrate(&urls.owner, "crm_app", &StoreOptions::default()).await.unwrap_err();
    assert!(error.code() == "no_icu" && error.message().contains("ICU"), "{error}");
}

pub async fn migrations_of_several_processes_take_turns() {
    let urls = shared_postgres().unwrap().fresh_database("turns").unwrap();
    let options = StoreOptions::default();
    let done = join_all((0..4).map(|_| migrate(&urls.owner, "crm_app", &options))).await;
    let new: usize = done.into_iter().map(|it| it.unwrap().len()).sum();
    assert_eq!(new, 1);
}
