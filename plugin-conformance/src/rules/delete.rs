//! Rules about stopping jobs.

use plugin_core::testing::Dialect;

use super::handles;
use crate::{
    session::{DeletedJob, Session},
    task::Task,
    verdict::{Checked, failed, skipped},
};

async fn deleted(session: &Session) -> Checked<&[DeletedJob]> {
    let jobs = session.deleted_jobs().await?;
    match jobs.iter().any(|job| job.created.is_err()) {
        true => Err(skipped("the create failed (create/gives-a-handle)")),
        false => Ok(jobs),
    }
}

pub(super) async fn twice(session: &Session) -> Checked {
    for job in deleted(session).await? {
        for (number, (dialect, result)) in job.deleted.iter().enumerate() {
            if let Err(error) = result {
                return Err(failed(format!("{dialect}, delete {}: {error}", number + 1)));
            }
        }
    }
    Ok(())
}

pub(super) async fn ended_job(session: &Session) -> Checked {
    for job in session.jobs().await? {
        job.successes()?;
        let handle = job.handle()?;
        for dialect in &session.dialects {
            let deleted = session.target.delete(*dialect, &job.task, handle).await;
            deleted.map_err(|error| failed(format!("{dialect}: {error}")))?;
        }
    }
    Ok(())
}

pub(super) async fn deleted_job_ends(session: &Session) -> Checked {
    for job in deleted(session).await? {
        if job.deleted.iter().any(|(_, result)| result.is_err()) {
            return Err(skipped("a delete failed (delete/twice)"));
        }
        match &job.last {
            Some(status) if status.is_terminal() => {}
            Some(status) => return Err(failed(format!("in the end it is {status}"))),
            None => return Err(skipped("its polls failed (get/is-answered)")),
        }
    }
    Ok(())
}

/// Flyte repeats a delete that failed, and there is nothing to delete.
pub(super) async fn unreadable_handle_is_done(session: &Session) -> Checked {
    for served in session.types_of(false)? {
        let task = Task::empty(&served.name, served.version);
        for (name, handle) in handles::unreadable() {
            for dialect in &session.dialects {
                let deleted = session.target.delete(*dialect, &task, &handle).await;
                let is_refused = *dialect == Dialect::Rest
                    && deleted.as_ref().is_err_and(|error| error.is(&[], &[400, 403, 404]));
                if let Err(error) = deleted
                    && !is_refused
                {
                    return Err(failed(format!("{dialect}, {name}: {error}")));
                }
            }
        }
    }
    Ok(())
}
