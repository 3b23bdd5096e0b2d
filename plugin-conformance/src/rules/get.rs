//! Rules about the status of jobs.

use std::time::Duration;

use plugin_core::testing::Dialect;
use serde_json::Value as Json;
use tokio::time::Instant;
use tonic::Code;

use super::handles;
use crate::{
    outputs::{declared, flaw},
    session::{Poll, Session, SharedJob},
    status::{CallError, JobStatus, quoted},
    task::Task,
    verdict::{Checked, ensure, failed, skipped},
};

/// How long a poll should take at most.
const PROMPT: Duration = Duration::from_secs(2);

/// The jobs that there are, and have been polled.
async fn polled(session: &Session) -> Checked<&[SharedJob]> {
    let jobs = session.jobs().await?;
    jobs.iter().try_for_each(|job| job.handle().map(drop))?;
    Ok(jobs)
}

pub(super) async fn is_answered(session: &Session) -> Checked {
    for job in polled(session).await? {
        for (number, Poll { dialect, result, .. }) in job.polls.iter().enumerate() {
            if let Err(error) = result {
                return Err(failed(format!("{dialect}, poll {}: {error}", number + 1)));
            }
        }
    }
    Ok(())
}

pub(super) async fn phase_is_set(session: &Session) -> Checked {
    for job in polled(session).await? {
        for Poll { dialect, result, .. } in &job.polls {
            let Ok(status) = result else { continue };
            ensure(status.has_phase(), || {
                format!("{dialect}: the phase is {}", quoted(&status.phase))
            })?;
        }
    }
    Ok(())
}

pub(super) async fn task_succeeds(session: &Session) -> Checked {
    for job in polled(session).await? {
        for dialect in &session.dialects {
            let ended = job.statuses(*dialect).find(|status| status.is_terminal());
            match ended.or_else(|| job.statuses(*dialect).last()) {
                Some(status) if status.phase == "SUCCEEDED" => {}
                // The rule about phases has it.
                Some(status) if !status.has_phase() => {
                    return Err(skipped("a phase is not set (get/phase-is-set)"));
                }
                Some(status) if status.is_terminal() => {
                    return Err(failed(format!("{dialect}: it ended as {status}")));
                }
                Some(status) => {
                    return Err(failed(format!("{dialect}: after --time-limit it is {status}")));
                }
                None => return Err(skipped("no poll was answered (get/is-answered)")),
            }
        }
    }
    Ok(())
}

pub(super) async fn terminal_phase_stays(session: &Session) -> Checked {
    for job in polled(session).await? {
        for dialect in &session.dialects {
            let mut after_end = job.statuses(*dialect).skip_while(|status| !status.is_terminal());
            let Some(end) = after_end.next() else {
                return Err(skipped("the job did not end (get/task-succeeds)"));
            };
            if let Some(later) = after_end.find(|later| later.phase != end.phase) {
                let (end, later) = (&end.phase, quoted(&later.phase));
                return Err(failed(format!("{dialect}: after {end} it was {later}")));
            }
        }
    }
    Ok(())
}

pub(super) async fn state_agrees_with_phase(session: &Session) -> Checked {
    for job in polled(session).await? {
        for Poll { dialect, result, .. } in &job.polls {
            let Ok(status) = result else { continue };
            let expected = match dialect {
                Dialect::Flyte2 => continue,
                Dialect::Flyte1 => agent_states(&status.phase),
                Dialect::Rest => job_states(&status.phase),
            };
            ensure(expected.is_empty() || expected.contains(&status.state.as_str()), || {
                let (phase, state) = (&status.phase, quoted(&status.state));
                format!("{dialect}: the phase is {phase}, and the state {state}")
            })?;
        }
    }
    Ok(())
}

/// The values of Flyte 1's `state` that go with `phase`.
fn agent_states(phase: &str) -> &'static [&'static str] {
    match phase {
        "QUEUED" | "INITIALIZING" | "WAITING_FOR_RESOURCES" => &["PENDING", "RUNNING"],
        "RUNNING" => &["RUNNING"],
        "SUCCEEDED" => &["SUCCEEDED"],
        "ABORTED" | "FAILED" => &["PERMANENT_FAILURE"],
        "RETRYABLE_FAILED" => &["RETRYABLE_FAILURE"],
        _ => &[],
    }
}

/// The values of REST's `job_state` that go with `phase`.
fn job_states(phase: &str) -> &'static [&'static str] {
    match phase {
        "QUEUED" | "INITIALIZING" | "WAITING_FOR_RESOURCES" | "RUNNING" => &["running"],
        "SUCCEEDED" => &["succeed"],
        "ABORTED" | "FAILED" | "RETRYABLE_FAILED" => &["failed"],
        _ => &[],
    }
}

pub(super) async fn outputs_are_as_declared(session: &Session) -> Checked {
    let mut looked = false;
    for job in polled(session).await? {
        for (dialect, status) in job.successes()? {
            looked |= check_outputs(dialect, status, &job.task)?;
        }
    }
    if looked { Ok(()) } else { Err(skipped("no answer has outputs")) }
}

/// Checks the outputs of a success; returns whether there are any.
pub(super) fn check_outputs(dialect: Dialect, status: &JobStatus, task: &Task) -> Checked<bool> {
    let outputs = status.outputs.as_ref();
    let outputs = outputs.map_err(|error| failed(format!("{dialect}: {}", quoted(error))))?;
    let Some(outputs) = outputs else { return Ok(false) };
    match flaw(outputs, &declared(task)) {
        None => Ok(true),
        Some(flaw) => Err(failed(format!("{dialect}: {flaw}"))),
    }
}

pub(super) async fn outputs_are_in_the_answer(session: &Session) -> Checked {
    for job in polled(session).await? {
        if declared(&job.task).is_empty() {
            return Err(skipped("the task declares no outputs"));
        }
        for (dialect, status) in job.successes()? {
            ensure(!matches!(status.outputs, Ok(None)), || {
                format!("{dialect}: none; Flyte then reads outputs.pb below output_prefix")
            })?;
        }
    }
    Ok(())
}

pub(super) async fn every_protocol_says_the_same(session: &Session) -> Checked {
    if session.dialects.len() < 2 {
        return Err(skipped("needs two protocols"));
    }
    for job in polled(session).await? {
        let successes = job.successes()?;
        let mut successes = successes.into_iter();
        let Some((first, expected)) = successes.next() else { continue };
        for (dialect, status) in successes {
            if let Some(difference) = difference(expected, status) {
                return Err(failed(format!("{first} and {dialect} differ in {difference}")));
            }
        }
    }
    Ok(())
}

/// What two statuses of the same job differ in.
pub(super) fn difference(one: &JobStatus, other: &JobStatus) -> Option<String> {
    let differ = |what: &str, one: &str, other: &str| {
        (one != other).then(|| format!("{what}: {} and {}", quoted(one), quoted(other)))
    };
    // Encoded, because a float that is no number differs from itself.
    let encoded = |status: &JobStatus| match &status.outputs {
        Ok(outputs) => outputs.as_ref().map(prost::Message::encode_to_vec),
        Err(_) => None,
    };
    let outputs = encoded(one) != encoded(other) && one.outputs.is_ok() && other.outputs.is_ok();
    differ("the phase", &one.phase, &other.phase)
        .or_else(|| differ("the message", &one.message, &other.message))
        .or_else(|| outputs.then(|| "the outputs".to_owned()))
        .or_else(|| {
            let text = |status: &JobStatus| format!("{:?}", status.links);
            differ("the links", &text(one), &text(other))
        })
        .or_else(|| {
            let text = |status: &JobStatus| as_doubles(status.info.clone()).to_string();
            differ("the custom info", &text(one), &text(other))
        })
}

/// `json` with every number as a Struct carries it, so that `2` is `2.0`.
fn as_doubles(json: Json) -> Json {
    match json {
        Json::Number(number) => number.as_f64().into(),
        Json::Array(items) => items.into_iter().map(as_doubles).collect(),
        Json::Object(members) => {
            members.into_iter().map(|(name, value)| (name, as_doubles(value))).collect()
        }
        other => other,
    }
}

/// Flyte reads the links of a phase's first answer alone.
pub(super) async fn links_come_first(session: &Session) -> Checked {
    let mut linked = false;
    for job in polled(session).await? {
        for dialect in &session.dialects {
            let statuses = job.statuses(*dialect).collect::<Vec<_>>();
            for later in &statuses {
                linked |= !later.links.is_empty();
                let first = statuses.iter().find(|first| first.phase == later.phase);
                let late = later.links.iter().find(|(name, _)| {
                    first.is_some_and(|first| !first.links.iter().any(|link| link.0 == *name))
                });
                if let Some((name, _)) = late {
                    let (name, phase) = (quoted(name), &later.phase);
                    return Err(failed(format!(
                        "{dialect}: the link {name} was not in the first answer of {phase}"
                    )));
                }
            }
        }
    }
    ensure(linked, || "no answer has a link".to_owned())
}

pub(super) async fn does_not_wait(session: &Session) -> Checked {
    for job in polled(session).await? {
        if let Some(poll) = job.polls.iter().find(|poll| poll.took > PROMPT) {
            let (dialect, took) = (poll.dialect, poll.took);
            return Err(failed(format!("{dialect}: a poll took {took:.1?}")));
        }
    }
    Ok(())
}

pub(super) async fn unreadable_handle_is_refused(session: &Session) -> Checked {
    for served in session.types_of(false)? {
        let task = Task::empty(&served.name, served.version);
        for (name, handle) in handles::unreadable() {
            for dialect in &session.dialects {
                let got = session.target.get(*dialect, &task, &handle).await;
                expect_refused(&format!("{dialect}, {name}"), got)?;
            }
        }
    }
    Ok(())
}

pub(super) async fn altered_handle_is_refused(session: &Session) -> Checked {
    for job in polled(session).await? {
        for (name, handle) in handles::altered(job.handle()?) {
            for dialect in &session.dialects {
                let got = session.target.get(*dialect, &job.task, &handle).await;
                expect_refused(&format!("{dialect}, {name}"), got)?;
            }
        }
    }
    Ok(())
}

/// Expects the status of no job: FAILED, or a definitive error that is no accident.
fn expect_refused(what: &str, got: Result<JobStatus, CallError>) -> Checked {
    let codes = [Code::InvalidArgument, Code::NotFound, Code::PermissionDenied];
    match got {
        Ok(status) if status.has_failed() => Ok(()),
        Ok(status) => Err(failed(format!("{what}: it is a job that is {status}"))),
        Err(error) if error.is(&codes, &[400, 403, 404]) => Ok(()),
        Err(error) => Err(failed(format!("{what}: {error}"))),
    }
}

pub(super) async fn handle_is_never_executed(session: &Session) -> Checked {
    for served in session.types_of(false)? {
        let task = Task::empty(&served.name, served.version);
        for dialect in &session.dialects {
            let started = Instant::now();
            let got = session.target.get(*dialect, &task, &handles::pickle()).await;
            let took = started.elapsed();
            ensure(took < handles::PICKLE_SLEEPS, || {
                format!(
                    "{dialect}: the answer took {took:.1?}, as long as the pickle sleeps: {got:?}"
                )
            })?;
        }
    }
    Ok(())
}
