//! Create, get and delete, or execute, once for every protocol.

mod create;
mod delete;
mod detached;
mod execute;
mod get;
mod heavy;
mod in_flight;
mod incoming;
mod key;
mod memory;
mod metrics;
mod observations;
mod open;
mod outcome;
mod refusal;
mod refused_jobs;
mod served;
mod task_identity;
mod turn;
mod views;

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use server_core::{Error, Result, digest::KeyedHash};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use self::memory::Memory;
pub(crate) use self::{
    heavy::Heavy,
    incoming::{Incoming, Kept, Permit},
    memory::MemoryArgs,
    metrics::Metrics,
    open::{Opened, UNREADABLE_HANDLE},
    outcome::{Created, Executed},
    served::{Served, ServedAsync, ServedSync},
};
use crate::{
    context::{
        Caller, Chosen, ConnectionValues, Context, Deadline, Execution, IdempotencyKey, Inner,
        Role, SecretReader, Secrets, Verb, Waiting,
    },
    erased::AnyPlugin,
    handle::HandleKeys,
    task::TaskType,
    wire::Bounds,
};

/// How long a poll may take, whatever its caller's deadline: less than the ten seconds that propeller waits
/// by default, and that a poll's caller may not have told.
const POLL_TIME: Duration = Duration::from_secs(8);

/// The plugins of a service, and what its calls share.
pub(crate) struct Verbs {
    served: BTreeMap<&'static str, Served>,
    shared: Shared,
    /// The largest limit on the handles of a plugin, in bytes.
    handle_limit: usize,
}

/// What the calls of a service share.
pub(crate) struct Shared {
    pub(crate) keys: HandleKeys,
    pub(crate) secrets: Arc<SecretReader>,
    pub(crate) metrics: Arc<Metrics>,
    /// What shutdown waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) request_timeout: Duration,
    pub(crate) memory: MemoryArgs,
    pub(crate) poll_freshness: Duration,
    pub(crate) bounds: Bounds,
    pub(crate) heavy: Heavy,
    /// Of what is in progress.
    pub(crate) hash: KeyedHash,
}

/// The parts of a [`Context`] that differ between calls.
struct CallDetails {
    key: IdempotencyKey,
    /// The role of the job's creator, who named the execution.
    creator: Role,
    execution: Arc<Execution>,
    output_prefix: String,
    created_at: Timestamp,
    connection: ConnectionValues,
    waiting: Option<Waiting>,
}

impl Verbs {
    /// The verbs of `plugins`, each with its name in discovery.
    ///
    /// # Errors
    /// `InvalidArgument` when two plugins serve the same task type.
    pub(crate) fn new(plugins: &[(&'static str, AnyPlugin)], shared: Shared) -> Result<Self> {
        let mut served = BTreeMap::<_, Served>::new();
        for (agent, plugin) in plugins {
            let memory = Arc::new(Memory::new(&shared));
            for &task_type in plugin.task_types() {
                let (plugin, memory) = (plugin.clone(), Arc::clone(&memory));
                let (wants_raw, handle_limit) = (plugin.wants_raw(), plugin.handle_limit());
                let entry = Served { agent, task_type, plugin, wants_raw, handle_limit, memory };
                if let Some(other) = served.insert(task_type.name, entry) {
                    return Err(Error::invalid(format!(
                        "the task type {} is served by both {} and {agent}",
                        task_type.name, other.agent
                    )));
                }
            }
        }
        let handle_limit = served.values().map(|served| served.handle_limit).max();
        Ok(Self { served, shared, handle_limit: handle_limit.unwrap_or_default() })
    }

    /// Whether the plugins can serve.
    ///
    /// # Errors
    /// Why one of them cannot.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        self.served.values().try_for_each(|served| served.plugin.ready())
    }

    /// What runs the work on large requests.
    pub(crate) fn heavy(&self) -> &Heavy {
        &self.shared.heavy
    }

    /// The limits on what a request may contain.
    pub(crate) fn bounds(&self) -> &Bounds {
        &self.shared.bounds
    }

    /// What is served, by task type.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Served> {
        self.served.values()
    }

    /// The plugin for a task type. `version` is checked if the caller named one.
    ///
    /// # Errors
    /// `NotFound`, with what is served.
    pub(crate) fn find(&self, task_type: &str, version: Option<i32>) -> Result<&Served> {
        let found = self.served.get(task_type);
        let found = found
            .filter(|served| version.is_none_or(|version| version == served.task_type.version));
        found.ok_or_else(|| {
            let requested = match version {
                Some(version) => format!("{task_type} version {version}"),
                None => task_type.to_owned(),
            };
            let available = self.served.values().map(|served| {
                format!("{} version {}", served.task_type.name, served.task_type.version)
            });
            let available = available.collect::<Vec<_>>().join(", ");
            Error::not_found(format!("unknown task type {requested}; available: {available}"))
        })
    }

    fn context(
        &self,
        task_type: TaskType,
        caller: &Caller,
        deadline: Deadline,
        call: CallDetails,
    ) -> Context {
        // Anyone but Flyte could name another team's namespace, and use that team's secrets.
        let namespace = match call.creator {
            Role::Propeller | Role::Anonymous => call.execution.namespace.as_str().into(),
            Role::User | Role::Admin => "".into(),
        };
        let secrets = Secrets {
            reader: Arc::clone(&self.shared.secrets),
            connection: Arc::new(call.connection.secrets),
            namespace,
            chosen: Chosen::default(),
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
            configs: Arc::new(call.connection.configs),
            waiting: call.waiting,
            is_poll: false,
            calls: None,
        }))
    }

    /// The context of a call about an existing job.
    fn context_of(
        &self,
        incoming: &Incoming,
        deadline: Deadline,
        opened: &Opened,
        connection: ConnectionValues,
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

    /// Runs a plugin's code. A panic is counted, and fails this call alone.
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

#[cfg(test)]
mod tests;
