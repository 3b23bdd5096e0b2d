//! Loads, sent by h2load, whose every answer is checked.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    cores::{Core, pinned},
    h2load::{self, Summary},
    mock::Mock,
    sample::{Protocol, Sample},
};
use crate::process::program;

/// How many seconds a load may take.
const TIMEOUT: &str = "120";

/// Where a load goes, and what its answers have to be.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) sample: &'a Sample,
    pub(super) mock: &'a Mock,
}

/// How many requests, and how many at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pattern {
    pub(super) requests: u64,
    pub(super) connections: u64,
    /// Requests at once on a connection of HTTP/2.
    pub(super) streams: u64,
    /// Requests a second, over all connections; otherwise the next is sent when one is answered.
    pub(super) rate: Option<u64>,
}

/// How many calls upstream a load must cause.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upstream {
    /// One for each request.
    Each,
    /// At least one for each request.
    AtLeastEach,
    /// However many.
    Any,
}

/// A load whose answers were all as they should be.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) requests: u64,
    pub(super) seconds: f64,
    pub(super) calls_upstream: u64,
    /// How long each request took, in milliseconds, if that was asked for.
    pub(super) times: Vec<f64>,
}

impl Loaded {
    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Calls upstream a request.
    pub(super) fn calls_each(&self) -> f64 {
        self.calls_upstream as f64 / self.requests as f64
    }
}

impl Pattern {
    /// The polls whose CPU time is measured: 32 at a time.
    pub(super) const fn busy(requests: u64) -> Self {
        Self { requests, connections: 8, streams: 4, rate: None }
    }

    /// One at a time.
    pub(super) const fn alone(requests: u64) -> Self {
        Self { requests, connections: 1, streams: 1, rate: None }
    }

    /// At a rate, with requests evenly spaced: ten connections that start one after the other.
    pub(super) const fn paced(requests: u64, rate: u64) -> Self {
        Self { requests, connections: 10, streams: 10, rate: Some(rate) }
    }

    fn arguments(self, protocol: Protocol) -> Vec<String> {
        let Self { requests, mut connections, mut streams, rate } = self;
        let mut arguments = vec!["-T".to_owned(), TIMEOUT.to_owned()];
        if protocol == Protocol::Rest {
            // HTTP/1.1 has one request at a time on a connection.
            arguments.push("--h1".to_owned());
            if rate.is_none() {
                connections *= streams;
            }
            streams = 1;
        }
        if let Some(rate) = rate {
            // Each connection has a timer of its own. Started at intervals, they do not fire together.
            arguments.push(format!("--rps={}", rate / connections));
            arguments.extend(["-r".to_owned(), "1".to_owned()]);
            arguments.push(format!("--rate-period={}ms", (1000 / rate).max(1)));
        }
        let numbers = [("-n", requests), ("-c", connections), ("-m", streams)];
        arguments.extend(numbers.iter().flat_map(|(flag, n)| [(*flag).to_owned(), n.to_string()]));
        arguments
    }
}

impl Target<'_> {
    /// Polls one job.
    ///
    /// # Errors
    /// When an answer is not what the sample's was.
    pub(super) fn poll(&self, pattern: Pattern, upstream: Upstream) -> Result<Loaded> {
        let command = self.poll_command(pattern);
        self.run(vec![command], pattern.requests, Some(self.sample.poll.bytes), upstream)
    }

    /// Polls all jobs of the sample, over gRPC each job on a connection of its own.
    ///
    /// # Errors
    /// When an answer is not what the sample's was.
    pub(super) fn poll_all(&self, pattern: Pattern, upstream: Upstream) -> Result<Loaded> {
        let poll = &self.sample.poll;
        if let Some(paths) = &poll.paths {
            let mut command = self.h2load_without_uri(pattern);
            command.args(["-B", &format!("http://{}", self.address), "-i", paths]);
            // An error of REST has another status. When a job was created, and so an answer's size, differs.
            return self.run(vec![command], pattern.requests, None, upstream);
        }
        let jobs = poll.bodies.len() as u64;
        let each = Pattern { requests: pattern.requests / jobs, connections: 1, ..pattern };
        let command = |body: &String| {
            let mut command = self.h2load(each, &poll.path);
            command.args(["-d", body]);
            command
        };
        let commands = poll.bodies.iter().map(command).collect();
        self.run(commands, each.requests * jobs, Some(poll.bytes), upstream)
    }

    /// Polls one job, and returns how long each poll took.
    ///
    /// # Errors
    /// When an answer is not what the sample's was.
    pub(super) fn timed_poll(&self, pattern: Pattern, upstream: Upstream) -> Result<Loaded> {
        let mut command = self.poll_command(pattern);
        let log = Log::new(self.address)?;
        command.arg(format!("--log-file={}", log.path.display()));
        let bytes = Some(self.sample.poll.bytes);
        let loaded = self.run(vec![command], pattern.requests, bytes, upstream)?;
        Ok(Loaded { times: log.times()?, ..loaded })
    }

    /// Polls so many at once that some are answered otherwise than the sample's: sizes are not checked.
    ///
    /// # Errors
    /// When a status is not a success.
    pub(super) fn crowd(&self, pattern: Pattern) -> Result<Loaded> {
        let command = self.poll_command(pattern);
        self.run(vec![command], pattern.requests, None, Upstream::Any)
    }

    /// Creates jobs: each of the sample's bodies on a connection of its own, over and over.
    ///
    /// # Errors
    /// When an answer is not what the sample's was.
    pub(super) fn create(&self, requests: u64, upstream: Upstream) -> Result<Loaded> {
        let creates = &self.sample.creates;
        let each = requests / creates.bodies.len() as u64;
        let command = |body: &String| {
            let mut command = self.h2load(Pattern::alone(each), &creates.path);
            command.args(["-d", body, "-H", &format!(":method: {}", creates.method)]);
            command
        };
        let commands = creates.bodies.iter().map(command).collect::<Vec<_>>();
        let requests = each * creates.bodies.len() as u64;
        self.run(commands, requests, Some(creates.bytes), upstream)
    }

    fn h2load(&self, pattern: Pattern, path: &str) -> Command {
        let mut command = self.h2load_without_uri(pattern);
        command.arg(format!("http://{}{path}", self.address));
        command
    }

    fn h2load_without_uri(&self, pattern: Pattern) -> Command {
        let mut command = program("h2load");
        command.args(pattern.arguments(self.protocol));
        for header in &self.sample.headers {
            command.args(["-H", header]);
        }
        command
    }

    fn poll_command(&self, pattern: Pattern) -> Command {
        let mut command = self.h2load(pattern, &self.sample.poll.path);
        if let Some(body) = self.sample.poll.bodies.first() {
            command.args(["-d", body]);
        }
        command
    }

    /// Runs h2load, several at once, and checks all answers; their `bytes` are those of each answer.
    fn run(
        &self,
        commands: Vec<Command>,
        requests: u64,
        bytes: Option<u64>,
        upstream: Upstream,
    ) -> Result<Loaded> {
        let before = self.mock.calls()?;
        let summary = at_once(commands)?;
        let calls_upstream = self.mock.calls()? - before;
        check(&summary, requests, bytes)?;
        match upstream {
            Upstream::Each => ensure!(
                calls_upstream == requests,
                "{requests} requests made {calls_upstream} calls upstream, not one each"
            ),
            Upstream::AtLeastEach => ensure!(
                calls_upstream >= requests,
                "{requests} requests made only {calls_upstream} calls upstream"
            ),
            Upstream::Any => {}
        }
        Ok(Loaded { requests, seconds: summary.seconds, calls_upstream, times: Vec::new() })
    }
}

fn at_once(commands: Vec<Command>) -> Result<Summary> {
    let start = |command: Command| {
        let mut command = pinned(&command, Core::Load);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("cannot run h2load")
    };
    let mut started = Vec::new();
    for command in commands {
        match start(command) {
            Ok(h2load) => started.push(h2load),
            Err(error) => {
                started.iter_mut().for_each(|h2load| drop(h2load.kill()));
                return Err(error);
            }
        }
    }
    let ended = started.into_iter().map(summary_of).collect::<Vec<_>>();
    ended.into_iter().try_fold(Summary::default(), |all, one| Ok(all.join(&one?)))
}

fn summary_of(h2load: Child) -> Result<Summary> {
    let output = h2load.wait_with_output()?;
    if !output.status.success() {
        bail!("h2load failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Summary::parse(&String::from_utf8_lossy(&output.stdout))
}

/// A success over gRPC is a status 200 with a message: an error has the same status, and no message.
fn check(summary: &Summary, requests: u64, bytes: Option<u64>) -> Result<()> {
    let Summary { succeeded, status_2xx, data, .. } = summary;
    ensure!(
        *succeeded == requests && *status_2xx == requests,
        "of {requests} requests {succeeded} were answered and {status_2xx} had a status of success"
    );
    let wanted = bytes.map(|bytes| bytes * requests);
    ensure!(
        wanted.is_none_or(|wanted| wanted == *data),
        "{requests} answers have {data} bytes, not {}: some of them are errors",
        wanted.unwrap_or_default()
    );
    Ok(())
}

/// A file for the time of each request, removed afterwards.
struct Log {
    path: PathBuf,
}

impl Log {
    fn new(address: SocketAddr) -> Result<Self> {
        let path = crate::target("bench").join(format!("times-{}", address.port()));
        crate::process::write(&path, "")?;
        Ok(Self { path })
    }

    fn times(&self) -> Result<Vec<f64>> {
        h2load::times(&std::fs::read_to_string(&self.path)?)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path as &Path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_an_error_fails_the_run() {
        let good = || Summary { seconds: 1.0, succeeded: 10, status_2xx: 10, data: 120 };
        check(&good(), 10, Some(12)).unwrap();
        let one_is_empty = Summary { data: 108, ..good() };
        let error = check(&one_is_empty, 10, Some(12)).unwrap_err().to_string();
        assert_eq!(error, "10 answers have 108 bytes, not 120: some of them are errors");
        check(&one_is_empty, 10, None).unwrap();
        let one_is_refused = Summary { status_2xx: 9, ..good() };
        let error = check(&one_is_refused, 10, Some(12)).unwrap_err().to_string();
        assert!(error.contains("9 had a status of success"), "{error}");
    }

    #[test]
    fn rest_has_as_many_requests_at_once_on_more_connections() {
        let line = |protocol| Pattern::busy(100).arguments(protocol).join(" ");
        assert_eq!(line(Protocol::Flyte1), "-T 120 -n 100 -c 8 -m 4");
        assert_eq!(line(Protocol::Rest), "-T 120 --h1 -n 100 -c 32 -m 1");
    }

    #[test]
    fn connections_of_a_paced_load_start_one_after_the_other() {
        let line = Pattern::paced(1000, 500).arguments(Protocol::Flyte1).join(" ");
        assert_eq!(line, "-T 120 --rps=50 -r 1 --rate-period=2ms -n 1000 -c 10 -m 10");
    }
}
