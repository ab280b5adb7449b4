//! The router in process, over SQLite in memory: what HTTP promises, whatever the operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod activities;
mod api_keys;
mod audit;
mod auth;
mod bodies;
mod browsers;
mod client;
mod companies;
mod contacts;
mod conventions;
mod deals;
mod documents;
mod fields;
mod hostile;
mod idempotency;
mod if_match;
mod limits;
mod lists;
mod media;
mod merge_patches;
mod nouns;
mod passwords;
mod privacy;
mod providers;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod team;
mod telegram;
mod throttle;
mod two_factor;
