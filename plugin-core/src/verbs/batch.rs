//! Polls that come together are answered together, where the vendor has a call for that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use server_core::{Error, Kind, Result, digest::Fingerprint, telemetry::TRACE_TARGET};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout, timeout_at},
};
use tracing::{Instrument as _, Span};

use super::{Opened, ServedAsync, Verbs};
use crate::{
    context::{Context, Deadline},
    erased::Poll,
    plugin::JointStatus,
    task::Status,
};

/// With fewer polls than this their own calls are as cheap, and say more.
const WORTHWHILE: usize = 3;
/// The longest that polls wait for others, while many come.
const LONGEST_WINDOW: Duration = Duration::from_millis(1500);
/// How long polls stay apart whose joint call the vendor refused.
const APART: Duration = Duration::from_secs(600);
/// How long they do after two failures of that call in a row, which may pass.
const APART_FOR_NOW: Duration = Duration::from_secs(60);
const MAX_SLOTS: u64 = 10_000;

/// Which polls go together.
type Slot = (&'static str, Fingerprint);

/// The polls that wait for others to join them.
pub(super) struct Batches {
    /// How long they wait; zero turns joining off.
    window: Duration,
    /// A slot is there as long as somebody sees to its batches, one after the other.
    waiting: Mutex<HashMap<Slot, Vec<Waiting>>>,
    /// Until when polls are not joined.
    apart: Cache<Slot, Instant>,
    /// Whose last joint call failed.
    failed: Cache<Slot, ()>,
}

/// One of them.
struct Waiting {
    /// What the job is remembered by.
    job: Fingerprint,
    poll: Poll,
    answer: oneshot::Sender<Answer>,
}

/// What becomes of it.
enum Answer {
    Together(Result<Status>),
    /// It has to be asked for by itself.
    Alone,
}

/// What the vendor said of one.
enum Found {
    Told(JointStatus),
    Trouble(Error),
}

impl Batches {
    pub(super) fn new(window: Duration) -> Self {
        let apart = Cache::builder().max_capacity(MAX_SLOTS).time_to_live(APART).build();
        let failed = Cache::builder().max_capacity(MAX_SLOTS).time_to_live(APART_FOR_NOW).build();
        Self { window, waiting: Mutex::default(), apart, failed }
    }

    fn are_apart(&self, slot: &Slot) -> bool {
        self.apart.get(slot).is_some_and(|until| Instant::now() < until)
    }

    fn keep_apart(&self, slot: Slot, time: Duration) {
        self.apart.insert(slot, Instant::now() + time);
    }

    /// A list that does not work must not keep what gets by itself would find out.
    fn note_failure(&self, slot: Slot) {
        if self.failed.contains_key(&slot) {
            self.keep_apart(slot, APART_FOR_NOW);
        }
        self.failed.insert(slot, ());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Slot, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `one` in line; true if nobody sees to the slot yet: its caller must.
    fn join(&self, slot: Slot, one: Waiting) -> bool {
        let mut waiting = self.waiting();
        let is_new = !waiting.contains_key(&slot);
        waiting.entry(slot).or_default().push(one);
        is_new
    }

    /// All who came since the last batch; without any the slot is given up.
    fn next(&self, slot: &Slot) -> Vec<Waiting> {
        let mut waiting = self.waiting();
        let batch = waiting.get_mut(slot).map(std::mem::take).unwrap_or_default();
        if batch.is_empty() {
            waiting.remove(slot);
        }
        batch
    }
}

/// A slot that somebody sees to. However that ends, who still waits asks alone.
struct OpenSlot<'a> {
    batches: &'a Batches,
    slot: Slot,
}

impl Drop for OpenSlot<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.batches.waiting().remove(&self.slot);
        }
    }
}

impl Verbs {
    /// The status of a job together with others', or `None` if it has to be asked for by itself.
    pub(super) async fn poll_together(
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
        let Some(batch) = plugin.group(cx.clone(), meta.to_vec()).await? else {
            return Ok(None);
        };
        let slot = (opened.served.task_type.name, batch);
        if batches.are_apart(&slot) {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        let poll = Poll { meta: meta.to_vec(), created_at: cx.created_at() };
        if batches.join(slot, Waiting { job: opened.fingerprint, poll, answer }) {
            let (this, served, cx) = (Arc::clone(self), opened.served.clone(), cx.clone());
            // Outside of this request's span: who sees to a slot may do so for hours.
            self.shared.tasks.spawn(async move { this.poll_batches(slot, &served, &cx).await });
        }
        // In time to still ask for it by itself.
        match timeout(cx.deadline().remaining() / 3, answered).await {
            Ok(Ok(Answer::Together(status))) => status.map(Some),
            Ok(Ok(Answer::Alone) | Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Waits for the others and asks for all; who comes meanwhile is asked for next.
    async fn poll_batches(&self, slot: Slot, served: &ServedAsync, cx: &Context) {
        let batches = &served.memory.batches;
        let _open = OpenSlot { batches, slot };
        let mut window = batches.window;
        loop {
            sleep(window).await;
            let batch = batches.next(&slot);
            if batch.is_empty() {
                return;
            }
            // The more come, the more are worth waiting for; a few wait for nobody.
            window = match batch.len() {
                ..WORTHWHILE => batches.window,
                _ => (window * 8).min(LONGEST_WINDOW),
            };
            self.poll_batch(slot, served, cx, batch).await;
        }
    }

    async fn poll_batch(
        &self,
        slot: Slot,
        served: &ServedAsync,
        cx: &Context,
        batch: Vec<Waiting>,
    ) {
        let answers = match batch.len() {
            ..WORTHWHILE => Vec::new(),
            many => self.ask_for_many(slot, served, cx, &batch).instrument(round(many)).await,
        };
        let mut answers = answers.into_iter();
        for one in batch {
            let answer = match answers.next().unwrap_or(Found::Told(JointStatus::Alone)) {
                Found::Told(told) => self.answer(served, &one, told),
                Found::Trouble(error) => Answer::Together(Err(error)),
            };
            if matches!(answer, Answer::Together(Ok(_))) {
                self.shared.metrics.joint_polls.inc();
            }
            let _ = one.answer.send(answer);
        }
    }

    fn answer(&self, served: &ServedAsync, one: &Waiting, told: JointStatus) -> Answer {
        let status = match told {
            JointStatus::Status(status) => {
                self.remember(served, one.job, &status);
                Some(status)
            }
            JointStatus::NotEnded => {
                let first = || self.describe(served, &one.poll.meta);
                served.memory.observations.still_running(one.job, one.poll.created_at, first)
            }
            JointStatus::Alone => None,
        };
        status.map_or(Answer::Alone, |status| Answer::Together(Ok(status)))
    }

    async fn ask_for_many(
        &self,
        slot: Slot,
        served: &ServedAsync,
        cx: &Context,
        batch: &[Waiting],
    ) -> Vec<Found> {
        let batches = &served.memory.batches;
        let cx = cx.with_deadline(Deadline::after(self.shared.request_timeout));
        let polls = batch.iter().map(|one| one.poll.clone()).collect();
        let work = self.guarded(Arc::clone(&served.plugin).get_many(cx.clone(), polls));
        let late =
            || Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"));
        let found = timeout_at(cx.deadline().instant(), work).await.unwrap_or_else(|_| late());
        match found {
            Ok(found) => {
                batches.failed.invalidate(&slot);
                found.into_iter().map(Found::Told).collect()
            }
            // Asking for each by itself would only add to the vendor's trouble.
            Err(error) if error.kind().is_transient() => {
                batches.note_failure(slot);
                batch.iter().map(|_| Found::Trouble(error.clone())).collect()
            }
            Err(error) => {
                tracing::warn!(%error, cause = error.chain(), "polls cannot be joined for a while");
                batches.keep_apart(slot, APART);
                Vec::new()
            }
        }
    }
}

/// The span of one call for `polls`, which come from as many requests and so from none.
fn round(polls: usize) -> Span {
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
