//! The view of one group: what the last joint poll found of each of its jobs.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use server_core::{Error, digest::Fingerprint};
use tokio::{sync::watch, time::Instant};

use super::{
    arrivals,
    demand::Demand,
    places::{Place, Places},
};
use crate::{erased::Poll, task::Status};

/// The fewest jobs, and polls while a view is fresh, that a joint poll is made for: for fewer, separate polls
/// are as cheap and more detailed.
pub(super) const MIN_BATCH: usize = 3;
/// How many polls of one group look at their jobs alone at once, although a joint poll could do it, and how
/// many do during one refresh. The polls of new jobs do: a joint poll under way does not know them.
const ALONE_AT_ONCE: usize = 4;
/// How many new jobs are looked at alone while a view is fresh, if no refresh is under way.
const NEW_ALONE: usize = 10;
/// Which part of the freshness a finding must be old to be looked for again, when a refresh begins for other jobs. Many new
/// jobs come in while the first of them are refreshed: without it, each refresh would ask about all again.
const STILL_NEW: u32 = 4;
/// How many polls a view answers for each call that refreshing it took, before it is refreshed ahead of time.
const POLLS_PER_CALL: usize = 20;
/// How long a job is watched after its last poll. Propeller polls each job every 10 to 30 s by default.
pub(super) const WATCHED_FOR: Duration = Duration::from_secs(120);

/// What is known of the jobs of one group.
#[derive(Default)]
pub(in super::super) struct View {
    state: Mutex<State>,
    alone: AtomicUsize,
}

#[derive(Default)]
struct State {
    jobs: HashMap<Fingerprint, Watched>,
    demand: Demand,
    /// When the last refresh began.
    began: Option<Instant>,
    /// How many calls to the vendor the last refresh took.
    calls: usize,
    /// How many refreshes have begun.
    refreshes: u64,
    /// Whether polls wait for the next refresh, because the one under way does not ask about their jobs.
    have_newcomers: bool,
    under_way: Option<UnderWay>,
}

/// A joint poll that has not ended.
struct UnderWay {
    number: u64,
    ended: watch::Receiver<Option<End>>,
    /// How many polls may still look at their jobs alone before it ends.
    turns_left: usize,
    /// Whether it has asked nothing yet: it will ask about jobs that come in.
    is_open: bool,
    /// Whether it asks about so many new jobs that others which come in are taken for more of them, and wait.
    is_burst: bool,
}

/// How a refresh ended.
pub(super) type End = Result<(), Error>;

/// A job that somebody polls.
struct Watched {
    poll: Poll,
    polled_at: Instant,
    /// Whether this is its first poll.
    is_new: bool,
    /// The last refresh that it is part of.
    refresh: u64,
    seen: Option<Seen>,
    _place: Place,
}

/// What a refresh found of a job.
#[derive(Clone)]
pub(super) struct Seen {
    /// When the refresh began.
    pub(super) at: Instant,
    pub(super) finding: Finding,
}

/// What a joint poll says of a job; see [`JointStatus`](crate::JointStatus).
#[derive(Clone)]
pub(super) enum Finding {
    Status(Arc<Status>),
    NotEnded,
    Alone,
}

/// A refresh that the caller has to start.
pub(super) struct Start {
    /// Whether new jobs are why it began: more of them may be coming in.
    is_for_new: bool,
    ended: watch::Sender<Option<End>>,
}

/// A refresh under way.
pub(super) struct Refresh {
    pub(super) began: Instant,
    pub(super) jobs: Vec<(Fingerprint, Poll)>,
    /// Whether these are all jobs of the view.
    is_whole: bool,
    /// Counts its calls to the vendor.
    pub(super) calls: Arc<AtomicUsize>,
    ended: watch::Sender<Option<End>>,
}

/// What a poll does.
pub(super) struct Next {
    pub(super) answer: Answer,
    /// The refresh that this poll has to start.
    pub(super) start: Option<Start>,
}

pub(super) enum Answer {
    /// Answer with this.
    Seen(Seen),
    /// Wait for the refresh under way, and look again.
    Wait(watch::Receiver<Option<End>>),
    /// Look at the job alone, and drop the turn then.
    Alone(Option<Turn>),
}

/// One of the polls that look at their jobs alone.
pub(in super::super) struct Turn(Arc<View>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.alone.fetch_sub(1, Ordering::Relaxed);
    }
}

impl View {
    /// Notes that `job` is polled; false if no place is left to watch it.
    pub(super) fn watch(
        &self,
        job: Fingerprint,
        poll: impl FnOnce() -> Poll,
        places: &Places,
        freshness: Duration,
    ) -> bool {
        let mut state = self.state();
        let now = Instant::now();
        state.demand.count(now, freshness);
        if let Some(watched) = state.jobs.get_mut(&job) {
            (watched.polled_at, watched.is_new) = (now, false);
            return true;
        }
        let Some(place) = places.take() else {
            return false;
        };
        let watched = Watched {
            poll: poll(),
            polled_at: now,
            is_new: true,
            refresh: 0,
            seen: None,
            _place: place,
        };
        state.jobs.insert(job, watched);
        true
    }

    /// Gives back the places of jobs that nobody polls.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        self.state().jobs.retain(|_, watched| watched.is_polled(now));
    }

    /// What was found of `job` within `freshness`.
    pub(super) fn fresh(&self, job: &Fingerprint, freshness: Duration) -> Option<Seen> {
        let seen = self.state().jobs.get(job)?.seen.clone()?;
        (seen.at.elapsed() <= freshness).then_some(seen)
    }

    /// What a poll of `job` does next. Views are refreshed when half of `freshness` is over, so that polls
    /// find one that is fresh.
    pub(super) fn next(
        self: &Arc<Self>,
        job: &Fingerprint,
        freshness: Duration,
        has_waited: bool,
    ) -> Next {
        let mut state = self.state();
        let state = &mut *state;
        let now = Instant::now();
        let Some(watched) = state.jobs.get(job) else {
            return Next::alone(None);
        };
        // A poll that has waited takes what it waited for, however long the vendor took.
        let is_fresh = |seen: &Seen| has_waited || now.duration_since(seen.at) <= freshness;
        let (seen, is_new) = (watched.seen.clone().filter(is_fresh), watched.is_new);
        let of_job = watched.refresh;
        if let Some(seen) = seen {
            let is_due = !has_waited
                && state.is_older_than(freshness / 2, now)
                && state.is_worth(state.cost(now) * POLLS_PER_CALL);
            let start = is_due.then(|| state.begin(now, false));
            return Next { answer: Answer::Seen(seen), start };
        }
        if let Some(under_way) = state.under_way.as_mut().filter(|under_way| under_way.is_live()) {
            let next = under_way.next(of_job, self);
            state.have_newcomers |= next.is_wait() && !under_way.asks_about(of_job);
            return next;
        }
        if !state.is_worth(state.cost(now)) {
            return Next::alone(self.turn());
        }
        // A list does not have all details of a job that was never looked at.
        if has_waited || !is_new && state.is_older_than(freshness / 2, now) {
            return state.begin_and_wait(now, is_new);
        }
        // Those who wait are about to begin a refresh, which knows this job, too.
        let may_be_alone = state.demand.alone < NEW_ALONE && !state.have_newcomers;
        match self.turn().filter(|_| may_be_alone) {
            Some(turn) => {
                state.demand.alone += 1;
                Next::alone(Some(turn))
            }
            None => state.begin_and_wait(now, is_new),
        }
    }

    /// The refresh that `start` started, once all jobs that are coming in are known.
    pub(super) async fn open(&self, start: Start, freshness: Duration) -> Refresh {
        if start.is_for_new {
            arrivals::settled(|| self.state().jobs.len()).await;
        }
        self.state().ask(start, freshness)
    }

    /// Records the findings of `refresh`, one for each of its jobs, and answers the polls that wait for it.
    pub(super) fn end(&self, refresh: Refresh, findings: Result<Vec<Finding>, Error>) {
        let Refresh { began, jobs, is_whole, calls, ended } = refresh;
        let mut state = self.state();
        state.under_way = None;
        if findings.is_ok() {
            let calls = calls.load(Ordering::Relaxed);
            state.calls = if is_whole { calls } else { calls.max(state.calls) };
        }
        let end = findings.map(|findings| {
            for ((job, _), finding) in jobs.into_iter().zip(findings) {
                if let Some(watched) = state.jobs.get_mut(&job) {
                    watched.seen = Some(Seen { at: began, finding });
                }
            }
        });
        drop(state);
        ended.send_replace(Some(end));
    }

    /// A turn for a poll that cannot wait for the refresh under way any longer: few get one.
    pub(super) fn late_turn(self: &Arc<Self>) -> Option<Turn> {
        self.state().under_way.as_mut()?.turn(self)
    }

    fn turn(self: &Arc<Self>) -> Option<Turn> {
        let more = |alone| (alone < ALONE_AT_ONCE).then_some(alone + 1);
        let taken = self.alone.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Turn(Arc::clone(self)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether there are enough jobs for a refresh, and as many polls as it will cost.
    fn is_worth(&self, cost: usize) -> bool {
        self.under_way.as_ref().is_none_or(|under_way| !under_way.is_live())
            && self.jobs.len() >= MIN_BATCH
            && self.demand.polls() >= MIN_BATCH.max(cost)
    }

    /// How many calls a refresh may take: as many as the last one, or fewer if that is long ago.
    fn cost(&self, now: Instant) -> usize {
        let minutes = self.began.map_or(0, |began| now.duration_since(began).as_secs() / 60);
        self.calls >> minutes.min(16)
    }

    /// Whether no refresh has begun for `age`.
    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.began.is_none_or(|began| now.duration_since(began) >= age)
    }

    fn begin_and_wait(&mut self, now: Instant, is_for_new: bool) -> Next {
        let start = self.begin(now, is_for_new);
        let answer = Answer::Wait(start.ended.subscribe());
        Next { answer, start: Some(start) }
    }

    /// Begins a refresh.
    fn begin(&mut self, now: Instant, is_for_new: bool) -> Start {
        self.refreshes += 1;
        let (sender, ended) = watch::channel(None);
        self.under_way = Some(UnderWay {
            number: self.refreshes,
            ended,
            turns_left: ALONE_AT_ONCE,
            is_open: true,
            is_burst: false,
        });
        self.began = Some(now);
        Start { is_for_new, ended: sender }
    }

    /// Has the refresh under way ask about all jobs that are still polled, but for those that were just found.
    fn ask(&mut self, start: Start, freshness: Duration) -> Refresh {
        let (now, number) = (Instant::now(), self.refreshes);
        self.jobs.retain(|_, watched| watched.is_polled(now));
        let is_old = |seen: &Seen| now.duration_since(seen.at) >= freshness / STILL_NEW;
        let (mut jobs, mut unseen) = (Vec::new(), 0);
        for (job, watched) in &mut self.jobs {
            if watched.seen.as_ref().is_none_or(is_old) {
                watched.refresh = number;
                unseen += usize::from(watched.seen.is_none());
                jobs.push((*job, watched.poll.clone()));
            }
        }
        if let Some(under_way) = &mut self.under_way {
            (under_way.is_open, under_way.is_burst) = (false, unseen > NEW_ALONE);
        }
        (self.began, self.have_newcomers) = (Some(now), false);
        let is_whole = jobs.len() == self.jobs.len();
        Refresh { began: now, jobs, is_whole, calls: Arc::default(), ended: start.ended }
    }
}

impl UnderWay {
    /// Whether its task is there. It is gone if it panicked.
    fn is_live(&self) -> bool {
        self.ended.has_changed().is_ok()
    }

    /// What the poll of a job does whose last refresh is number `of_job`.
    fn next(&mut self, of_job: u64, view: &Arc<View>) -> Next {
        let waits = self.is_burst || self.asks_about(of_job);
        let turn = if waits { None } else { self.turn(view) };
        turn.map_or_else(|| self.wait(), |turn| Next::alone(Some(turn)))
    }

    /// Whether it asks about the job whose last refresh is number `of_job`.
    fn asks_about(&self, of_job: u64) -> bool {
        self.is_open || of_job == self.number
    }

    fn turn(&mut self, view: &Arc<View>) -> Option<Turn> {
        let left = self.turns_left.checked_sub(1)?;
        let turn = view.turn()?;
        self.turns_left = left;
        Some(turn)
    }

    fn wait(&self) -> Next {
        Next { answer: Answer::Wait(self.ended.clone()), start: None }
    }
}

impl Next {
    fn alone(turn: Option<Turn>) -> Self {
        Self { answer: Answer::Alone(turn), start: None }
    }

    fn is_wait(&self) -> bool {
        matches!(self.answer, Answer::Wait(_))
    }
}

impl Watched {
    /// Whether somebody may poll the job again. One that has ended is answered from memory.
    fn is_polled(&self, now: Instant) -> bool {
        let has_ended = matches!(
            &self.seen,
            Some(Seen { finding: Finding::Status(status), .. }) if status.phase.is_terminal()
        );
        !has_ended && now.duration_since(self.polled_at) < WATCHED_FOR
    }
}
