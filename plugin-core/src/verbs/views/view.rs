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
    under_way: Option<UnderWay>,
}

/// A joint poll that has not ended.
struct UnderWay {
    number: u64,
    ended: watch::Receiver<Option<End>>,
    /// How many polls may still look at their jobs alone before it ends.
    turns_left: usize,
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

/// How many polls come while a view is fresh.
#[derive(Default)]
struct Demand {
    since: Option<Instant>,
    now: usize,
    before: usize,
    /// How many of them looked at new jobs alone.
    alone: usize,
}

impl Demand {
    fn count(&mut self, now: Instant, freshness: Duration) {
        let age = self.since.map(|since| now.duration_since(since));
        if age.is_none_or(|age| age > freshness) {
            let is_next = age.is_some_and(|age| age <= freshness * 2);
            let before = if is_next { self.now } else { 0 };
            *self = Self { since: Some(now), before, ..Self::default() };
        }
        self.now += 1;
    }

    fn polls(&self) -> usize {
        self.now.max(self.before)
    }
}

/// A refresh that the caller has to make.
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
    pub(super) start: Option<Refresh>,
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

/// The number of jobs that all views of a plugin watch.
#[derive(Clone)]
pub(super) struct Places {
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// The place of one job.
struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    fn take(&self) -> Option<Place> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Place(Arc::clone(&self.taken)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
        let refresh = watched.refresh;
        if let Some(seen) = seen {
            let is_due = !has_waited
                && state.is_older_than(freshness / 2, now)
                && state.is_worth(state.cost(now) * POLLS_PER_CALL);
            let start = is_due.then(|| state.begin(now, freshness));
            return Next { answer: Answer::Seen(seen), start };
        }
        if let Some(under_way) = state.under_way.as_mut().filter(|under_way| under_way.is_live()) {
            return under_way.next(refresh, self);
        }
        if !state.is_worth(state.cost(now)) {
            return Next::alone(None);
        }
        // A list does not have all details of a job that was never looked at.
        if has_waited || !is_new && state.is_older_than(freshness / 2, now) {
            return state.begin_and_wait(now, freshness);
        }
        match self.turn().filter(|_| state.demand.alone < NEW_ALONE) {
            Some(turn) => {
                state.demand.alone += 1;
                Next::alone(Some(turn))
            }
            None => state.begin_and_wait(now, freshness),
        }
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

    fn begin_and_wait(&mut self, now: Instant, freshness: Duration) -> Next {
        let start = self.begin(now, freshness);
        let answer = Answer::Wait(start.ended.subscribe());
        Next { answer, start: Some(start) }
    }

    /// Begins a refresh of all jobs that are still polled, but for those that were just found.
    fn begin(&mut self, now: Instant, freshness: Duration) -> Refresh {
        self.jobs.retain(|_, watched| watched.is_polled(now));
        self.refreshes += 1;
        let number = self.refreshes;
        let is_old = |seen: &Seen| now.duration_since(seen.at) >= freshness / STILL_NEW;
        let old = self.jobs.iter_mut().filter(|(_, it)| it.seen.as_ref().is_none_or(is_old));
        let jobs = old.map(|(job, watched)| {
            watched.refresh = number;
            (*job, watched.poll.clone())
        });
        let jobs = jobs.collect::<Vec<_>>();
        let is_whole = jobs.len() == self.jobs.len();
        let (sender, ended) = watch::channel(None);
        self.under_way = Some(UnderWay { number, ended, turns_left: ALONE_AT_ONCE });
        self.began = Some(now);
        Refresh { began: now, jobs, is_whole, calls: Arc::default(), ended: sender }
    }
}

impl UnderWay {
    /// Whether its task is there. It is gone if it panicked.
    fn is_live(&self) -> bool {
        self.ended.has_changed().is_ok()
    }

    /// What the poll of a job does whose last refresh is number `of_job`.
    fn next(&mut self, of_job: u64, view: &Arc<View>) -> Next {
        let turn = if of_job == self.number { None } else { self.turn(view) };
        turn.map_or_else(|| self.wait(), |turn| Next::alone(Some(turn)))
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
