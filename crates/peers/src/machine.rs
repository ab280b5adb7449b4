//! What this crate asks the machine: its environment variables, who runs the process, where the cache is. Nothing else
//! in the crate reads them.

use std::{
    fs,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// The superuser's URL of a PostgreSQL that is already running; [`crate::shared_postgres`] uses it.
pub const TEST_POSTGRES: &str = "DEALWRIGHT_TEST_POSTGRES";
/// The folder of a mail system that is already running; [`crate::shared_mail`] uses it.
pub const TEST_MAIL: &str = "DEALWRIGHT_TEST_MAIL";
/// The endpoint of an S3 server that is already running; [`crate::shared_s3`] uses it.
pub const TEST_S3: &str = "DEALWRIGHT_TEST_S3";

/// The environment variable `name`; an empty one counts as absent.
#[expect(clippy::disallowed_methods, reason = "the one place of the test tools that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where installed tools and templates are kept between runs: `$DEALWRIGHT_CACHE`, else `~/.cache/dealwright`.
///
/// # Errors
/// When neither `DEALWRIGHT_CACHE` nor `HOME` is set, or the folder cannot be made.
pub fn cache_dir() -> Result<PathBuf> {
    let dir = match (variable("DEALWRIGHT_CACHE"), variable("HOME")) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(home)) => Path::new(&home).join(".cache/dealwright"),
        (None, None) => bail!("no place for the cache: set DEALWRIGHT_CACHE or HOME"),
    };
    fs::create_dir_all(&dir).with_context(|| format!("make the cache folder {}", dir.display()))?;
    Ok(dir)
}

/// Whether the process may start servers that change their user.
pub(crate) fn is_root() -> Result<bool> {
    Ok(current_user()?.0 == 0)
}

/// The user and group this process runs as.
pub(crate) fn current_user() -> Result<(u32, u32)> {
    let process = fs::metadata("/proc/self").context("read /proc/self (the test servers need Linux)")?;
    Ok((process.uid(), process.gid()))
}

/// User and group of the system account `name`.
pub(crate) fn account(name: &str) -> Result<(u32, u32)> {
    let id = |flag| -> Result<u32> {
        output(Command::new("id").args([flag, "--", name]))?.trim().parse().context("read the answer of `id`")
    };
    Ok((id("-u")?, id("-g")?))
}

/// `N` random bytes in hex: passwords and names that two runs must not share.
pub(crate) fn random_hex<const N: usize>() -> Result<String> {
    let mut bytes = [0_u8; N];
    fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)).context("read /dev/urandom")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Runs `command` to its end and gives what it printed; its errors are in the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = command.output().with_context(|| format!("run {name}"))?;
    ensure!(
        done.status.success(),
        "{name} failed ({}): {}{}",
        done.status,
        String::from_utf8_lossy(&done.stderr),
        String::from_utf8_lossy(&done.stdout)
    );
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// A lock between processes, given back when dropped or when the process ends.
pub(crate) fn lock(path: &Path) -> Result<fs::File> {
    let file = open_lock(path)?;
    file.lock().with_context(|| format!("lock {}", path.display()))?;
    Ok(file)
}

/// The same without waiting: nothing when somebody else holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<fs::File>> {
    let file = open_lock(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(e).with_context(|| format!("lock {}", path.display())),
    }
}

fn open_lock(path: &Path) -> Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).truncate(false).write(true);
    options.open(path).with_context(|| format!("open the lock {}", path.display()))
}
