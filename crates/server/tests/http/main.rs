//! The router in process, over SQLite in memory: what HTTP promises, whatever the operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod auth;
mod bodies;
mod browsers;
mod client;
mod contacts;
mod conventions;
mod documents;
mod hostile;
mod idempotency;
mod limits;
mod lists;
mod media;
mod server;
mod tables;
mod team;
mod throttle;
