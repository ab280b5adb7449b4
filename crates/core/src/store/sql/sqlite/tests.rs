//! What the store's cases cannot see from outside: which scripts share a transaction.

use futures::future::join_all;

use super::*;
use crate::{
    ports::store::Value,
    store::sql::script::{Check, Otherwise},
};

fn script(sql: &[&str]) -> Script {
    let mut script = Script::default();
    for sql in sql {
        script.push(Statement::new(*sql), Check::Any);
    }
    script
}

/// A database with two tables, whose writer rests until `go` is dropped: what is submitted meanwhile is one group.
async fn resting() -> (Sqlite, mpsc::Sender<()>) {
    let settings = Settings { readers: 1, durable: false };
    let prepare = |connection: &mut Connection| {
        let tables = "CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT; \
                      CREATE TABLE children (parent INTEGER NOT NULL REFERENCES parents) STRICT";
        connection.execute_batch(tables).map_err(from_sqlite)
    };
    let sqlite = Sqlite::open(Place::Memory, settings, prepare).await.unwrap();
    let (go, rest) = mpsc::channel::<()>();
    let job: Job = Box::new(move |_| assert!(rest.recv().is_err(), "go is dropped, not sent"));
    sqlite.writer.as_ref().unwrap().send(Task::Run(job)).ok().unwrap();
    (sqlite, go)
}

async fn children(sqlite: &Sqlite) -> Vec<Row> {
    sqlite.read(Statement::new("SELECT parent FROM children ORDER BY parent")).await.unwrap()
}

#[tokio::test]
async fn a_commit_that_fails_is_told_to_everybody_in_it() {
    let (sqlite, go) = resting().await;
    let answers = [
        sqlite.submit(script(&["INSERT INTO parents VALUES (1)"])),
        // What nobody looks at before the commit, and the commit refuses.
        sqlite.submit(script(&["PRAGMA defer_foreign_keys = ON", "INSERT INTO children VALUES (9)"])),
        sqlite.submit(script(&["INSERT INTO parents VALUES (2)", "INSERT INTO children VALUES (2)"])),
    ];
    drop(go);
    for answer in join_all(answers).await {
        assert!(answered(answer).unwrap_err().is_write_conflict());
    }
    assert!(children(&sqlite).await.is_empty());
    // And the next group finds a clean table.
    sqlite.write(script(&["INSERT INTO parents VALUES (1)", "INSERT INTO children VALUES (1)"])).await.unwrap();
    assert_eq!(children(&sqlite).await, [[Value::Int(1)]]);
}

#[tokio::test]
async fn one_script_of_a_group_fails_alone_at_whatever_step() {
    let (sqlite, go) = resting().await;
    let mut unlucky = script(&["INSERT INTO parents VALUES (7)", "INSERT INTO children VALUES (7)"]);
    unlucky.push(Statement::new("DELETE FROM parents WHERE id = 99"), Check::Exactly(1, Otherwise::Changed("parents")));
    let answers = [
        sqlite.submit(script(&["INSERT INTO parents VALUES (1)", "INSERT INTO children VALUES (1)"])),
        sqlite.submit(unlucky),
        sqlite.submit(script(&["INSERT INTO nowhere VALUES (1)"])),
        sqlite.submit(script(&["INSERT INTO children VALUES (1)"])),
    ];
    drop(go);
    let codes = join_all(answers).await.into_iter().map(|it| answered(it).map_err(|e| e.code().to_owned()).err());
    let conflict = |code: &str| Some(code.to_owned());
    assert_eq!(codes.collect::<Vec<_>>(), [None, conflict("write_conflict"), conflict("internal"), None]);
    assert_eq!(children(&sqlite).await, [[Value::Int(1)], [Value::Int(1)]]);
}

#[tokio::test]
async fn what_was_handed_over_is_written_before_the_store_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let place = || Place::File(folder.path().join("crm.db"));
    let settings = Settings { readers: 1, durable: false };
    let prepare = |connection: &mut Connection| {
        connection.execute_batch("CREATE TABLE IF NOT EXISTS children (parent INTEGER) STRICT").map_err(from_sqlite)
    };
    let sqlite = Sqlite::open(place(), settings, prepare).await.unwrap();
    for _ in 0..1000 {
        drop(sqlite.submit(script(&["INSERT INTO children VALUES (1)"])));
    }
    drop(sqlite);
    let sqlite = Sqlite::open(place(), settings, prepare).await.unwrap();
    assert_eq!(children(&sqlite).await.len(), 1000);
}
