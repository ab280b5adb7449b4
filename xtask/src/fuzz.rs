//! `cargo xtask fuzz`: builds the targets in `fuzz/` as cargo-fuzz does, and runs them from their seeds. Needs neither
//! cargo-fuzz nor a nightly toolchain: the flags that count coverage are those of any.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::test::Step;

/// LLVM's coverage for libFuzzer. No address sanitizer: it needs a nightly toolchain, and no code of ours is unsafe.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                        -Cllvm-args=-sanitizer-coverage-trace-compares";
/// Which targets to run, and for how long.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Only this one of `fuzz/fuzz_targets`
    target: Option<String>,
    /// How long each runs
    #[arg(long, value_name = "N", default_value_t = 1)]
    minutes: u64,
    /// How often each runs instead, from its seeds alone and always the same: what the tests do
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    runs: Option<u64>,
}

/// Runs the targets one after another, up to the first finding.
pub fn run(options: &Options) -> Result<()> {
    let mut targets = targets()?;
    if let Some(only) = &options.target {
        ensure!(targets.contains(only), "no target {only:?}: there are {}", targets.join(", "));
        targets.retain(|it| it == only);
    }
    let programs = build()?;
    let mut table = Vec::new();
    for target in &targets {
        let runs = run_one(&programs.join(target), target, options)?;
        table.push(format!("fuzz: {target}: {runs} executions, 0 findings"));
    }
    println!("{}", table.join("\n"));
    Ok(())
}

/// The names of the targets: of the files, each of which `fuzz/Cargo.toml` names.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("fuzz/fuzz_targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds all targets and gives their folder.
fn build() -> Result<PathBuf> {
    let host = answer(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc tells no host")?;
    let told: Value =
        serde_json::from_str(&answer(Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]))?)?;
    let folder = told.get("target_directory").and_then(Value::as_str).context("cargo tells no target directory")?;
    let folder = Path::new(folder).join("fuzz");
    // A named target keeps the flags away from build scripts and macros, which run without libFuzzer.
    let build = ["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--target", host];
    let mut step = Step::cargo(&build).with("RUSTFLAGS", COVERAGE);
    step.variable("CARGO_TARGET_DIR", &folder.display().to_string());
    step.run(|_| ())?;
    Ok(folder.join(host).join("release"))
}

fn answer(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("start {command:?}"))?;
    ensure!(done.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

/// Runs one target and gives how often it ran.
fn run_one(program: &Path, target: &str, options: &Options) -> Result<u64> {
    // What was found before is kept beside the seeds, but not in the repository.
    let (corpus, artifacts) = (format!("fuzz/corpus/{target}"), format!("fuzz/artifacts/{target}"));
    fs::create_dir_all(&artifacts)?;
    let seeds = format!("fuzz/corpus-seeds/{target}");
    let mut arguments = vec![format!("-artifact_prefix={artifacts}/"), "-timeout=10".to_owned()];
    arguments.push("-print_final_stats=1".to_owned());
    let dictionary = format!("fuzz/dictionaries/{target}.dict");
    if Path::new(&dictionary).exists() {
        arguments.push(format!("-dict={dictionary}"));
    }
    // The first folder is written to.
    let scratch = tempfile::tempdir()?;
    match options.runs {
        Some(runs) => {
            let scratch = scratch.path().display().to_string();
            arguments.extend([format!("-runs={runs}"), "-seed=1".to_owned(), scratch]);
        }
        None => {
            fs::create_dir_all(&corpus)?;
            arguments.extend([format!("-max_total_time={}", options.minutes * 60), corpus]);
        }
    }
    let mut executions = None;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([seeds.as_str()]).collect();
    let step = Step::program(program, &arguments).showing(|line| !line.starts_with(['#', '\t']));
    step.run(|line| {
        if let Some(number) = line.strip_prefix("stat::number_of_executed_units:") {
            executions = number.trim().parse().ok();
        }
    })?;
    executions.with_context(|| format!("{target} does not tell how often it ran"))
}
