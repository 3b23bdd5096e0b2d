//! The program against services that keep to the contract, and against one that breaks a rule of it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test's")]

mod fake;
mod faults;
mod good;
mod hostile;
mod program;

use clap::Parser as _;
use plugin_conformance::{Args, Outcome, Report};

/// The arguments of a run, which waits for nothing longer than a test may take.
fn args(line: &[&str]) -> Args {
    let fixed = ["plugin-conformance", "--time-limit=3s", "--timeout=3s", "--poll-interval=20ms"];
    Args::parse_from(fixed.iter().chain(line))
}

/// The rules of a report that fared as one of `outcomes`, with their reasons.
fn ids(report: &Report, outcomes: &[Outcome]) -> Vec<String> {
    let findings = report.findings.iter().filter(|found| outcomes.contains(&found.outcome));
    findings.map(|found| format!("{}: {}", found.rule.id, found.reason)).collect()
}

/// A file with `content`, as an argument.
fn file(dir: &tempfile::TempDir, flag: &str, content: &str) -> String {
    let count = std::fs::read_dir(dir.path()).unwrap().count();
    let path = dir.path().join(format!("{count}"));
    std::fs::write(&path, content).unwrap();
    format!("{flag}={}", path.display())
}
