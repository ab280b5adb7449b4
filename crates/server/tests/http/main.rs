//! The router in process, over SQLite in memory: what HTTP promises, whatever the operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod auth;
mod bodies;
mod contacts;
mod conventions;
mod documents;
mod idempotency;
mod lists;
mod media;
mod passwords;
mod server;
mod tables;
mod team;
mod two_factor;
