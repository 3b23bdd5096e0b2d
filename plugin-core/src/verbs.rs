//! Create, get and delete, once for every protocol.

mod create;
mod delete;
mod get;
mod in_flight;
mod last_seen;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub(crate) use self::create::Created;
use self::{in_flight::InFlight, last_seen::LastSeen};
use crate::{
    caller::{Caller, Verb},
    context::{Context, Execution, IdempotencyKey, Inner},
    deadline::Deadline,
    erased::DynPlugin,
    error::{Error, Kind, Result},
    handle::{Handle, HandleKeys},
    plugin::TaskType,
    secrets::{SecretArgs, Secrets},
    telemetry::{
        metrics::Metrics,
        record::{Record, fingerprint},
    },
};

/// The code of a handle that no key opens.
pub(crate) const UNREADABLE_HANDLE: &str = "UNREADABLE_HANDLE";

/// The secret values that came with a request.
pub(crate) type ConnectionSecrets = BTreeMap<String, SecretString>;

/// One call, as the layers before the handler leave it.
#[derive(Clone)]
pub(crate) struct Incoming {
    pub(crate) caller: Caller,
    pub(crate) deadline: Deadline,
    pub(crate) record: Record,
}

/// A plugin under one of its task types.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) task_type: TaskType,
    pub(crate) plugin: Arc<dyn DynPlugin>,
}

/// A handle that belongs to the caller, and the plugin it leads to.
pub(crate) struct Opened {
    pub(crate) handle: Handle,
    pub(crate) served: Served,
}

/// Every plugin of a service, and what their calls share.
pub(crate) struct Verbs {
    served: BTreeMap<&'static str, Served>,
    shared: Shared,
    in_flight: InFlight<Created>,
    last_seen: LastSeen,
}

/// What the calls of a service share.
pub(crate) struct Shared {
    pub(crate) keys: HandleKeys,
    pub(crate) secrets: Arc<SecretArgs>,
    pub(crate) metrics: Arc<Metrics>,
    /// What shutdown waits for.
    pub(crate) tasks: TaskTracker,
    pub(crate) request_timeout: Duration,
    pub(crate) refused_grace: Duration,
}

/// What makes up a [`Context`] beside what all calls share.
struct Particulars {
    key: IdempotencyKey,
    execution: Execution,
    output_prefix: String,
    created_at: Timestamp,
    connection: ConnectionSecrets,
}

impl Verbs {
    pub(crate) fn new(plugins: Vec<Arc<dyn DynPlugin>>, shared: Shared) -> Self {
        let served = plugins.into_iter().flat_map(|plugin| {
            let types = plugin.task_types().iter();
            types.map(move |&task_type| Served { task_type, plugin: Arc::clone(&plugin) })
        });
        Self {
            served: served.map(|served| (served.task_type.name, served)).collect(),
            in_flight: InFlight::new(Arc::clone(&shared.metrics)),
            last_seen: LastSeen::new(shared.refused_grace),
            shared,
        }
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
        let opened = self.read(sealed, task_type).inspect_err(|_| {
            self.shared.metrics.unreadable_handle(verb);
        })?;
        incoming.note(verb, opened.served.task_type.name, &opened.handle.execution);
        incoming.record.fields().handle = Some(fingerprint(opened.handle.key));
        incoming.caller.check_task_type(opened.served.task_type.name)?;
        if !opened.handle.owner.admits(&incoming.caller) {
            let message = "this job belongs to another caller";
            return Err(Error::new(Kind::PermissionDenied, message));
        }
        Ok(opened)
    }

    fn read(&self, sealed: &[u8], task_type: Option<&str>) -> Result<Opened> {
        let unreadable = |why: String| Error::invalid(why).with_code(UNREADABLE_HANDLE);
        let handle = Handle::open(sealed, &self.shared.keys).ok_or_else(|| {
            unreadable(
                "the job's handle cannot be read: it was made by another service, with a key that \
                 is no longer configured, or was altered"
                    .to_owned(),
            )
        })?;
        if let Some(task_type) = task_type.filter(|task_type| *task_type != handle.task_type) {
            let other = &handle.task_type;
            return Err(unreadable(format!(
                "the job's handle is of a {other} task, not {task_type}"
            )));
        }
        let Some(served) = self.served.get(handle.task_type.as_str()) else {
            let other = &handle.task_type;
            return Err(unreadable(format!(
                "the job's handle is of a {other} task, not served here"
            )));
        };
        Ok(Opened { handle, served: served.clone() })
    }

    fn context(&self, caller: &Caller, deadline: Deadline, call: Particulars) -> Context {
        let secrets = Secrets {
            sources: Arc::clone(&self.shared.secrets),
            connection: Arc::new(call.connection),
            namespace: call.execution.namespace.as_str().into(),
        };
        Context(Arc::new(Inner {
            caller: caller.clone(),
            deadline,
            key: call.key,
            execution: call.execution,
            output_prefix: call.output_prefix,
            created_at: call.created_at,
            secrets,
        }))
    }

    /// The context of a call about a job that exists.
    fn context_of(
        &self,
        incoming: &Incoming,
        deadline: Deadline,
        handle: &Handle,
        connection: ConnectionSecrets,
    ) -> Context {
        let call = Particulars {
            key: handle.key,
            execution: handle.execution.clone(),
            output_prefix: String::new(),
            created_at: handle.created_at,
            connection,
        };
        self.context(&incoming.caller, deadline, call)
    }

    /// Counts a call under flytekit's metric names.
    fn count<T>(&self, served: &Served, verb: Verb, since: Instant, result: &Result<T>) {
        let task_type = served.task_type.name;
        self.shared.metrics.operation(task_type, verb, since.elapsed(), result.as_ref().err());
    }
}

impl Incoming {
    /// Puts what a call turned out to be about on its record.
    fn note(&self, verb: Verb, task_type: &'static str, execution: &Execution) {
        let mut fields = self.record.fields();
        fields.verb = Some(verb);
        fields.task_type = Some(task_type);
        fields.execution = execution.clone();
    }
}
