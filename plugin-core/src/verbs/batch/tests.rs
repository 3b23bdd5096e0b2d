use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    caller::{Caller, Verb},
    erased::AnyPlugin,
    handle::{Handle, Job, Owner},
    http::HttpBuilder,
    plugin::{Plugin, Polled, TaskType},
    status::Phase,
    task::Task,
    verbs::{
        ConnectionSecrets,
        tests::{incoming, shared},
    },
};

/// A vendor whose list never says more than that a job has not ended.
#[derive(Default)]
struct Vague {
    lists: AtomicUsize,
    gets: AtomicUsize,
}

#[derive(clap::Args)]
struct Settings {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

impl Plugin for &'static Vague {
    const TASK_TYPES: &'static [TaskType] = &[TaskType { name: "vague", version: 0 }];
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

    async fn batch_key(&self, _: &Context, _: &Nothing) -> Result<Option<BatchKey>> {
        Ok(Some(BatchKey::of(&[])))
    }

    async fn get_many(&self, _: &Context, jobs: &[Polled<Nothing>]) -> Result<Vec<BatchStatus>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        Ok(vec![BatchStatus::NotEnded; jobs.len()])
    }

    async fn delete(&self, _: &Context, _: Nothing) -> Result<()> {
        Ok(())
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

#[tokio::test(start_paused = true)]
async fn that_a_job_has_not_ended_is_enough_for_some_minutes() {
    let vendor: &'static Vague = Box::leak(Box::default());
    let verbs = verbs(vendor);
    let handles = (0..10).map(|_| {
        let handle = Handle {
            task_type: "vague".to_owned(),
            owner: Owner::of(&Caller::anonymous()),
            created_at: Timestamp::now(),
            key: IdempotencyKey::random(),
            execution: Arc::default(),
            job: Job::Created(b"{}".to_vec()),
        };
        handle.seal(&verbs.shared.keys).unwrap()
    });
    let handles = handles.collect::<Vec<_>>();
    // The clock of handles does not stand still, so a job's first minutes pass with its first look.
    let alone = poll(&verbs, &handles[0]).await;
    assert_eq!((alone, vendor.gets.load(Ordering::Relaxed)), (Phase::Running, 1));
    for _ in 0..4 {
        futures_util::future::join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    assert_eq!(vendor.gets.load(Ordering::Relaxed), 1, "lists are enough");
    assert!(vendor.lists.load(Ordering::Relaxed) >= 4);
    tokio::time::advance(Duration::from_secs(60)).await;
    futures_util::future::join_all(handles.iter().map(|handle| poll(&verbs, handle))).await;
    assert_eq!(vendor.gets.load(Ordering::Relaxed), 2, "then it is looked at by itself");
}
