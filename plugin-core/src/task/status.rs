//! The status of a job.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::task::Value;

/// A job's phase, in Flyte's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Queued at the vendor.
    Queued,
    /// Waiting for machines or quota.
    WaitingForResources,
    /// Machines are being set up.
    Initializing,
    /// Running.
    Running,
    /// Done, with outputs if the task declares any.
    Succeeded,
    /// Cancelled on request.
    Aborted,
    /// Failed for good: Flyte does not retry the task.
    Failed,
    /// Failed for a transient reason: Flyte retries the task while it has retries left.
    RetryableFailed,
}

impl Phase {
    /// Whether the job has ended.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Aborted | Self::Failed | Self::RetryableFailed => true,
            Self::Queued | Self::WaitingForResources | Self::Initializing | Self::Running => false,
        }
    }

    /// Flyte's name of the phase, for example `RETRYABLE_FAILED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::WaitingForResources => "WAITING_FOR_RESOURCES",
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Aborted => "ABORTED",
            Self::Failed => "FAILED",
            Self::RetryableFailed => "RETRYABLE_FAILED",
        }
    }
}

/// A link that Flyte's console shows beside the task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// The label.
    pub name: String,
    /// The target.
    pub uri: String,
}

/// The status of a job: its phase, and what Flyte shows beside it.
///
/// Flyte reads links, message and info from the **first** answer of each phase only
/// (`flyteplugins/.../webapi/connector/plugin.go` keeps one phase version), so always set them.
///
/// ```
/// use plugin_core::{Phase, Status, Value};
///
/// /// A job as the vendor's API describes it.
/// struct Job {
///     id: String,
///     state: String,
///     error: String,
///     bytes_read: Option<u64>,
/// }
///
/// fn status(job: &Job) -> Status {
///     let status = match job.state.as_str() {
///         "queued" => Status::new(Phase::Queued),
///         "running" => Status::new(Phase::Running),
///         "done" => {
///             let table = format!("acme://results/{}", job.id);
///             Status::new(Phase::Succeeded)
///                 .output("results", Some(Value::structured_dataset(table)))
///         }
///         "failed" => Status::new(Phase::Failed).code("JOB_FAILED").message(&job.error),
///         "preempted" => Status::new(Phase::RetryableFailed).message("a worker was preempted"),
///         unknown => Status::unknown_state(unknown),
///     };
///     status
///         .link("Acme console", format!("https://console.acme.example/jobs/{}", job.id))
///         .info("bytes_read", job.bytes_read)
/// }
///
/// let error = "no such table".to_owned();
/// let job = Job { id: "7".to_owned(), state: "failed".to_owned(), error, bytes_read: None };
/// assert_eq!(status(&job).phase(), Phase::Failed);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Status {
    pub(crate) phase: Phase,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) links: Vec<Link>,
    pub(crate) info: Map<String, Json>,
    pub(crate) outputs: BTreeMap<String, Value>,
    pub(crate) unknown_state: Option<String>,
}

impl Status {
    /// A job in `phase`.
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            message: String::new(),
            code: None,
            links: Vec::new(),
            info: Map::new(),
            outputs: BTreeMap::new(),
            unknown_state: None,
        }
    }

    /// A job in a state that this version of the plugin does not know: reported as running, counted in a
    /// metric and logged.
    pub fn unknown_state(state: impl Into<String>) -> Self {
        let state = state.into();
        Self {
            unknown_state: Some(state.clone()),
            ..Self::new(Phase::Running).message(format!("in the unknown state {state}"))
        }
    }

    /// Sets the message for the user.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets the vendor's error code; an empty one is ignored.
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into()).filter(|code| !code.is_empty());
        self
    }

    /// Adds a link for Flyte's console.
    pub fn link(mut self, name: impl Into<String>, uri: impl Into<String>) -> Self {
        self.links.push(Link { name: name.into(), uri: uri.into() });
        self
    }

    /// Adds a fact for `custom_info`; `None` adds nothing.
    pub fn info(mut self, key: impl Into<String>, value: Option<impl Into<Json>>) -> Self {
        if let Some(value) = value {
            self.info.insert(key.into(), value.into());
        }
        self
    }

    /// Sets the output `name`; `None` sets nothing.
    pub fn output(mut self, name: impl Into<String>, value: Option<Value>) -> Self {
        if let Some(value) = value {
            self.outputs.insert(name.into(), value);
        }
        self
    }

    /// The job's phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
}
