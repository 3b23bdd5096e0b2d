//! The times of the steps of `cargo xtask test`.

use std::{
    fmt::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::process::write;

/// The steps of a run, in the order in which they started.
pub(crate) struct Times {
    started: Instant,
    steps: Vec<Timed>,
    /// The file in which they are saved after each change, for another process.
    file: Option<PathBuf>,
}

/// One step.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Timed {
    name: String,
    time: Duration,
    /// The CPU time of the programs that it ran.
    cpu_time: Option<Duration>,
    end: End,
    /// Whether it ran in the parallel lane.
    #[serde(default)]
    beside: bool,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Passed,
    Skipped,
    Failed,
    /// It was running when the run ended.
    Interrupted,
}

impl Times {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { started: Instant::now(), steps: Vec::new(), file }
    }

    /// Runs and times `step`, which returns how it ended.
    ///
    /// # Errors
    /// That of the step.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<End>) -> Result<()> {
        let (started, before) = (Instant::now(), cpu_time());
        self.steps.push(Timed {
            name: name.to_owned(),
            time: Duration::ZERO,
            cpu_time: None,
            end: End::Interrupted,
            beside: false,
        });
        self.save()?;
        let ended = step();
        if let Some(last) = self.steps.last_mut() {
            last.time = started.elapsed();
            last.cpu_time = cpu_time().zip(before).map(|(now, before)| now - before);
            last.end = *ended.as_ref().unwrap_or(&End::Failed);
        }
        self.save()?;
        ended.map(drop)
    }

    fn save(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| write(file, serde_json::to_string(&self.steps)?))
    }

    /// Adds the steps that another process saved in `file`, as steps of the parallel lane.
    pub(crate) fn add_saved(&mut self, file: &std::path::Path) {
        let saved = std::fs::read(file).ok();
        let saved = saved.and_then(|bytes| serde_json::from_slice::<Vec<Timed>>(&bytes).ok());
        let beside = saved.into_iter().flatten().map(|step| Timed { beside: true, ..step });
        self.steps.extend(beside);
    }

    /// The names of the steps that were skipped.
    pub(crate) fn skipped(&self) -> Vec<&str> {
        let skipped = self.steps.iter().filter(|step| step.end == End::Skipped);
        skipped.map(|step| step.name.as_str()).collect()
    }

    /// A table of the steps, slowest first, and the total.
    pub(crate) fn table(&self) -> String {
        let mut slowest = self.steps.iter().collect::<Vec<_>>();
        slowest.sort_by_key(|step| std::cmp::Reverse(step.time));
        let mut table =
            format!("── steps, slowest first\n   {:<18}{:>6}{:>6}\n", "", "time", "CPU");
        for step in slowest {
            let end = match step.end {
                End::Passed => String::new(),
                other => format!("  {other:?}").to_lowercase(),
            };
            let lane = if step.beside { "  in parallel" } else { "" };
            // Writing to a String cannot fail.
            let (time, cpu) = (minutes(step.time), step.cpu_time.map(minutes).unwrap_or_default());
            let _ = writeln!(table, "   {:<18}{time:>6}{cpu:>6}{end}{lane}", step.name);
        }
        let of = |beside| {
            let lane = self.steps.iter().filter(|step| step.beside == beside);
            minutes(lane.map(|step| step.time).sum())
        };
        let total = minutes(self.started.elapsed());
        let cpu = minutes(self.steps.iter().filter_map(|step| step.cpu_time).sum());
        let _ = writeln!(table, "   {:<18}{total:>6}{cpu:>6}", "total");
        if self.steps.iter().any(|step| step.beside) {
            let _ = writeln!(table, "   {} in this lane, {} in parallel", of(false), of(true));
        }
        table
    }
}

/// The CPU time of all programs that this process has run to completion; `None` where the system does not
/// tell.
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: fields 16 and 17, in hundredths of a
    // second; the second field, in parentheses, may have spaces.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13).take(2);
    let ticks = fields.map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>()?;
    Some(Duration::from_millis(ticks * 10))
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs_f64().round();
    format!("{}:{:02}", (seconds / 60.0).floor(), seconds % 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_step_is_first_and_failures_are_named() {
        let mut times = Times::new(None);
        times.step("quick", || Ok(End::Passed)).unwrap();
        let slow = || {
            std::thread::sleep(Duration::from_millis(5));
            anyhow::bail!("it failed")
        };
        times.step("slow", slow).unwrap_err();
        times.step("absent", || Ok(End::Skipped)).unwrap();
        let table = times.table();
        let lines = table.lines().map(str::trim).collect::<Vec<_>>();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let named = |name: &str| lines.iter().find(|line| line.starts_with(name)).map(|l| words(l));
        assert!(lines[2].starts_with("slow") && lines[2].ends_with("failed"), "{table}");
        assert_eq!(named("absent").unwrap().last().unwrap(), "skipped", "{table}");
        assert_eq!(named("total").unwrap()[1], "0:00", "{table}");
        assert_eq!(times.skipped(), ["absent"]);
    }

    #[test]
    fn saved_steps_belong_to_the_parallel_lane() {
        let directory = std::env::temp_dir().join(format!("xtask-times-{}", std::process::id()));
        let file = directory.join("beside.json");
        let mut other = Times::new(Some(file.clone()));
        other.step("cluster", || Ok(End::Passed)).unwrap();
        let mut times = Times::new(None);
        times.add_saved(&directory.join("none.json"));
        times.add_saved(&file);
        let table = times.table();
        let cluster = table.lines().find(|line| line.contains("cluster")).unwrap();
        assert!(cluster.ends_with("  in parallel"), "{table}");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn times_are_minutes_and_seconds() {
        let of = |seconds| minutes(Duration::from_secs_f64(seconds));
        assert_eq!([of(0.2), of(59.6), of(605.0)], ["0:00", "1:00", "10:05"]);
    }
}
