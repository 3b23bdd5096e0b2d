//! Rules about creating jobs.

use std::time::Duration;

use futures_util::future::join_all;
use plugin_core::testing::{
    Dialect,
    proto::flyteidl::admin::{CreateTaskRequest, CreateTaskResponse},
};
use tokio::time::sleep;
use tonic::Code;

use super::{get::difference, refused};
use crate::{
    session::Session,
    status::{CallError, JobStatus},
    target::method,
    task::Task,
    verdict::{Checked, Problem, ensure, failed},
};

/// The most bytes of any handle, which propeller keeps in a Kubernetes object.
const MAX_HANDLE: usize = 16 << 10;
/// The most bytes of a handle that should do.
const SHORT_HANDLE: usize = 1024;
/// How many creates come at once.
const AT_ONCE: usize = 4;
/// How old a status may be that a replica answers from memory.
const STALE: Duration = Duration::from_millis(2500);
/// A version of a task type that nobody has.
const NO_VERSION: i32 = 987_654;
/// A task type that nobody has.
pub(super) const NO_TYPE: &str = "plugin-conformance-unknown";

pub(super) async fn gives_a_handle(session: &Session) -> Checked {
    for job in session.jobs().await? {
        for (dialect, created) in &job.created {
            let handle = created.as_ref();
            let handle = handle.map_err(|error| failed(format!("{dialect}: {error}")))?;
            ensure((1..=MAX_HANDLE).contains(&handle.len()), || {
                format!(
                    "{dialect}: a handle of {} bytes; 1 to {MAX_HANDLE} are allowed",
                    handle.len()
                )
            })?;
        }
    }
    Ok(())
}

pub(super) async fn handle_is_short(session: &Session) -> Checked {
    for job in session.jobs().await? {
        let size = job.handle()?.len();
        ensure(size <= SHORT_HANDLE, || format!("the handle has {size} bytes"))?;
    }
    Ok(())
}

pub(super) async fn repeat_is_the_same_job(session: &Session) -> Checked {
    for job in session.jobs().await? {
        job.handle()?;
        let handles = job.created.iter().filter_map(|(_, created)| created.as_ref().ok());
        same_jobs(session, &job.task, &handles.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

pub(super) async fn concurrent_repeats_are_one_job(session: &Session) -> Checked {
    for task in session.tasks_of(false)? {
        let task = session.fresh(task);
        let dialects = session.dialects.iter().copied().cycle().take(AT_ONCE);
        let creates = dialects.map(|dialect| session.target.create(dialect, &task));
        let mut handles = Vec::new();
        for created in join_all(creates).await {
            handles.push(created.map_err(|error| failed(error.to_string()))?);
        }
        let checked = same_jobs(session, &task, &handles.iter().collect::<Vec<_>>()).await;
        for handle in &handles {
            session.clean_up(&task, handle).await;
        }
        checked?;
    }
    Ok(())
}

/// Expects the handles of all creates to lead to one job.
async fn same_jobs(session: &Session, task: &Task, handles: &[&Vec<u8>]) -> Checked {
    // An empty one is for create/gives-a-handle.
    let handles = handles.iter().filter(|handle| !handle.is_empty()).collect::<Vec<_>>();
    let mut jobs = Vec::new();
    for handle in &handles {
        match session.vendors_job(task, handle).await {
            Ok(job) => jobs.push(job),
            Err(hidden) => return same_statuses(session, task, &handles, hidden).await,
        }
    }
    let all_same = jobs.windows(2).all(|pair| pair[0] == pair[1]);
    ensure(all_same, || {
        let jobs = jobs.iter().map(ToString::to_string).collect::<Vec<_>>();
        format!("the handles of {} creates are the jobs {}", jobs.len(), jobs.join(", "))
    })
}

/// Where ids are hidden, different statuses tell jobs apart; equal ones do not make them one.
async fn same_statuses(
    session: &Session,
    task: &Task,
    handles: &[&&Vec<u8>],
    hidden: Problem,
) -> Checked {
    let (Some(dialect), Some((first, repeats))) = (session.dialects.first(), handles.split_first())
    else {
        return Err(hidden);
    };
    let end = session.poll_one_to_the_end(*dialect, task, first, session.time_limit).await;
    let Some(end) = end.filter(JobStatus::is_terminal) else { return Err(hidden) };
    sleep(STALE).await;
    for repeat in repeats {
        if let Ok(status) = session.target.get(*dialect, task, repeat).await
            && let Some(difference) = difference(&end, &status)
        {
            let what = "the handles of two creates report different statuses";
            return Err(failed(format!("{what}, by {difference}")));
        }
    }
    Err(hidden)
}

pub(super) async fn another_prefix_is_another_job(session: &Session) -> Checked {
    for job in session.jobs().await? {
        let first = session.vendors_job(&job.task, job.handle()?).await?;
        let task = session.fresh(&job.task);
        let dialect = session.dialects.first().copied().unwrap_or(Dialect::Rest);
        let created = session.target.create(dialect, &task).await;
        let handle = created.map_err(|error| failed(error.to_string()))?;
        let second = session.vendors_job(&task, &handle).await;
        session.clean_up(&task, &handle).await;
        let second = second?;
        ensure(first != second, || format!("two attempts are one job, {first}"))?;
    }
    Ok(())
}

pub(super) async fn bad_custom_names_the_field(session: &Session) -> Checked {
    for served in session.types_of(false)? {
        let wrong = refused::wrong_task(session, served).await?;
        for dialect in &session.dialects {
            let task = session.fresh(&wrong.task);
            let message = refused::message_of_create(session, *dialect, &task, false).await?;
            refused::expect_named(&format!("{dialect}: "), &message, &wrong.field)?;
        }
    }
    Ok(())
}

pub(super) async fn refused_task_fails(session: &Session) -> Checked {
    for task in session.bad_tasks_of(false)? {
        for dialect in &session.dialects {
            let task = session.fresh(task);
            let message = refused::message_of_create(session, *dialect, &task, true).await?;
            ensure(!message.is_empty(), || format!("{dialect}: refused without a message"))?;
        }
    }
    Ok(())
}

pub(super) async fn unknown_type_is_not_found(session: &Session) -> Checked {
    not_found(session, &Task::empty(NO_TYPE, 0)).await
}

pub(super) async fn unknown_version_is_not_found(session: &Session) -> Checked {
    for served in session.types_of(false)? {
        not_found(session, &Task::empty(&served.name, NO_VERSION)).await?;
    }
    Ok(())
}

async fn not_found(session: &Session, task: &Task) -> Checked {
    let task = session.fresh(task);
    for dialect in &session.dialects {
        expect_not_found(*dialect, session.target.create(*dialect, &task).await)?;
    }
    Ok(())
}

/// Expects a call about a type that is not served to be refused as such.
pub(super) fn expect_not_found<T>(dialect: Dialect, answer: Result<T, CallError>) -> Checked {
    match answer {
        Ok(_) => Err(failed(format!("{dialect}: it is accepted"))),
        Err(error) if error.is(&[Code::NotFound], &[404]) => Ok(()),
        Err(error) => Err(failed(format!("{dialect}: {error}"))),
    }
}

pub(super) async fn missing_template_is_refused(session: &Session) -> Checked {
    for dialect in session.grpc_dialects() {
        let (path, empty) = (method(dialect, "CreateTask"), CreateTaskRequest::default());
        let answer = session.target.unary::<CreateTaskResponse>(&path, &empty).await;
        match answer {
            Ok(_) => return Err(failed(format!("{dialect}: it is accepted"))),
            Err(error) if error.is(&[Code::InvalidArgument, Code::NotFound], &[]) => {}
            Err(error) => return Err(failed(format!("{dialect}: {error}"))),
        }
    }
    Ok(())
}
