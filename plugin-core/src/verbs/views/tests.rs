mod new_jobs;
mod slow;
mod throttled;
mod vague;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use jiff::Timestamp;
use server_core::digest::Fingerprint;
use tokio::time::{Instant, sleep};
use tracing::{Subscriber, info_span, span::Id};
use tracing_subscriber::{Layer, layer, layer::SubscriberExt as _, registry::LookupSpan};

use self::vague::Vague;
use super::{
    view::{MIN_BATCH, WATCHED_FOR},
    *,
};
use crate::{
    context::IdempotencyKey,
    context::{Caller, Verb},
    erased::AnyPlugin,
    handle::{HANDLE_BYTES, Handle, Job, Owner},
    task::Phase,
    verbs::{
        ConnectionValues, Shared,
        tests::{incoming, shared},
    },
};

/// How long every call to the vendor takes.
const CALL: Duration = Duration::from_millis(100);
/// How old a view may be that answers a poll.
const FRESHNESS: Duration = Duration::from_secs(2);

fn verbs(plugin: &'static Vague) -> Arc<Verbs> {
    Arc::new(Verbs::new(&[("vague", AnyPlugin::Async(Arc::new(plugin)))], shared()).unwrap())
}

async fn status(verbs: &Arc<Verbs>, handle: &[u8]) -> Arc<Status> {
    let incoming = incoming(Duration::from_secs(10));
    let opened = verbs.open(&incoming, Verb::Get, handle, None).unwrap();
    verbs.get(&incoming, &opened, ConnectionValues::default()).await
}

async fn poll(verbs: &Arc<Verbs>, handle: &[u8]) -> Phase {
    status(verbs, handle).await.phase
}

fn handles(verbs: &Verbs, jobs: usize) -> Vec<Vec<u8>> {
    let handle = || Handle {
        task_type: "vague".to_owned(),
        owner: Owner::of(&Caller::anonymous()),
        created_at: Timestamp::now(),
        key: IdempotencyKey::random(),
        execution: Arc::default(),
        job: Job::Created(b"{}".to_vec()),
    };
    (0..jobs).map(|_| handle().seal(&verbs.shared.keys, HANDLE_BYTES).unwrap()).collect()
}

/// Polls all jobs at once; how long that took.
async fn poll_all(verbs: &Arc<Verbs>, handles: &[Vec<u8>]) -> Duration {
    let started = Instant::now();
    join_all(handles.iter().map(|handle| poll(verbs, handle))).await;
    started.elapsed()
}

/// Ten jobs with a view that has just been refreshed.
async fn viewed(vendor: &'static Vague) -> (Arc<Verbs>, Vec<Vec<u8>>) {
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 10);
    poll_all(&verbs, &handles).await;
    tokio::time::advance(FRESHNESS * 2).await;
    poll_all(&verbs, &handles).await;
    (verbs, handles)
}

/// Counts request spans that have ended.
struct Ended(Arc<AtomicUsize>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ended {
    fn on_close(&self, id: Id, cx: layer::Context<'_, S>) {
        let is_request = cx.metadata(&id).is_some_and(|span| span.name() == "request");
        self.0.fetch_add(usize::from(is_request), Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn polls_are_answered_at_once_from_a_fresh_view() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    for _ in 0..9 {
        assert_eq!(poll_all(&verbs, &handles).await, Duration::ZERO);
        tokio::time::advance(CALL).await;
    }
    assert_eq!((vendor.lists(), vendor.gets()), (lists, gets));
}

#[tokio::test(start_paused = true)]
async fn views_are_refreshed_in_the_background_while_somebody_polls() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    for _ in 0..100 {
        assert_eq!(poll_all(&verbs, &handles).await, Duration::ZERO);
        tokio::time::advance(CALL).await;
        tokio::task::yield_now().await;
    }
    let refreshes = vendor.lists() - lists;
    assert!((8..=10).contains(&refreshes), "{refreshes} in ten seconds");
    assert_eq!(vendor.gets(), gets);
    sleep(Duration::from_secs(60)).await;
    assert!(verbs.shared.tasks.is_empty(), "a group that nobody polls is not refreshed");
    assert_eq!(vendor.lists() - lists, refreshes);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_job_is_seen_within_freshness_and_one_call() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    vendor.ended.store(true, Ordering::Relaxed);
    let ended_at = Instant::now();
    while poll(&verbs, &handles[0]).await != Phase::Succeeded {
        poll_all(&verbs, &handles).await;
        sleep(CALL / 10).await;
    }
    assert!(ended_at.elapsed() <= FRESHNESS + CALL, "{:?}", ended_at.elapsed());
    let calls = vendor.lists() + vendor.gets();
    poll_all(&verbs, &handles).await;
    assert_eq!(vendor.lists() + vendor.gets(), calls, "jobs that have ended are not asked about");
}

#[tokio::test(start_paused = true)]
async fn a_new_job_is_not_answered_from_an_older_view() {
    let vendor = Vague::made();
    let (verbs, _) = viewed(vendor).await;
    vendor.ended.store(true, Ordering::Relaxed);
    let (lists, gets) = (vendor.lists(), vendor.gets());
    assert_eq!(poll(&verbs, &self::handles(&verbs, 1)[0]).await, Phase::Succeeded);
    assert_eq!((vendor.lists(), vendor.gets()), (lists, gets + 1), "it was looked at alone");
}

#[tokio::test(start_paused = true)]
async fn one_caller_looks_at_each_job_alone_once() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 10);
    for round in 0..5 {
        let (lists, gets) = (vendor.lists(), vendor.gets());
        for handle in &handles {
            poll(&verbs, handle).await;
        }
        let calls = (vendor.lists() - lists, vendor.gets() - gets);
        assert!(if round == 0 { calls == (0, 10) } else { calls.1 == 0 }, "{round}: {calls:?}");
    }
    assert!(vendor.lists() <= 3, "{}", vendor.lists());
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_pause_waits_for_one_call() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    tokio::time::advance(Duration::from_secs(30)).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    assert_eq!(poll_all(&verbs, &handles).await, CALL);
    assert_eq!(vendor.lists() - lists, 1);
    assert!(vendor.gets() - gets < MIN_BATCH, "until there are enough polls for a joint one");
}

#[tokio::test(start_paused = true)]
async fn lists_that_take_longer_than_a_view_is_fresh_answer_those_who_wait() {
    let vendor = Vague::made();
    let shared = Shared { poll_freshness: CALL / 2, ..shared() };
    let plugin = AnyPlugin::Async(Arc::new(vendor));
    let verbs = Arc::new(Verbs::new(&[("vague", plugin)], shared).unwrap());
    let handles = handles(&verbs, 500);
    for _ in 0..3 {
        let took = poll_all(&verbs, &handles).await;
        assert!(took <= CALL * 3, "{took:?}");
        tokio::time::advance(CALL * 10).await;
    }
    let calls = vendor.lists() + vendor.gets();
    assert!(calls <= 25, "{calls} calls for 1500 polls");
}

#[tokio::test(start_paused = true)]
async fn jobs_beyond_the_limit_are_polled_alone() {
    let vendor = Vague::made();
    let verbs = verbs(vendor);
    let most = verbs.shared.memory.remembered_jobs;
    poll_all(&verbs, &handles(&verbs, most + 100)).await;
    assert!((100..120).contains(&vendor.gets()), "{}", vendor.gets());
    tokio::time::advance(WATCHED_FOR * 2).await;
    let gets = vendor.gets();
    poll_all(&verbs, &handles(&verbs, 500)).await;
    assert!(vendor.gets() - gets < 10, "places of jobs that nobody polls are free again");
}

#[tokio::test(start_paused = true)]
async fn a_view_is_refreshed_ahead_of_time_for_many_polls_alone() {
    let vendor = Vague::made();
    vendor.pages.store(4, Ordering::Relaxed);
    let (verbs, handles) = viewed(vendor).await;
    let lists = vendor.lists();
    tokio::time::advance(FRESHNESS * 2 / 3).await;
    for _ in 0..8 {
        poll_all(&verbs, &handles).await;
    }
    sleep(CALL * 2).await;
    assert_eq!(vendor.lists(), lists, "ninety polls do not pay for five calls");
    for _ in 0..2 {
        poll_all(&verbs, &handles).await;
    }
    sleep(CALL * 2).await;
    assert_eq!(vendor.lists(), lists + 1);
}

#[tokio::test(start_paused = true)]
async fn refreshes_take_no_more_calls_than_polls_alone_would() {
    let vendor = Vague::made();
    vendor.pages.store(19, Ordering::Relaxed);
    let (verbs, handles) = viewed(vendor).await;
    let (lists, gets) = (vendor.lists(), vendor.gets());
    for _ in 0..50 {
        tokio::time::advance(FRESHNESS * 2).await;
        poll(&verbs, &handles[0]).await;
    }
    let (lists, gets) = (vendor.lists() - lists, vendor.gets() - gets);
    assert_eq!((lists, gets), (0, 50));
}

#[tokio::test(start_paused = true)]
async fn request_spans_end_while_a_view_is_refreshed() {
    let ended = Arc::<AtomicUsize>::default();
    let subscriber = tracing_subscriber::registry().with(Ended(Arc::clone(&ended)));
    let _current = tracing::subscriber::set_default(subscriber);
    let (verbs, handles) = viewed(Vague::made()).await;
    tokio::time::advance(FRESHNESS * 2 / 3).await;
    let twice = handles.iter().chain(&handles);
    let polls = twice.map(|handle| poll(&verbs, handle).instrument(info_span!("request")));
    join_all(polls).await;
    assert!(!verbs.shared.tasks.is_empty(), "the view is being refreshed");
    assert_eq!(ended.load(Ordering::Relaxed), handles.len() * 2);
}

#[tokio::test(start_paused = true)]
async fn running_jobs_need_a_full_poll_only_every_few_minutes() {
    let vendor = Vague::made();
    let (verbs, handles) = viewed(vendor).await;
    // Looked at alone, when they were new.
    let known = vendor.gets();
    for _ in 0..4 {
        tokio::time::advance(Duration::from_secs(60)).await;
        let gets = vendor.gets();
        poll_all(&verbs, &handles).await;
        assert!(vendor.gets() - gets < MIN_BATCH, "joint polls suffice");
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let gets = vendor.gets();
    poll_all(&verbs, &handles).await;
    assert!(vendor.gets() - gets >= known.min(MIN_BATCH), "then full polls are made");
}

#[tokio::test(start_paused = true)]
async fn jobs_whose_joint_answer_is_too_large_are_polled_alone() {
    let vendor = Vague::made();
    vendor.too_large.store(true, Ordering::Relaxed);
    let verbs = verbs(vendor);
    let handles = handles(&verbs, 50);
    for _ in 0..3 {
        let phases = join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
        assert_eq!(phases, [Phase::Running; 50]);
    }
    assert!(vendor.lists() <= 2, "{}", vendor.lists());
}

#[tokio::test(start_paused = true)]
async fn places_that_nobody_needs_are_given_back_to_other_groups() {
    let views = Views::new(FRESHNESS, 10);
    let some = || Fingerprint::from_bytes(rand::random());
    let poll = || Poll { meta: Vec::new(), created_at: Timestamp::now() };
    let (full, other) = (("vague", some()), ("vague", some()));
    for _ in 0..10 {
        assert!(views.watching(full, some(), poll).is_some());
    }
    assert!(views.watching(other, some(), poll).is_none());
    tokio::time::advance(WATCHED_FOR).await;
    assert!(views.watching(other, some(), poll).is_some());
}
