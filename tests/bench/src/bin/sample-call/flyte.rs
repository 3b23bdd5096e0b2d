//! Creates and polls over gRPC, as Flyte 1 and Flyte 2 make them.

use anyhow::{Context as _, Result, bail, ensure};
use bench::wire::{Answer, Connection, written};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use plugin_core::testing::proto::flyteidl::{
    admin::{CreateTaskResponse, GetTaskRequest, GetTaskResponse, TaskCategory},
    core::task_execution::Phase,
};
use prost::Message;

use crate::{AT_ONCE, Args, Creates, Poll, Sample, one_size, prefixes};

/// The services, which have the same methods and messages.
pub(crate) const FLYTE1: &str = "/flyteidl.service.AsyncAgentService";
pub(crate) const FLYTE2: &str = "/flyteidl2.connector.AsyncConnectorService";

/// The field `output_prefix` of CreateTaskRequest, with the wire type of a string.
const OUTPUT_PREFIX: u8 = 3 << 3 | 2;
/// A frame's head: a flag for compression and the length.
const FRAME_HEAD: usize = 5;

pub(crate) async fn sample(args: &Args, service: &str, token: &str) -> Result<Sample> {
    let headers = ["content-type: application/grpc".to_owned(), "te: trailers".to_owned()];
    let headers = [vec![format!("authorization: Bearer {token}")], headers.to_vec()].concat();
    let connection = Connection::new(format!("http://{}", args.address), true, headers.clone());
    let task = args.task.as_ref().context("--task is missing")?;
    let task = std::fs::read(task).with_context(|| format!("cannot read {}", task.display()))?;
    let prefixes = prefixes(args.jobs)?;
    let path = format!("{service}/CreateTask");
    let create = async |(job, prefix): (usize, &String)| {
        let body = framed(&with_prefix(&task, prefix)?);
        let answer = connection.call("POST", &path, body.clone()).await?;
        let created = message::<CreateTaskResponse>(&answer)?;
        ensure!(!created.resource_meta.is_empty(), "a create was answered without a handle");
        let file = written(&args.directory, &format!("create-{job}"), &body)?;
        anyhow::Ok((file, answer.body.len(), created.resource_meta))
    };
    let created = stream::iter(prefixes.iter().enumerate()).map(create).buffered(AT_ONCE);
    let created = created.try_collect::<Vec<_>>().await?;
    let sizes = created.iter().map(|(_, size, _)| *size).collect::<Vec<_>>();
    let handles = created.iter().map(|(_, _, handle)| handle.clone()).collect::<Vec<_>>();
    let bodies = created.into_iter().map(|(file, _, _)| file).collect();
    let bytes = one_size("create", &sizes)?;
    let creates = Creates { method: "POST", path, bodies, bytes };
    let path = format!("{service}/GetTask");
    let (mut bodies, mut sizes) = (Vec::new(), Vec::new());
    for (job, (handle, prefix)) in handles.into_iter().zip(prefixes).enumerate() {
        let body = poll_of(handle, prefix);
        sizes.push(poll(&connection, &path, &body).await?);
        bodies.push(written(&args.directory, &format!("poll-{job}"), &body)?);
    }
    let poll = Poll { path, bodies, paths: None, bytes: one_size("poll", &sizes)? };
    Ok(Sample { headers, creates, poll })
}

/// A poll as Flyte sends it.
fn poll_of(resource_meta: Bytes, output_prefix: String) -> Bytes {
    let name = "bigquery_query_job_task".to_owned();
    let request = GetTaskRequest {
        task_type: name.clone(),
        task_category: Some(TaskCategory { name, version: 0 }),
        resource_meta,
        output_prefix,
        ..GetTaskRequest::default()
    };
    framed(&request.encode_to_vec())
}

/// Polls a running job, and returns the size of the answer.
async fn poll(connection: &Connection, path: &str, body: &Bytes) -> Result<usize> {
    let answer = connection.call("POST", path, body.clone()).await?;
    let resource = message::<GetTaskResponse>(&answer)?.resource.unwrap_or_default();
    let phase = resource.phase();
    ensure!(phase == Phase::Running, "a running job was reported as {}", phase.as_str_name());
    Ok(answer.body.len())
}

/// The request with another prefix of outputs: of a field that is there twice, the last one counts. Fields
/// that our protos do not declare stay.
fn with_prefix(task: &[u8], prefix: &str) -> Result<Vec<u8>> {
    let length = u8::try_from(prefix.len()).ok().filter(|length| *length < 128);
    let length = length.context("the prefix is too long")?;
    Ok([task, &[OUTPUT_PREFIX, length], prefix.as_bytes()].concat())
}

/// The message as gRPC sends it, not compressed.
fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + message.len());
    frame.put_u8(0);
    // A request of this program is some hundred bytes long.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// The message of an answer.
fn message<M: Message + Default>(answer: &Answer) -> Result<M> {
    let text = |name| answer.trailers.get(name).and_then(|value| value.to_str().ok());
    match text("grpc-status") {
        Some("0") => {}
        status => bail!("the answer is an error, {status:?}: {:?}", text("grpc-message")),
    }
    let message = answer.body.get(FRAME_HEAD..).context("the answer has no message")?;
    Ok(M::decode(message)?)
}

#[cfg(test)]
mod tests {
    use plugin_core::testing::proto::flyteidl::admin::CreateTaskRequest;

    use super::*;

    #[test]
    fn a_task_gets_a_prefix_of_its_own_and_keeps_the_rest() {
        let task =
            CreateTaskRequest { output_prefix: "s3://flyte/0".to_owned(), ..Default::default() };
        let unknown = [0xfa, 0x3e, 1, b'x'];
        let task = [task.encode_to_vec(), unknown.to_vec()].concat();
        let changed = with_prefix(&task, "s3://bench/1").unwrap();
        let read = CreateTaskRequest::decode(changed.as_slice()).unwrap();
        assert_eq!(read.output_prefix, "s3://bench/1");
        assert!(changed.starts_with(&task));
    }

    #[test]
    fn a_frame_has_a_flag_and_the_length_before_the_message() {
        assert_eq!(framed(b"abc").as_ref(), b"\0\0\0\0\x03abc");
    }
}
