//! Schemathesis, which reads an OpenAPI document and asks the server everything that follows from it.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::install;

/// The program.
#[derive(Debug)]
pub struct Schemathesis {
    program: PathBuf,
}

/// What a run has found.
#[derive(Debug)]
pub struct Report {
    /// How many questions were asked.
    pub cases: u64,
    /// Of how many operations.
    pub operations: u64,
    /// How many different failures there were.
    pub failures: u64,
    /// How many questions each phase asked.
    pub phases: BTreeMap<String, u64>,
    /// What it said, failures included.
    pub told: String,
    good: bool,
}

impl Report {
    /// Whether it ended, found no failure, and met no error of its own.
    pub const fn is_good(&self) -> bool {
        self.good
    }

    /// How many questions a phase asked.
    pub fn in_phase(&self, name: &str) -> u64 {
        self.phases.get(name).copied().unwrap_or_default()
    }
}

impl Schemathesis {
    /// The program, installed if need be.
    ///
    /// # Errors
    /// When its Python packages are missing and cannot be installed.
    pub fn new() -> Result<Self> {
        Ok(Self { program: install::python::environment()?.join("bin/schemathesis") })
    }

    /// Asks the server behind the document at `url`, signed in by `token`. `config` is a `schemathesis.toml`; what the run
    /// writes goes into `folder`.
    ///
    /// # Errors
    /// When it does not start or writes no report.
    pub fn run(&self, url: &str, token: &str, config: &str, switches: &[&str], folder: &Path) -> Result<Report> {
        fs::write(folder.join("schemathesis.toml"), config)?;
        let mut command = Command::new(&self.program);
        // Without a database of its own it asks the same in every run.
        command.args(["--config-file=schemathesis.toml", "run", url, "--no-color", "--generation-database=none"]);
        command.args(["-H", &format!("Authorization: Bearer {token}")]).args(switches);
        command.args(["--report=json,ndjson", "--report-json-path=report.json", "--report-ndjson-path=events.ndjson"]);
        let done = command.current_dir(folder).output().context("run schemathesis")?;
        let told = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let report = fs::read(folder.join("report.json")).with_context(|| format!("it wrote no report:\n{told}"))?;
        let report: Value = serde_json::from_slice(&report)?;
        let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).context(pointer.to_owned());
        let failed = |name: &str| report.get(name).and_then(Value::as_array).map(|all| !all.is_empty());
        let complete = report.get("complete") == Some(&Value::Bool(true));
        ensure!(report.get("failures").is_some(), "its report has another form than expected");
        Ok(Report {
            cases: count("/test_cases/generated")?,
            operations: count("/operations/tested")?,
            failures: count("/test_cases/unique_failures")?,
            phases: phases(&fs::read_to_string(folder.join("events.ndjson"))?)?,
            good: done.status.success()
                && complete
                && failed("failures") != Some(true)
                && failed("errors") != Some(true),
            told,
        })
    }
}

/// How many questions each phase asked, by the events of a run.
fn phases(events: &str) -> Result<BTreeMap<String, u64>> {
    let mut phases = BTreeMap::new();
    for line in events.lines().filter(|line| line.starts_with("{\"ScenarioFinished\"")) {
        let event: Value = serde_json::from_str(line)?;
        let scenario = event.get("ScenarioFinished").unwrap_or(&Value::Null);
        let phase = scenario.get("phase").and_then(Value::as_str).context("a scenario of no phase")?;
        let cases = scenario.pointer("/recorder/cases").and_then(Value::as_object).map_or(0, serde_json::Map::len);
        *phases.entry(phase.to_owned()).or_default() += u64::try_from(cases)?;
    }
    Ok(phases)
}
