//! Debian packages. Their services are not started: the peers run private instances of their own.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::machine;

/// Debian's hook that forbids a package to start its service (`invoke-rc.d(8)`: 101 = forbidden).
const POLICY: &str = "/usr/sbin/policy-rc.d";
const FORBID: &str = "#!/bin/sh\nexit 101\n";
/// Without it, installing Postfix asks what kind of site this is and writes a configuration for it.
const ANSWERS: &str = "postfix postfix/main_mailer_type select No configuration\n";

/// Installs one package of each list (the first that exists) unless `present` says that all is there.
pub(super) fn ensure(what: &str, packages: &[&[&str]], present: impl Fn() -> bool) -> Result<()> {
    if present() {
        return Ok(());
    }
    let names = || packages.iter().filter_map(|choice| choice.first().copied()).collect::<Vec<_>>().join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("{what} is missing and this is no Debian or Ubuntu: install it by hand ({})", names());
    }
    if !machine::is_root()? {
        bail!("{what} is missing: run `sudo apt-get install --no-install-recommends {}`", names());
    }
    let _one_at_a_time = machine::lock(&machine::cache_dir()?.join("install.lock"))?;
    if present() {
        return Ok(());
    }
    apt_get(&["update"])?;
    let chosen: Vec<&str> = packages.iter().filter_map(|choice| choice.iter().copied().find(|p| exists(p))).collect();
    ensure!(chosen.len() == packages.len(), "the package lists of apt do not know {}", names());
    eprintln!("installing {what}: {}", chosen.join(" "));
    preseed()?;
    let _quiet = NoServices::new()?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], chosen.as_slice()].concat())?;
    ensure!(present(), "installed {}, but {what} is still not where it should be", chosen.join(" "));
    Ok(())
}

fn apt_get(args: &[&str]) -> Result<()> {
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"]).args(args);
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let said = machine::output(&mut apt)?;
    // Another mail system may have to go: that must not happen unseen.
    said.lines()
        .filter(|line| line.starts_with("Removing ") && line.contains(" ("))
        .for_each(|line| eprintln!("{line}"));
    Ok(())
}

fn exists(package: &str) -> bool {
    let mut show = Command::new("apt-cache");
    show.args(["show", "--no-all-versions", package]).stdout(Stdio::null()).stderr(Stdio::null());
    show.status().is_ok_and(|status| status.success())
}

fn preseed() -> Result<()> {
    let mut child = Command::new("debconf-set-selections").stdin(Stdio::piped()).spawn().context("set debconf")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(ANSWERS.as_bytes())?;
    }
    ensure!(child.wait()?.success(), "debconf-set-selections refused {ANSWERS:?}");
    Ok(())
}

/// While it lives, packages start no service. A policy the machine already has is left as it is.
struct NoServices {
    ours: bool,
}

impl NoServices {
    fn new() -> Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, FORBID).context("forbid packages to start services")?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}
