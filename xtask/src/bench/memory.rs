//! Memory of each server: idle, after polls, and with many polls in flight.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::{
    in_process,
    load::{Loaded, Pattern, Target, Upstream},
    plan::Plan,
    programs,
    results::{InProcess, MemoryRow, Results},
    server::{Running, Server},
    usage,
};
use crate::local_service::Files;

/// How many polls are in flight.
pub(super) const IN_FLIGHT: [u64; 2] = [1_000, 10_000];
/// How long the vendor takes for each, in milliseconds.
pub(super) const VENDOR_TAKES: u32 = 20;
/// When a server that accepts connections has finished starting.
const SETTLES_IN: Duration = Duration::from_secs(1);
/// Requests at once on a connection.
const STREAMS: u64 = 100;

/// Measures `servers`, one after the other.
///
/// # Errors
/// When a server does not start.
pub(super) fn measure(
    servers: &[Server],
    plan: &Plan,
    files: &Files,
    results: &mut Results,
) -> Result<()> {
    for server in servers {
        println!("  memory of {}", server.name());
        results.memory.push(of_server(*server, plan, files)?);
    }
    if let Some(in_process) = &results.in_process {
        results.memory.push(of_program(in_process));
    }
    Ok(())
}

fn of_server(server: Server, plan: &Plan, files: &Files) -> Result<MemoryRow> {
    let (idle, after_polls) = quiet(server, plan, files)?;
    let in_flight = IN_FLIGHT.iter().map(|count| match plan.crowd(server, *count) {
        Some(polls) => crowded(server, *count, polls, files).map_err(|error| format!("{error:#}")),
        None => Err("too slow to be measured".to_owned()),
    });
    Ok(MemoryRow {
        name: server.name().to_owned(),
        is_ours: server.is_ours(),
        idle: Some(idle),
        after_polls: Some(after_polls),
        in_flight: in_flight.collect(),
        installed: Some(installed(server)?),
    })
}

fn quiet(server: Server, plan: &Plan, files: &Files) -> Result<(f64, f64)> {
    let running = server.start(files, 0)?;
    std::thread::sleep(SETTLES_IN);
    let idle = usage::memory(running.pid())?.now;
    poll(&running, files, |target| {
        target.poll(Pattern::busy(plan.size_for(server).polls), Upstream::Any)
    })?;
    Ok((idle, usage::memory(running.pid())?.now))
}

/// The peak with `count` polls in flight, and how many calls upstream a poll made.
fn crowded(server: Server, count: u64, polls: u64, files: &Files) -> Result<(f64, f64)> {
    let running = server.start(files, VENDOR_TAKES)?;
    let pattern =
        Pattern { requests: polls, connections: count / STREAMS, streams: STREAMS, rate: None };
    let loaded = poll(&running, files, |target| target.crowd(pattern))?;
    Ok((usage::memory(running.pid())?.peak, loaded.calls_each()))
}

fn poll(
    running: &Running,
    files: &Files,
    load: impl Fn(Target<'_>) -> Result<Loaded>,
) -> Result<Loaded> {
    let protocol = running.server.protocols().first().copied().context("no protocol")?;
    let sample = &running.sample(files, protocol, 1)?;
    load(Target { address: running.address(protocol), protocol, sample, mock: &running.mock })
}

fn installed(server: Server) -> Result<(f64, &'static str)> {
    Ok(match server {
        Server::Service { .. } => (programs::mib_of(&programs::service())?, "program"),
        Server::Bridge(_) => (programs::mib_of(&programs::bridge())?, "program"),
        Server::File => (programs::mib_of(&programs::declarative())?, "program"),
        Server::Bare => (programs::mib_of(&programs::bench("bare-proxy"))?, "program"),
        Server::Peer(peer) => (peer.installed_mib()?, "Python packages"),
    })
}

fn of_program(in_process: &InProcess) -> MemoryRow {
    MemoryRow {
        name: in_process::NAME.to_owned(),
        after_polls: in_process.memory.median(),
        ..MemoryRow::default()
    }
}
