//! Reads maildirs (Maildir++: a folder `Sent` is the directory `.Sent`), without changing a flag.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// All messages of `folder`, oldest first. A folder nobody has opened yet is empty.
pub(super) fn messages(home: &Path, folder: &str) -> Result<Vec<Vec<u8>>> {
    let dir = if folder.eq_ignore_ascii_case("INBOX") { home.to_owned() } else { home.join(format!(".{folder}")) };
    let mut files = Vec::new();
    for part in ["new", "cur"] {
        let part = dir.join(part);
        if part.exists() {
            for entry in fs::read_dir(&part).with_context(|| format!("read {}", part.display()))? {
                files.push(entry?.path());
            }
        }
    }
    files.sort_by_key(|path| moment(&path.file_name().unwrap_or_default().to_string_lossy()));
    files.iter().map(|file| fs::read(file).with_context(|| format!("read {}", file.display()))).collect()
}

/// Dovecot names a file `SECONDS.MmicrosecondsPpid…`.
fn moment(name: &str) -> (u64, u64, String) {
    let (seconds, rest) = name.split_once('.').unwrap_or((name, ""));
    let micros = rest.strip_prefix('M').unwrap_or(rest).split('P').next().unwrap_or_default();
    (seconds.parse().unwrap_or_default(), micros.parse().unwrap_or_default(), name.to_owned())
}
