//! Looking at a job. Trouble upstream is no error here: propeller gives up for good after its sixth
//! failed poll in a job's life.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::{ConnectionSecrets, Incoming, Opened, Verbs};
use crate::{
    caller::Verb,
    error::{Error, Kind},
    handle::Job,
    status::{Phase, Status},
};

impl Verbs {
    /// Where the job of `opened` stands; its last known status when the vendor cannot be asked.
    pub(crate) async fn get(
        &self,
        incoming: &Incoming,
        opened: &Opened,
        connection: ConnectionSecrets,
    ) -> Arc<Status> {
        let started = Instant::now();
        let status = match &opened.handle.job {
            Job::Refused { code, message } => Arc::new(refused(code.as_deref(), message)),
            Job::Created(meta) => self.look(incoming, opened, meta.clone(), connection).await,
        };
        incoming.record.fields().phase = Some(status.phase());
        self.count(&opened.served, Verb::Get, started, &Ok(()));
        status
    }

    async fn look(
        &self,
        incoming: &Incoming,
        opened: &Opened,
        meta: Vec<u8>,
        connection: ConnectionSecrets,
    ) -> Arc<Status> {
        let (handle, task_type) = (&opened.handle, opened.served.task_type.name);
        let deadline = incoming.deadline.leaving_time_to_answer();
        let cx = self.context_of(incoming, deadline, handle, connection);
        let work = Arc::clone(&opened.served.plugin).get(cx, meta);
        let result = timeout_at(deadline.instant(), work).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time"))
        });
        match result {
            Ok(status) => {
                self.note_unknown_state(task_type, &status);
                let status = Arc::new(status);
                self.last_seen.saw(handle.key, &status);
                status
            }
            Err(error) => {
                incoming.record.fields().error = Some(error.clone());
                if is_about_the_job(&error) {
                    return Arc::new(refused(error.code(), error.message()));
                }
                self.shared.metrics.stale_answer(task_type);
                self.last_seen.instead(handle.key, &error)
            }
        }
    }

    fn note_unknown_state(&self, task_type: &'static str, status: &Status) {
        if let Some(state) = &status.unknown_state {
            self.shared.metrics.unknown_state(task_type);
            tracing::warn!(task_type, state, "a job is in a state this version does not know");
        }
    }
}

/// Whether the failure is the job's own: it is gone, or its handle makes no sense to the plugin.
fn is_about_the_job(error: &Error) -> bool {
    match error.kind() {
        Kind::NotFound => true,
        Kind::InvalidArgument => !error.is_upstream(),
        _ => false,
    }
}

fn refused(code: Option<&str>, message: &str) -> Status {
    let status = Status::new(Phase::Failed).message(message);
    match code {
        Some(code) => status.code(code),
        None => status,
    }
}
