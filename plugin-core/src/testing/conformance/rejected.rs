//! Scenarios in which the service or the vendor rejects what a caller sends.

use super::Stage;
use crate::testing::{
    client::CallError,
    recorded::Recorded,
    stage::{Outcome, PERMISSION_DENIED},
};

/// The HTTP status of a request that is not valid.
const BAD_REQUEST: i32 = 400;
/// The HTTP status of a job that the vendor refuses.
const UNPROCESSABLE: i32 = 422;

impl Stage {
    pub(super) async fn bad_custom(&self) -> Outcome {
        let Recorded { bad_custom, bad_field, .. } = &self.recorded;
        let created = self.client.create(&self.task_with_custom(bad_custom)).await;
        let advice = "declare the field's type in `Custom`, or return Error::invalid with the field's \
                      path before any call";
        let message = self.refusal(created, BAD_REQUEST, advice).await?;
        self.expect_message(&message, bad_field, "bad_field", advice)?;
        self.check(
            self.upstream.count() == 0,
            "a create with a wrong `custom` made requests",
            advice,
        )
    }

    pub(super) async fn refused_job(&self) -> Outcome {
        let Recorded { task, refused, refused_message, .. } = &self.recorded;
        let advice = "return the answer of `refused` as an error of kind InvalidArgument or \
                      FailedPrecondition with the vendor's message: read it with `failures` of the \
                      `HttpBuilder`";
        self.script(&[refused]);
        let created = self.client.create(task).await;
        let _ = self.upstream.take_received();
        let message = self.refusal(created, UNPROCESSABLE, advice).await?;
        self.expect_message(&message, refused_message, "refused_message", advice)?;
        let asked = self.upstream.count();
        self.check(asked == 0, "a poll or a delete of a refused job made requests", advice)
    }

    /// The message of a create that failed for good. Over gRPC the task has failed, because propeller
    /// would retry an error; REST answers with `status`.
    async fn refusal(
        &self,
        created: Result<Vec<u8>, CallError>,
        status: i32,
        advice: &str,
    ) -> Outcome<String> {
        if !self.dialect.is_grpc() {
            let error = self.expect_error("a create", created, (status, status), advice)?;
            return Ok(error.message);
        }
        let handle = self.expect_ok("a create", created, advice)?;
        let seen = self.get(&handle).await?;
        self.expect_phase("a poll", &seen, "FAILED", advice)?;
        self.delete(&handle, "there is no job to stop").await?;
        Ok(seen.message)
    }

    pub(super) async fn bad_handle(&self) -> Outcome {
        let handle = self.created().await?;
        let mut forged = handle.clone();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        for bad in [b"nonsense".to_vec(), Vec::new(), forged] {
            self.expect_unreadable(&bad).await?;
        }
        self.expect_forbidden_to_others(&handle).await?;
        self.check(
            self.upstream.count() == 0,
            "calls with handles that are not valid made requests",
            "the service rejects them before the plugin is called; report a defect of plugin-core",
        )
    }

    /// Over gRPC an error would be polled again, and a delete repeated without end.
    async fn expect_unreadable(&self, handle: &[u8]) -> Outcome {
        let task = &self.recorded.task;
        let advice = "a handle that cannot be read is a failed job over gRPC and 400 over REST";
        let polled = self.client.get(task, handle).await;
        let deleted = self.client.delete(task, handle).await;
        if self.dialect.is_grpc() {
            let seen = self.expect_ok("a poll", polled, advice)?;
            self.expect_phase("a poll", &seen, "FAILED", advice)?;
            let names_it = seen.message.contains("handle cannot be read");
            self.check(names_it, format!("a poll answered {seen}"), advice)?;
            return self.expect_ok("a delete", deleted, advice);
        }
        let bad_request = (BAD_REQUEST, BAD_REQUEST);
        self.expect_error("a poll", polled, bad_request, advice)?;
        self.expect_error("a delete", deleted, bad_request, advice).map(drop)
    }

    async fn expect_forbidden_to_others(&self, handle: &[u8]) -> Outcome {
        let task = &self.recorded.task;
        let advice = "a job belongs to the caller that created it";
        let stranger = self.service.client(self.dialect, "stranger").await;
        let polled = stranger.get(task, handle).await;
        self.expect_error("a poll by another caller", polled, PERMISSION_DENIED, advice)?;
        let deleted = stranger.delete(task, handle).await;
        self.expect_error("a delete by another caller", deleted, PERMISSION_DENIED, advice)
            .map(drop)
    }
}
