//! Contacts, pipelines and analytics, through the doors, on each database.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod analytics;
mod board;
mod claims;
mod contacts;
mod lists;
mod moves;
mod pipelines;
mod stages;
mod tenancy;
mod validation;
mod world;

use std::process::ExitCode;

use futures::future::BoxFuture;
use libtest_mimic::{Arguments, Trial};

use crate::world::{DATABASES, World};

/// One case: a sentence, and what it does in a world of its own.
pub type Case = (&'static str, fn(World) -> BoxFuture<'static, ()>);

/// Names the cases of a module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[crate::Case] = &[$((stringify!($case), |world| Box::pin($case(world)))),*];
    };
}
pub(crate) use cases;

fn main() -> ExitCode {
    let rooms = [
        ("contacts", contacts::CASES),
        ("validation", validation::CASES),
        ("claims", claims::CASES),
        ("lists", lists::CASES),
        ("moves", moves::CASES),
        ("pipelines", pipelines::CASES),
        ("stages", stages::CASES),
        ("board", board::CASES),
        ("analytics", analytics::CASES),
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
