//! A job's status as Flyte's `Resource`.

use bytes::Bytes;
use prost::Message as _;
use serde_json::Value as Json;
use server_core::{Error, Result};

use super::{
    facts::encoded_struct,
    literal::{literal_map, value},
    path::Path,
    proto::flyteidl::{
        admin::{AgentError, Resource, State, agent_error},
        core::{
            Literal, LiteralMap, TaskLog, execution_error::ErrorKind, task_execution,
            task_log::LinkType,
        },
    },
};
use crate::task::{Link, Outputs, Phase, Status};

/// `status` as Flyte's `Resource`.
///
/// `phase` is always set: Flyte 1 takes an unset one for a retryable failure.
pub(crate) fn resource(status: &Status) -> Resource {
    Resource {
        state: state(status.phase).into(),
        outputs: encoded_outputs(&status.outputs),
        message: message(status),
        log_links: status.links.iter().map(log_link).collect(),
        phase: phase(status.phase).into(),
        custom_info: (!status.info.is_empty()).then(|| encoded_struct(&status.info).into()),
        agent_error: agent_error(status),
    }
}

/// The response of a gRPC get to a handle that no key opens: a failure with a reason. After an error
/// Flyte would poll again, and the sixth error in a job's life wedges the task.
pub(crate) fn unreadable_resource(message: &str) -> Resource {
    resource(&Status::new(Phase::Failed).code("UNREADABLE_HANDLE").message(message))
}

fn encoded_outputs(outputs: &Outputs) -> Option<Bytes> {
    match outputs {
        Outputs::Values(values) if values.is_empty() => None,
        Outputs::Values(values) => Some(literal_map(values).encode_to_vec().into()),
        Outputs::Encoded(outputs) => Some(outputs.clone()),
    }
}

/// The outputs as Flyte's `LiteralMap`, if there are any.
pub(crate) fn outputs(outputs: &Outputs) -> Result<Option<LiteralMap>> {
    match outputs {
        Outputs::Values(values) if values.is_empty() => Ok(None),
        Outputs::Values(values) => Ok(Some(literal_map(values))),
        Outputs::Encoded(outputs) => {
            LiteralMap::decode(outputs.clone()).map(Some).map_err(Error::internal)
        }
    }
}

/// The outputs as plain JSON by name; a value that has no plain form is null.
pub(crate) fn plain_outputs(outputs: &Outputs) -> Result<Option<Json>> {
    let plain = |name: &str, literal: &Literal| {
        value(&Path::Root("outputs").member(name), literal).map_or(Json::Null, |it| it.to_json())
    };
    Ok(match outputs {
        Outputs::Values(values) if values.is_empty() => None,
        Outputs::Values(values) => {
            Some(values.iter().map(|(name, value)| (name.clone(), value.to_json())).collect())
        }
        Outputs::Encoded(_) => self::outputs(outputs)?.map(|map| {
            map.literals.iter().map(|(name, it)| (name.clone(), plain(name, it))).collect()
        }),
    })
}

/// The message, prefixed with the code because propeller drops `agent_error`.
fn message(status: &Status) -> String {
    match (&status.code, status.message.as_str()) {
        (Some(code), message) => format!("{code}: {message}"),
        (None, message) => message.to_owned(),
    }
}

fn phase(phase: Phase) -> task_execution::Phase {
    match phase {
        Phase::Queued => task_execution::Phase::Queued,
        Phase::WaitingForResources => task_execution::Phase::WaitingForResources,
        Phase::Initializing => task_execution::Phase::Initializing,
        Phase::Running => task_execution::Phase::Running,
        Phase::Succeeded => task_execution::Phase::Succeeded,
        Phase::Aborted => task_execution::Phase::Aborted,
        Phase::Failed => task_execution::Phase::Failed,
        Phase::RetryableFailed => task_execution::Phase::RetryableFailed,
    }
}

/// The phase for propellers before 1.11, which do not read `phase`.
fn state(phase: Phase) -> State {
    match phase {
        Phase::Queued | Phase::WaitingForResources | Phase::Initializing => State::Pending,
        Phase::Running => State::Running,
        Phase::Succeeded => State::Succeeded,
        Phase::Aborted | Phase::Failed => State::PermanentFailure,
        Phase::RetryableFailed => State::RetryableFailure,
    }
}

fn log_link(link: &Link) -> Bytes {
    if let Some(encoded) = &link.encoded {
        return encoded.clone();
    }
    let log = TaskLog {
        uri: link.uri.clone(),
        name: link.name.clone(),
        show_while_pending: true,
        hide_once_finished: false,
        link_type: LinkType::Dashboard.into(),
        ready: true,
    };
    log.encode_to_vec().into()
}

fn agent_error(status: &Status) -> Option<AgentError> {
    let failed = matches!(status.phase, Phase::Failed | Phase::RetryableFailed);
    let code = status.code.as_ref().filter(|_| failed)?;
    let kind = match status.phase {
        Phase::RetryableFailed => agent_error::Kind::Recoverable,
        _ => agent_error::Kind::NonRecoverable,
    };
    Some(AgentError { code: code.clone(), kind: kind.into(), origin: ErrorKind::User.into() })
}
