//! What a replica remembers of its jobs.

use std::sync::Arc;

use super::{
    Shared,
    in_flight::InFlight,
    joint_polls::Batches,
    observations::Observations,
    outcome::{Created, Executed},
};
use crate::context::Verb;

/// What this replica remembers of one plugin's tasks.
///
/// Each plugin has its own, so that plugins of one process are as separate as those of two: Flyte may
/// give tasks of both the same `output_prefix`, and so the same key.
pub(super) struct Memory {
    pub(super) creates: InFlight<Created>,
    pub(super) executions: InFlight<Executed>,
    pub(super) observations: Observations,
    pub(super) batches: Batches,
}

impl Memory {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            creates: InFlight::new(Verb::Create, Arc::clone(&shared.metrics)),
            executions: InFlight::new(Verb::Execute, Arc::clone(&shared.metrics)),
            observations: Observations::new(shared.refused_grace),
            batches: Batches::new(shared.poll_window),
        }
    }
}
