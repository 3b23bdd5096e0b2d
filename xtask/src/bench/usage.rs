//! What the system knows of a process: its CPU time and its memory.
//! <https://man7.org/linux/man-pages/man5/proc.5.html>

use std::fs;

use anyhow::{Context as _, Result};

/// How many of the ticks of `/proc/PID/stat` make a second: it is part of Linux' interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    pub(super) now: f64,
    pub(super) peak: f64,
}

/// CPU time of all threads so far, in seconds.
///
/// # Errors
/// When the process has ended.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("the server ended: no {path}"))?;
    ticks(&stat).map(|ticks| ticks / TICKS_PER_SECOND).with_context(|| format!("{path}: {stat}"))
}

/// The fields utime and stime. The program's name before them may have spaces.
fn ticks(stat: &str) -> Option<f64> {
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<f64>().ok()).sum()
}

/// Resident memory now, and its peak.
///
/// # Errors
/// When the process has ended.
pub(super) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status =
        fs::read_to_string(&path).with_context(|| format!("the server ended: no {path}"))?;
    let mib = |name| mib_of(&status, name).with_context(|| format!("no {name} in {path}"));
    Ok(Memory { now: mib("VmRSS:")?, peak: mib("VmHWM:")? })
}

fn mib_of(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib = line.split_whitespace().next()?.parse::<f64>().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_that_of_user_and_system() {
        let stat = "42 (a (odd) name) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 7 7 20 0 1 0 123";
        assert_eq!(ticks(stat), Some(300.0));
        assert!(cpu_seconds(std::process::id()).is_ok());
    }

    #[test]
    fn memory_is_in_mebibytes() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(mib_of(status, "VmRSS:"), Some(10.0));
        assert_eq!(mib_of(status, "VmHWM:"), Some(20.0));
        assert_eq!(mib_of(status, "VmSwap:"), None);
    }
}
