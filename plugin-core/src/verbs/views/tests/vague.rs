//! A vendor that counts what it is asked.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::sleep;

use super::CALL;
use crate::{
    context::Context,
    plugin::{JointPolls, JointStatus, Options, Plugin, Polled},
    task::{Phase, Status, Task, TaskType},
    upstream::{HttpBuilder, RESPONSE_TOO_LARGE},
};

/// A vendor whose joint polls only say whether a job has ended.
#[derive(Default)]
pub(super) struct Vague {
    pub(super) lists: AtomicUsize,
    pub(super) gets: AtomicUsize,
    /// About how many jobs it was asked by joint polls.
    pub(super) asked: AtomicUsize,
    /// Joint polls are answered with a rate limit.
    pub(super) limited: AtomicBool,
    /// For how many seconds it then wants no calls; zero if it does not say.
    pub(super) wants_quiet: AtomicU64,
    /// Joint polls are refused before they reach the vendor, because too many calls wait for it.
    pub(super) queued: AtomicBool,
    /// Joint polls fail.
    pub(super) fails: AtomicBool,
    /// The answers to joint polls are too large to be read.
    pub(super) too_large: AtomicBool,
    /// Joint polls find nothing of any job.
    pub(super) finds_nothing: AtomicBool,
    /// Joint polls are never answered.
    pub(super) hangs: AtomicBool,
    /// Every job has ended.
    pub(super) ended: AtomicBool,
    /// How many calls a list takes besides the first one, one after the other.
    pub(super) pages: AtomicUsize,
}

#[derive(clap::Args)]
pub struct Settings {}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Nothing {}

impl Plugin for &'static Vague {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("vague", 0)];
    type Settings = Settings;
    type Custom = Nothing;
    type Meta = Nothing;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Err(Error::internal("made by the test"))
    }

    async fn create(&self, _: &Context, _: Task<Nothing>) -> Result<Nothing> {
        Ok(Nothing {})
    }

    async fn get(&self, _: &Context, _: Nothing) -> Result<Status> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        sleep(CALL).await;
        Ok(Status::new(self.phase()))
    }

    async fn delete(&self, _: &Context, _: Nothing) -> Result<()> {
        Ok(())
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }
}

impl JointPolls for &'static Vague {
    async fn group(&self, _: &Context, _: &Nothing) -> Result<Option<Fingerprint>> {
        Ok(Some(Fingerprint::of(&[])))
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Nothing>]) -> Result<Vec<JointStatus>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.asked.fetch_add(jobs.len(), Ordering::Relaxed);
        for _ in 0..=self.pages.load(Ordering::Relaxed) {
            cx.count_call();
            sleep(CALL).await;
        }
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending().await
        }
        if self.limited.load(Ordering::Relaxed) {
            let error = Error::new(Kind::ResourceExhausted, "too many calls").upstream();
            return Err(match self.wants_quiet.load(Ordering::Relaxed) {
                0 => error,
                seconds => error.with_retry_after(Duration::from_secs(seconds)),
            });
        }
        if self.queued.load(Ordering::Relaxed) {
            let error = Error::new(Kind::ResourceExhausted, "too many calls are queued");
            return Err(error.with_retry_after(Duration::from_secs(3)));
        }
        if self.fails.load(Ordering::Relaxed) {
            return Err(Error::unavailable("HTTP 500"));
        }
        if self.too_large.load(Ordering::Relaxed) {
            return Err(Error::unavailable("too large").with_code(RESPONSE_TOO_LARGE).upstream());
        }
        let status = match self.phase() {
            _ if self.finds_nothing.load(Ordering::Relaxed) => JointStatus::Alone,
            Phase::Running => JointStatus::NotEnded,
            ended => JointStatus::Status(Status::new(ended)),
        };
        Ok(vec![status; jobs.len()])
    }
}

impl Vague {
    pub(super) fn made() -> &'static Self {
        Box::leak(Box::default())
    }

    pub(super) fn phase(&self) -> Phase {
        if self.ended.load(Ordering::Relaxed) { Phase::Succeeded } else { Phase::Running }
    }

    pub(super) fn lists(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn gets(&self) -> usize {
        self.gets.load(Ordering::Relaxed)
    }
}
