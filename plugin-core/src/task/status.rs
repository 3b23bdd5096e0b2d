//! What `get` answers: where a job stands and what to show for it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::task::Value;

/// Where a job stands, in Flyte's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Accepted, and waiting for its turn at the vendor.
    Queued,
    /// Waiting for machines or quota.
    WaitingForResources,
    /// Its machines are being set up.
    Initializing,
    /// Running.
    Running,
    /// Done, with outputs if the task declares any.
    Succeeded,
    /// Stopped on request.
    Aborted,
    /// Failed, and would fail again: Flyte does not retry it.
    Failed,
    /// Failed for a reason that may pass: Flyte retries it while the task has retries left.
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

    /// Flyte's name, for example `RETRYABLE_FAILED`.
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
pub struct Link {
    /// What the user reads.
    pub name: String,
    /// Where it leads.
    pub uri: String,
}

/// Where a job stands, and what to show for it.
///
/// Flyte reads links, message and info from the **first** answer of each phase only
/// (`flyteplugins/.../webapi/connector/plugin.go` keeps one phase version), so give them always.
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
    /// A job in `phase`, with nothing else to say.
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

    /// A job in a state this version of the plugin does not know: still running, counted and logged.
    pub fn unknown_state(state: impl Into<String>) -> Self {
        let state = state.into();
        Self {
            unknown_state: Some(state.clone()),
            ..Self::new(Phase::Running).message(format!("in the unknown state {state}"))
        }
    }

    /// Sets the text the user reads.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets the vendor's error code; an empty one is none.
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

    /// Where the job stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }
}
