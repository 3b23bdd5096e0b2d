//! CPU time, throughput and latency of all servers, in interleaved rounds: what else the machine does
//! meets all of them.

use anyhow::Result;

use super::{
    direct, in_process,
    load::{Pattern, Target, Upstream},
    plan::{Plan, QUOTED, RATE},
    results::{InProcess, Results, Row},
    sample::{Protocol, Sample},
    server::{CREATES_AT_ONCE, Running, Server},
    usage,
};
use crate::local_service::Files;

/// What a server must manage to be measured at [`RATE`].
pub(super) const CAPACITY: f64 = 1.2 * RATE as f64;

/// A running server and the samples of its protocols.
struct Measured {
    running: Running,
    samples: Vec<(Protocol, Sample)>,
}

impl Measured {
    fn start(server: Server, files: &Files) -> Result<Self> {
        println!("  starting {}", server.name());
        let running = server.start(files, 0)?;
        let sample = |protocol: &Protocol| {
            Ok((*protocol, running.sample(files, *protocol, CREATES_AT_ONCE)?))
        };
        let samples = server.protocols().iter().map(sample).collect::<Result<Vec<_>>>()?;
        Ok(Self { running, samples })
    }

    /// How many calls upstream polls and creates must cause.
    fn upstream(&self) -> (Upstream, Upstream) {
        match self.running.server {
            Server::Peer(_) | Server::Bridge(_) => (Upstream::AtLeastEach, Upstream::AtLeastEach),
            server if server.answers_from_views() => (Upstream::Any, Upstream::Each),
            _ => (Upstream::Each, Upstream::Each),
        }
    }
}

/// Measures all `servers`, and the vendor and propeller's own plugin beside them.
///
/// # Errors
/// When a server does not start, or an answer is not as it should be.
pub(super) fn measure(
    servers: &[Server],
    plan: &Plan,
    files: &Files,
    results: &mut Results,
) -> Result<()> {
    let start = |server: &Server| Measured::start(*server, files);
    let measured = servers.iter().map(start).collect::<Result<Vec<_>>>()?;
    for round in 1..=plan.rounds {
        for server in &measured {
            for (protocol, sample) in &server.samples {
                let name = server.running.server.name();
                println!("  round {round} of {}: {name}, {}", plan.rounds, protocol.name());
                let row = results.row(name, protocol.name(), server.running.server.is_ours());
                one_round(server, *protocol, sample, plan, row)?;
            }
        }
        println!("  round {round} of {}: the vendor without a server between", plan.rounds);
        direct::measure(plan, results)?;
        if plan.go {
            println!("  round {round} of {}: propeller's own plugin", plan.rounds);
            let plugin = results.in_process.get_or_insert_with(InProcess::default);
            in_process::measure(plan, plugin)?;
        }
    }
    Ok(())
}

fn one_round(
    server: &Measured,
    protocol: Protocol,
    sample: &Sample,
    plan: &Plan,
    row: &mut Row,
) -> Result<()> {
    let Measured { running, .. } = server;
    let address = running.address(protocol);
    let target = Target { address, protocol, sample, mock: &running.mock };
    let (polls, creates) = server.upstream();
    let size = plan.size_for(running.server);
    let from_views = running.server.answers_from_views();
    let poll = |count| {
        // Views are for three jobs and more.
        let poll = if from_views { Target::poll_all } else { Target::poll };
        poll(&target, Pattern::busy(count), polls)
    };
    poll(size.warm_up)?;
    let before = usage::cpu_seconds(running.pid())?;
    let loaded = poll(size.polls)?;
    let spent = usage::cpu_seconds(running.pid())? - before;
    row.poll_cpu.add(spent / loaded.requests as f64 * QUOTED);
    row.polls_a_second.add(loaded.rate());
    row.calls_a_poll.add(loaded.calls_each());
    let keeps_up = loaded.rate() > CAPACITY;

    if from_views {
        return Ok(());
    }

    let before = usage::cpu_seconds(running.pid())?;
    let loaded = target.create(size.creates, creates)?;
    let spent = usage::cpu_seconds(running.pid())? - before;
    row.create_cpu.add(spent / loaded.requests as f64 * QUOTED);

    row.alone.add(&target.timed_poll(Pattern::alone(size.alone), polls)?.times);
    if keeps_up {
        row.paced.add(&target.timed_poll(Pattern::paced(plan.paced, RATE), polls)?.times);
    }
    Ok(())
}
