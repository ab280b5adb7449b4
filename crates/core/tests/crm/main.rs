//! Contacts, pipelines and analytics, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod activities;
mod analytics;
mod analytics_groups;
mod batch;
mod board;
mod claims;
mod companies;
mod contacts;
mod deal_lists;
mod deals;
mod fields;
#[path = "../harness/mod.rs"]
mod harness;
mod lists;
mod moves;
mod pipelines;
mod search;
mod stages;
mod tenancy;
mod validation;

use std::process::ExitCode;

use dealwright::Registry;

use crate::harness::{cases, world, world::World};

fn main() -> ExitCode {
    let rooms = [
        ("contacts", contacts::CASES),
        ("deals", deals::CASES),
        ("deal_lists", deal_lists::CASES),
        ("validation", validation::CASES),
        ("claims", claims::CASES),
        ("activities", activities::CASES),
        ("companies", companies::CASES),
        ("fields", fields::CASES),
        ("batch", batch::CASES),
        ("lists", lists::CASES),
        ("search", search::CASES),
        ("moves", moves::CASES),
        ("pipelines", pipelines::CASES),
        ("stages", stages::CASES),
        ("board", board::CASES),
        ("analytics", analytics::CASES),
        ("analytics_groups", analytics_groups::CASES),
        ("tenancy", tenancy::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database, Registry::new())))
}
