//! The lives of two jobs: one that ends by itself, and one that is deleted.

use std::time::Duration;

use plugin_core::testing::Dialect;
use serde_json::Value as Json;
use tokio::time::{Instant, sleep};

use super::Session;
use crate::{
    status::{CallError, JobStatus},
    target::Created,
    task::Task,
    verdict::{Checked, skipped},
};

/// How many rounds of polls follow the end of a job.
const AFTER_END: usize = 2;
/// How many rounds of nothing but errors end the polling.
const HOPELESS: usize = 6;

/// One poll of a job.
pub(crate) struct Poll {
    pub(crate) dialect: Dialect,
    pub(crate) result: Result<JobStatus, CallError>,
    pub(crate) took: Duration,
}

/// A job that was created over each protocol, and polled over each until it ended, and after.
pub(crate) struct SharedJob {
    pub(crate) task: Task,
    /// All of the same prefix, one after the other: the first is the create, the others are repeats.
    pub(crate) created: Vec<(Dialect, Created)>,
    /// In their order.
    pub(crate) polls: Vec<Poll>,
}

impl SharedJob {
    pub(super) async fn run(session: &Session, task: Task) -> Self {
        let mut created = Vec::new();
        let again = session.dialects.first();
        for dialect in session.dialects.iter().chain(again) {
            created.push((*dialect, session.target.create(*dialect, &task).await));
        }
        let mut job = Self { task, created, polls: Vec::new() };
        if let Some(handle) = job.handle().ok().map(<[u8]>::to_vec) {
            job.polls = session.poll_to_the_end(&job.task, &handle).await;
        }
        job
    }

    /// The handle of the first create.
    pub(crate) fn handle(&self) -> Checked<&[u8]> {
        match self.created.first() {
            Some((_, Ok(handle))) => Ok(handle),
            _ => Err(skipped("the create failed (create/gives-a-handle)")),
        }
    }

    /// The statuses over `dialect`, in their order.
    pub(crate) fn statuses(&self, dialect: Dialect) -> impl Iterator<Item = &JobStatus> {
        let polls = self.polls.iter().filter(move |poll| poll.dialect == dialect);
        polls.filter_map(|poll| poll.result.as_ref().ok())
    }

    /// The first status of the job's end over each protocol, if that is a success.
    pub(crate) fn successes(&self) -> Checked<Vec<(Dialect, &JobStatus)>> {
        self.handle()?;
        let mut dialects = Vec::new();
        self.polls.iter().for_each(|poll| {
            if !dialects.contains(&poll.dialect) {
                dialects.push(poll.dialect);
            }
        });
        let end = |dialect| {
            let ended = self.statuses(dialect).find(|status| status.is_terminal());
            match ended.filter(|status| status.phase == "SUCCEEDED") {
                Some(status) => Ok((dialect, status)),
                None => Err(skipped("the task did not succeed (get/task-succeeds)")),
            }
        };
        dialects.into_iter().map(end).collect()
    }
}

/// A job that was deleted over each protocol, over the first twice, and polled afterwards.
pub(crate) struct DeletedJob {
    pub(crate) created: Created,
    pub(crate) deleted: Vec<(Dialect, Result<(), CallError>)>,
    /// The last status, if there is one.
    pub(crate) last: Option<JobStatus>,
}

impl DeletedJob {
    pub(super) async fn run(session: &Session, task: Task) -> Self {
        let Some(first) = session.dialects.first().copied() else {
            return Self { created: Ok(Vec::new()), deleted: Vec::new(), last: None };
        };
        let created = session.target.create(first, &task).await;
        let (mut deleted, mut last) = (Vec::new(), None);
        if let Ok(handle) = &created {
            for dialect in std::iter::once(first).chain(session.dialects.iter().copied()) {
                deleted.push((dialect, session.target.delete(dialect, &task, handle).await));
            }
            // Its vendor may have a minute in which it does not list new jobs, and the limit may be that.
            let limit = session.time_limit * 5 / 4;
            last = session.poll_one_to_the_end(first, &task, handle, limit).await;
        }
        Self { created, deleted, last }
    }
}

impl Session {
    /// Polls a job over each protocol until it has ended over all of them, and some times more.
    async fn poll_to_the_end(&self, task: &Task, handle: &[u8]) -> Vec<Poll> {
        let until = Instant::now() + self.time_limit;
        let (mut polls, mut after, mut errors) = (Vec::new(), 0, 0);
        while after <= AFTER_END && errors < HOPELESS {
            let round = self.poll_round(task, handle).await;
            let ended = |poll: &Poll| poll.result.as_ref().is_ok_and(JobStatus::is_terminal);
            after += usize::from(after > 0 || round.iter().all(ended));
            errors = if round.iter().all(|poll| poll.result.is_err()) { errors + 1 } else { 0 };
            polls.extend(round);
            if after == 0 && Instant::now() >= until {
                break;
            }
            sleep(self.poll_interval).await;
        }
        polls
    }

    async fn poll_round(&self, task: &Task, handle: &[u8]) -> Vec<Poll> {
        let mut polls = Vec::new();
        for dialect in &self.dialects {
            let started = Instant::now();
            let result = self.target.get(*dialect, task, handle).await;
            polls.push(Poll { dialect: *dialect, result, took: started.elapsed() });
        }
        polls
    }

    /// Polls a job over one protocol until it has ended, for `limit`; returns the last status.
    pub(crate) async fn poll_one_to_the_end(
        &self,
        dialect: Dialect,
        task: &Task,
        handle: &[u8],
        limit: Duration,
    ) -> Option<JobStatus> {
        let until = Instant::now() + limit;
        loop {
            let status = self.target.get(dialect, task, handle).await.ok();
            let ended = status.as_ref().is_some_and(JobStatus::is_terminal);
            if ended || Instant::now() >= until {
                return status;
            }
            sleep(self.poll_interval).await;
        }
    }

    /// Deletes a job that is no longer of interest.
    pub(crate) async fn clean_up(&self, task: &Task, handle: &[u8]) {
        if let Some(dialect) = self.dialects.first() {
            // It may have ended; whether deletes work is for rules.
            let _ = self.target.delete(*dialect, task, handle).await;
        }
    }

    /// What REST says the job of `handle` is at the vendor.
    pub(crate) async fn vendors_job(&self, task: &Task, handle: &[u8]) -> Checked<Json> {
        const HIDDEN: &str =
            "REST shows no ids of jobs (job_spec.job), by which to tell jobs apart";
        if !self.has_rest() {
            return Err(skipped("needs REST, which shows the ids of jobs"));
        }
        match self.target.get(Dialect::Rest, task, handle).await {
            Ok(status) if !status.job.is_null() => Ok(status.job),
            Ok(_) => Err(skipped(HIDDEN)),
            Err(error) => Err(skipped(format!("a get over REST failed with {error}"))),
        }
    }
}
