//! The CPU time and the memory of processes, as Linux counts them (proc(5)).

use std::{collections::HashMap, fs};

use anyhow::{Context, Result};

/// Ticks a second in /proc/PID/stat: `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Rust's std runs on.
const TICKS: f64 = 100.0;

/// Seconds of CPU, user and system, that the processes and all that they started have used, those that have ended among
/// them.
pub fn seconds(roots: &[u32]) -> Result<f64> {
    let mut processes: HashMap<u32, (u32, u64)> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // It may have ended since.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (_, after) = stat.rsplit_once(')').context("a stat without a name")?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |place: usize| fields.get(place).and_then(|it| it.parse::<u64>().ok()).unwrap_or_default();
        // ppid; utime, stime, cutime, cstime.
        let parent = u32::try_from(field(1)).unwrap_or_default();
        processes.insert(pid, (parent, field(11) + field(12) + field(13) + field(14)));
    }
    let belongs = |mut pid: u32| loop {
        if roots.contains(&pid) {
            return true;
        }
        match processes.get(&pid) {
            Some((parent, _)) if *parent != 0 => pid = *parent,
            _ => return false,
        }
    };
    let ticks: u64 = processes.iter().filter(|(pid, _)| belongs(**pid)).map(|(_, (_, ticks))| ticks).sum();
    Ok(ticks as f64 / TICKS)
}

/// Megabytes of memory that a process holds.
pub fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}
