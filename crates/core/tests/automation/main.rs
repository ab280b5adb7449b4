//! What automation promises, with the declarative engine, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod actions;
mod clocks;
mod custom_fields;
mod deals;
mod explaining;
mod facts;
mod failing;
#[path = "../harness/mod.rs"]
mod harness;
mod jobs;
mod messages;
mod ordering;
mod people_win;
mod running;
mod saving;
mod schedules;
mod script;
mod sealing;
mod tasks;
mod timers;
mod timers_of_others;
mod world;

use std::process::ExitCode;

use crate::{harness::cases, world::World};

fn main() -> ExitCode {
    let rooms = [
        ("saving", saving::CASES),
        ("running", running::CASES),
        ("ordering", ordering::CASES),
        ("actions", actions::CASES),
        ("custom_fields", custom_fields::CASES),
        ("deals", deals::CASES),
        ("tasks", tasks::CASES),
        ("facts", facts::CASES),
        ("failing", failing::CASES),
        ("people_win", people_win::CASES),
        ("messages", messages::CASES),
        ("timers", timers::CASES),
        ("timers_of_others", timers_of_others::CASES),
        ("schedules", schedules::CASES),
        ("clocks", clocks::CASES),
        ("explaining", explaining::CASES),
        ("jobs", jobs::CASES),
        ("sealing", sealing::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database)))
}
