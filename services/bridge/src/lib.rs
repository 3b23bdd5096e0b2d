//! Runs the tasks of another process, which listens on a socket or on loopback: Flyte's connectors, or plugins in any
//! language.
//!
//! Connectors of Flyte 1 (`pyflyte serve connector`) and of Flyte 2 (`c0`) work as they are, and either Flyte calls
//! either. A server of plugins answers the proposal's REST with plain JSON. Between Flyte and them stand
//! authentication, sealed handles, deadlines, limits, last known statuses and metrics. What the process cannot promise,
//! the bridge cannot either; the README says what that is.

mod address;
mod codec;
mod dialect;
mod discovery;
mod error;
mod grpc;
mod links;
mod memory;
mod messages;
mod permits;
mod rest;
mod rest_error;
mod rest_status;
mod settings;
mod upstream;

use std::time::Duration;

use plugin_core::{
    Context, Error, Phase, RawPlugin, RawTask, RawTaskTypes, RepeatedCreate, Result, Status,
    TaskType, serde_json::value::RawValue, upstream::Calls,
};
use prost::Message as _;
use tokio::time::timeout;

pub use self::settings::Settings;
use self::{
    dialect::Protocol,
    discovery::{Discovery, TaskTypes},
    memory::Memory,
    messages::Job,
    upstream::{Upstream, readable_id},
};

/// How long the process is asked whether a job has succeeded, before the job is deleted all the same.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// The task types of another process.
pub struct Bridge {
    upstream: Upstream,
    discovery: Discovery,
    memory: Memory,
    /// Those whose connectors look for the job that has a request's key.
    idempotent: Vec<TaskType>,
    delete_succeeded: bool,
}

impl RawPlugin for Bridge {
    type Settings = Settings;

    fn new(settings: Settings, calls: Calls) -> Result<Self> {
        let jobs = settings.task_types.leak();
        let sync = settings.sync_task_types.leak();
        if jobs.is_empty() && sync.is_empty() {
            return Err(Error::invalid(
                "--task-types (BRIDGE_TASK_TYPES) and --sync-task-types (BRIDGE_SYNC_TASK_TYPES) are missing: \
                 name what to serve",
            ));
        }
        check_idempotent(&settings.idempotent_task_types, jobs)?;
        let missing = || Error::invalid("--upstream (BRIDGE_UPSTREAM) is missing");
        let address = settings.upstream.ok_or_else(missing)?;
        address
            .check()
            .map_err(|error| Error::invalid(format!("--upstream (BRIDGE_UPSTREAM): {error}")))?;
        Ok(Self {
            upstream: Upstream::new(&address, settings.connector_concurrency.get(), calls)?,
            discovery: Discovery::new(TaskTypes { jobs, sync }, settings.protocol),
            memory: Memory::default(),
            idempotent: settings.idempotent_task_types,
            delete_succeeded: settings.delete_succeeded,
        })
    }

    fn task_types(&self) -> RawTaskTypes {
        let TaskTypes { jobs, sync } = *self.discovery.types();
        RawTaskTypes { jobs, sync }
    }

    fn repeated_create(&self, task_type: TaskType) -> RepeatedCreate {
        match self.discovery.protocol() {
            Some(Protocol::Rest) => RepeatedCreate::UpToPlugin,
            _ if self.idempotent.contains(&task_type) => RepeatedCreate::UpToPlugin,
            Some(Protocol::Grpc(_)) | None => RepeatedCreate::Remembered,
        }
    }

    fn ready(&self) -> Result<(), &'static str> {
        self.discovery.ready()
    }

    async fn background(&self) {
        self.discovery.keep_asking(&self.upstream).await;
    }

    async fn create(&self, cx: &Context, task: RawTask) -> Result<Vec<u8>> {
        let protocol = self.protocol()?;
        // They would reach the process as they came.
        cx.connection_secrets()?;
        let fingerprint = task.fingerprint()?;
        let repeated = self.repeated_create(cx.task_type());
        match self.memory.created(cx, fingerprint)? {
            // The process might start another job.
            Some(job) if repeated != RepeatedCreate::UpToPlugin => return Ok(job),
            _ => {}
        }
        let job = self.upstream.create(cx, protocol, &task, repeated).await?.encode_to_vec();
        self.memory.remember(cx, fingerprint, &job);
        Ok(job)
    }

    async fn get(&self, cx: &Context, meta: Vec<u8>) -> Result<Status> {
        let status = self.upstream.get(cx, self.protocol()?, &job(&meta)?).await?;
        if status.phase() == Phase::Succeeded {
            self.memory.succeeded(cx, &meta);
        }
        Ok(status)
    }

    fn ids(&self, meta: &[u8]) -> Option<Box<RawValue>> {
        readable_id(&job(meta).ok()?)
    }

    async fn delete(&self, cx: &Context, meta: Vec<u8>) -> Result<()> {
        if !self.delete_succeeded && self.has_succeeded(cx, &meta).await {
            return Ok(());
        }
        let deleted = self.upstream.delete(cx, self.protocol()?, &job(&meta)?).await;
        match deleted {
            Err(error) if self.memory.delete_failed_for_too_long(cx, &meta, &error) => {
                tracing::warn!(%error, "a job could not be deleted; it is given up");
                Ok(())
            }
            deleted => {
                // A create with the same key is about a new job then.
                if deleted.is_ok() {
                    self.memory.forget(cx);
                }
                deleted
            }
        }
    }

    async fn execute(&self, cx: &Context, task: RawTask) -> Result<Status> {
        self.upstream.execute(cx, self.protocol()?, &task).await
    }
}

impl Bridge {
    fn protocol(&self) -> Result<Protocol> {
        let protocol = self.discovery.protocol();
        let unanswered = || Error::unavailable(self.discovery.process().has_not_answered());
        protocol.ok_or_else(unanswered)
    }

    /// Whether the job is known to have succeeded, or the process says so.
    async fn has_succeeded(&self, cx: &Context, meta: &[u8]) -> bool {
        if self.memory.has_succeeded(cx, meta) {
            return true;
        }
        let status = timeout(LOOK_TIME, RawPlugin::get(self, cx, meta.to_vec())).await;
        status.is_ok_and(|status| status.is_ok_and(|status| status.phase() == Phase::Succeeded))
    }
}

fn check_idempotent(idempotent: &[TaskType], jobs: &[TaskType]) -> Result<()> {
    let Some(other) = idempotent.iter().find(|task_type| !jobs.contains(task_type)) else {
        return Ok(());
    };
    let TaskType { name, version, .. } = other;
    Err(Error::invalid(format!(
        "--idempotent-task-types (BRIDGE_IDEMPOTENT_TASK_TYPES) has {name}:{version}, which --task-types has not"
    )))
}

fn job(meta: &[u8]) -> Result<Job> {
    Job::decode(meta).map_err(Error::internal)
}

#[cfg(test)]
plugin_core::readme_test!(plugin_core::command_raw::<Bridge>, include_str!("../README.md"));
