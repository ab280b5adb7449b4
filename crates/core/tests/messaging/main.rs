//! Accounts, the inbox and what goes out, through the doors, on each database, with a scripted messenger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod accounts;
mod chats;
mod ingest;
mod media;
mod messages;
mod odd_mail;
mod process;
mod read_state;
mod reconnecting;
mod replicas;
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

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};

use crate::world::{DATABASES, World};

/// One case: a sentence, and what it does in a world of its own.
pub type Case = (&'static str, fn(World) -> LocalBoxFuture<'static, ()>);

/// Names the cases of a module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[crate::Case] = &[$((stringify!($case), |world| Box::pin($case(world)))),*];
    };
}
pub(crate) use cases;

fn main() -> ExitCode {
    let rooms = [
        ("ingest", ingest::CASES),
        ("stamps", stamps::CASES),
        ("threads", threads::CASES),
        ("odd_mail", odd_mail::CASES),
        ("media", media::CASES),
        ("chats", chats::CASES),
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
        ("tenancy", tenancy::CASES),
    ];
    let mut trials = Vec::new();
    for (room, cases) in rooms {
        for (name, case) in cases {
            for database in DATABASES {
                trials.push(Trial::test(format!("{room}::{name}::{}", database.name()), move || {
                    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                    runtime.block_on(async { case(World::new(*database).await).await });
                    Ok(())
                }));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
