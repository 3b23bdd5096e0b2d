//! Rules about sync tasks.

use std::time::Duration;

use bytes::Bytes;
use plugin_core::testing::{
    Dialect,
    proto::flyteidl::{
        admin::{CreateRequestHeader, ExecuteTaskSyncRequest, execute_task_sync_request::Part},
        core::LiteralMap,
    },
};
use prost::Message as _;
use tokio::time::Instant;
use tonic::Code;

use super::{
    create::{NO_TYPE, expect_not_found},
    get::check_outputs,
    refused,
};
use crate::{
    grpc::{Ending, Messages},
    outputs::{declared, kind},
    session::Session,
    status::{CallError, JobStatus, quoted},
    target::{Answer, EXECUTE, Identity, successful},
    task::Task,
    verdict::{Checked, ensure, failed, skipped},
};

/// The statuses of each execution, for the task.
async fn statuses(session: &Session) -> Checked<Vec<(Dialect, &Task, &JobStatus)>> {
    let mut statuses = Vec::new();
    for execution in session.executions().await? {
        let task = &execution.task;
        if let Some(Ok(Answer { header: Some(status), .. })) = &execution.grpc {
            statuses.push((Dialect::Flyte1, task, status));
        }
        if let Some(Ok(status)) = &execution.rest {
            statuses.push((Dialect::Rest, task, status));
        }
    }
    match statuses.is_empty() {
        true => Err(skipped("no execution was answered (execute/is-answered)")),
        false => Ok(statuses),
    }
}

pub(super) async fn is_answered(session: &Session) -> Checked {
    for execution in session.executions().await? {
        let fail = |dialect: Dialect, error: &CallError| failed(format!("{dialect}: {error}"));
        if let Some(Err(error)) = &execution.grpc {
            return Err(fail(Dialect::Flyte1, error));
        }
        if let Some(Err(error)) = &execution.rest {
            return Err(fail(Dialect::Rest, error));
        }
    }
    Ok(())
}

pub(super) async fn header_comes_first(session: &Session) -> Checked {
    let mut looked = false;
    for execution in session.executions().await? {
        let Some(Ok(answer)) = &execution.grpc else { continue };
        looked = true;
        ensure(answer.header.is_some(), || "the first message is not a header".to_owned())?;
        ensure(answer.others <= 1, || format!("{} messages follow the header", answer.others))?;
        ensure(answer.ended, || "the answer does not end".to_owned())?;
    }
    if looked { Ok(()) } else { Err(skipped("no execution over Flyte 1 was answered")) }
}

pub(super) async fn phase_is_terminal(session: &Session) -> Checked {
    for (dialect, _, status) in statuses(session).await? {
        ensure(status.is_terminal(), || format!("{dialect}: it is {status}"))?;
    }
    Ok(())
}

/// The executions that succeeded.
async fn successes(session: &Session) -> Checked<Vec<(Dialect, &Task, &JobStatus)>> {
    let statuses = statuses(session).await?;
    match statuses.iter().all(|(_, _, status)| status.phase == "SUCCEEDED") {
        true => Ok(statuses),
        false => Err(skipped("the task did not succeed (execute/task-succeeds)")),
    }
}

pub(super) async fn task_succeeds(session: &Session) -> Checked {
    for (dialect, _, status) in statuses(session).await? {
        if !status.is_terminal() {
            return Err(skipped("the phase is not terminal (execute/phase-is-terminal)"));
        }
        ensure(status.phase == "SUCCEEDED", || format!("{dialect}: it is {status}"))?;
    }
    Ok(())
}

pub(super) async fn outputs_are_as_declared(session: &Session) -> Checked {
    for (dialect, task, status) in successes(session).await? {
        let has_outputs = check_outputs(dialect, status, task)?;
        ensure(has_outputs || declared(task).is_empty(), || {
            format!("{dialect}: the header of the answer has no outputs")
        })?;
    }
    Ok(())
}

pub(super) async fn every_protocol_says_the_same(session: &Session) -> Checked {
    for execution in session.executions().await? {
        let (Some(Ok(Answer { header: Some(grpc), .. })), Some(Ok(rest))) =
            (&execution.grpc, &execution.rest)
        else {
            return Err(skipped("needs an answer over Flyte 1 and over REST"));
        };
        if let Some(difference) = difference(grpc, rest) {
            return Err(failed(format!("Flyte 1 and REST differ in {difference}")));
        }
    }
    Ok(())
}

/// What two executions of a task differ in. Each is a call of its own, so that what it says of itself may differ: values,
/// messages, ids in links and in the custom info.
fn difference(one: &JobStatus, other: &JobStatus) -> Option<String> {
    let differ = |what: &str, one: String, other: String| {
        (one != other).then(|| format!("{what}: {} and {}", quoted(&one), quoted(&other)))
    };
    let links = |status: &JobStatus| {
        let names = status.links.iter().map(|(name, _)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    differ("the phase", one.phase.clone(), other.phase.clone())
        .or_else(|| differ("the outputs' types", output_types(one), output_types(other)))
        .or_else(|| differ("the links' names", links(one), links(other)))
}

/// The outputs' names and types.
fn output_types(status: &JobStatus) -> String {
    let Ok(Some(outputs)) = &status.outputs else { return String::new() };
    let mut types = outputs.literals.iter().collect::<Vec<_>>();
    types.sort_by_key(|(name, _)| name.as_str());
    let types = types.iter().map(|(name, literal)| format!("{name}: {}", kind(literal)));
    types.collect::<Vec<_>>().join(", ")
}

pub(super) async fn does_not_wait_for_the_half_close(session: &Session) -> Checked {
    let tasks = session.tasks_of(true)?;
    needs_flyte1(session)?;
    statuses(session).await?;
    for task in tasks {
        let task = session.fresh(task);
        let started = Instant::now();
        let answer = session.target.execute_grpc(&task, Ending::Open).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        let took = started.elapsed();
        if answer.header.is_none() {
            return Err(skipped("no header comes first (execute/header-comes-first)"));
        }
        ensure(took < session.target.timeout || answer.ended, || {
            format!("the answer came after {took:.1?} and does not end")
        })?;
    }
    Ok(())
}

fn needs_flyte1(session: &Session) -> Checked {
    if session.has_flyte1() { Ok(()) } else { Err(skipped("needs Flyte 1")) }
}

pub(super) async fn broken_stream_is_refused(session: &Session) -> Checked {
    session.types_of(true)?;
    needs_flyte1(session)?;
    let inputs = Part::Inputs(LiteralMap::default().encode_to_vec().into());
    let inputs = ExecuteTaskSyncRequest { part: Some(inputs) }.encode_to_vec();
    for (name, messages) in [
        ("no message", Vec::new()),
        ("a message without a part", vec![Bytes::new()]),
        ("inputs without a header", vec![Bytes::from(inputs)]),
    ] {
        let reply = session.target.grpc(EXECUTE, Messages::All(messages), Ending::Closed).await;
        match reply.and_then(successful) {
            Ok(_) => return Err(failed(format!("{name}: it is accepted"))),
            Err(error) if error.is(&[Code::InvalidArgument], &[]) => {}
            Err(error) => return Err(failed(format!("{name}: {error}"))),
        }
    }
    Ok(())
}

pub(super) async fn waits_for_inputs_until_the_deadline(session: &Session) -> Checked {
    const DEADLINE: Duration = Duration::from_secs(1);
    needs_flyte1(session)?;
    for served in session.types_of(true)? {
        let header = header_of(&session.fresh(&session.task_of_type(served)));
        let messages = Messages::All(vec![header]);
        let started = Instant::now();
        let reply =
            session.target.grpc_as(Identity::Own, EXECUTE, messages, Ending::Open, DEADLINE).await;
        let took = started.elapsed();
        match reply.and_then(successful) {
            Ok(_) => {
                return Err(failed("it is executed without its inputs, which may be on their way"));
            }
            Err(CallError::Silence(silence)) => return Err(failed(silence.to_string())),
            Err(error) => ensure(took <= DEADLINE * 2, || format!("{error} after {took:.1?}"))?,
        }
    }
    Ok(())
}

fn header_of(task: &Task) -> Bytes {
    let header = CreateRequestHeader {
        template: task.request.template.clone(),
        output_prefix: task.request.output_prefix.clone(),
        task_execution_metadata: task.request.task_execution_metadata.clone(),
    };
    let part = Part::Header(header.encode_to_vec().into());
    ExecuteTaskSyncRequest { part: Some(part) }.encode_to_vec().into()
}

/// The outcome of `task` over each protocol that has executions.
async fn outcomes(
    session: &Session,
    task: &Task,
) -> Checked<Vec<(Dialect, Result<JobStatus, CallError>)>> {
    let mut outcomes = Vec::new();
    if session.has_flyte1() {
        let answer = session.target.execute_grpc(&session.fresh(task), Ending::Closed).await;
        let outcome = match answer {
            Ok(Answer { header: Some(status), .. }) => Ok(status),
            Ok(_) => return Err(skipped("no header comes first (execute/header-comes-first)")),
            Err(error) => Err(error),
        };
        outcomes.push((Dialect::Flyte1, outcome));
    }
    if session.has_rest() {
        let rest = session.target.execute_rest(&session.fresh(task)).await;
        outcomes.push((Dialect::Rest, rest));
    }
    Ok(outcomes)
}

pub(super) async fn bad_custom_names_the_field(session: &Session) -> Checked {
    for served in session.types_of(true)? {
        let wrong = refused::wrong_task(session, served).await?;
        for (dialect, outcome) in outcomes(session, &wrong.task).await? {
            let message = refused::message_of_execution(dialect, outcome)?;
            refused::expect_named(&format!("{dialect}: "), &message, &wrong.field)?;
        }
    }
    Ok(())
}

pub(super) async fn refused_task_fails(session: &Session) -> Checked {
    for task in session.bad_tasks_of(true)? {
        for (dialect, outcome) in outcomes(session, task).await? {
            let message = refused::message_of_execution(dialect, outcome)?;
            ensure(!message.is_empty(), || format!("{dialect}: refused without a message"))?;
        }
    }
    Ok(())
}

pub(super) async fn unknown_type_is_not_found(session: &Session) -> Checked {
    session.types_of(true)?;
    for (dialect, outcome) in outcomes(session, &Task::empty(NO_TYPE, 0)).await? {
        expect_not_found(dialect, outcome)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use plugin_core::testing::literal_map;
    use serde_json::{Value as Json, json};

    use super::*;

    fn status(message: &str, link: (&str, &str), output: &Json) -> JobStatus {
        let outputs = literal_map(&json!({"literals": {"o0": output}})).unwrap();
        JobStatus {
            phase: "SUCCEEDED".to_owned(),
            message: message.to_owned(),
            outputs: Ok(Some(outputs)),
            links: vec![(link.0.to_owned(), link.1.to_owned())],
            info: json!({"call": message}),
            state: String::new(),
            job: Json::Null,
        }
    }

    #[test]
    fn executions_differ_in_what_is_no_calls_own() {
        let text = |text: &str| json!({"scalar": {"primitive": {"string_value": text}}});
        let one = status("call 1", ("Log", "https://a/1"), &text("one"));
        assert_eq!(difference(&one, &status("call 2", ("Log", "https://a/2"), &text("two"))), None);
        let other = status("call 1", ("Trace", "https://a/1"), &text("one"));
        let found = difference(&one, &other);
        assert_eq!(found.as_deref(), Some("the links' names: Log and Trace"));
        let number = json!({"scalar": {"primitive": {"integer": "1"}}});
        let found = difference(&one, &status("call 1", ("Log", "https://a/1"), &number));
        let expected = "the outputs' types: \"o0: STRING\" and \"o0: INTEGER\"";
        assert_eq!(found.as_deref(), Some(expected));
        let failed = JobStatus { phase: "FAILED".to_owned(), ..one.clone() };
        assert_eq!(difference(&one, &failed).as_deref(), Some("the phase: SUCCEEDED and FAILED"));
    }
}
