//! What a process has used, as Linux tells it. Other systems tell nothing, and nothing is shown.

use std::fs;
use std::time::Duration;

/// User and system time of all threads of a process up to now.
pub fn cpu(pid: u32) -> Option<Duration> {
    let mut nanos = 0_u64;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let used = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanos += used.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanos))
}

/// Bytes of memory that a process has now.
pub fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
