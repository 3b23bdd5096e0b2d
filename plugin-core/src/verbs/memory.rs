//! What a replica remembers of its jobs.

use std::{sync::Arc, time::Duration};

use clap::builder::RangedU64ValueParser;
use jiff::Timestamp;
use moka::{policy::EvictionPolicy, sync::Cache};
use server_core::{digest::Fingerprint, duration::parse_duration};

use super::{
    Shared,
    in_flight::InFlight,
    observations::Observations,
    outcome::{Created, Executed},
    refused_jobs::RefusedJobs,
    views::Views,
};
use crate::context::Verb;

/// How long a new job may be unknown to the vendor, as in googleapis/python-bigquery#2134.
pub(super) const VISIBLE_AFTER: Duration = Duration::from_secs(60);

/// What a service remembers of its jobs.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct MemoryArgs {
    /// How long polls are answered with the last known phase while the vendor refuses to report on the
    /// job, for example because of its credentials, before the task fails. The time adds up; a
    /// successful poll resets it. Outages of the vendor do not count.
    #[arg(long, env = "PLUGIN_REFUSED_GRACE", default_value = "6h", value_parser = parse_duration)]
    pub(crate) refused_grace: Duration,

    /// Number of jobs per plugin whose last known status is remembered, about 2 KiB for each. Those
    /// polled least recently are forgotten first. As many are polled jointly with others.
    #[arg(long, env = "PLUGIN_REMEMBERED_JOBS", default_value_t = 10_000)]
    pub(crate) remembered_jobs: usize,

    /// Number of jobs per plugin for which --refused-grace is counted, about 100 bytes for each. Further
    /// ones are counted together, by task type and identity.
    #[arg(
        long,
        env = "PLUGIN_REFUSED_JOBS",
        default_value_t = 100_000,
        value_parser = RangedU64ValueParser::<usize>::new().range(..=10_000_000)
    )]
    pub(crate) refused_jobs: usize,
}

/// What this replica remembers of one plugin's tasks.
///
/// Each plugin has its own, so that plugins of one process are as separate as those of two: Flyte may
/// give tasks of both the same `output_prefix`, and so the same key.
pub(super) struct Memory {
    pub(super) creates: InFlight<Created>,
    pub(super) executions: InFlight<Executed>,
    pub(super) observations: Observations,
    /// When jobs were stopped that the vendor might not list yet.
    pub(super) stopped: Cache<Fingerprint, Timestamp>,
    pub(super) refused_jobs: RefusedJobs,
    pub(super) views: Views,
}

impl Memory {
    pub(super) fn new(shared: &Shared) -> Self {
        let metrics = || Arc::clone(&shared.metrics);
        let MemoryArgs { refused_grace, remembered_jobs, refused_jobs } = shared.memory;
        Self {
            creates: InFlight::new(Verb::Create, metrics()),
            executions: InFlight::new(Verb::Execute, metrics()),
            observations: Observations::new(remembered_jobs, metrics()),
            stopped: Cache::builder()
                .max_capacity(remembered_jobs.try_into().unwrap_or(u64::MAX))
                .time_to_live(VISIBLE_AFTER)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            refused_jobs: RefusedJobs::new(refused_grace, refused_jobs, metrics()),
            views: Views::new(shared.poll_freshness, remembered_jobs),
        }
    }

    /// Whether this replica has stopped `job` since the create at `created_at`: one with the same key, after the job was
    /// stopped, starts it anew.
    pub(super) fn has_stopped(&self, job: &Fingerprint, created_at: Timestamp) -> bool {
        // A handle has milliseconds.
        let is_older = |at: Timestamp| at.as_millisecond() > created_at.as_millisecond();
        self.stopped.get(job).is_some_and(is_older)
    }
}
