//! Views: what joint polls found of the jobs of a group, so that polls are answered at once.
//!
//! A poll is answered from its group's view while that is fresh. The poll that finds a view half as old as
//! it may get has it refreshed, in the background. No task outlives its refresh: a group that nobody polls
//! costs nothing.

mod arrivals;
mod demand;
mod kept;
mod lag;
mod places;
mod refusals;
mod view;

use std::sync::Arc;

use server_core::{Error, Kind, Result, digest::Fingerprint, telemetry::TRACE_TARGET};
use tokio::{
    sync::watch,
    task::yield_now,
    time::{Instant, timeout_at},
};
use tracing::{Instrument as _, Span};

pub(super) use self::kept::Views;
use self::{
    refusals::{GroupKey, SEPARATE_AFTER_REFUSAL},
    view::{Answer, End, Finding, Next, Refresh, Seen, Start, Turn, View},
};
use super::{Opened, POLL_TIME, ServedAsync, Verbs};
use crate::{
    context::{Context, Deadline},
    erased::Poll,
    plugin::JointStatus,
    task::Status,
    upstream::RESPONSE_TOO_LARGE,
};

/// How many findings are remembered before other tasks get a turn.
const JOBS_PER_STEP: usize = 500;

/// How a job is polled.
pub(super) enum Polled {
    /// It was: by a joint poll.
    Jointly(Arc<Status>),
    /// It has to be polled alone, and then the turn ends.
    Alone(Option<Turn>),
}

impl Verbs {
    /// Polls a job jointly with others, if that is possible.
    pub(super) async fn poll_jointly(
        self: &Arc<Self>,
        opened: &Opened,
        cx: &Context,
        meta: &[u8],
    ) -> Result<Polled> {
        let views = &opened.served.memory.views;
        if views.freshness.is_zero() {
            return Ok(Polled::Alone(None));
        }
        let plugin = Arc::clone(&opened.served.plugin);
        let Some(group) = plugin.group(cx.clone(), meta.to_vec()).await? else {
            return Ok(Polled::Alone(None));
        };
        let group = (opened.served.task_type.name, group);
        let poll = || Poll { meta: meta.to_vec(), created_at: cx.created_at() };
        if let Err(error) = views.refusals.check_paused(&group) {
            // It is asked for: a list is due when the pause ends.
            views.watching(group, opened.fingerprint, poll);
            let seen = views.fresh(&group, &opened.fingerprint);
            return match seen.map(|seen| self.answer(opened, &seen, meta)) {
                Some(Polled::Jointly(status)) => Ok(Polled::Jointly(status)),
                Some(Polled::Alone(_)) | None => Err(error),
            };
        }
        if views.refusals.is_separate(&group) {
            return Ok(Polled::Alone(None));
        }
        match views.watching(group, opened.fingerprint, poll) {
            Some(view) => self.poll_in(&view, group, opened, cx, meta).await,
            None => Ok(Polled::Alone(None)),
        }
    }

    /// Polls a job that `view` watches.
    async fn poll_in(
        self: &Arc<Self>,
        view: &Arc<View>,
        group: GroupKey,
        opened: &Opened,
        cx: &Context,
        meta: &[u8],
    ) -> Result<Polled> {
        let freshness = opened.served.memory.views.freshness;
        // Leaves time to look at the job alone.
        let mut until = Instant::now() + cx.deadline().remaining() * 2 / 3;
        let mut has_waited = false;
        loop {
            let Next { answer, start } = view.next(&opened.fingerprint, freshness, has_waited);
            if let Some(start) = start {
                self.start(start, view, group, &opened.served, cx);
            }
            let ended = match answer {
                Answer::Seen(seen) => return Ok(self.answer(opened, &seen, meta)),
                Answer::Alone(turn) => return Ok(Polled::Alone(turn)),
                Answer::Wait(ended) => ended,
            };
            let end = match timeout_at(until, end_of(ended.clone())).await {
                Ok(end) => end,
                Err(_) => match view.late_turn() {
                    Some(turn) => return Ok(Polled::Alone(Some(turn))),
                    // All who wait would call a vendor that is slow as it is.
                    None => {
                        until = cx.deadline().instant();
                        end_of(ended).await
                    }
                },
            };
            let Some(end) = end else { return Ok(Polled::Alone(None)) };
            end?;
            // A job that has ended is watched no more.
            if let Some(ended) = opened.served.memory.observations.ended(opened.fingerprint) {
                return Ok(Polled::Jointly(ended));
            }
            has_waited = true;
        }
    }

    /// The answer to a poll from what a refresh found.
    fn answer(&self, opened: &Opened, seen: &Seen, meta: &[u8]) -> Polled {
        let status = match &seen.finding {
            Finding::Status(status) => Some(Arc::clone(status)),
            Finding::NotEnded => {
                let first = || self.describe(&opened.served, meta);
                let (job, created_at) = (opened.fingerprint, opened.handle.created_at);
                opened.served.memory.observations.still_running(job, created_at, first)
            }
            Finding::Alone => None,
        };
        status.map_or(Polled::Alone(None), |status| {
            self.shared.metrics.view_age.observe(seen.at.elapsed().as_secs_f64());
            Polled::Jointly(status)
        })
    }

    /// Starts a refresh, which no caller has to wait for.
    fn start(
        self: &Arc<Self>,
        start: Start,
        view: &Arc<View>,
        group: GroupKey,
        served: &ServedAsync,
        cx: &Context,
    ) {
        let (this, view, served, cx) =
            (Arc::clone(self), Arc::clone(view), served.clone(), cx.clone());
        self.shared.tasks.spawn(async move {
            let refresh = view.open(start, served.memory.views.freshness).await;
            // The vendor has all of it, however long those who came took to be noted.
            let deadline = Deadline::after(this.shared.request_timeout.min(POLL_TIME));
            let cx = cx.with_deadline(deadline).counting_calls(Arc::clone(&refresh.calls));
            let span = refresh_span(refresh.jobs.len());
            let found = this.refresh(group, &served, &cx, &refresh).instrument(span).await;
            let findings = match found {
                Ok(found) => Ok(this.findings(&served, &cx, &refresh, found).await),
                Err(error) => Err(error),
            };
            view.end(refresh, findings);
        });
    }

    /// What the vendor says of the jobs of `refresh`: nothing, if they have to be polled separately.
    async fn refresh(
        &self,
        group: GroupKey,
        served: &ServedAsync,
        cx: &Context,
        refresh: &Refresh,
    ) -> Result<Vec<JointStatus>> {
        let refusals = &served.memory.views.refusals;
        let polls = refresh.jobs.iter().map(|(_, poll)| poll.clone()).collect();
        let work = self.guarded(Arc::clone(&served.plugin).get_many(cx.clone(), polls));
        let (result, lag) = lag::during(timeout_at(cx.deadline().instant(), work)).await;
        let result = result.unwrap_or_else(|_| {
            Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"))
        });
        self.shared.metrics.refreshed(served.task_type.name, result.as_ref().err());
        match result {
            Ok(found) => {
                refusals.note_success(&group);
                Ok(found)
            }
            // It was this process that took the time: separate polls would take more of it.
            Err(error) if error.kind() == Kind::DeadlineExceeded && lag.is_long() => {
                tracing::warn!(%lag, "a joint poll timed out because the process is overloaded");
                Err(error)
            }
            // Separate polls would only add load to a failing upstream. An answer about all that is too large says
            // nothing of any.
            Err(error)
                if error.kind().is_transient() && error.code() != Some(RESPONSE_TOO_LARGE) =>
            {
                refusals.note_failure(group, &error);
                Err(error)
            }
            Err(error) => {
                refusals.separate(group, SEPARATE_AFTER_REFUSAL, &error);
                Ok(Vec::new())
            }
        }
    }

    /// A finding for each job of `refresh`, once it is remembered.
    async fn findings(
        &self,
        served: &ServedAsync,
        cx: &Context,
        refresh: &Refresh,
        found: Vec<JointStatus>,
    ) -> Vec<Finding> {
        let (mut found, mut findings) = (found.into_iter(), Vec::new());
        for (job, _) in &refresh.jobs {
            findings.push(self.finding(served, cx, *job, found.next()));
            if findings.len() % JOBS_PER_STEP == 0 {
                yield_now().await;
            }
        }
        findings
    }

    fn finding(
        &self,
        served: &ServedAsync,
        cx: &Context,
        job: Fingerprint,
        found: Option<JointStatus>,
    ) -> Finding {
        match found.unwrap_or(JointStatus::Alone) {
            JointStatus::Status(status) => Finding::Status(self.remember(served, cx, job, status)),
            JointStatus::NotEnded => {
                served.memory.refused_jobs.answered(job, cx);
                Finding::NotEnded
            }
            JointStatus::Alone => Finding::Alone,
        }
    }
}

/// How the refresh ended; `None` if its task is gone.
async fn end_of(mut ended: watch::Receiver<Option<End>>) -> Option<End> {
    ended.wait_for(Option::is_some).await.ok()?.clone()
}

/// The span of a refresh. It has no parent, because it belongs to several requests.
fn refresh_span(polls: usize) -> Span {
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
