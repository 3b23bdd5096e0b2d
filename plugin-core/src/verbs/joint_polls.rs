//! Joint polls: polls of one group are answered by one call, where the vendor has a call for that.

mod queue;

use std::{collections::HashMap, sync::Arc, time::Duration};

use server_core::{Error, Kind, Result, telemetry::TRACE_TARGET};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout, timeout_at},
};
use tracing::{Instrument as _, Span};

pub(super) use self::queue::Batches;
use self::queue::{GroupGuard, GroupKey, PendingPoll, Reply, SEPARATE_AFTER_REFUSAL};
use super::{Opened, ServedAsync, Verbs};
use crate::{
    context::{Context, Deadline},
    erased::Poll,
    plugin::JointStatus,
    task::Status,
};

/// The fewest jobs that are polled jointly: for fewer, separate polls are as cheap and more
/// detailed.
const MIN_BATCH: usize = 3;
/// The longest that polls wait for others, while many arrive.
const MAX_WINDOW: Duration = Duration::from_millis(1500);

impl Verbs {
    /// Polls a job jointly with others; `None` if it has to be polled separately.
    pub(super) async fn poll_jointly(
        self: &Arc<Self>,
        opened: &Opened,
        cx: &Context,
        meta: &[u8],
    ) -> Result<Option<Status>> {
        let batches = &opened.served.memory.batches;
        if batches.window.is_zero() {
            return Ok(None);
        }
        let plugin = Arc::clone(&opened.served.plugin);
        let Some(group) = plugin.group(cx.clone(), meta.to_vec()).await? else {
            return Ok(None);
        };
        let group = (opened.served.task_type.name, group);
        batches.check_paused(&group)?;
        if batches.is_separate(&group) {
            return Ok(None);
        }
        let (reply, replied) = oneshot::channel();
        let poll = Poll { meta: meta.to_vec(), created_at: cx.created_at() };
        if batches.enqueue(group, PendingPoll { job: opened.fingerprint, poll, reply }) {
            let (this, served, cx) = (Arc::clone(self), opened.served.clone(), cx.clone());
            // Outside of this request's span: the task may poll the group for hours.
            self.shared.tasks.spawn(async move { this.poll_batches(group, &served, &cx).await });
        }
        // Leaves time for a separate poll.
        match timeout(cx.deadline().remaining() * 2 / 3, replied).await {
            Ok(Ok(Reply::Joint(status))) => status.map(Some),
            Ok(Ok(Reply::Separate) | Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Polls a group round by round, until no polls arrive.
    async fn poll_batches(&self, group: GroupKey, served: &ServedAsync, cx: &Context) {
        let batches = &served.memory.batches;
        let _guard = GroupGuard { batches, group };
        let mut window = batches.window;
        loop {
            sleep(window).await;
            let batch = batches.next(&group);
            if batch.is_empty() {
                return;
            }
            // Under load, waiting longer joins more polls; a few polls do not wait.
            window = match batch.len() {
                ..MIN_BATCH => batches.window,
                _ => (window * 8).min(MAX_WINDOW),
            };
            self.poll_batch(group, served, cx, batch).await;
        }
    }

    async fn poll_batch(
        &self,
        group: GroupKey,
        served: &ServedAsync,
        cx: &Context,
        batch: Vec<PendingPoll>,
    ) {
        let outcomes = match batch.len() {
            ..MIN_BATCH => Vec::new(),
            many => self.poll_many(group, served, cx, &batch).instrument(joint_span(many)).await,
        };
        let mut outcomes = outcomes.into_iter();
        for pending in batch {
            let reply = match outcomes.next().unwrap_or(Ok(JointStatus::Alone)) {
                Ok(status) => self.reply(served, cx, &pending, status),
                Err(error) => Reply::Joint(Err(error)),
            };
            if matches!(reply, Reply::Joint(Ok(_))) {
                self.shared.metrics.joint_polls.inc();
            }
            let _ = pending.reply.send(reply);
        }
    }

    fn reply(
        &self,
        served: &ServedAsync,
        cx: &Context,
        pending: &PendingPoll,
        status: JointStatus,
    ) -> Reply {
        let status = match status {
            JointStatus::Status(status) => {
                self.remember(served, cx, pending.job, &status);
                Some(status)
            }
            JointStatus::NotEnded => {
                served.memory.refused_jobs.answered(pending.job, cx);
                let first = || self.describe(served, &pending.poll.meta);
                let created_at = pending.poll.created_at;
                served.memory.observations.still_running(pending.job, created_at, first)
            }
            JointStatus::Alone => None,
        };
        status.map_or(Reply::Separate, |status| Reply::Joint(Ok(status)))
    }

    /// The outcome for each poll of `batch`; empty if all have to be polled separately.
    async fn poll_many(
        &self,
        group: GroupKey,
        served: &ServedAsync,
        cx: &Context,
        batch: &[PendingPoll],
    ) -> Vec<Result<JointStatus>> {
        let batches = &served.memory.batches;
        let cx = cx.with_deadline(Deadline::after(self.shared.request_timeout));
        let (polls, places) = distinct(batch);
        let work = self.guarded(Arc::clone(&served.plugin).get_many(cx.clone(), polls));
        let timed_out =
            || Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"));
        let result = timeout_at(cx.deadline().instant(), work).await;
        match result.unwrap_or_else(|_| timed_out()) {
            Ok(statuses) => {
                batches.failed.invalidate(&group);
                let status = |place: usize| statuses.get(place).cloned();
                places.map(|place| Ok(status(place).unwrap_or(JointStatus::Alone))).collect()
            }
            // Separate polls would only add load to a failing upstream.
            Err(error) if error.kind().is_transient() => {
                batches.note_failure(group);
                batches.pause(group, &error);
                batch.iter().map(|_| Err(error.clone())).collect()
            }
            Err(error) => {
                tracing::warn!(%error, cause = error.chain(), "joint polls are off for a while");
                batches.separate(group, SEPARATE_AFTER_REFUSAL);
                Vec::new()
            }
        }
    }
}

/// The polls of distinct jobs among `batch`, and the place of each poll's job among them: a job may be polled
/// again before its last poll is answered.
fn distinct(batch: &[PendingPoll]) -> (Vec<Poll>, impl Iterator<Item = usize> + use<>) {
    let (mut polls, mut known) = (Vec::new(), HashMap::new());
    let places = batch.iter().map(|pending| {
        *known.entry(pending.job).or_insert_with(|| {
            polls.push(pending.poll.clone());
            polls.len() - 1
        })
    });
    let places = places.collect::<Vec<_>>();
    (polls, places.into_iter())
}

/// The span of a joint poll. It has no parent, because it belongs to several requests.
fn joint_span(polls: usize) -> Span {
    tracing::info_span!(
        target: TRACE_TARGET,
        parent: None,
        "polls",
        otel.name = "joined polls",
        polls,
    )
}

#[cfg(test)]
mod tests;
