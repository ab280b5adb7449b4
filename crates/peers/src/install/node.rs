//! A folder of Node packages, exactly those of `clients/package-lock.json`.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::machine;

const PACKAGE: &str = include_str!("../../clients/package.json");
const LOCK: &str = include_str!("../../clients/package-lock.json");

/// The folder that holds `node_modules`, made if it is not there for just these packages.
pub(crate) fn folder() -> Result<PathBuf> {
    let mut stamp = DefaultHasher::new();
    (PACKAGE, LOCK).hash(&mut stamp);
    let cache = machine::cache_dir()?;
    let dir = cache.join(format!("node-{:016x}", stamp.finish()));
    // Written last: an installation broken off in the middle is begun again.
    let ready = dir.join("ready");
    if ready.exists() {
        return Ok(dir);
    }
    let _one_at_a_time = machine::lock(&cache.join("node.lock"))?;
    if ready.exists() {
        return Ok(dir);
    }
    eprintln!("installing Node packages into {}", dir.display());
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("package.json"), PACKAGE)?;
    fs::write(dir.join("package-lock.json"), LOCK)?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&dir).stdin(Stdio::null());
    machine::output(&mut npm).context("install Node.js with npm first if it is missing")?;
    fs::write(ready, "")?;
    Ok(dir)
}
