//! What a person would otherwise type, as `cargo xtask TASK`. A task runs programs and reports; it decides nothing
//! about the product.

mod bench;
mod demo;
mod fuzz;
mod test;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Task {
    /// Check and test everything, against real servers
    Test(test::Options),
    /// Run the fuzz targets
    Fuzz(fuzz::Options),
    /// Start the product with a company's history in it
    Demo(demo::Options),
    /// Measure what the engine costs; --help lists the measures
    #[command(disable_help_flag = true)]
    Bench(bench::Options),
}

fn main() -> ExitCode {
    match run(&Task::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<ExitCode> {
    // Wherever the command is given, paths are the repository's.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?;
    std::env::set_current_dir(root).with_context(|| format!("enter {}", root.display()))?;
    match task {
        Task::Test(options) => test::run(options),
        Task::Bench(options) => bench::run(options),
        Task::Fuzz(options) => fuzz::run(options).map(|()| ExitCode::SUCCESS),
        Task::Demo(options) => demo::run(options).map(|()| ExitCode::SUCCESS),
    }
}
