//! The conformance suite of sync plugins: requirements that hold for every vendor.

use std::time::Duration;

use super::{
    client::{CallError, Dialect, Observation},
    recorded::SyncRecorded,
    scenario::SyncScenario,
    stage::{
        self, DEADLINE, DEADLINE_EXCEEDED, Outcome, RESOURCE_EXHAUSTED, UNAVAILABLE, side_by_side,
    },
    upstream::Answer,
};
use crate::{
    plugin::{SyncPlugin, SyncTasks},
    run::Registration,
};

type Stage = stage::Stage<SyncRecorded>;

/// How failures name the call.
const CALL: &str = "an execute";

const SUCCEEDS: &str = "an execute must succeed on the answer `succeeded`";

/// Plays `scenario` with `P` over the protocols that can execute a task.
///
/// # Panics
/// When `P` does not meet the requirement, with what was observed and what to do about it.
pub async fn sync_conformance<P: SyncPlugin>(scenario: SyncScenario, recorded: SyncRecorded) {
    conformance_of(Registration::of_sync::<P>, scenario, recorded).await;
}

/// [`sync_conformance`] for the sync tasks of a plugin that may have jobs besides.
///
/// # Panics
/// As [`sync_conformance`].
pub async fn sync_tasks_conformance<P: SyncTasks>(scenario: SyncScenario, recorded: SyncRecorded) {
    conformance_of(Registration::of::<P>, scenario, recorded).await;
}

async fn conformance_of(
    plugin: fn(&'static str) -> Registration,
    scenario: SyncScenario,
    recorded: SyncRecorded,
) {
    side_by_side(&Dialect::SYNC, |dialect| {
        let recorded = recorded.clone();
        let play = async move {
            let stage = Stage::start(plugin, dialect, scenario, recorded, &[]).await;
            stage.play(scenario).await?;
            stage.service.stop().await;
            Ok(())
        };
        Box::pin(play)
    })
    .await;
}

impl Stage {
    async fn play(&self, scenario: SyncScenario) -> Outcome {
        match scenario {
            SyncScenario::HappyPath => self.happy_path().await,
            SyncScenario::BadCustom => self.bad_custom().await,
            SyncScenario::RefusedTask => self.refused_task().await,
            SyncScenario::RefusedCredentials => self.refused_credentials().await,
            SyncScenario::RetryAfter429 => self.retry_after_429().await,
            SyncScenario::Outage => self.outage().await,
            SyncScenario::SlowUpstream => self.slow_upstream().await,
            SyncScenario::CallerDisconnects => self.caller_disconnects().await,
            SyncScenario::SameKeyAtOnce => self.same_key_at_once().await,
            SyncScenario::CanaryNowhere => self.canary_nowhere().await,
            SyncScenario::ProtocolsAgree => self.protocols_agree().await,
        }
    }

    /// Executes the recorded task while the vendor answers with `answers`.
    async fn execute(
        &self,
        answers: impl IntoIterator<Item = &Answer>,
    ) -> Result<Observation, CallError> {
        self.upstream.answer_with(answers.into_iter().cloned());
        self.client.execute(&self.recorded.task).await
    }

    fn expect_success(
        &self,
        executed: Result<Observation, CallError>,
        advice: &str,
    ) -> Outcome<Observation> {
        let seen = self.expect_ok(CALL, executed, advice)?;
        self.expect_phase(CALL, &seen, "SUCCEEDED", advice)?;
        Ok(seen)
    }

    /// The message of a failure that Flyte must not retry: over gRPC a failed task, over REST an error
    /// with `status`.
    fn refusal(
        &self,
        executed: Result<Observation, CallError>,
        status: i32,
        advice: &str,
    ) -> Outcome<String> {
        if !self.dialect.is_grpc() {
            let error = self.expect_error(CALL, executed, (status, status), advice)?;
            return Ok(error.message);
        }
        let seen = self.expect_ok(CALL, executed, advice)?;
        self.expect_phase(CALL, &seen, "FAILED", advice)?;
        Ok(seen.message)
    }

    async fn happy_path(&self) -> Outcome {
        let executed = self.execute([&self.recorded.succeeded]).await;
        let seen = self.expect_success(executed, SUCCEEDS)?;
        self.check(
            seen.outputs == self.recorded.outputs,
            format!("the outputs were {}, not {}", seen.outputs, self.recorded.outputs),
            "make the status's outputs from the vendor's answer, or correct `outputs`",
        )?;
        let declared = &self.recorded.task["template"]["interface"]["outputs"]["variables"];
        for name in declared.as_object().into_iter().flat_map(|variables| variables.keys()) {
            self.check(
                !seen.outputs["literals"][name].is_null(),
                format!("the outputs {} have no {name}", seen.outputs),
                "give a value to every output that the task declares",
            )?;
        }
        Ok(())
    }

    async fn bad_custom(&self) -> Outcome {
        let SyncRecorded { bad_custom, bad_field, .. } = &self.recorded;
        let executed = self.client.execute(&self.task_with_custom(bad_custom)).await;
        let advice = "declare the field's type in `Custom`, or return Error::invalid with the field's \
                      path before any call";
        let message = self.refusal(executed, 400, advice)?;
        self.expect_message(&message, bad_field, "bad_field", advice)?;
        self.check(self.upstream.count() == 0, "a wrong `custom` made requests", advice)
    }

    async fn refused_task(&self) -> Outcome {
        let SyncRecorded { refused, refused_message, .. } = &self.recorded;
        let advice = "return the answer `refused` as an error of kind InvalidArgument or \
                      FailedPrecondition with the vendor's message: read it with `failures` of the \
                      `HttpBuilder`";
        let message = self.refusal(self.execute([refused]).await, 422, advice)?;
        self.expect_message(&message, refused_message, "refused_message", advice)
    }

    async fn refused_credentials(&self) -> Outcome {
        let SyncRecorded { unauthorized, succeeded, .. } = &self.recorded;
        let advice = "return Kind::Unauthenticated for the answer `unauthorized`, and sign calls with \
                      the `Credentials` of the `Http`: they are then renewed once";
        self.expect_success(self.execute([unauthorized, succeeded]).await, advice)?;
        let _ = self.upstream.take_received();
        let advice = "return the answer `unauthorized` as an error of kind Unauthenticated or \
                      PermissionDenied: that the vendor refuses the service's own credentials says nothing \
                      about the task";
        self.expect_error(CALL, self.execute([unauthorized]).await, UNAVAILABLE, advice)?;
        let received = self.upstream.count();
        let observed = format!("{CALL} with rejected credentials made {received} requests, not 2");
        self.check(received == 2, observed, advice)
    }

    /// A call that a vendor may have acted on is not repeated, so either the client waits or the caller.
    async fn retry_after_429(&self) -> Outcome {
        const WAIT: Duration = Duration::from_secs(1);
        let SyncRecorded { throttled, succeeded, .. } = &self.recorded;
        let advice = "return Kind::ResourceExhausted for the answer `throttled`, and leave \
                      Retry-After to the `Http`";
        let throttled = throttled.clone().header("retry-after", "1");
        let executed = self.execute([&throttled, succeeded]).await;
        let requests = self.upstream.received();
        let expected = if executed.is_ok() { 2 } else { 1 };
        let observed = format!("{CALL} made {} requests, not {expected}", requests.len());
        self.check(requests.len() == expected, observed, advice)?;
        if executed.is_err() {
            return self.expect_error(CALL, executed, RESOURCE_EXHAUSTED, advice).map(drop);
        }
        self.expect_success(executed, advice)?;
        let waited = requests[1].at - requests[0].at;
        let observed = format!("Retry-After was {WAIT:?}, the next request came after {waited:?}");
        self.check(waited >= WAIT, observed, advice)
    }

    async fn outage(&self) -> Outcome {
        let SyncRecorded { unavailable, succeeded, .. } = &self.recorded;
        let advice = "return Kind::Unavailable for the answer `unavailable`: Flyte then retries";
        let executed = self.execute([unavailable]).await;
        self.expect_error(CALL, executed, UNAVAILABLE, advice)?;
        let advice = "a call that has ended must not affect the next one of the same task";
        self.expect_success(self.execute([succeeded]).await, advice).map(drop)
    }

    async fn slow_upstream(&self) -> Outcome {
        self.upstream.answer_with([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        let hasty = self.client.clone().with_timeout(DEADLINE);
        let executed = hasty.execute(&self.recorded.task);
        let executed = self.in_time(CALL, Box::pin(executed)).await?;
        let advice = "return the error of the `Http`";
        self.expect_error(CALL, executed, DEADLINE_EXCEEDED, advice)?;
        self.upstream.release();
        let advice = "a call that has ended must not affect the next one of the same task";
        self.expect_success(self.client.execute(&self.recorded.task).await, advice).map(drop)
    }

    async fn caller_disconnects(&self) -> Outcome {
        self.upstream.answer_with([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        tokio::select! {
            result = self.client.execute(&self.recorded.task) => {
                let observed = format!("{CALL} ended before the vendor answered: {result:?}");
                return Err(self.failure(observed, "return from `execute` when the task has ended"));
            }
            () = self.upstream.wait_for(1) => {}
        }
        self.expect_success(self.join_and_release().await?, SUCCEEDS)?;
        self.expect_one_request()
    }

    async fn same_key_at_once(&self) -> Outcome {
        self.upstream.answer_with([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        let first = self.client.execute(&self.recorded.task);
        let second = async {
            self.upstream.wait_for(1).await;
            self.join_and_release().await
        };
        let (first, second) = tokio::join!(first, Box::pin(second));
        let first = self.expect_success(first, SUCCEEDS)?;
        let second = self.expect_success(second?, SUCCEEDS)?;
        self.check(
            first == second,
            format!("two calls at once were answered {first:?} and {second:?}"),
            "the service joins calls with the same key; report a defect of plugin-core",
        )?;
        self.expect_one_request()
    }

    fn expect_one_request(&self) -> Outcome {
        let received = self.upstream.count();
        self.check(
            received == 1,
            format!("the same task twice at once made {received} requests, not 1"),
            "make one call in `execute`",
        )
    }

    /// Executes the task again; the upstream answers once that has joined the call in progress.
    async fn join_and_release(&self) -> Outcome<Result<Observation, CallError>> {
        let release = async {
            let joined = self.joined().await;
            self.upstream.release();
            joined
        };
        let (executed, joined) = tokio::join!(self.client.execute(&self.recorded.task), release);
        joined.map(|()| executed)
    }

    async fn canary_nowhere(&self) -> Outcome {
        let SyncRecorded { succeeded, refused, unauthorized, throttled, .. } = &self.recorded;
        let mut responses = String::new();
        for answer in [succeeded, refused, unauthorized, throttled] {
            responses += &format!("{:?}", self.execute([answer]).await);
        }
        self.expect_no_secret_in(&[("a response", &responses)]).await
    }

    async fn protocols_agree(&self) -> Outcome {
        let SyncRecorded { task, succeeded, refused, .. } = &self.recorded;
        let advice = "the status of a task must depend on the vendor's answer alone";
        let [grpc, rest] = Dialect::SYNC;
        let grpc = self.service.client(grpc, "propeller").await;
        let rest = self.service.client(rest, "propeller").await;
        self.upstream.answer_with([succeeded.clone()]);
        let over_grpc = self.expect_success(grpc.execute(task).await, SUCCEEDS)?;
        let over_rest = self.expect_success(rest.execute(task).await, SUCCEEDS)?;
        let observed = format!("Flyte 1 reported {over_grpc:?}, REST {over_rest:?}");
        self.check(over_grpc == over_rest, observed, advice)?;
        self.upstream.answer_with([refused.clone()]);
        let task = self.other_task("refused");
        let failed = self.expect_ok("Flyte 1's execute", grpc.execute(&task).await, advice)?;
        let error = match rest.execute(&task).await {
            Ok(seen) => return Err(self.failure(format!("REST answered {seen}, not 422"), advice)),
            Err(error) => error,
        };
        let observed = format!("Flyte 1 answered {failed}, REST failed with {error}");
        self.check(failed.message.ends_with(&error.message), observed, advice)
    }
}
