//! The status of a job, and an error, as any protocol reports them.

use std::fmt;

use plugin_core::testing::{
    Dialect, literal_map,
    proto::flyteidl::{
        admin::{Resource, State},
        core::{LiteralMap, TaskLog, task_execution},
    },
    struct_json,
};
use prost::Message as _;
use serde_json::{Value as Json, json};
use server_core::text::cut;
use tonic::Code;

use crate::grpc::Silence;

/// The most bytes of a service's text in a report.
const MAX_TEXT: usize = 300;

/// The names of Flyte's phases that say something.
const PHASES: [&str; 8] = [
    "QUEUED",
    "RUNNING",
    "SUCCEEDED",
    "ABORTED",
    "FAILED",
    "INITIALIZING",
    "WAITING_FOR_RESOURCES",
    "RETRYABLE_FAILED",
];

/// The status of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobStatus {
    pub(crate) phase: String,
    /// The message, after the error code if there is one.
    pub(crate) message: String,
    /// `Err` if they are not Flyte's.
    pub(crate) outputs: Result<Option<LiteralMap>, String>,
    /// Names and URIs.
    pub(crate) links: Vec<(String, String)>,
    /// The custom info, an object.
    pub(crate) info: Json,
    /// The phase in an older form: Flyte 1's `state` or REST's `job_state`; empty where there is none.
    pub(crate) state: String,
    /// REST's identifiers of the job at the vendor; null elsewhere.
    pub(crate) job: Json,
}

impl JobStatus {
    /// From gRPC's form.
    pub(crate) fn from_grpc(dialect: Dialect, resource: &Resource) -> Self {
        let phase = match task_execution::Phase::try_from(resource.phase) {
            Ok(phase) => phase.as_str_name().to_owned(),
            Err(_) => format!("phase {}", resource.phase),
        };
        let outputs = resource.outputs.clone().map(LiteralMap::decode).transpose();
        let link = |link: &bytes::Bytes| TaskLog::decode(link.clone()).unwrap_or_default();
        let links = resource.log_links.iter().map(link).map(|link| (link.name, link.uri));
        let state = State::try_from(resource.state).map(|state| state.as_str_name());
        let info = struct_json(resource.custom_info.as_deref().unwrap_or_default());
        Self {
            phase,
            message: resource.message.clone(),
            outputs: outputs.map_err(|error| format!("outputs: {error}")),
            links: links.collect(),
            info: info.unwrap_or_else(|error| json!(format!("custom_info: {error}"))),
            state: match dialect {
                Dialect::Flyte1 => state.unwrap_or("unknown").to_owned(),
                _ => String::new(),
            },
            job: Json::Null,
        }
    }

    /// From REST's form.
    pub(crate) fn from_rest(answer: &Json) -> Self {
        let string = |json: &Json| json.as_str().unwrap_or_default().to_owned();
        let links = answer["log_links"].as_array().into_iter().flatten();
        let outputs = match &answer["outputs"] {
            Json::Null => Ok(None),
            outputs => literal_map(outputs).map(Some).map_err(|error| {
                let message = error.to_string();
                format!("outputs: {}", message.trim_start_matches("inputs").trim_start_matches('.'))
            }),
        };
        Self {
            phase: string(&answer["phase"]),
            message: with_code(&string(&answer["error_code"]), &string(&answer["message"])),
            outputs,
            links: links.map(|link| (string(&link["name"]), string(&link["uri"]))).collect(),
            info: match &answer["custom_info"] {
                Json::Null => json!({}),
                info => info.clone(),
            },
            state: string(&answer["job_state"]),
            job: answer["job_spec"]["job"].clone(),
        }
    }

    /// Whether the phase says something.
    pub(crate) fn has_phase(&self) -> bool {
        PHASES.contains(&self.phase.as_str())
    }

    /// Whether the job has ended.
    pub(crate) fn is_terminal(&self) -> bool {
        ["SUCCEEDED", "FAILED", "RETRYABLE_FAILED", "ABORTED"].contains(&self.phase.as_str())
    }

    /// Whether the job has failed for good.
    pub(crate) fn has_failed(&self) -> bool {
        self.phase == "FAILED"
    }
}

fn with_code(code: &str, message: &str) -> String {
    match code {
        "" => message.to_owned(),
        code => format!("{code}: {message}"),
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = if self.phase.is_empty() { "no phase" } else { &self.phase };
        match self.message.as_str() {
            "" => write!(f, "{}", quoted(phase)),
            message => write!(f, "{} with the message {}", quoted(phase), quoted(message)),
        }
    }
}

/// A service's text for a report: short, and without characters that a terminal would obey.
pub(crate) fn quoted(text: &str) -> String {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let text = cut(text, MAX_TEXT);
    if plain { text.into_owned() } else { format!("{text:?}") }
}

/// An unsuccessful answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// gRPC's.
    #[error("{code:?} with the message {}", quoted(message))]
    Grpc {
        /// Its code.
        code: Code,
        /// Its message.
        message: String,
    },
    /// REST's.
    #[error("{status} with the message {}", quoted(message))]
    Http {
        /// Its status.
        status: u16,
        /// Its message.
        message: String,
    },
    /// None came.
    #[error(transparent)]
    Silence(#[from] Silence),
}

impl CallError {
    /// Whether it is one of these.
    pub(crate) fn is(&self, codes: &[Code], statuses: &[u16]) -> bool {
        match self {
            Self::Grpc { code, .. } => codes.contains(code),
            Self::Http { status, .. } => statuses.contains(status),
            Self::Silence(_) => false,
        }
    }

    /// Its message.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Grpc { message, .. } | Self::Http { message, .. } => message,
            Self::Silence(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_service_cannot_steer_a_terminal() {
        assert_eq!(quoted("RUNNING"), "RUNNING");
        assert_eq!(quoted("a\u{1b}[2Jb"), r#""a\u{1b}[2Jb""#);
        assert!(quoted(&"x y".repeat(1000)).len() < 400);
    }
}
