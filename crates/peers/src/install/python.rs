//! Python environments with the packages of `clients/requirements.txt`, and of `clients/requirements-oauth.txt`.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context, Result};

use crate::machine;

const REQUIREMENTS: &str = include_str!("../../clients/requirements.txt");
const OAUTH: &str = include_str!("../../clients/requirements-oauth.txt");

/// The environment's folder, made if it is not there for just these packages and this Python.
pub(crate) fn environment() -> Result<PathBuf> {
    made(REQUIREMENTS, &[])
}

/// The same for providers of sign-ins. One of them says that it wants a newer Python than Debian's, and runs on that too; so
/// the list is whole, and nothing is added to it.
pub(crate) fn oauth_environment() -> Result<PathBuf> {
    made(OAUTH, &["--no-deps", "--ignore-requires-python"])
}

fn made(requirements: &str, switches: &[&str]) -> Result<PathBuf> {
    let version = machine::output(Command::new("python3").arg("--version")).context("install python3 first")?;
    let mut stamp = DefaultHasher::new();
    (version.trim(), requirements).hash(&mut stamp);
    let cache = machine::cache_dir()?;
    let dir = cache.join(format!("python-{:016x}", stamp.finish()));
    // Written last: an installation broken off in the middle is begun again.
    let ready = dir.join("ready");
    if ready.exists() {
        return Ok(dir);
    }
    let _one_at_a_time = machine::lock(&cache.join("python.lock"))?;
    if ready.exists() {
        return Ok(dir);
    }
    eprintln!("installing {} Python packages into {}", requirements.lines().count(), dir.display());
    let mut venv = Command::new("python3");
    machine::output(venv.args(["-m", "venv", "--clear"]).arg(&dir))
        .context("make a Python environment; on Debian and Ubuntu `apt-get install python3-venv` may be missing")?;
    let list = dir.join("requirements.txt");
    fs::write(&list, requirements)?;
    let mut pip = Command::new(dir.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list).args(switches);
    machine::output(&mut pip)?;
    fs::write(ready, "")?;
    Ok(dir)
}
