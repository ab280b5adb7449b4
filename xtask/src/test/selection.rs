//! Which of the steps run: all, or what `--only` names.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::steps::Step;

/// What a run consists of.
#[derive(Debug)]
pub enum Selection {
    /// Every check and every test.
    All,
    /// One of [`CHECKS`].
    Check(String),
    /// The tests of one package.
    Package(String),
    /// The tests in one file.
    File(String),
}

/// The checks that are no tests, in order.
const CHECKS: [&str; 4] = ["fmt", "clippy", "docs", "fuzz"];

impl Selection {
    /// What `only` names.
    pub fn new(only: Option<&str>) -> Result<Self> {
        let Some(only) = only else { return Ok(Self::All) };
        if CHECKS.contains(&only) {
            return Ok(Self::Check(only.to_owned()));
        }
        let (packages, files) = packages_and_test_files()?;
        if packages.iter().any(|name| name == only) {
            return Ok(Self::Package(only.to_owned()));
        }
        if files.iter().any(|name| name == only) {
            return Ok(Self::File(only.to_owned()));
        }
        bail!(
            "no suite {only:?}: there are {}, the packages {}, and the test files {}",
            CHECKS.join(", "),
            packages.join(", "),
            files.join(", ")
        )
    }

    /// Whether test servers will be needed.
    pub fn runs_tests(&self) -> bool {
        !matches!(self, Self::Check(_))
    }

    /// The checks to run.
    pub fn checks(&self) -> Vec<Step> {
        let wanted = |check: &&str| match self {
            Self::All => true,
            Self::Check(name) => name == check,
            Self::Package(_) | Self::File(_) => false,
        };
        CHECKS.into_iter().filter(wanted).map(check).collect()
    }

    /// The tests to run.
    pub fn tests(&self) -> Option<Step> {
        // All suites run although one fails: the table shows every failure at once.
        match self {
            Self::All => Some(Step::cargo(&["test", "--workspace", "--no-fail-fast"])),
            Self::Package(name) => Some(Step::cargo(&["test", "--no-fail-fast", "-p", name])),
            Self::File(name) => Some(Step::cargo(&["test", "--workspace", "--no-fail-fast", "--test", name])),
            Self::Check(_) => None,
        }
    }
}

fn check(name: &str) -> Step {
    match name {
        // A number of runs, so that a slow machine tests as much as a fast one.
        "fuzz" => Step::cargo(&["xtask", "fuzz", "--runs", "20000"]),
        "fmt" => Step::cargo(&["fmt", "--all", "--check"]),
        "clippy" => Step::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        _ => Step::cargo(&["doc", "--workspace", "--no-deps"]).with("RUSTDOCFLAGS", "-D warnings"),
    }
}

fn packages_and_test_files() -> Result<(Vec<String>, Vec<String>)> {
    let told = Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
    ensure!(told.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let packages = told.get("packages").and_then(Value::as_array).context("cargo metadata tells no packages")?;
    let name = |value: &Value| value.get("name").and_then(Value::as_str).map(str::to_owned);
    let targets = packages.iter().filter_map(|package| package.get("targets")?.as_array()).flatten();
    let tests = targets.filter(|target| target.get("kind").and_then(|kind| kind.get(0)) == Some(&"test".into()));
    Ok((packages.iter().filter_map(name).collect(), tests.filter_map(name).collect()))
}
