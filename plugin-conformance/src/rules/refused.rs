//! Tasks that are refused: how each protocol says so.

use http::Method;
use plugin_core::testing::Dialect;

use crate::{
    custom,
    session::Session,
    status::{CallError, JobStatus, quoted},
    task::{ServedType, Task},
    verdict::{Checked, Problem, ensure, failed, skipped},
};

/// The statuses of a refusal over REST.
const REFUSED: [u16; 2] = [400, 422];

/// A task with a wrong field in its `custom`.
pub(super) struct WrongTask {
    pub(super) task: Task,
    pub(super) field: String,
}

/// A task of the type `served` that is wrong by the schema that the service has for it.
pub(super) async fn wrong_task(session: &Session, served: &ServedType) -> Checked<WrongTask> {
    if !session.has_rest() {
        return Err(skipped("needs REST, which has the schema of custom"));
    }
    let path = format!("{}/schema", served.path());
    let schema = session.target.rest_json(Method::GET, &path, None).await;
    let schema = schema.map_err(|error| skipped(format!("no schema of custom: {error}")))?;
    let task = session.task_of_type(served);
    let wrong = custom::wrong(&schema, &task.json["template"]["custom"]);
    let wrong =
        wrong.ok_or_else(|| skipped("the schema of custom has no field of a plain type"))?;
    let task = task.with_custom(&wrong.custom).map_err(skipped)?;
    Ok(WrongTask { task, field: wrong.field })
}

/// The message about a task that a create must refuse. `may_end` says whether its job may instead end as
/// `FAILED`, as that of a vendor that accepts first.
pub(super) async fn message_of_create(
    session: &Session,
    dialect: Dialect,
    task: &Task,
    may_end: bool,
) -> Checked<String> {
    let handle = match session.target.create(dialect, task).await {
        Err(error) if dialect == Dialect::Rest && error.is(&[], &REFUSED) => {
            return Ok(error.message().to_owned());
        }
        Err(error) => return Err(transient(dialect, &error)),
        Ok(handle) => handle,
    };
    if dialect == Dialect::Rest && !may_end {
        session.clean_up(task, &handle).await;
        return Err(failed(format!("{dialect}: it is accepted")));
    }
    let status = match may_end {
        true => session.poll_one_to_the_end(dialect, task, &handle, session.time_limit).await,
        false => session.target.get(dialect, task, &handle).await.ok(),
    };
    match status {
        Some(status) if status.has_failed() => Ok(status.message),
        Some(status) => {
            session.clean_up(task, &handle).await;
            Err(failed(format!("{dialect}: its handle reports {status}, not FAILED")))
        }
        None => Err(failed(format!("{dialect}: its handle reports nothing"))),
    }
}

/// The message of an execution that must be refused.
pub(super) fn message_of_execution(
    dialect: Dialect,
    executed: Result<JobStatus, CallError>,
) -> Checked<String> {
    match executed {
        Ok(status) if status.has_failed() => Ok(status.message),
        Ok(status) => Err(failed(format!("{dialect}: it is {status}, not FAILED"))),
        Err(error) if dialect == Dialect::Rest && error.is(&[], &REFUSED) => {
            Ok(error.message().to_owned())
        }
        Err(error) => Err(transient(dialect, &error)),
    }
}

fn transient(dialect: Dialect, error: &CallError) -> Problem {
    let expected = if dialect.is_grpc() { "FAILED" } else { "400 or 422" };
    failed(format!("{dialect}: {error}, not {expected}: Flyte would try it again"))
}

/// Expects `message` to name `field`.
pub(super) fn expect_named(place: &str, message: &str, field: &str) -> Checked {
    ensure(message.contains(field), || {
        format!("{place}{} does not name the field {}", quoted(message), quoted(field))
    })
}
