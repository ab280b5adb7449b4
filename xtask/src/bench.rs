//! `cargo xtask bench`: builds everything as it ships, then measures.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, ensure};

/// Handed to the program that measures.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<String>,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let release = Path::new(&target).join("release");
    // Apart from each other: the server as it ships has nothing in it that is there for tests.
    build(&["--package", "dealwright-server"])?;
    build(&["--package", "dealwright-bench"])?;
    build(&["--manifest-path", "crates/bench/bare/Cargo.toml", "--target-dir", &target.to_string_lossy()])?;
    let mut bench = Command::new(release.join("dealwright-bench"));
    bench.arg("--server").arg(release.join("dealwright-server")).arg("--bare").arg(release.join("bare-insert"));
    let status = bench.args(&options.options).status().context("run the measures")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(what: &[&str]) -> Result<()> {
    let built = Command::new("cargo").args(["build", "--quiet", "--release", "--locked"]).args(what).status()?;
    ensure!(built.success(), "{what:?} does not build");
    Ok(())
}
