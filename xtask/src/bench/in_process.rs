//! Propeller's own BigQuery plugin, run by a Go program without a server.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{
    cores::{Core, pinned},
    mock::Mock,
    plan::{Plan, QUOTED},
    results::InProcess,
    tools::GO,
};
use crate::{
    go,
    process::{program, run},
    root, target,
};

/// Its name in the report.
pub(super) const NAME: &str = "propeller's plugin, in process";
/// The program, in the Go module of propeller's tests.
const PACKAGE: &str = "./bench";
const DIRECTORY: &str = "tests/interop/propeller/bench";

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Printed {
    calls: f64,
    cpu_seconds: f64,
    p50_ms: f64,
    rss_mib: f64,
}

/// Builds it; otherwise says why it is not compared.
///
/// # Errors
/// When it does not build.
pub(super) fn prepare() -> Result<Option<String>> {
    if !root().join(DIRECTORY).exists() {
        return Ok(Some(format!("{DIRECTORY} is missing")));
    }
    if !go::is_installed() {
        return Ok(Some(GO.missing()));
    }
    let mut build = go::propeller(&["build", "-o"]);
    // The flags of the tests turn optimisations off.
    run(build.arg(binary()).arg(PACKAGE).env("GOFLAGS", go::OPTIMISED))?;
    Ok(None)
}

fn binary() -> std::path::PathBuf {
    target("bench/propeller")
}

/// Polls and creates as often as the plan says.
///
/// # Errors
/// When a call fails.
pub(super) fn measure(plan: &Plan, into: &mut InProcess) -> Result<()> {
    let polls = call("poll", plan.in_process)?;
    into.poll_cpu.add(polls.cpu_seconds / polls.calls * QUOTED);
    into.alone_p50.add(polls.p50_ms);
    into.memory.add(polls.rss_mib);
    let creates = call("create", plan.in_process)?;
    into.create_cpu.add(creates.cpu_seconds / creates.calls * QUOTED);
    Ok(())
}

fn call(verb: &str, calls: u64) -> Result<Printed> {
    let mock = Mock::start(0)?;
    let mut command = program(binary());
    command.args(["--endpoint", &mock.url, "--verb", verb]);
    command.args(["--calls", &calls.to_string(), "--warmup", &(calls / 10).to_string()]);
    let output = pinned(&command, Core::Server).output().context("cannot run the Go program")?;
    if !output.status.success() {
        bail!("propeller's plugin: {}", String::from_utf8_lossy(&output.stderr));
    }
    let printed = serde_json::from_slice(&output.stdout);
    printed.with_context(|| format!("it printed {}", String::from_utf8_lossy(&output.stdout)))
}
