use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server_core::digest::Fingerprint;
use tracing::{Subscriber, info_span, span::Id};
use tracing_subscriber::{Layer, layer, layer::SubscriberExt as _, registry::LookupSpan};

use super::*;
use crate::{
    context::IdempotencyKey,
    context::{Caller, Verb},
    erased::AnyPlugin,
    handle::{Handle, Job, Owner},
    plugin::{JointPolls, Options, Plugin, Polled},
    task::{Phase, Task, TaskType},
    upstream::HttpBuilder,
    verbs::{
        ConnectionSecrets,
        tests::{incoming, shared},
    },
};

/// A vendor whose joint polls only say that a job has not ended.
#[derive(Default)]
struct Vague {
    lists: AtomicUsize,
    gets: AtomicUsize,
    /// Joint polls are answered with a rate limit.
    limited: AtomicBool,
}

#[derive(clap::Args)]
struct Settings {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

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
        Ok(Status::new(Phase::Running))
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

    async fn get_many(&self, _: &Context, jobs: &[Polled<Nothing>]) -> Result<Vec<JointStatus>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        if self.limited.load(Ordering::Relaxed) {
            let error = Error::new(Kind::ResourceExhausted, "too many calls");
            return Err(error.with_retry_after(Duration::from_secs(20)));
        }
        Ok(vec![JointStatus::NotEnded; jobs.len()])
    }
}

fn verbs(plugin: &'static Vague) -> Arc<Verbs> {
    Arc::new(Verbs::new(&[("vague", AnyPlugin::Async(Arc::new(plugin)))], shared()).unwrap())
}

async fn poll(verbs: &Arc<Verbs>, handle: &[u8]) -> Phase {
    let incoming = incoming(Duration::from_secs(10));
    let opened = verbs.open(&incoming, Verb::Get, handle, None).unwrap();
    verbs.get(&incoming, &opened, ConnectionSecrets::new()).await.phase
}

fn handles(verbs: &Verbs) -> Vec<Vec<u8>> {
    let handle = || Handle {
        task_type: "vague".to_owned(),
        owner: Owner::of(&Caller::anonymous()),
        created_at: Timestamp::now(),
        key: IdempotencyKey::random(),
        execution: Arc::default(),
        job: Job::Created(b"{}".to_vec()),
    };
    (0..10).map(|_| handle().seal(&verbs.shared.keys).unwrap()).collect()
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
async fn request_spans_end_while_joint_polling_continues() {
    let ended = Arc::<AtomicUsize>::default();
    let subscriber = tracing_subscriber::registry().with(Ended(Arc::clone(&ended)));
    let _current = tracing::subscriber::set_default(subscriber);
    let verbs = verbs(Box::leak(Box::default()));
    let handles = handles(&verbs);
    let polls = handles.iter().map(|handle| poll(&verbs, handle).instrument(info_span!("request")));
    futures_util::future::join_all(polls).await;
    assert!(!verbs.shared.tasks.is_empty(), "the group is still polled");
    assert_eq!(ended.load(Ordering::Relaxed), handles.len());
}

#[tokio::test(start_paused = true)]
async fn running_jobs_need_a_full_poll_only_every_few_minutes() {
    let vendor: &'static Vague = Box::leak(Box::default());
    let verbs = verbs(vendor);
    let handles = handles(&verbs);
    // A handle's creation time is not paused, so the first full poll is made here.
    let alone = poll(&verbs, &handles[0]).await;
    assert_eq!((alone, vendor.gets.load(Ordering::Relaxed)), (Phase::Running, 1));
    for _ in 0..4 {
        futures_util::future::join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(vendor.gets.load(Ordering::Relaxed), 1, "joint polls suffice");
    assert!(vendor.lists.load(Ordering::Relaxed) >= 4);
    tokio::time::advance(Duration::from_secs(60)).await;
    futures_util::future::join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
    assert_eq!(vendor.gets.load(Ordering::Relaxed), 2, "then a full poll is made");
}

#[tokio::test(start_paused = true)]
async fn polls_do_not_wait_for_others_while_the_vendor_asks_for_a_pause() {
    let vendor: &'static Vague = Box::leak(Box::default());
    let verbs = verbs(vendor);
    let handles = handles(&verbs);
    let all = || futures_util::future::join_all(handles.iter().map(|handle| poll(&verbs, handle)));
    vendor.limited.store(true, Ordering::Relaxed);
    all().await;
    assert_eq!(vendor.lists.load(Ordering::Relaxed), 1);
    vendor.limited.store(false, Ordering::Relaxed);
    let started = tokio::time::Instant::now();
    for _ in 0..19 {
        let phases = all().await;
        assert!(phases.iter().all(|phase| *phase == Phase::Running), "the last known one");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(started.elapsed(), Duration::from_secs(19), "no poll waited");
    assert_eq!(vendor.lists.load(Ordering::Relaxed), 1);
    assert_eq!(vendor.gets.load(Ordering::Relaxed), 0);
    tokio::time::advance(Duration::from_secs(2)).await;
    all().await;
    assert_eq!(vendor.lists.load(Ordering::Relaxed), 2);
}
