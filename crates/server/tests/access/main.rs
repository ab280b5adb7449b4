//! The matrix of access, cell by cell: every operation is asked over HTTP by a member of every role, on each database. Where
//! the matrix says no the answer is 403 and nothing changes, where it says yes the call succeeds. What is asked is read off
//! the table of operations, so that a new operation is asked too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod matrix;
#[path = "../support/mod.rs"]
mod support;

use crate::support::world::World;

/// ASVS 5, 8.2.1: functions are reached by whoever has the permission for them, and by nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_may_what_the_matrix_says_on_sqlite() {
    matrix::every_cell(World::sqlite().await, "sqlite").await;
}

/// ASVS 8.2.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_may_what_the_matrix_says_on_postgresql() {
    matrix::every_cell(World::postgres().await, "postgres").await;
}
