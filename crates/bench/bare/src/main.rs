//! What a person would write by hand: a table of contacts on SQLite, and one insert after the other, each its own
//! transaction. `bare-insert FILE SECONDS` prints the inserts a second.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "bare-insert FILE SECONDS";
    let file = arguments.next().ok_or(usage)?;
    let lasting = Duration::from_secs_f64(arguments.next().ok_or(usage)?.parse()?);
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool: SqlitePool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    sqlx::query(
        "CREATE TABLE contacts (id BLOB PRIMARY KEY, organization_id BLOB NOT NULL, name TEXT NOT NULL, \
         emails TEXT NOT NULL, created_at INTEGER NOT NULL)",
    )
    .execute(&pool)
    .await?;
    let organization = uuid::Uuid::now_v7();
    let start = Instant::now();
    let mut inserted = 0_i64;
    while start.elapsed() < lasting {
        sqlx::query("INSERT INTO contacts VALUES (?, ?, ?, ?, ?)")
            .bind(uuid::Uuid::now_v7().as_bytes().to_vec())
            .bind(organization.as_bytes().to_vec())
            .bind("Ada")
            .bind("[\"ada@acme.example\"]")
            .bind(inserted)
            .execute(&pool)
            .await?;
        inserted += 1;
    }
    println!("{}", inserted as f64 / start.elapsed().as_secs_f64());
    Ok(())
}
