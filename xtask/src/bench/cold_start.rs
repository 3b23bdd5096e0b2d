//! How long a server takes from exec to its first good answer to a poll.

use std::{process::Stdio, time::Instant};

use anyhow::{Context as _, Result, ensure};

use super::{
    cores::{Core, pinned},
    plan::Plan,
    programs,
    results::{Results, Rounds},
    sample::{Protocol, Sample},
    server::{Prepared, Server},
};
use crate::{
    local_service::Files,
    process::{Background, program},
};

/// Measures `servers`.
///
/// # Errors
/// When one does not start.
pub(super) fn measure(
    servers: &[Server],
    plan: &Plan,
    files: &Files,
    results: &mut Results,
) -> Result<()> {
    for server in servers {
        println!("  cold start of {}", server.name());
        let protocol = server.protocols().first().copied().context("no protocol")?;
        let sample = server.start(files, 0)?.sample(files, protocol, 1)?;
        let mut rounds = Rounds::default();
        for _ in 0..plan.cold_starts {
            rounds.add(once(server.prepare(files, 0)?, protocol, &sample)?);
        }
        results.row(server.name(), protocol.name(), server.is_ours()).cold_start = rounds;
    }
    Ok(())
}

/// The time of one start, in milliseconds.
fn once(mut prepared: Prepared, protocol: Protocol, sample: &Sample) -> Result<f64> {
    let mut waiter = waiter(&prepared, protocol, sample)?;
    ensure!(waiter.first_line()? == "waiting", "first-answer did not start");
    let started = Instant::now();
    let server = prepared.spawn_server()?;
    let line = waiter.first_line()?;
    let took = started.elapsed();
    ensure!(line == "answered", "the server gave no good answer: {}", prepared.log());
    drop(server);
    Ok(took.as_secs_f64() * 1000.0)
}

fn waiter(prepared: &Prepared, protocol: Protocol, sample: &Sample) -> Result<Background> {
    let mut command = program(programs::bench("first-answer"));
    command.arg(format!("--address={}", prepared.address(protocol)));
    command.args(["--path", &sample.poll.path, "--bytes", &sample.poll.bytes.to_string()]);
    for header in &sample.headers {
        command.args(["--header", header]);
    }
    if let Some(body) = sample.poll.bodies.first() {
        command.args(["--http2", "--body", body]);
    }
    Background::start(pinned(&command, Core::Load).stdout(Stdio::piped()))
}
