//! What the SQL store reads, on SQLite in memory, SQLite in a file and PostgreSQL under row-level security.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod board;
mod contacts;
mod lists;
mod lookups;
mod support;
