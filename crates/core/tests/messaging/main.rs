//! Accounts, the inbox and what goes out, through the doors, on each database, with a scripted messenger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod chats;
mod clocks;
#[path = "../harness/mod.rs"]
mod harness;
mod ingest;
mod media;
mod messages;
mod odd_mail;
mod performance;
mod privacy;
mod process;
mod read_state;
mod reconnecting;
mod replicas;
mod retention;
mod send_faults;
mod sending;
mod stamps;
mod supervisor;
mod tenancy;
mod threads;
mod validation;
mod visibility;
mod waiting;
mod world;

use std::process::ExitCode;

use crate::world::World;

fn main() -> ExitCode {
    let rooms = [
        ("ingest", ingest::CASES),
        ("stamps", stamps::CASES),
        ("threads", threads::CASES),
        ("odd_mail", odd_mail::CASES),
        ("media", media::CASES),
        ("chats", chats::CASES),
        ("clocks", clocks::CASES),
        ("messages", messages::CASES),
        ("read_state", read_state::CASES),
        ("visibility", visibility::CASES),
        ("sending", sending::CASES),
        ("send_faults", send_faults::CASES),
        ("waiting", waiting::CASES),
        ("validation", validation::CASES),
        ("accounts", accounts::CASES),
        ("reconnecting", reconnecting::CASES),
        ("supervisor", supervisor::CASES),
        ("replicas", replicas::CASES),
        ("performance", performance::CASES),
        ("tenancy", tenancy::CASES),
        ("privacy", privacy::CASES),
        ("retention", retention::CASES),
    ];
    harness::run(&rooms, |database| Box::pin(World::new(database)))
}
