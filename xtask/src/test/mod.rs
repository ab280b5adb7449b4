//! `cargo xtask test`: the one command that says whether the repository is in order. A check that could not run counts
//! as one that failed, and nothing is skipped.

mod report;
mod selection;
mod steps;

use std::{process::ExitCode, time::Instant};

use anyhow::Result;
use dealwright_peers::{Mail, Postgres, S3, TEST_MAIL, TEST_POSTGRES, TEST_S3};

use report::Report;
use selection::Selection;
pub use steps::Step;

/// Which tests to run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only this: `fmt`, `clippy`, `docs`, `fuzz`, a package, or a test file's name without `.rs`
    #[arg(long, value_name = "SUITE")]
    only: Option<String>,
}

/// Runs the steps in order up to the first that fails, and reports. The last line is always `N passed, N failed`.
pub fn run(options: &Options) -> Result<ExitCode> {
    let selection = Selection::new(options.only.as_deref())?;
    let mut report = Report::default();
    let outcome = run_steps(&selection, &mut report);
    if let Err(error) = &outcome {
        report.fail_step(format!("{error:#}"));
    }
    print!("{report}");
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_steps(selection: &Selection, report: &mut Report) -> Result<()> {
    let start = Instant::now();
    steps::ensure_components()?;
    if selection.runs_tests() {
        dealwright_peers::install()?;
    }
    println!("-- everything needed is installed ({:.1} s)", start.elapsed().as_secs_f32());
    for step in selection.checks() {
        step.run(|_| ())?;
    }
    if let Some(step) = selection.tests() {
        run_tests(step, report)?;
    }
    Ok(())
}

/// Runs the tests beside one server of each kind that they share.
fn run_tests(mut step: Step, report: &mut Report) -> Result<()> {
    report.expects_tests();
    let (postgres, mail, s3) = (Postgres::start()?, Mail::start()?, S3::start()?);
    step.variable(TEST_POSTGRES, postgres.superuser());
    step.variable(TEST_MAIL, &mail.folder().display().to_string());
    step.variable(TEST_S3, s3.endpoint());
    let outcome = step.run(|line| report.read(line));
    report.close_suite();
    match outcome {
        // The table tells which tests failed; only what it cannot tell is the step's own failure.
        Err(_) if report.has_failures() => Ok(()),
        outcome => outcome,
    }
}
