//! A service with its upstream and a caller, for one scenario in one dialect; and what a failure says.

use std::{any::Any, fmt::Display, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt as _, future::join_all};
use serde_json::{Value as Json, json};
use server_core::Error;
use tokio::time::{Instant, timeout};

use super::{
    client::{CallError, Client, Dialect, Observation},
    recorded::{Recording, canaries},
    service::{TestService, logs, spawn_with},
    upstream::{Answer, ReceivedRequest, Upstream},
};
use crate::run::Registration;

/// How long a scenario waits for anything that must happen.
const SOON: Duration = Duration::from_secs(30);

/// The deadline of calls whose upstream does not answer. The service keeps a tenth of it to respond in,
/// which has to be enough on a busy machine.
pub(super) const DEADLINE: Duration = Duration::from_secs(8);

/// The status codes of an error over gRPC and over REST.
pub(super) type Codes = (i32, i32);
pub(super) const DEADLINE_EXCEEDED: Codes = (4, 503);
pub(super) const UNAVAILABLE: Codes = (14, 503);
pub(super) const PERMISSION_DENIED: Codes = (7, 403);
pub(super) const RESOURCE_EXHAUSTED: Codes = (8, 429);

/// Why a scenario failed: what was observed, what to do about it, and what the upstream received.
#[derive(Debug)]
pub(super) struct Failure(String);

pub(super) type Outcome<T = ()> = Result<T, Failure>;

/// Plays a scenario in all `dialects` at once.
///
/// # Panics
/// With the failure in each dialect that failed.
pub(super) async fn side_by_side<F: Future<Output = Outcome>>(
    dialects: &[Dialect],
    play: impl Fn(Dialect) -> F,
) {
    let outcomes = join_all(dialects.iter().map(|dialect| failure_of(*dialect, play(*dialect))));
    let failures = outcomes.await.into_iter().flatten().collect::<Vec<_>>();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

async fn failure_of(dialect: Dialect, play: impl Future<Output = Outcome>) -> Option<String> {
    match AssertUnwindSafe(play).catch_unwind().await {
        Ok(outcome) => outcome.err().map(|Failure(message)| message),
        Err(payload) => Some(format!("{dialect}: {}", message_of(&*payload))),
    }
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    Error::panicked(payload).chain().unwrap_or_default()
}

/// A service, its upstream and a caller.
pub(super) struct Stage<R> {
    pub(super) dialect: Dialect,
    pub(super) recorded: R,
    pub(super) upstream: Upstream,
    pub(super) service: TestService,
    pub(super) client: Client,
    scenario: String,
}

impl<R: Recording> Stage<R> {
    /// Starts the service with the recorded arguments and `args`.
    pub(super) async fn start(
        plugin: fn(&'static str) -> Registration,
        dialect: Dialect,
        scenario: impl Display,
        recorded: R,
        args: &[&str],
    ) -> Self {
        let upstream = Upstream::start().await;
        let endpoint = format!("--endpoint={}", upstream.url());
        let own = recorded.args().iter().map(String::as_str);
        let args = own.chain([endpoint.as_str()]).chain(args.iter().copied()).collect::<Vec<_>>();
        // The search for secrets covers what libraries log at TRACE.
        let service = spawn_with(plugin, &args, &recorded.secret_files(), "trace").await;
        let client = service.client(dialect, "propeller").await;
        Self { dialect, recorded, upstream, service, client, scenario: scenario.to_string() }
    }

    /// Scripts the upstream with the answers of `steps`, one step after the other.
    pub(super) fn script(&self, steps: &[&[Answer]]) {
        self.upstream.answer_with(steps.concat());
    }

    /// The same task in another attempt.
    pub(super) fn other_task(&self, attempt: &str) -> Json {
        let mut task = self.recorded.task().clone();
        task["output_prefix"] = json!(format!("s3://bucket/{attempt}"));
        task
    }

    /// The recorded task with another `custom`.
    pub(super) fn task_with_custom(&self, custom: &Json) -> Json {
        let mut task = self.recorded.task().clone();
        task["template"]["custom"] = custom.clone();
        task
    }

    /// Waits until a repeated call has joined the one in progress.
    pub(super) async fn joined(&self) -> Outcome {
        let joined = async {
            while self.service.metric("plugin_joined_creates_total").await < 1.0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let joined = timeout(SOON, joined).await.is_ok();
        self.check(
            joined,
            "the repeated call did not join the one in progress",
            "the service joins calls with the same key; report a defect of plugin-core",
        )
    }

    /// Fails with `observed` and `advice` unless `met`.
    pub(super) fn check(&self, met: bool, observed: impl Display, advice: &str) -> Outcome {
        if met { Ok(()) } else { Err(self.failure(observed, advice)) }
    }

    pub(super) fn failure(&self, observed: impl Display, advice: &str) -> Failure {
        let received = list(&self.upstream.received());
        Failure(format!(
            "{}, {}: {observed}; {advice}. Requests the upstream received: {received}",
            self.dialect, self.scenario
        ))
    }

    pub(super) fn expect_phase(
        &self,
        call: &str,
        seen: &Observation,
        phase: &str,
        advice: &str,
    ) -> Outcome {
        let observed = format!("{call} answered {seen}, not {phase}");
        self.check(seen.phase == phase, observed, advice)
    }

    /// The result of a call that must succeed.
    pub(super) fn expect_ok<T>(
        &self,
        call: &str,
        result: Result<T, CallError>,
        advice: &str,
    ) -> Outcome<T> {
        result.map_err(|error| self.failure(format!("{call} failed with {error}"), advice))
    }

    /// The error of a call that must fail with one of `codes`.
    pub(super) fn expect_error<T: Response>(
        &self,
        call: &str,
        result: Result<T, CallError>,
        codes: Codes,
        advice: &str,
    ) -> Outcome<CallError> {
        let code = if self.dialect.is_grpc() { codes.0 } else { codes.1 };
        let observed = match result {
            Err(error) if error.code == code => return Ok(error),
            Err(error) => format!("{call} failed with {error}, not with the code {code}"),
            Ok(response) => {
                format!("{call} answered {}, not with the code {code}", response.description())
            }
        };
        Err(self.failure(observed, advice))
    }

    /// Fails unless the message contains `part`, the value of `member` in recorded.json.
    pub(super) fn expect_message(
        &self,
        message: &str,
        part: &str,
        member: &str,
        advice: &str,
    ) -> Outcome {
        let observed =
            format!("the message {message:?} does not contain `{member}`, which is {part:?}");
        self.check(message.contains(part), observed, advice)
    }

    /// The output of `call` on an upstream that does not answer, if it ends before [`DEADLINE`].
    pub(super) async fn in_time<T>(&self, name: &str, call: impl Future<Output = T>) -> Outcome<T> {
        let started = Instant::now();
        let output = call.await;
        let took = started.elapsed();
        self.check(
            took < DEADLINE,
            format!("{name} with a deadline of {DEADLINE:?} took {took:?}"),
            "do not block the thread, and make all calls with the `Http` of `HttpBuilder`, which \
             keeps the deadline",
        )?;
        Ok(output)
    }

    /// Secrets must be neither in `places`, each with its name, nor in metrics and logs. Searched for
    /// are those that the plugin reads, those that it sent, and the caller's token.
    pub(super) async fn expect_no_secret_in(&self, places: &[(&str, &str)]) -> Outcome {
        let metrics = self.service.admin_text("/metrics").await;
        let logs = logs();
        self.check(
            logs.contains("request_id") && metrics.contains("# EOF"),
            "there are no logs or no metrics to search",
            "report a defect of plugin-core",
        )?;
        let sent = self.upstream.received();
        let sent = sent.iter().filter_map(|request| request.headers.get("authorization"));
        let sent = sent.filter_map(|value| value.to_str().ok()?.split(' ').nth(1));
        let sent = sent.map(|token| ("of the Authorization header".to_owned(), token.to_owned()));
        let callers = ("of the caller's token".to_owned(), self.service.token("propeller"));
        let files = self.recorded.secret_files();
        for (name, secret) in sent.chain(canaries(&files)).chain([callers]) {
            for (place, text) in
                places.iter().chain(&[("the metrics", &*metrics), ("the log", &logs)])
            {
                self.check(
                    !text.contains(&secret),
                    format!("the secret {name} is in {place}"),
                    "keep secrets in `SecretString`, and out of `Meta`, statuses and errors",
                )?;
            }
        }
        Ok(())
    }
}

/// The response of a call, as failures describe it.
pub(super) trait Response {
    fn description(&self) -> String;
}

impl Response for Observation {
    fn description(&self) -> String {
        self.to_string()
    }
}

/// A create's.
impl Response for Vec<u8> {
    fn description(&self) -> String {
        "with a handle".to_owned()
    }
}

/// A delete's.
impl Response for () {
    fn description(&self) -> String {
        "with success".to_owned()
    }
}

/// `requests` as method and target, in order; equal ones in a row are counted.
pub(super) fn list(requests: &[ReceivedRequest]) -> String {
    let lines = requests.iter().map(ToString::to_string).collect::<Vec<_>>();
    let runs = lines.chunk_by(|one, next| one == next).map(|run| match run.len() {
        1 => run[0].clone(),
        times => format!("{} ({times} times)", run[0]),
    });
    let list = runs.collect::<Vec<_>>().join(", ");
    if list.is_empty() { "none".to_owned() } else { list }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic = "REST: panic: no connection"]
    async fn a_panic_in_one_dialect_fails_the_test() {
        side_by_side(&Dialect::ALL, |dialect| async move {
            assert!(dialect.is_grpc(), "no connection");
            Ok(())
        })
        .await;
    }

    #[tokio::test]
    #[should_panic = "Flyte 1 failed\n\nREST failed"]
    async fn all_failures_are_reported() {
        side_by_side(
            &Dialect::SYNC,
            |dialect| async move { Err(Failure(format!("{dialect} failed"))) },
        )
        .await;
    }
}
