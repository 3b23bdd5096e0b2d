//! What every sync plugin must do, whatever its vendor.

#![expect(clippy::expect_used, reason = "this is a test")]

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{
    client::{Client, Dialect, Refusal, Seen},
    recorded::{SyncRecorded, canaries},
    scenario::SyncScenario,
    service::{TestService, logs, spawn_with},
    upstream::{Answer, Upstream},
};
use crate::{plugin::SyncPlugin, run::Registration};

/// How long anything that must happen may take to.
const SOON: Duration = Duration::from_secs(30);

/// Plays `scenario` with `P` over both protocols that can execute a task.
///
/// # Panics
/// When `P` does not do what it must.
pub async fn sync_conformance<P: SyncPlugin>(scenario: SyncScenario, recorded: SyncRecorded) {
    for dialect in Dialect::SYNC {
        let stage = Stage::set::<P>(dialect, recorded.clone()).await;
        match scenario {
            SyncScenario::HappyPath => stage.happy_path().await,
            SyncScenario::BadCustom => stage.bad_custom().await,
            SyncScenario::RefusedTask => stage.refused_task().await,
            SyncScenario::RefusedCredentials => stage.refused_credentials().await,
            SyncScenario::RetryAfter429 => stage.retry_after_429().await,
            SyncScenario::Outage => stage.outage().await,
            SyncScenario::SlowUpstream => stage.slow_upstream().await,
            SyncScenario::CallerDisconnects => stage.caller_disconnects().await,
            SyncScenario::SameKeyAtOnce => Box::pin(stage.same_key_at_once()).await,
            SyncScenario::CanaryNowhere => stage.canary_nowhere().await,
            SyncScenario::ProtocolsAgree => stage.protocols_agree().await,
        }
        stage.service.stop().await;
    }
}

/// A service, its upstream and a caller.
struct Stage {
    dialect: Dialect,
    recorded: SyncRecorded,
    upstream: Upstream,
    service: TestService,
    client: Client,
}

impl Stage {
    async fn set<P: SyncPlugin>(dialect: Dialect, recorded: SyncRecorded) -> Self {
        let upstream = Upstream::start().await;
        let endpoint = format!("--endpoint={}", upstream.url());
        let args = recorded.args.iter().map(String::as_str).chain([endpoint.as_str()]);
        let args = args.collect::<Vec<_>>();
        // What libraries log at TRACE is searched for secrets, too.
        let secrets = recorded.secret_files();
        let service = spawn_with(Registration::of_sync::<P>, &args, &secrets, "trace").await;
        let client = service.client(dialect, "propeller").await;
        Self { dialect, recorded, upstream, service, client }
    }

    /// Executes the recorded task while the vendor answers with `answers`.
    async fn execute(&self, answers: impl IntoIterator<Item = &Answer>) -> Result<Seen, Refusal> {
        self.upstream.say(answers.into_iter().cloned());
        self.client.execute(&self.recorded.task).await
    }

    /// What the user reads of a failure that Flyte must not retry: over gRPC a failed task, over REST a
    /// refusal with `status`.
    fn refusal(&self, answer: Result<Seen, Refusal>, status: i32) -> String {
        match answer {
            Ok(seen) => {
                assert!(self.dialect.is_grpc(), "REST has a person waiting: {seen:?}");
                assert_eq!(seen.phase, "FAILED");
                seen.message
            }
            Err(refusal) => {
                assert_eq!(refusal.code, status, "{refusal:?}");
                refusal.message
            }
        }
    }

    async fn happy_path(&self) {
        let seen = self.execute([&self.recorded.succeeded]).await.expect("executed");
        assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
        assert_eq!(seen.outputs, self.recorded.outputs);
        let declared = &self.recorded.task["template"]["interface"]["outputs"]["variables"];
        for name in declared.as_object().into_iter().flat_map(|variables| variables.keys()) {
            let given = &seen.outputs["literals"][name];
            assert!(!given.is_null(), "the task declares the output {name}");
        }
    }

    async fn bad_custom(&self) {
        let mut task = self.recorded.task.clone();
        task["template"]["custom"] = self.recorded.bad_custom.clone();
        let words = self.refusal(self.client.execute(&task).await, 400);
        let field = &self.recorded.bad_field;
        assert!(words.contains(field.as_str()), "{words:?} does not name {field}");
        assert_eq!(self.upstream.count(), 0, "nothing was asked of the vendor");
    }

    async fn refused_task(&self) {
        let words = self.refusal(self.execute([&self.recorded.refused]).await, 422);
        let expected = &self.recorded.refused_words;
        assert!(words.contains(expected.as_str()), "{words:?} does not say {expected:?}");
    }

    async fn refused_credentials(&self) {
        let SyncRecorded { unauthorized, succeeded, .. } = &self.recorded;
        let seen = self.execute([unauthorized, succeeded]).await.expect("renewed once");
        assert_eq!(seen.phase, "SUCCEEDED");
        let _ = self.upstream.take_received();
        self.refusal(self.execute([unauthorized]).await, 422);
        assert_eq!(self.upstream.count(), 2, "renewed once, not for ever");
    }

    /// A call that a vendor may have acted on is not repeated, so patience is either the client's or
    /// the caller's.
    async fn retry_after_429(&self) {
        let SyncRecorded { throttled, succeeded, .. } = &self.recorded;
        let throttled = throttled.clone().header("retry-after", "1");
        let answer = self.execute([&throttled, succeeded]).await;
        let asked = self.upstream.take_received();
        match answer {
            Ok(seen) => {
                assert_eq!(seen.phase, "SUCCEEDED");
                assert_eq!(asked.len(), 2);
                assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
            }
            Err(refusal) => {
                assert_eq!(asked.len(), 1);
                assert!([8, 429].contains(&refusal.code), "{refusal:?}");
            }
        }
    }

    async fn outage(&self) {
        let SyncRecorded { unavailable, succeeded, .. } = &self.recorded;
        let down = self.execute([unavailable]).await.expect_err("Flyte tries again");
        assert!([14, 503].contains(&down.code), "{down:?}");
        let seen = self.execute([succeeded]).await.expect("the same task again");
        assert_eq!(seen.phase, "SUCCEEDED", "what has ended is not joined");
    }

    async fn slow_upstream(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        self.upstream.say([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        let asked = Instant::now();
        let hasty = self.client.clone().with_timeout(PATIENCE);
        let late = hasty.execute(&self.recorded.task).await.expect_err("not known");
        assert!(asked.elapsed() < PATIENCE, "answered after the deadline");
        assert!([4, 503].contains(&late.code), "{late:?}");
        self.upstream.release();
        let seen = self.client.execute(&self.recorded.task).await.expect("the same task again");
        assert_eq!(seen.phase, "SUCCEEDED", "the late one is over");
    }

    async fn caller_disconnects(&self) {
        self.upstream.say([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        let leaving = self.client.clone();
        tokio::select! {
            _ = leaving.execute(&self.recorded.task) => panic!("the upstream was held"),
            () = self.upstream.wait_for(1) => {}
        }
        drop(leaving);
        let seen =
            self.joined_and_released().await.expect("the repeat gets the first one's answer");
        assert_eq!(seen.phase, "SUCCEEDED");
        assert_eq!(self.upstream.count(), 1, "one call");
    }

    async fn same_key_at_once(&self) {
        self.upstream.say([self.recorded.succeeded.clone()]);
        self.upstream.hold();
        let first = self.client.execute(&self.recorded.task);
        let second = async {
            self.upstream.wait_for(1).await;
            self.joined_and_released().await
        };
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.expect("executed"), second.expect("executed"));
        assert_eq!(self.upstream.count(), 1, "one call");
    }

    /// Executes the task again; the upstream answers once that has joined what is under way.
    async fn joined_and_released(&self) -> Result<Seen, Refusal> {
        let release = async {
            let joined = async {
                while self.service.metric("plugin_joined_creates_total").await < 1.0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(SOON, joined).await.expect("the repeat joins the first");
            self.upstream.release();
        };
        tokio::join!(self.client.execute(&self.recorded.task), release).0
    }

    async fn canary_nowhere(&self) {
        let SyncRecorded { succeeded, refused, unauthorized, throttled, .. } = &self.recorded;
        let mut said = String::new();
        for answer in [succeeded, refused, unauthorized, throttled] {
            said += &format!("{:?}", self.execute([answer]).await);
        }
        let sent = self.upstream.take_received();
        let sent = sent.iter().filter_map(|request| request.headers.get("authorization"));
        let tokens = sent.filter_map(|value| value.to_str().ok()?.split(' ').nth(1));
        let tokens = tokens.map(str::to_owned).collect::<Vec<_>>();
        let metrics = self.service.admin_text("/metrics").await;
        let logs = logs();
        let there_is = logs.contains("request_id") && metrics.contains("# EOF");
        assert!(there_is, "there is what to search");
        let files = self.recorded.secret_files();
        let ours = self.service.token("propeller");
        for secret in tokens.into_iter().chain(canaries(&files)).chain([ours]) {
            for (place, text) in [("an answer", &said), ("metrics", &metrics), ("the log", &logs)] {
                assert!(!text.contains(&secret), "a secret is in {place}");
            }
        }
    }

    async fn protocols_agree(&self) {
        let [grpc, rest] = Dialect::SYNC;
        let grpc = self.service.client(grpc, "propeller").await;
        let rest = self.service.client(rest, "propeller").await;
        self.upstream.say([self.recorded.succeeded.clone()]);
        let told = grpc.execute(&self.recorded.task).await.expect("executed");
        assert_eq!(told, rest.execute(&self.recorded.task).await.expect("executed"));
        self.upstream.say([self.recorded.refused.clone()]);
        let failed = grpc.execute(&self.other_task()).await.expect("a failed task");
        let refused = rest.execute(&self.other_task()).await.expect_err("refused");
        assert!(failed.message.ends_with(&refused.message), "{failed:?} beside {refused:?}");
    }

    /// The same task in another attempt.
    fn other_task(&self) -> Json {
        let mut task = self.recorded.task.clone();
        task["output_prefix"] = json!("s3://bucket/other");
        task
    }
}
