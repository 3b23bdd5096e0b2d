//! Create, get and delete, or execute, once for every protocol.

mod batch;
mod create;
mod delete;
mod detached;
mod execute;
mod get;
mod in_flight;
mod key;
mod metrics;
mod observations;
mod served;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::SecretString;
use server_core::{
    Error, Kind, Result,
    digest::{Fingerprint, sha256},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::task::TaskTracker;

use self::served::Memory;
pub(crate) use self::{
    metrics::Metrics,
    served::{Served, ServedAsync, ServedSync},
};
use crate::{
    context::{
        Caller, Context, Deadline, Execution, IdempotencyKey, Inner, Role, SecretReader, Secrets,
        Verb, Waiting,
    },
    erased::AnyPlugin,
    handle::{Handle, HandleKeys, Job},
    record::Record,
    task::TaskType,
};

/// The code of a handle that this service cannot read.
pub(crate) const UNREADABLE_HANDLE: &str = "UNREADABLE_HANDLE";

/// The secret values that came with a request.
pub(crate) type ConnectionSecrets = BTreeMap<String, SecretString>;

/// A place among the calls served at once. What outlives its caller keeps it.
#[derive(Clone)]
pub(crate) struct Permit(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Permit {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(permit))
    }
}

/// One call, as the layers before the handler leave it.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    pub(crate) record: Record,
    permit: Option<Permit>,
}

/// A handle that belongs to the caller, and the plugin it leads to.
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    pub(crate) served: ServedAsync,
    /// What this replica remembers the job by. The key alone may be used at two places of a vendor.
    fingerprint: Fingerprint,
}

/// The plugins of a service, and what its calls share.
pub(crate) struct Verbs {
    served: BTreeMap<&'static str, Served>,
    shared: Shared,
}

/// What the calls of a service share.
pub(crate) struct Shared {
    pub(crate) keys: HandleKeys,
    pub(crate) secrets: Arc<SecretReader>,
    pub(crate) metrics: Arc<Metrics>,
    /// What shutdown waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) request_timeout: Duration,
    pub(crate) refused_grace: Duration,
    pub(crate) poll_window: Duration,
}

/// What makes up a [`Context`] beside what all calls share.
struct CallDetails {
    key: IdempotencyKey,
    /// Who said of which execution the job is.
    creator: Role,
    execution: Arc<Execution>,
    output_prefix: String,
    created_at: Timestamp,
    connection: ConnectionSecrets,
    waiting: Option<Waiting>,
}

impl Verbs {
    /// The verbs of `plugins`, each with what discovery calls it.
    ///
    /// # Errors
    /// `InvalidArgument` when a task type is named twice.
    pub(crate) fn new(plugins: &[(&'static str, AnyPlugin)], shared: Shared) -> Result<Self> {
        let mut served = BTreeMap::<_, Served>::new();
        for (agent, plugin) in plugins {
            let memory = Arc::new(Memory::new(&shared));
            for &task_type in plugin.task_types() {
                let (plugin, memory) = (plugin.clone(), Arc::clone(&memory));
                let entry = Served { agent, task_type, plugin, memory };
                if let Some(other) = served.insert(task_type.name, entry) {
                    return Err(Error::invalid(format!(
                        "the task type {} is served twice, by {} and by {agent}",
                        task_type.name, other.agent
                    )));
                }
            }
        }
        Ok(Self { served, shared })
    }

    /// What is served, by the name of the task type.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Served> {
        self.served.values()
    }

    /// The plugin for a task type; `version` is checked where the caller names one.
    pub(crate) fn find(&self, task_type: &str, version: Option<i32>) -> Result<&Served> {
        let found = self.served.get(task_type);
        let found = found
            .filter(|served| version.is_none_or(|version| version == served.task_type.version));
        found.ok_or_else(|| {
            let asked = match version {
                Some(version) => format!("{task_type} version {version}"),
                None => task_type.to_owned(),
            };
            let known = self.served.values().map(|served| {
                format!("{} version {}", served.task_type.name, served.task_type.version)
            });
            let known = known.collect::<Vec<_>>().join(", ");
            Error::not_found(format!("task type {asked} is not served here; served: {known}"))
        })
    }

    /// Opens a handle, and checks that it is the caller's.
    ///
    /// # Errors
    /// `InvalidArgument` with the code [`UNREADABLE_HANDLE`], or `PermissionDenied`.
    pub(crate) fn open(
        &self,
        incoming: &Incoming,
        verb: Verb,
        sealed: &[u8],
        task_type: Option<&str>,
    ) -> Result<Opened> {
        incoming.caller.check_verb(verb)?;
        let opened = self.read(sealed, task_type).inspect_err(|_| {
            self.shared.metrics.unreadable_handle(verb);
        })?;
        let task_type = opened.served.task_type.name;
        incoming.note(task_type, &opened.handle.execution, opened.handle.key);
        incoming.caller.check_task_type(task_type)?;
        if !opened.handle.owner.admits(&incoming.caller) {
            let message = "this job belongs to another caller";
            return Err(Error::new(Kind::PermissionDenied, message));
        }
        Ok(opened)
    }

    fn read(&self, sealed: &[u8], task_type: Option<&str>) -> Result<Opened> {
        let unreadable = |why: String| Error::invalid(why).with_code(UNREADABLE_HANDLE);
        let with_jobs = |served: &Served| {
            served.asynchronous().map_err(|error| unreadable(error.message().to_owned()))
        };
        // Whatever the handle is, there is no job of a type that is answered at once.
        task_type.and_then(|name| self.served.get(name)).map(with_jobs).transpose()?;
        let handle = Handle::open(sealed, &self.shared.keys).ok_or_else(|| {
            unreadable(
                "the job's handle cannot be read: it was made by another service, with a key that \
                 is no longer configured, or was altered"
                    .to_owned(),
            )
        })?;
        let other = &handle.task_type;
        if let Some(task_type) = task_type.filter(|task_type| task_type != other) {
            return Err(unreadable(format!(
                "the job's handle is of a {other} task, not {task_type}"
            )));
        }
        let Some(served) = self.served.get(other.as_str()) else {
            return Err(unreadable(format!(
                "the job's handle is of a {other} task, not served here"
            )));
        };
        let fingerprint = fingerprint(&handle);
        Ok(Opened { served: with_jobs(served)?, handle, fingerprint })
    }

    fn context(
        &self,
        task_type: TaskType,
        caller: &Caller,
        deadline: Deadline,
        call: CallDetails,
    ) -> Context {
        // Anyone but Flyte could name another team's namespace, and run with that team's secrets.
        let namespace = match call.creator {
            Role::Propeller | Role::Anonymous => call.execution.namespace.as_str().into(),
            Role::User | Role::Admin => "".into(),
        };
        let secrets = Secrets {
            reader: Arc::clone(&self.shared.secrets),
            connection: Arc::new(call.connection),
            namespace,
        };
        Context(Arc::new(Inner {
            caller: caller.clone(),
            deadline,
            key: call.key,
            task_type,
            execution: call.execution,
            output_prefix: call.output_prefix,
            created_at: call.created_at,
            secrets,
            waiting: call.waiting,
        }))
    }

    /// The context of a call about a job that exists.
    fn context_of(
        &self,
        incoming: &Incoming,
        deadline: Deadline,
        opened: &Opened,
        connection: ConnectionSecrets,
    ) -> Context {
        let handle = &opened.handle;
        let call = CallDetails {
            key: handle.key,
            creator: handle.owner.role,
            execution: Arc::clone(&handle.execution),
            output_prefix: String::new(),
            created_at: handle.created_at,
            connection,
            waiting: None,
        };
        self.context(opened.served.task_type, &incoming.caller, deadline, call)
    }

    /// Runs code of a plugin: its panic is a failure of this call, counted and logged.
    async fn guarded<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
            self.shared.metrics.panics.inc();
            Err(Error::panicked(&*panic))
        })
    }

    /// Counts a call under flytekit's metric names.
    fn count<T>(&self, task_type: TaskType, verb: Verb, since: Instant, result: &Result<T>) {
        self.shared.metrics.operation(task_type.name, verb, since.elapsed(), result.as_ref().err());
    }
}

fn fingerprint(handle: &Handle) -> Fingerprint {
    match &handle.job {
        Job::Created(meta) => Fingerprint::from_bytes(sha256(&[handle.key.as_bytes(), meta])),
        Job::Refused { .. } => Fingerprint::from_bytes(*handle.key.as_bytes()),
    }
}

impl Incoming {
    /// What the layers learned about a call.
    ///
    /// # Errors
    /// `Internal` when a layer did not run.
    pub(crate) fn of(extensions: &http::Extensions) -> Result<Self> {
        let missing = || Error::internal("a layer did not run");
        Ok(Self {
            caller: extensions.get::<Caller>().cloned().ok_or_else(missing)?,
            deadline: extensions.get::<Deadline>().copied().ok_or_else(missing)?,
            record: extensions.get::<Record>().cloned().unwrap_or_default(),
            permit: extensions.get::<Permit>().cloned(),
        })
    }

    /// Puts what a call turned out to be about on its record.
    fn note(&self, task_type: &'static str, execution: &Arc<Execution>, key: IdempotencyKey) {
        let mut fields = self.record.fields();
        fields.task_type = Some(task_type);
        fields.execution = Arc::clone(execution);
        fields.job = Some(key.short());
    }
}

#[cfg(test)]
mod tests;
