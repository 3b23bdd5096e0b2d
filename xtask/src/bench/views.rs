//! Polls of a thousand running jobs by several callers at once, sent by wrk.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::{
    cores::{Core, pinned},
    plan::Plan,
    results::{Results, ViewRow},
    sample::{Protocol, Sample},
    server::{Running, Server},
};
use crate::{local_service::Files, process::program};

/// How many jobs run.
pub(super) const JOBS: usize = 1_000;
/// How many callers poll them.
const CALLERS: [u64; 3] = [10, 100, 1_000];
/// How long the vendor takes, in milliseconds.
pub(super) const VENDOR_TAKES: u32 = 100;
/// Polls a second that callers would make if answers took no time: each job once.
pub(super) const RATE: u64 = JOBS as u64;
/// The script that wrk runs.
const SCRIPT: &str = "tests/bench/polls.lua";

/// What the script prints.
#[derive(Debug, Deserialize, PartialEq)]
struct Printed {
    requests: u64,
    wrong: u64,
    unanswered: u64,
    seconds: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Measures `servers`, with REST.
///
/// # Errors
/// When an answer is not as it should be.
pub(super) fn measure(
    servers: &[Server],
    plan: &Plan,
    files: &Files,
    results: &mut Results,
) -> Result<()> {
    for server in servers {
        println!("  {JOBS} jobs on {}", server.name());
        let running = server.start(files, VENDOR_TAKES)?;
        let sample = running.sample(files, Protocol::Rest, JOBS)?;
        // Each job is polled a few times: a new one is not looked for in views.
        polls(&running, &sample, CALLERS[2], plan.view_seconds)?;
        for callers in CALLERS {
            results.views.push(of_callers(&running, &sample, callers, plan)?);
        }
    }
    Ok(())
}

fn of_callers(running: &Running, sample: &Sample, callers: u64, plan: &Plan) -> Result<ViewRow> {
    let mut row = ViewRow {
        name: running.server.name().to_owned(),
        is_ours: running.server.is_ours(),
        callers,
        ..ViewRow::default()
    };
    for _ in 0..plan.view_rounds {
        let before = running.mock.calls()?;
        let printed = polls(running, sample, callers, plan.view_seconds)?;
        let calls = running.mock.calls()? - before;
        row.p50.add(printed.p50_ms);
        row.p99.add(printed.p99_ms);
        row.calls_a_poll.add(calls as f64 / printed.requests as f64);
        row.polls_a_second.add(printed.requests as f64 / printed.seconds);
    }
    Ok(row)
}

fn polls(running: &Running, sample: &Sample, callers: u64, seconds: u64) -> Result<Printed> {
    let paths = sample.poll.paths.as_ref().context("only REST has a list of polls")?;
    let authorization = sample.headers.iter().find_map(|line| line.strip_prefix("authorization: "));
    let mut command = program("wrk");
    command
        .args(["--threads=1", &format!("--connections={callers}"), "--timeout=10s"])
        .args([&format!("--duration={seconds}s"), "--script", SCRIPT])
        .args([&format!("http://{}", running.address(Protocol::Rest)), "--", paths])
        .arg(authorization.context("the sample has no token")?)
        .arg((callers * 1000 / RATE).to_string());
    let output = pinned(&command, Core::Load).stdin(Stdio::null()).output();
    let output = output.context("cannot run wrk")?;
    if !output.status.success() {
        bail!("wrk failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let printed = read(&text)?;
    let Printed { requests, wrong, unanswered, .. } = printed;
    ensure!(
        wrong == 0 && unanswered == 0,
        "of {requests} polls {wrong} were not answered as those of running jobs and {unanswered} not at all: {text}"
    );
    ensure!(printed.requests > 0, "wrk made no polls");
    Ok(printed)
}

/// The script's line of JSON, after what wrk itself prints.
fn read(printed: &str) -> Result<Printed> {
    let line = printed.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("{SCRIPT} printed no result: {printed}"))?;
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_follows_what_wrk_itself_prints() {
        let printed = "Running 5s test @ http://127.0.0.1:1\n  1 threads and 10 connections\n\n{\"requests\": 50, \"wrong\": 1, \"unanswered\": 2, \"seconds\": 5.0, \"p50_ms\": 0.5, \"p99_ms\": 2.5}\n";
        let wanted = Printed {
            requests: 50,
            wrong: 1,
            unanswered: 2,
            seconds: 5.0,
            p50_ms: 0.5,
            p99_ms: 2.5,
        };
        assert_eq!(read(printed).unwrap(), wanted);
        assert!(read("unable to connect").is_err());
    }
}
