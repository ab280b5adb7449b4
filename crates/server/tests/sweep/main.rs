//! Two organisations in one database: whatever one of them asks, as a member of whichever role, with whichever id of the
//! other, it hears nothing of the other and changes nothing there. What is asked is read off the table of operations, so
//! that a new operation is asked too; a member that may name somebody else's row and that no table here knows fails the
//! test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod attempts;
mod http;
mod numbers;
mod rooms;
mod sight;
mod spots;
#[path = "../support/mod.rs"]
mod support;
mod sweep;

use dealwright::scope::Role;

use crate::support::world::World;

/// The owner first, who may ask everything.
const EVERY_ROLE: [Role; 5] = [Role::Owner, Role::Admin, Role::Manager, Role::Member, Role::Viewer];

/// Kinds of answers, of which each must be seen to leak where there is no wall: lists without a filter, sums and counts,
/// rooms.
const SEEN: &[&str] = &[
    "contacts.list {}",
    "contacts.shared {}",
    "companies.list {}",
    "deals.list {}",
    "tasks.list {}",
    "chats.list {}",
    "runs.list {}",
    "stages.list {}",
    "analytics.conversion_rates: numbers",
    "analytics.pipeline_value: numbers",
    "analytics.team_performance: numbers",
    "pipelines.board: numbers",
    "subscribe",
];

/// The same within one organisation.
const SEEN_WITHIN: &[&str] = &[
    "contacts.list {}",
    "contacts.get",
    "contacts.update",
    "contacts.history",
    "deals.list {}",
    "deals.get",
    "notes.get",
    "notes.list_of_deal",
    "tasks.list {}",
    "tasks.get",
    "timelines.of_contact",
    "chats.list {}",
    "chats.get",
    "messages.list",
    "messages.get",
    "messages.send",
    "runs.list {}",
    "rules.explain",
    "analytics.conversion_rates: numbers",
    "analytics.pipeline_value: numbers",
    "analytics.team_performance: numbers",
    "pipelines.board: numbers",
];

/// ASVS 8.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_another_organisation_is_told_or_changed_on_sqlite() {
    World::sqlite().await.sweep("sqlite", &EVERY_ROLE).await.must_hold();
}

/// ASVS 8.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_another_organisation_is_told_or_changed_on_postgresql() {
    World::postgres().await.sweep("postgres", &EVERY_ROLE).await.must_hold();
}

/// The second wall by itself: the statements say nothing of the organisation.
/// ASVS 8.4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_level_security_alone_keeps_organisations_apart() {
    let world = World::postgres().await.without_predicates().await;
    world.sweep("postgres, row-level security alone", &[Role::Owner]).await.must_hold();
}

/// Were the statements above still guarded by what they say, the one before would prove nothing; were the sweep blind,
/// none of them would.
/// ASVS 8.4.1.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_either_wall_the_sweep_finds_leaks_everywhere() {
    let world = World::postgres().await.without_walls().await;
    let found = world.sweep("postgres, neither wall", &[Role::Owner]).await;
    assert!(found.leaks.len() > found.attempts / 2, "{} leaks of {} attempts", found.leaks.len(), found.attempts);
    for kind in SEEN {
        let leaks = found.leaks.iter().any(|leak| leak.starts_with(kind));
        assert!(leaks, "the sweep is blind to {kind}:\n{}", found.leaks.join("\n"));
    }
}

/// ASVS 8.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_sight_is_not_told_or_changed_on_sqlite() {
    World::sqlite().await.sweep_within("own", "sqlite").await.must_hold();
    World::sqlite().await.sweep_within("team", "sqlite").await.must_hold();
}

/// ASVS 8.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_sight_is_not_told_or_changed_on_postgresql() {
    World::postgres().await.sweep_within("own", "postgres").await.must_hold();
    World::postgres().await.sweep_within("team", "postgres").await.must_hold();
}

/// Were the sweep blind, the two before would prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_is_out_of_sight_the_sweep_finds_leaks_everywhere() {
    let found = World::sqlite().await.sweep_within("organization", "sqlite").await;
    for kind in SEEN_WITHIN {
        let leaks = found.leaks.iter().any(|leak| leak.starts_with(kind));
        assert!(leaks, "the sweep is blind to {kind}:\n{}", found.leaks.join("\n"));
    }
}

/// ASVS 8.2.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_that_name_anothers_rows_are_not_found() {
    http::sweep(World::sqlite().await).await;
}
