//! `cargo xtask bench`: what the service costs, beside a bare proxy and its peers.

mod about;
pub(crate) mod budgets;
mod callgrind;
mod charts;
mod cold_start;
mod cores;
mod direct;
mod h2load;
mod in_process;
mod load;
mod memory;
mod mock;
mod peer;
mod plan;
mod programs;
mod report;
mod results;
mod rounds;
mod sample;
mod server;
mod statistics;
mod tools;
mod usage;
mod views;

use std::time::Instant;

use anyhow::Result;

use self::{
    peer::{PEERS, Peer},
    plan::Plan,
    results::Results,
    server::Server,
    tools::{H2LOAD, PYTHON, TASKSET, VALGRIND, WRK},
};
use crate::{local_service::Files, process::write, root, target};

/// Measures the BigQuery service beside a bare proxy, Flyte's connectors and propeller's own plugin.
///
/// Writes docs/benchmark.md with its charts; with --quick, target/bench/benchmark.md. Needs h2load and wrk; without valgrind, Python or Go what needs
/// them is left out. Run it on a quiet machine: every server gets one core.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The service and the bare proxy only, with fewer requests: a few minutes after the release builds, which take longer the
    /// first time. Needs no Python and no Go.
    #[arg(long)]
    quick: bool,

    /// Only count the instructions of the service's requests and compare them with tests/bench/budgets.toml.
    #[arg(long)]
    instructions: bool,

    /// Write the counts to tests/bench/budgets.toml.
    #[arg(long, requires = "instructions")]
    write: bool,
}

/// Where the report is, with a directory for its charts beside it.
const REPORT: &str = "docs/benchmark.md";
/// Where that of a quick run is.
const QUICK_REPORT: &str = "bench/benchmark.md";

/// The service without views, as it is compared with servers that have none.
const UNBATCHED: Server = Server::Service { freshness: "0s" };
/// The peer that the bridge stands before.
const BRIDGED: &str = "flyte2";
/// The service with its default.
const VIEWED: Server = Server::Service { freshness: "2s" };

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.instructions {
        return if args.write { budgets::write_counted() } else { budgets::check() };
    }
    tools::require(&[&H2LOAD, &WRK, &TASKSET])?;
    let started = Instant::now();
    let mut results = Results::default();
    programs::build()?;
    let (peers, plan) = prepare(args, &mut results)?;
    results.left_out.iter().for_each(|line| println!("  left out: {line}"));
    measure(&peers, &plan, &mut results)?;
    let report = if args.quick { target(QUICK_REPORT) } else { root().join(REPORT) };
    let charts = charts::draw(&results, &report.with_extension(""))?;
    let text = report::render(&results, &charts, &frame(args, &peers, &plan));
    write(&report, text)?;
    println!("{}, measured in {:.0?}", report.display(), started.elapsed());
    Ok(())
}

/// What can be compared here.
fn prepare(args: &Args, results: &mut Results) -> Result<(Vec<&'static Peer>, Plan)> {
    let mut plan = if args.quick { plan::QUICK } else { plan::FULL };
    plan.valgrind = VALGRIND.is_installed();
    if !plan.valgrind {
        results.left_out.push(VALGRIND.missing());
    }
    if args.quick {
        results.left_out.push("peers and propeller's plugin, by `--quick`".to_owned());
        return Ok((Vec::new(), plan));
    }
    let why = in_process::prepare()?;
    plan.go = why.is_none();
    results.left_out.extend(why.map(|why| format!("{}: {why}", in_process::NAME)));
    Ok((peers(results)?, plan))
}

fn peers(results: &mut Results) -> Result<Vec<&'static Peer>> {
    if !PYTHON.is_installed() {
        results.left_out.push(PYTHON.missing());
        return Ok(Vec::new());
    }
    let mut peers = Vec::new();
    for peer in &PEERS {
        println!("Preparing {} …", peer.title);
        match peer.prepare()? {
            None => {
                if peer.name == BRIDGED {
                    programs::build_bridge()?;
                }
                peers.push(peer);
            }
            Some(why) => results.left_out.push(format!("{}: {why}", peer.title)),
        }
    }
    Ok(peers)
}

fn measure(peers: &[&'static Peer], plan: &Plan, results: &mut Results) -> Result<()> {
    let files = Files::create("bench")?;
    let ours = [UNBATCHED, VIEWED, Server::Bare];
    // The bridge stands before the connector that it is compared with.
    let bridged = peers.iter().filter(|peer| peer.name == BRIDGED).map(|peer| Server::Bridge(peer));
    let bridged = bridged.collect::<Vec<_>>();
    let peers = peers.iter().map(|peer| Server::Peer(peer));
    let all = ours.into_iter().chain(peers).chain(bridged).collect::<Vec<_>>();
    println!("CPU time and latency, in {} interleaved rounds …", plan.rounds);
    rounds::measure(&all, plan, &files, results)?;
    println!("A thousand jobs …");
    let viewed = if plan.view_rounds > 1 { &ours[..] } else { &ours[..2] };
    views::measure(viewed, plan, &files, results)?;
    println!("Memory …");
    let each_once = all.iter().copied().filter(|server| *server != VIEWED).collect::<Vec<_>>();
    memory::measure(&each_once, plan, &files, results)?;
    println!("Cold start …");
    // That of the bridge is the connector's.
    let starting = each_once.into_iter().filter(|server| !matches!(server, Server::Bridge(_)));
    cold_start::measure(&starting.collect::<Vec<_>>(), plan, &files, results)?;
    if plan.valgrind {
        println!("Instructions …");
        callgrind::measure(&ours, plan, &files, results)?;
    }
    Ok(())
}

fn frame(args: &Args, peers: &[&Peer], plan: &Plan) -> report::Frame {
    let quick = if args.quick { " --quick" } else { "" };
    report::Frame {
        command: format!("cargo xtask bench{quick}"),
        rounds: plan.rounds,
        machine: about::machine(),
        versions: about::versions(peers, plan.go),
        cores: cores::count(),
    }
}
