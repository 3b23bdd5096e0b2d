//! Polls that come together are answered together, where the vendor has a call for that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout_at},
};
use tracing::Instrument as _;

use super::{Opened, Served, Verbs};
use crate::{
    context::{Context, IdempotencyKey},
    deadline::Deadline,
    erased::Poll,
    error::{Error, Kind, Result},
    plugin::BatchKey,
    status::Status,
};

/// With fewer polls than this their own calls are as cheap, and say more.
const WORTHWHILE: usize = 3;
/// How long polls stay apart whose joint call the vendor refused.
const APART: Duration = Duration::from_secs(600);
const MAX_APART: u64 = 10_000;

/// Which polls go together.
type Slot = (&'static str, BatchKey);

/// The polls that wait for others to join them.
pub(super) struct Batches {
    /// How long they wait; zero turns joining off.
    window: Duration,
    waiting: Mutex<HashMap<Slot, Vec<Waiting>>>,
    apart: Cache<Slot, ()>,
}

/// One of them.
struct Waiting {
    key: IdempotencyKey,
    poll: Poll,
    answer: oneshot::Sender<Answer>,
}

/// What becomes of it.
enum Answer {
    Together(Result<Status>),
    /// It has to be asked for by itself.
    Alone,
}

impl Batches {
    pub(super) fn new(window: Duration) -> Self {
        let apart = Cache::builder().max_capacity(MAX_APART).time_to_live(APART).build();
        Self { window, waiting: Mutex::default(), apart }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Slot, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `one` in line; true for the first of a batch, whose caller must see to it.
    fn join(&self, slot: Slot, one: Waiting) -> bool {
        let mut waiting = self.waiting();
        let batch = waiting.entry(slot).or_default();
        batch.push(one);
        batch.len() == 1
    }

    fn close(&self, slot: &Slot) -> Vec<Waiting> {
        self.waiting().remove(slot).unwrap_or_default()
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
        if self.batches.window.is_zero() {
            return Ok(None);
        }
        let plugin = Arc::clone(&opened.served.plugin);
        let Some(batch) = plugin.batch_key(cx.clone(), meta.to_vec()).await? else {
            return Ok(None);
        };
        let slot = (opened.served.task_type.name, batch);
        if self.batches.apart.contains_key(&slot) {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        let poll = Poll { meta: meta.to_vec(), created_at: cx.created_at() };
        if self.batches.join(slot, Waiting { key: opened.handle.key, poll, answer }) {
            let (this, served, cx) = (Arc::clone(self), opened.served.clone(), cx.clone());
            let work = async move { this.poll_batch(slot, &served, &cx).await };
            self.shared.tasks.spawn(work.in_current_span());
        }
        match answered.await {
            Ok(Answer::Together(status)) => status.map(Some),
            Ok(Answer::Alone) | Err(_) => Ok(None),
        }
    }

    /// Waits for the others, asks for all of them and answers each.
    async fn poll_batch(&self, slot: Slot, served: &Served, cx: &Context) {
        sleep(self.batches.window).await;
        let batch = self.batches.close(&slot);
        let answers = match batch.len() {
            ..WORTHWHILE => Vec::new(),
            _ => self.ask_for_many(slot, served, cx, &batch).await,
        };
        let mut answers = answers.into_iter();
        for one in batch {
            let answer = answers.next().unwrap_or(Answer::Alone);
            if let Answer::Together(Ok(status)) = &answer {
                self.shared.metrics.batched_poll();
                self.last_seen.saw(one.key, &Arc::new(status.clone()));
            }
            let _ = one.answer.send(answer);
        }
    }

    async fn ask_for_many(
        &self,
        slot: Slot,
        served: &Served,
        cx: &Context,
        batch: &[Waiting],
    ) -> Vec<Answer> {
        let cx = cx.with_deadline(Deadline::after(self.shared.request_timeout));
        let polls = batch.iter().map(|one| one.poll.clone()).collect();
        let work = self.guarded(Arc::clone(&served.plugin).get_many(cx.clone(), polls));
        let late =
            || Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"));
        let found = timeout_at(cx.deadline().instant(), work).await.unwrap_or_else(|_| late());
        match found {
            Ok(found) => found
                .into_iter()
                .map(|status| status.map_or(Answer::Alone, |status| Answer::Together(Ok(status))))
                .collect(),
            // Asking for each by itself would only add to the vendor's trouble.
            Err(error) if error.kind().is_transient() => {
                batch.iter().map(|_| Answer::Together(Err(error.clone()))).collect()
            }
            Err(error) => {
                tracing::warn!(%error, cause = error.chain(), "polls cannot be joined for a while");
                self.batches.apart.insert(slot, ());
                Vec::new()
            }
        }
    }
}
