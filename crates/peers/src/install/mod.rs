//! Installs what the peers need and the machine does not have; quick when nothing is missing. It starts no service of the
//! machine and stops none.

mod apt;
pub(crate) mod node;
pub(crate) mod python;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::postgres;

/// Where Debian has it.
pub(crate) const REDIS: &str = "/usr/bin/redis-server";

/// Installs whatever is missing for every peer, saying what it installs.
///
/// # Errors
/// When something is missing and cannot be installed; the error names the command to run.
pub fn install() -> Result<()> {
    postgres()?;
    mail()?;
    redis()?;
    chromium()?;
    python::environment()?;
    python::oauth_environment()?;
    node::folder().map(drop)
}

pub(crate) fn postgres() -> Result<()> {
    apt::ensure("PostgreSQL", &[&["postgresql-15", "postgresql"]], || postgres::bin_dir().is_ok())
}

pub(crate) fn redis() -> Result<()> {
    apt::ensure("Redis", &[&["redis-server"]], || Path::new(REDIS).exists())
}

/// A browser; its program.
pub(crate) fn chromium() -> Result<PathBuf> {
    let program = PathBuf::from("/usr/bin/chromium");
    apt::ensure("Chromium", &[&["chromium"]], || program.exists())?;
    Ok(program)
}

pub(crate) fn mail() -> Result<()> {
    let files = ["/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/lib/dovecot/lmtp", "/usr/sbin/postfix"];
    apt::ensure("Dovecot and Postfix", &[&["dovecot-imapd"], &["dovecot-lmtpd"], &["postfix"]], || {
        files.iter().all(|file| Path::new(file).exists())
    })
}
