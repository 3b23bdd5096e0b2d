//! Rules about requests that are wrong, too large or too slow.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::Method;
use plugin_core::testing::Dialect;
use tokio::time::Instant;
use tonic::Code;

use crate::{
    discovery::list_path,
    grpc::{Ending, Messages},
    rest::{RestBody, RestReply},
    session::Session,
    status::CallError,
    target::{EXECUTE, Identity, http_error, method, successful},
    verdict::{Checked, ensure, failed, skipped},
};

/// The deadline of a call that does not finish its request.
const DEADLINE: Duration = Duration::from_secs(1);
/// How much later its answer may come.
const LATE: Duration = Duration::from_secs(1);

/// How often a body that is too large is sent at most, before a lost answer counts.
const SENDS_OF_LARGE_BODIES: usize = 4;

/// What servers answer to a message that is too large: most the first, tonic's the second.
const TOO_LARGE: [Code; 2] = [Code::ResourceExhausted, Code::OutOfRange];

/// The method and the path that submit a task.
fn submission(session: &Session) -> Checked<(Method, String)> {
    if !session.has_rest() {
        return Err(skipped("needs REST"));
    }
    let served = session.types.first().ok_or_else(|| skipped("no task type"))?;
    let method = if served.is_sync { Method::POST } else { Method::PUT };
    Ok((method, served.path()))
}

/// The gRPC methods that read a message.
fn grpc_paths(session: &Session) -> Vec<String> {
    let mut paths = Vec::new();
    for dialect in session.grpc_dialects() {
        paths.extend(["CreateTask", "GetTask", "DeleteTask"].map(|name| method(dialect, name)));
        paths.push(list_path(dialect).to_owned());
        let sync = dialect == Dialect::Flyte1 && session.types_of(true).is_ok();
        paths.extend(sync.then(|| EXECUTE.to_owned()));
    }
    paths
}

/// What a method answers to bytes that are not its message.
async fn answer_to_wrong_bytes(session: &Session, path: &str) -> Checked<CallError> {
    let messages = Messages::All(vec![Bytes::from_static(&[0xff; 16])]);
    let reply = session.target.grpc(path, messages, Ending::Closed).await;
    reply.and_then(successful).err().ok_or_else(|| failed(format!("{path}: they are accepted")))
}

pub(super) async fn wrong_bytes_are_refused(session: &Session) -> Checked {
    for path in grpc_paths(session) {
        let error = answer_to_wrong_bytes(session, &path).await?;
        // The second is what libraries of gRPC answer by themselves.
        ensure(error.is(&[Code::InvalidArgument, Code::Internal], &[]), || {
            format!("{path}: {error}, not INVALID_ARGUMENT")
        })?;
    }
    for dialect in session.grpc_dialects() {
        let listed = session.target.list(dialect).await;
        listed.map_err(|error| failed(format!("{dialect}, the next call: {error}")))?;
    }
    Ok(())
}

pub(super) async fn wrong_bytes_are_the_callers_error(session: &Session) -> Checked {
    for path in grpc_paths(session) {
        let error = answer_to_wrong_bytes(session, &path)
            .await
            .map_err(|_| skipped("they are accepted (bounds/wrong-bytes-are-refused)"))?;
        ensure(!error.is(&[Code::Internal], &[]), || format!("{path}: {error}"))?;
    }
    Ok(())
}

pub(super) async fn malformed_json_is_refused(session: &Session) -> Checked {
    let (method, path) = submission(session)?;
    for body in ["{", "[]", "\"x\"", "{\"template\": 5}"] {
        let reply = session.target.rest(method.clone(), &path, RestBody::Json(body.into())).await;
        let reply = reply.map_err(|error| failed(format!("{body}: {error}")))?;
        ensure([400, 422].contains(&reply.status), || format!("{body}: {}", http_error(&reply)))?;
    }
    Ok(())
}

pub(super) async fn large_message_is_refused(session: &Session) -> Checked {
    for dialect in session.grpc_dialects() {
        let path = method(dialect, "CreateTask");
        let messages = Messages::Zeros(session.large_message);
        let reply = session.target.grpc(&path, messages, Ending::Closed).await;
        match reply.and_then(successful) {
            Ok(_) => return Err(failed(format!("{path}: it is accepted"))),
            Err(error) => ensure(error.is(&TOO_LARGE, &[]), || {
                format!("{path}: {error}, not RESOURCE_EXHAUSTED")
            })?,
        }
    }
    if let Ok((method, path)) = submission(session) {
        let reply = large_body(session, &method, &path).await;
        let reply = reply.map_err(|error| failed(format!("{method} {path}: {error}")))?;
        ensure(reply.status == 413, || {
            format!("{method} {path}: {}, not 413", http_error(&reply))
        })?;
    }
    Ok(())
}

/// The answer to a body that is too large. A server that closes the connection before it has read the body may
/// be seen to reset it, and its answer is lost: it is asked again.
async fn large_body(
    session: &Session,
    method: &Method,
    path: &str,
) -> Result<RestReply, CallError> {
    let send = || {
        let body = RestBody::Zeros(session.large_message);
        session.target.rest(method.clone(), path, body)
    };
    for _ in 1..SENDS_OF_LARGE_BODIES {
        if let Ok(reply) = send().await {
            return Ok(reply);
        }
    }
    send().await
}

/// A request that begins and does not go on ends with its deadline.
pub(super) async fn deadline_is_kept(session: &Session) -> Checked {
    // At once, because each takes as long as the deadline.
    let paths = grpc_paths(session);
    let calls = paths.iter().map(|path| unfinished_grpc(session, path));
    let (grpc, rest) = join(join_all(calls), unfinished_rest(session)).await;
    grpc.into_iter().chain([rest]).collect()
}

async fn unfinished_grpc(session: &Session, path: &str) -> Checked {
    let (target, none) = (&session.target, Messages::All(Vec::new()));
    let started = Instant::now();
    let reply = target.grpc_as(Identity::Own, path, none, Ending::Open, DEADLINE).await;
    expect_in_time(path, started, reply.and_then(successful).err().as_ref())
}

async fn unfinished_rest(session: &Session) -> Checked {
    let Ok((method, path)) = submission(session) else { return Ok(()) };
    let (target, body) = (&session.target, RestBody::Endless);
    let started = Instant::now();
    let reply = target.rest_as(Identity::Own, method, &path, body, DEADLINE).await;
    expect_in_time(&path, started, reply.err().as_ref())
}

fn expect_in_time(path: &str, started: Instant, error: Option<&CallError>) -> Checked {
    let took = started.elapsed();
    match error {
        Some(CallError::Silence(silence)) => {
            Err(failed(format!("{path}, with a deadline of {DEADLINE:?}: {silence}")))
        }
        _ => ensure(took <= DEADLINE + LATE, || {
            format!("{path}, with a deadline of {DEADLINE:?}: answered after {took:.1?}")
        }),
    }
}

/// Nothing in open-source Flyte calls them.
pub(super) async fn unserved_methods_answer(session: &Session) -> Checked {
    for dialect in session.grpc_dialects() {
        for name in ["GetTaskLogs", "GetTaskMetrics", "NoSuchMethod"] {
            let path = method(dialect, name);
            let messages = Messages::All(vec![Bytes::new()]);
            let reply = session.target.grpc(&path, messages, Ending::Closed).await;
            let codes = [
                Code::Unimplemented,
                Code::InvalidArgument,
                Code::NotFound,
                Code::OutOfRange,
                Code::PermissionDenied,
            ];
            match reply.and_then(successful) {
                Ok(_) => {}
                Err(error) => ensure(error.is(&codes, &[]), || format!("{path}: {error}"))?,
            }
        }
    }
    Ok(())
}
