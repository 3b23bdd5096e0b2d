//! Fixtures for the verbs' tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::{metrics::counter::Counter, registry::Registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server_core::digest::Fingerprint;

use super::*;
use crate::{
    context::SecretArgs,
    plugin::{JointPolls, JointStatus, Options, Plugin, Polled},
    task::{Phase, Status, Task},
    upstream::HttpBuilder,
    wire::Bounds,
};

/// A vendor whose jobs have ended, with the statement they ran as their message.
#[derive(Default)]
pub(super) struct Vendor {
    creates: AtomicUsize,
    /// Those that have begun and not ended.
    submitting: AtomicUsize,
    most_at_once: AtomicUsize,
    deletes: AtomicUsize,
}

#[derive(clap::Args)]
pub(super) struct Settings {}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Nothing {}

#[derive(Serialize, Deserialize)]
pub(super) struct Ran {
    statement: String,
}

impl Ran {
    fn status(&self) -> Status {
        Status::new(Phase::Succeeded).message(self.statement.clone())
    }
}

impl Plugin for &'static Vendor {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("sql", 0)];
    type Settings = Settings;
    type Custom = Nothing;
    type Meta = Ran;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Err(Error::internal("made by the test"))
    }

    async fn create(&self, _: &Context, task: Task<Nothing>) -> Result<Ran> {
        self.creates.fetch_add(1, Ordering::Relaxed);
        let at_once = self.submitting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.submitting.fetch_sub(1, Ordering::Relaxed);
        Ok(Ran { statement: task.statement.unwrap_or_default() })
    }

    async fn get(&self, _: &Context, ran: Ran) -> Result<Status> {
        Ok(ran.status())
    }

    async fn delete(&self, _: &Context, _: Ran) -> Result<()> {
        self.deletes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }
}

impl JointPolls for &'static Vendor {
    async fn group(&self, _: &Context, _: &Ran) -> Result<Option<Fingerprint>> {
        Ok(Some(Fingerprint::of(&[])))
    }

    async fn get_many(&self, _: &Context, jobs: &[Polled<Ran>]) -> Result<Vec<JointStatus>> {
        Ok(jobs.iter().map(|job| JointStatus::Status(job.job.status())).collect())
    }
}

impl Vendor {
    pub(super) fn creates(&self) -> usize {
        self.creates.load(Ordering::Relaxed)
    }

    pub(super) fn most_creates_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }

    pub(super) fn deletes(&self) -> usize {
        self.deletes.load(Ordering::Relaxed)
    }

    pub(super) fn served() -> (&'static Self, Arc<Verbs>) {
        let vendor: &'static Self = Box::leak(Box::default());
        let verbs = Verbs::new(&[("sql", AnyPlugin::Async(Arc::new(vendor)))], shared());
        (vendor, Arc::new(verbs.unwrap()))
    }
}

/// The message of the job of `handle`.
pub(super) async fn poll(verbs: &Arc<Verbs>, handle: &[u8]) -> String {
    let incoming = incoming(Duration::from_secs(10));
    let opened = verbs.open(&incoming, Verb::Get, handle, None).unwrap();
    verbs.get(&incoming, &opened, ConnectionValues::default()).await.message.clone()
}

pub(super) fn shared() -> Shared {
    let sources = SecretArgs {
        secret_prefix: "_NONE_".to_owned(),
        secrets_dir: "/nowhere".into(),
        forbid_connection_secrets: false,
    };
    Shared {
        keys: HandleKeys::repeated(&[7]),
        secrets: Arc::new(SecretReader::new(sources)),
        metrics: Arc::new(Metrics::register(&mut Registry::default(), Counter::default())),
        tasks: TaskTracker::new(),
        request_timeout: Duration::from_secs(30),
        memory: MemoryArgs {
            refused_grace: Duration::from_secs(600),
            remembered_jobs: 1000,
            refused_jobs: 1000,
        },
        poll_freshness: Duration::from_secs(2),
        bounds: Bounds::default(),
        heavy: Heavy::default(),
        hash: KeyedHash::default(),
    }
}

/// A call that has `time` left.
pub(super) fn incoming(time: Duration) -> Incoming {
    incoming_of(Caller::anonymous(), time)
}

/// [`incoming`] of `caller`.
pub(super) fn incoming_of(caller: Caller, time: Duration) -> Incoming {
    Incoming {
        message: None,
        caller,
        deadline: Deadline::after(time),
        record: crate::record::Record::default(),
        permit: None,
        is_from_memory: false,
    }
}
