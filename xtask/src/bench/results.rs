//! What a benchmark measured.

use super::statistics::{median, percentile};

/// The values of several rounds.
#[derive(Debug, Default, Clone)]
pub(super) struct Rounds(Vec<f64>);

impl Rounds {
    pub(super) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(super) fn median(&self) -> Option<f64> {
        median(&self.0)
    }

    /// The least and the greatest value.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        Some((percentile(&self.0, 0.0)?, percentile(&self.0, 1.0)?))
    }
}

/// The median and the 99th percentile of times, in milliseconds, of several rounds.
#[derive(Debug, Default, Clone)]
pub(super) struct Latency {
    p50: Rounds,
    p99: Rounds,
}

impl Latency {
    /// Adds a round.
    pub(super) fn add(&mut self, times: &[f64]) {
        self.p50.0.extend(percentile(times, 0.5));
        self.p99.0.extend(percentile(times, 0.99));
    }

    pub(super) fn p50(&self) -> Option<f64> {
        self.p50.median()
    }

    pub(super) fn p99(&self) -> Option<f64> {
        self.p99.median()
    }
}

/// A server, called with one protocol. What was not measured is `None` or has no rounds.
#[derive(Debug, Default, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) protocol: &'static str,
    pub(super) is_ours: bool,
    /// CPU-seconds for 10,000 polls, and for 10,000 creates.
    pub(super) poll_cpu: Rounds,
    pub(super) create_cpu: Rounds,
    /// Polls a second, with 32 at a time.
    pub(super) polls_a_second: Rounds,
    pub(super) calls_a_poll: Rounds,
    /// Polls one after the other.
    pub(super) alone: Latency,
    /// Polls at [`RATE`](super::plan::RATE).
    pub(super) paced: Latency,
    pub(super) poll_instructions: Option<f64>,
    pub(super) create_instructions: Option<f64>,
    pub(super) cold_start: Rounds,
}

/// Memory of a server, in MiB.
#[derive(Debug, Default, Clone)]
pub(super) struct MemoryRow {
    pub(super) name: String,
    pub(super) is_ours: bool,
    pub(super) idle: Option<f64>,
    pub(super) after_polls: Option<f64>,
    /// For each number of polls in flight, the peak, and how many calls upstream each made;
    /// otherwise why there is no such value.
    pub(super) in_flight: Vec<Result<(f64, f64), String>>,
    /// What is installed: the size of an image, a program or an environment.
    pub(super) installed: Option<(f64, &'static str)>,
}

/// Polls of a thousand jobs.
#[derive(Debug, Default, Clone)]
pub(super) struct ViewRow {
    pub(super) name: String,
    pub(super) is_ours: bool,
    pub(super) callers: u64,
    /// In milliseconds.
    pub(super) p50: Rounds,
    pub(super) p99: Rounds,
    pub(super) polls_a_second: Rounds,
    pub(super) calls_a_poll: Rounds,
}

/// Propeller's own plugin, which has no server.
#[derive(Debug, Default, Clone)]
pub(super) struct InProcess {
    pub(super) poll_cpu: Rounds,
    pub(super) create_cpu: Rounds,
    pub(super) alone_p50: Rounds,
    pub(super) memory: Rounds,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) rows: Vec<Row>,
    /// The mock vendor, called without a server between.
    pub(super) direct: Latency,
    pub(super) direct_alone: Latency,
    pub(super) in_process: Option<InProcess>,
    pub(super) memory: Vec<MemoryRow>,
    pub(super) views: Vec<ViewRow>,
    /// What was not compared, and why.
    pub(super) left_out: Vec<String>,
}

impl Results {
    /// The row of a server and a protocol; a new one if they have none yet.
    pub(super) fn row(&mut self, name: &str, protocol: &'static str, is_ours: bool) -> &mut Row {
        let is_it = |row: &Row| row.name == name && row.protocol == protocol;
        let at = self.rows.iter().position(is_it).unwrap_or_else(|| {
            self.rows.push(Row { name: name.to_owned(), protocol, is_ours, ..Row::default() });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }
}
