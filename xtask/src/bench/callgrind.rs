//! Instructions of a request, counted by valgrind's callgrind: nearly the same on every run.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    load::{Loaded, Pattern, Target, Upstream},
    plan::Plan,
    results::Results,
    sample::{Protocol, Sample},
    server::{CREATES_AT_ONCE, Running, Server},
};
use crate::{local_service::Files, process::program, target};

/// Requests before the count, at most: connections, caches and allocations have settled after them.
const WARM_UP: u64 = 300;
/// How old a view may get: so old that no refresh falls into the count.
pub(super) const LONG_VIEW: Server = Server::Service { freshness: "10m" };

/// A server under callgrind.
pub(super) struct Counted {
    running: Running,
    output: PathBuf,
    dumps: u32,
}

impl Counted {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(server: Server, files: &Files) -> Result<Self> {
        let output = target("bench/callgrind.out");
        fs::create_dir_all(target("bench"))?;
        let file = format!("--callgrind-out-file={}", output.display());
        let prefix = ["valgrind", "--quiet", "--tool=callgrind", &file];
        let running = server.start_behind(&prefix, files, 0)?;
        Ok(Self { running, output, dumps: 0 })
    }

    /// Creates and polls jobs.
    ///
    /// # Errors
    /// When an answer is not as it should be.
    pub(super) fn sample(&self, files: &Files, protocol: Protocol) -> Result<Sample> {
        self.running.sample(files, protocol, CREATES_AT_ONCE)
    }

    /// Instructions of a poll that is a call upstream.
    ///
    /// # Errors
    /// When an answer is not as it should be.
    pub(super) fn poll(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
    ) -> Result<f64> {
        let (instructions, _) = self.count(protocol, sample, requests, |target, requests| {
            target.poll(Pattern::alone(requests), Upstream::Each)
        })?;
        Ok(instructions)
    }

    /// Instructions of a poll that a view answers.
    ///
    /// # Errors
    /// When an answer is not as it should be, or views answered none.
    pub(super) fn view(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
    ) -> Result<f64> {
        let (instructions, loaded) =
            self.count(protocol, sample, requests, |target, requests| {
                target.poll_all(Pattern::alone(requests), Upstream::Any)
            })?;
        let calls = loaded.calls_upstream;
        ensure!(
            calls == 0,
            "{calls} of {requests} polls were calls upstream, not answered from a view"
        );
        Ok(instructions)
    }

    /// Instructions of a create.
    ///
    /// # Errors
    /// When an answer is not as it should be.
    pub(super) fn create(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
    ) -> Result<f64> {
        // One after the other, as polls are counted.
        let mut sample = sample.clone();
        sample.creates.bodies.truncate(1);
        let (instructions, _) = self.count(protocol, &sample, requests, |target, requests| {
            target.create(requests, Upstream::Each)
        })?;
        Ok(instructions)
    }

    /// Instructions of each request of a load, after a warm-up.
    fn count(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
        load: impl Fn(Target<'_>, u64) -> Result<Loaded>,
    ) -> Result<(f64, Loaded)> {
        let address = self.running.address(protocol);
        let target = Target { address, protocol, sample, mock: &self.running.mock };
        load(target, WARM_UP.min(requests))?;
        self.control("--zero")?;
        let loaded = load(target, requests)?;
        self.control("--dump")?;
        self.dumps += 1;
        let dump = format!("{}.{}", self.output.display(), self.dumps);
        let text = fs::read_to_string(&dump).with_context(|| format!("callgrind wrote no {dump}"));
        let total = total(&text?)?;
        let _ = fs::remove_file(dump);
        Ok((total as f64 / loaded.requests as f64, loaded))
    }

    fn control(&self, command: &str) -> Result<()> {
        let pid = self.running.pid().to_string();
        let output = program("callgrind_control").args([command, &pid]).output();
        let output = output.context("cannot run callgrind_control, which is part of valgrind")?;
        let printed = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || !printed.contains("OK") {
            bail!(
                "callgrind_control {command}: {printed}{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(())
    }
}

/// The number of instructions in a dump: <https://valgrind.org/docs/manual/cl-format.html>.
fn total(dump: &str) -> Result<u64> {
    let line = dump
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.context("callgrind's dump has no total")?.parse().context("callgrind's total")
}

/// Counts the instructions of `servers`.
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
        println!("  instructions of {}", server.name());
        for protocol in server.protocols().iter().take(plan.counted_protocols) {
            let (poll, create) = of_server(*server, *protocol, plan.counted, files)?;
            let row = results.row(server.name(), protocol.name(), server.is_ours());
            (row.poll_instructions, row.create_instructions) = (Some(poll), create);
        }
    }
    Ok(())
}

/// Instructions of a poll and a create. Each protocol has a process of its own: jobs that are new to a view
/// would be polled alone until it is refreshed.
fn of_server(
    server: Server,
    protocol: Protocol,
    requests: u64,
    files: &Files,
) -> Result<(f64, Option<f64>)> {
    let from_views = server.answers_from_views();
    let mut counted = Counted::start(if from_views { LONG_VIEW } else { server }, files)?;
    let sample = counted.sample(files, protocol)?;
    if from_views {
        return Ok((counted.view(protocol, &sample, requests)?, None));
    }
    let poll = counted.poll(protocol, &sample, requests)?;
    Ok((poll, Some(counted.create(protocol, &sample, requests)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_the_total_at_its_end_or_its_head() {
        let dump =
            "version: 1\nevents: Ir\nsummary: 1200\n\nfn=(1) main\n10 1200\n\ntotals: 1234\n";
        assert_eq!(total("events: Ir\ntotals: 1234\n").unwrap(), 1234);
        assert_eq!(total(dump).unwrap(), 1200);
        assert!(total("events: Ir\n").is_err());
    }
}
