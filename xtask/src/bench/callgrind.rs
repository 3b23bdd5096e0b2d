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

/// Requests before the count: connections, caches and allocations have settled after them.
const WARM_UP: u64 = 500;
/// How old a view may get: so old that no refresh falls into the count.
pub(super) const LONG_VIEW: Server = Server::Service { freshness: "1m" };

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

    /// Instructions of a poll.
    ///
    /// # Errors
    /// When an answer is not as it should be.
    pub(super) fn poll(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
        answered_from_views: bool,
    ) -> Result<f64> {
        self.count(protocol, sample, requests, |target, requests| {
            let upstream = if answered_from_views { Upstream::Any } else { Upstream::Each };
            let loaded = target.poll(Pattern::alone(requests), upstream)?;
            let from_views =
                !answered_from_views || loaded.calls_upstream == 0 || requests == WARM_UP;
            ensure!(from_views, "{} polls were not answered from a view", loaded.calls_upstream);
            Ok(loaded)
        })
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
        self.count(protocol, &sample, requests, |target, requests| {
            target.create(requests, Upstream::Each)
        })
    }

    fn count(
        &mut self,
        protocol: Protocol,
        sample: &Sample,
        requests: u64,
        load: impl Fn(Target<'_>, u64) -> Result<Loaded>,
    ) -> Result<f64> {
        let address = self.running.address(protocol);
        let target = Target { address, protocol, sample, mock: &self.running.mock };
        load(target, WARM_UP)?;
        self.control("--zero")?;
        let loaded = load(target, requests)?;
        self.control("--dump")?;
        self.dumps += 1;
        let dump = format!("{}.{}", self.output.display(), self.dumps);
        let text = fs::read_to_string(&dump).with_context(|| format!("callgrind wrote no {dump}"));
        let total = total(&text?)?;
        let _ = fs::remove_file(dump);
        Ok(total as f64 / loaded.requests as f64)
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
        let from_views = server.answers_from_views();
        let counted = if from_views { LONG_VIEW } else { *server };
        let mut counted = Counted::start(counted, files)?;
        for protocol in server.protocols() {
            let sample = counted.sample(files, *protocol)?;
            let poll = counted.poll(*protocol, &sample, plan.counted, from_views)?;
            let create = if from_views {
                None
            } else {
                Some(counted.create(*protocol, &sample, plan.counted)?)
            };
            let row = results.row(server.name(), protocol.name(), server.is_ours());
            row.poll_instructions = Some(poll);
            row.create_instructions = create;
        }
    }
    Ok(())
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
