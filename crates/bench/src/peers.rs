//! What a person would pick instead: scripts that start it, measure it, and print one JSON line last.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::figure::Report;

pub fn measure(report: &mut Report, folder: &Path) -> Result<()> {
    let folder = folder.canonicalize().with_context(|| format!("find {}", folder.display()))?;
    let mut scripts: Vec<_> =
        std::fs::read_dir(&folder)?.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>()?;
    scripts.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("bench_") && name.ends_with(".sh")
    });
    scripts.sort();
    for script in scripts {
        let name = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let output = Command::new("bash").arg(&script).current_dir(&folder).output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let line = printed.lines().last().unwrap_or_default();
        // One that cannot run here is said to, and does not spoil the others.
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            let errors = String::from_utf8_lossy(&output.stderr);
            eprintln!("{name} printed no JSON: {}", errors.lines().last().unwrap_or_default());
            continue;
        };
        for (what, cost) in costs(&value) {
            report.add(format!("{name}: {what}, CPU"), None, cost, "ms", None);
        }
        report.peer(&name, value);
    }
    Ok(())
}

/// The least CPU a request of each kind: of all `runs` with the same `op` and `n`.
fn costs(value: &Value) -> BTreeMap<String, f64> {
    let mut costs = BTreeMap::new();
    for run in value["runs"].as_array().into_iter().flatten() {
        let Some(cost) = run.pointer("/r/cpu_ms_per_req").and_then(Value::as_f64) else { continue };
        let of = run["n"].as_u64().map_or_else(String::new, |n| format!(" at {n}"));
        let least: &mut f64 = costs.entry(format!("{}{of}", run["op"].as_str().unwrap_or("?"))).or_insert(cost);
        *least = least.min(cost);
    }
    costs
}
