//! Runs cases on each database, each in a world of its own.

// Every suite takes its part.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod world;

use std::process::ExitCode;

use futures::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Trial};

#[derive(Debug, Clone, Copy)]
pub enum Database {
    Sqlite,
    Postgres,
}

impl Database {
    pub const ALL: &[Self] = &[Self::Sqlite, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// One case: a sentence, and what it does in a world of its own.
pub type Case<W> = (&'static str, fn(W) -> LocalBoxFuture<'static, ()>);

/// Names the cases of a module.
macro_rules! cases {
    ($($case:ident),* $(,)?) => {
        pub const CASES: &[crate::harness::Case<World>] = &[$((stringify!($case), |world| Box::pin($case(world)))),*];
    };
}
pub(crate) use cases;

/// Runs the cases of these rooms, each in a new world on each database.
pub fn run<W: 'static>(
    rooms: &[(&str, &'static [Case<W>])],
    world: fn(Database) -> LocalBoxFuture<'static, W>,
) -> ExitCode {
    let mut trials = Vec::new();
    for (room, cases) in rooms {
        for (name, case) in *cases {
            for database in Database::ALL {
                trials.push(Trial::test(format!("{room}::{name}::{}", database.name()), move || {
                    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
                    runtime.block_on(async { case(world(*database).await).await });
                    Ok(())
                }));
            }
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
