//! Tasks and statuses that are passed on as they came.

use std::fmt;

use bytes::Bytes;
use prost::Message;
use prost_types::Struct;
use server_core::{Error, Kind, Result, text::printable};

use super::{
    literal::from_struct,
    proto::flyteidl::{
        admin::{CreateTaskRequest, Resource, State},
        core::{LiteralMap, TaskLog, task_execution},
    },
};
use crate::task::{Link, Phase, Status};

/// The most links and facts of a status, and bytes of a link: each replica remembers thousands of statuses.
pub const MAX_LINKS: usize = 50;
/// The most facts of a status.
pub const MAX_FACTS: usize = 100;
const MAX_LINK: usize = 4 << 10;

/// The code of a status that cannot be read.
pub const UNREADABLE_STATUS: &str = "UNREADABLE_STATUS";

/// A task as its caller encoded it, with the fields that this version of the service does not know.
#[derive(Clone, Default)]
pub struct RawTask(Parts);

/// The parts of a `CreateTaskRequest`, each as it came. A part that came twice is passed on twice: whoever reads it
/// merges both, as we did to check it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Parts {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    inputs: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    template: Vec<Bytes>,
    #[prost(string, tag = "3")]
    output_prefix: String,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    task_execution_metadata: Vec<Bytes>,
    /// Contains secrets.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    connection: Vec<Bytes>,
}

/// The same without inputs, as `ExecuteTaskSync` takes it.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct Header {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    template: Vec<Bytes>,
    #[prost(string, tag = "2")]
    output_prefix: String,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    task_execution_metadata: Vec<Bytes>,
}

impl RawTask {
    /// The task of an encoded `CreateTaskRequest`.
    pub(crate) fn of_request(encoded: Bytes) -> Result<Self> {
        Parts::decode(encoded).map(Self).map_err(Error::internal)
    }

    /// The task of an encoded `CreateRequestHeader` and `LiteralMap`.
    pub(crate) fn of_header(header: Bytes, inputs: Option<Bytes>) -> Result<Self> {
        let Header { template, output_prefix, task_execution_metadata } =
            Header::decode(header).map_err(Error::internal)?;
        let (inputs, connection) = (inputs.into_iter().collect(), Vec::new());
        Ok(Self(Parts { inputs, template, output_prefix, task_execution_metadata, connection }))
    }

    /// As a `flyteidl.admin.CreateTaskRequest`, which Flyte 2's is on the wire, too.
    #[must_use]
    pub fn to_create_request(&self) -> Bytes {
        self.0.encode_to_vec().into()
    }

    /// As a `flyteidl.admin.CreateRequestHeader`; [`inputs`](Self::inputs) are a message of their own.
    #[must_use]
    pub fn to_header(&self) -> Bytes {
        let Parts { template, output_prefix, task_execution_metadata, .. } = self.0.clone();
        Header { template, output_prefix, task_execution_metadata }.encode_to_vec().into()
    }

    /// The inputs as a `flyteidl.core.LiteralMap`.
    #[must_use]
    pub fn inputs(&self) -> Bytes {
        match self.0.inputs.as_slice() {
            [inputs] => inputs.clone(),
            // Protobuf merges messages that follow one another.
            several => several.concat().into(),
        }
    }
}

impl fmt::Debug for RawTask {
    /// Without values: there are secrets among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawTask").field("bytes", &self.0.encoded_len()).finish_non_exhaustive()
    }
}

/// A create request, and how its caller encoded it.
pub(crate) struct Submitted {
    /// Boxed, because it is moved through several futures.
    pub(crate) request: Box<CreateTaskRequest>,
    pub(crate) encoded: Encoded,
}

/// How a caller encoded a request.
pub(crate) enum Encoded {
    /// As one message.
    Request(Bytes),
    /// As a header and the inputs.
    Header(Bytes, Option<Bytes>),
    /// As JSON.
    No,
}

impl From<CreateTaskRequest> for Submitted {
    fn from(request: CreateTaskRequest) -> Self {
        Self { request: Box::new(request), encoded: Encoded::No }
    }
}

impl Submitted {
    pub(super) fn raw(&self) -> Result<RawTask> {
        match &self.encoded {
            Encoded::Request(message) => RawTask::of_request(message.clone()),
            Encoded::Header(header, inputs) => RawTask::of_header(header.clone(), inputs.clone()),
            Encoded::No => RawTask::of_request(self.request.encode_to_vec().into()),
        }
    }
}

/// The status that an encoded `flyteidl.admin.Resource` reports. Its outputs and links are passed on as they came.
///
/// A phase that is not known is a running job; `ABORTED`, which Flyte ends without a reason, is a failure
/// with one.
///
/// # Errors
/// `Internal` with the code `UNREADABLE_STATUS` when it is no `Resource`.
pub fn read_resource(resource: Bytes) -> Result<Status> {
    let resource = Resource::decode(resource).map_err(unreadable)?;
    let status = match phase(resource.phase).or_else(|| state(resource.state)) {
        Some(phase) => Status::new(phase),
        None => Status::unknown_state(format!("phase {}", resource.phase)),
    };
    let mut status = match (resource.phase() == task_execution::Phase::Aborted, &*resource.message)
    {
        (true, "") => status.message("the job was aborted"),
        (false, "") => status,
        (_, message) => status.message(message),
    };
    if let Some(error) = resource.agent_error {
        status = status.code(error.code);
    }
    if let Some(outputs) = resource.outputs {
        // Flyte would not read a message that is none.
        LiteralMap::decode(outputs.clone()).map_err(unreadable)?;
        status = status.encoded_outputs(own(&outputs));
    }
    for link in resource.log_links.iter().filter(|link| link.len() <= MAX_LINK).take(MAX_LINKS) {
        let log = TaskLog::decode(link.clone()).map_err(unreadable)?;
        status = status.encoded_link(encoded_link(log, link));
    }
    let info = Struct::decode(resource.custom_info.unwrap_or_default()).map_err(unreadable)?;
    let info = from_struct(&info);
    let facts = info.as_object().cloned().unwrap_or_default().into_iter().take(MAX_FACTS);
    Ok(facts.fold(status, |status, (key, fact)| status.info(key, Some(fact))))
}

/// The link `log`, as `encoded` unless its name has to change.
fn encoded_link(log: TaskLog, encoded: &Bytes) -> Link {
    let name = printable(&*log.name).into_owned();
    let encoded = match name == log.name {
        true => own(encoded),
        false => TaskLog { name: name.clone(), ..log.clone() }.encode_to_vec().into(),
    };
    Link { name, uri: log.uri, encoded: Some(encoded) }
}

/// A copy: `bytes` may be a part of a buffer that is larger by far.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn phase(number: i32) -> Option<Phase> {
    use task_execution::Phase as Flyte;
    Some(match Flyte::try_from(number).ok()? {
        Flyte::Undefined => return None,
        Flyte::Queued => Phase::Queued,
        Flyte::Running => Phase::Running,
        Flyte::Succeeded => Phase::Succeeded,
        Flyte::Aborted | Flyte::Failed => Phase::Failed,
        Flyte::Initializing => Phase::Initializing,
        Flyte::WaitingForResources => Phase::WaitingForResources,
        Flyte::RetryableFailed => Phase::RetryableFailed,
    })
}

/// The phase in what connectors before 1.11 answer with. There, an unset state is a retryable failure.
fn state(number: i32) -> Option<Phase> {
    match State::try_from(number).ok()? {
        State::RetryableFailure => None,
        State::PermanentFailure => Some(Phase::Failed),
        State::Pending => Some(Phase::Queued),
        State::Running => Some(Phase::Running),
        State::Succeeded => Some(Phase::Succeeded),
    }
}

fn unreadable(error: prost::DecodeError) -> Error {
    Error::new(Kind::Internal, "the connector answered with a status that cannot be read")
        .with_code(UNREADABLE_STATUS)
        .with_source(error)
}
