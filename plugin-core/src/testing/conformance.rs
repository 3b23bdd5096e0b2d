//! What every plugin must do, whatever its vendor.

#![expect(clippy::expect_used, reason = "this is a test")]

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{
    client::{Client, Dialect, Seen},
    recorded::{Recorded, canaries},
    scenario::Scenario,
    service::{TestService, logs, spawn_with},
    upstream::Upstream,
};
use crate::{plugin::Plugin, run::Registration};

/// How long anything that must happen may take to.
const SOON: Duration = Duration::from_secs(30);

/// Plays `scenario` with `P` over every protocol.
///
/// # Panics
/// When `P` does not do what it must.
pub async fn conformance<P: Plugin>(scenario: Scenario, recorded: Recorded) {
    for dialect in Dialect::ALL {
        let stage = Stage::set::<P>(dialect, recorded.clone()).await;
        match scenario {
            Scenario::HappyPath => stage.happy_path().await,
            Scenario::SameKeyTwice => stage.same_key_twice().await,
            Scenario::DeleteTwice => stage.delete_twice().await,
            Scenario::UnknownState => stage.unknown_state().await,
            Scenario::RefreshAfter401 => stage.refresh_after_401().await,
            Scenario::RetryAfter429 => stage.retry_after_429().await,
            Scenario::SlowUpstream => stage.slow_upstream().await,
            Scenario::CallerDisconnectsDuringCreate => stage.caller_disconnects().await,
            Scenario::BadCustom => stage.bad_custom().await,
            Scenario::BadHandle => stage.bad_handle().await,
            Scenario::RefusedJob => stage.refused_job().await,
            Scenario::Outage => stage.outage().await,
            Scenario::CanaryNowhere => stage.canary_nowhere().await,
            Scenario::ProtocolsAgree => stage.protocols_agree().await,
        }
        stage.service.stop().await;
    }
}

/// A service, its upstream and a caller.
struct Stage {
    dialect: Dialect,
    recorded: Recorded,
    upstream: Upstream,
    service: TestService,
    client: Client,
}

impl Stage {
    async fn set<P: Plugin>(dialect: Dialect, recorded: Recorded) -> Self {
        let upstream = Upstream::start().await;
        let endpoint = format!("--endpoint={}", upstream.url());
        let args = recorded.args.iter().map(String::as_str).chain([endpoint.as_str()]);
        let args = args.collect::<Vec<_>>();
        // What libraries log at TRACE is searched for secrets, too.
        let service =
            spawn_with(Registration::of::<P>, &args, &recorded.secret_files(), "trace").await;
        let client = service.client(dialect, "propeller").await;
        Self { dialect, recorded, upstream, service, client }
    }

    /// A job that the vendor has taken, with nothing said or asked since.
    async fn created(&self) -> Vec<u8> {
        self.upstream.say([self.recorded.created.clone()]);
        let handle = self.client.create(&self.recorded.task).await.expect("created");
        assert!(handle.len() <= 1024, "a handle of {} bytes", handle.len());
        let _ = self.upstream.take_received();
        handle
    }

    async fn get(&self, handle: &[u8]) -> Seen {
        let seen = self.client.get(&self.recorded.task, handle).await.expect("a poll never errors");
        assert_ne!(seen.phase, "UNDEFINED", "a phase is always set");
        seen
    }

    async fn happy_path(&self) {
        let handle = self.created().await;
        self.upstream.say([self.recorded.running.clone()]);
        let running = self.get(&handle).await;
        assert_eq!(running.phase, "RUNNING");
        self.upstream.say([self.recorded.succeeded.clone()]);
        let succeeded = self.get(&handle).await;
        assert_eq!(succeeded.phase, "SUCCEEDED");
        assert_eq!(running.links, succeeded.links, "links are right from the first answer on");
        self.upstream.say([self.recorded.cancelled.clone()]);
        self.client.delete(&self.recorded.task, &handle).await.expect("deleted");
    }

    async fn same_key_twice(&self) {
        let Recorded { task, created, repeated, running, .. } = &self.recorded;
        self.upstream.say([created.clone(), repeated.clone(), running.clone()]);
        let first = self.client.create(task).await.expect("created");
        let second = self.client.create(task).await.expect("created again");
        let mut asked = self.upstream.take_received();
        // A plugin may look at the job that it finds.
        asked.retain(|request| request.method != http::Method::GET);
        assert_eq!(asked.len(), 2);
        assert_eq!(asked[0].target, asked[1].target);
        assert_eq!(asked[0].body, asked[1].body, "the vendor tells a repeat by its bytes");
        self.upstream.say([running.clone()]);
        self.get(&first).await;
        self.get(&second).await;
        let polls = self.upstream.take_received();
        assert_eq!(polls[0].target, polls[1].target, "both handles lead to one job");
    }

    async fn delete_twice(&self) {
        let handle = self.created().await;
        // A vendor may be late to list a job of seconds.
        let old = self.service.aged(&handle, Duration::from_secs(60));
        for (handle, answer) in [(&handle, &self.recorded.cancelled), (&old, &self.recorded.gone)] {
            self.upstream.say([answer.clone()]);
            self.client.delete(&self.recorded.task, handle).await.expect("deleted");
        }
        assert_eq!(self.upstream.count(), 2, "both were asked of the vendor");
    }

    async fn unknown_state(&self) {
        let handle = self.created().await;
        self.upstream.say([self.recorded.unknown_state.clone()]);
        assert_eq!(self.get(&handle).await.phase, "RUNNING");
        assert_eq!(self.service.metric("plugin_unknown_states_total").await, 1.0);
    }

    async fn refresh_after_401(&self) {
        let Recorded { unauthorized, running, .. } = &self.recorded;
        let handle = self.created().await;
        self.upstream.say([unauthorized.clone(), running.clone()]);
        assert_eq!(self.get(&handle).await.phase, "RUNNING");
        assert_eq!(self.upstream.take_received().len(), 2);
        self.upstream.say([unauthorized.clone()]);
        assert_eq!(self.get(&handle).await.phase, "RUNNING", "the last known phase");
        assert_eq!(self.upstream.count(), 2, "renewed once, not for ever");
    }

    async fn retry_after_429(&self) {
        let Recorded { throttled, running, .. } = &self.recorded;
        let handle = self.created().await;
        let throttled = throttled.clone().header("retry-after", "1");
        self.upstream.say([throttled, running.clone()]);
        assert_eq!(self.get(&handle).await.phase, "RUNNING");
        let asked = self.upstream.take_received();
        assert_eq!(asked.len(), 2);
        assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
    }

    async fn slow_upstream(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let handle = self.created().await;
        let hasty = self.client.clone().with_timeout(PATIENCE);
        self.upstream.hold();
        let asked = Instant::now();
        let seen = hasty.get(&self.recorded.task, &handle).await.expect("a poll never errors");
        assert_eq!(seen.phase, "RUNNING");
        assert!(asked.elapsed() < PATIENCE, "answered after the deadline");

        let asked = Instant::now();
        let late = hasty.create(&self.other_task("slow")).await.expect_err("not known yet");
        assert!(asked.elapsed() < PATIENCE, "answered after the deadline");
        assert!([4, 503].contains(&late.code), "{late:?}");
        self.upstream.release();
    }

    async fn caller_disconnects(&self) {
        let Recorded { task, created, repeated, running, .. } = &self.recorded;
        self.upstream.say([created.clone(), repeated.clone()]);
        self.upstream.hold();
        let leaving = self.client.clone();
        tokio::select! {
            _ = leaving.create(task) => panic!("the upstream was held"),
            () = self.upstream.wait_for(1) => {}
        }
        drop(leaving);
        let again = async {
            // The repeat has to arrive while the first is under way.
            let release = async {
                self.joined(1.0).await;
                self.upstream.release();
            };
            tokio::join!(self.client.create(task), release).0
        };
        let handle = again.await.expect("the repeat finds the first one's job");
        assert_eq!(self.upstream.count(), 1, "one submit");
        self.upstream.say([running.clone()]);
        assert_eq!(self.get(&handle).await.phase, "RUNNING");
    }

    async fn joined(&self, count: f64) {
        let joined = async {
            while self.service.metric("plugin_joined_creates_total").await < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, joined).await.expect("the repeat joins the first");
    }

    async fn bad_custom(&self) {
        let mut task = self.recorded.task.clone();
        task["template"]["custom"] = self.recorded.bad_custom.clone();
        let field = &self.recorded.bad_field;
        let words = match self.client.create(&task).await {
            Ok(handle) => {
                assert!(self.dialect.is_grpc(), "REST has a person waiting");
                let seen = self.get(&handle).await;
                assert_eq!(seen.phase, "FAILED");
                seen.message
            }
            Err(refusal) => {
                assert_eq!(refusal.code, 400, "{refusal:?}");
                refusal.message
            }
        };
        assert!(words.contains(field.as_str()), "{words:?} does not name {field}");
        assert_eq!(self.upstream.count(), 0, "nothing was submitted");
    }

    async fn bad_handle(&self) {
        let task = &self.recorded.task;
        let handle = self.created().await;
        let mut forged = handle.clone();
        *forged.last_mut().expect("a handle") ^= 1;
        for bad in [b"nonsense".to_vec(), Vec::new(), forged] {
            let got = self.client.get(task, &bad).await;
            let deleted = self.client.delete(task, &bad).await;
            if self.dialect.is_grpc() {
                let seen = got.expect("an error would be polled again");
                assert_eq!(seen.phase, "FAILED");
                assert!(seen.message.contains("handle cannot be read"), "{}", seen.message);
                deleted.expect("an error would be repeated for ever");
            } else {
                assert_eq!(got.expect_err("unreadable").code, 400);
                assert_eq!(deleted.expect_err("unreadable").code, 400);
            }
        }
        let stranger = self.service.client(self.dialect, "stranger").await;
        let forbidden = if self.dialect.is_grpc() { 7 } else { 403 };
        assert_eq!(stranger.get(task, &handle).await.expect_err("another's").code, forbidden);
        assert_eq!(stranger.delete(task, &handle).await.expect_err("another's").code, forbidden);
        assert_eq!(self.upstream.count(), 0, "the vendor was not asked");
    }

    async fn refused_job(&self) {
        let Recorded { task, refused, refused_words, .. } = &self.recorded;
        self.upstream.say([refused.clone()]);
        let words = match self.client.create(task).await {
            Ok(handle) => {
                assert!(self.dialect.is_grpc(), "REST has a person waiting");
                let _ = self.upstream.take_received();
                let seen = self.get(&handle).await;
                assert_eq!(seen.phase, "FAILED");
                self.client.delete(task, &handle).await.expect("there is nothing to stop");
                assert_eq!(self.upstream.count(), 0, "there is nothing to ask about");
                seen.message
            }
            Err(refusal) => {
                assert_eq!(refusal.code, 422, "{refusal:?}");
                refusal.message
            }
        };
        assert!(words.contains(refused_words.as_str()), "{words:?}");
    }

    async fn outage(&self) {
        let handle = self.created().await;
        self.upstream.say([self.recorded.unavailable.clone()]);
        let hasty = self.client.clone().with_timeout(Duration::from_secs(1));
        let mut described = Vec::new();
        for _ in 0..6 {
            let seen = hasty.get(&self.recorded.task, &handle).await.expect("a poll never errors");
            assert_eq!(seen.phase, "RUNNING");
            described = seen.links;
        }
        assert_eq!(self.service.metric("plugin_stale_answers_total").await, 6.0);
        self.upstream.say([self.recorded.running.clone()]);
        let links = self.get(&handle).await.links;
        let known = |name: &String| links.iter().any(|link| link.0 == *name);
        assert!(described.iter().all(|(name, _)| known(name)), "{described:?} beside {links:?}");
        self.upstream.say([self.recorded.succeeded.clone()]);
        assert_eq!(self.get(&handle).await.phase, "SUCCEEDED", "the job was healthy all along");
    }

    async fn canary_nowhere(&self) {
        let Recorded { running, failed, refused, unauthorized, .. } = &self.recorded;
        let mut said = String::new();
        let handle = self.created().await;
        for answer in [running, failed, unauthorized] {
            self.upstream.say([answer.clone()]);
            said += &format!("{:?}", self.get(&handle).await);
        }
        self.upstream.say([refused.clone()]);
        said += &format!("{:?}", self.client.create(&self.other_task("canary")).await);
        let kept = self.service.opened(&handle);
        let sent = self.upstream.take_received();
        let sent = sent.iter().filter_map(|request| request.headers.get("authorization"));
        let tokens = sent.filter_map(|value| value.to_str().ok()?.split(' ').nth(1));
        let files = self.recorded.secret_files();
        let secrets = tokens.map(str::to_owned).chain(canaries(&files));
        let metrics = self.service.admin_text("/metrics").await;
        let logs = logs();
        assert!(
            logs.contains("request_id") && metrics.contains("# EOF"),
            "there is what to search"
        );
        let ours = self.service.token("propeller");
        for secret in secrets.chain([ours]) {
            for (place, text) in [
                ("an answer", &said),
                ("the handle", &kept),
                ("metrics", &metrics),
                ("the log", &logs),
            ] {
                assert!(!text.contains(&secret), "a secret is in {place}");
            }
        }
    }

    async fn protocols_agree(&self) {
        let handle = self.created().await;
        let Recorded { running, succeeded, failed, unknown_state, gone, .. } = &self.recorded;
        for answer in [running, succeeded, failed, unknown_state, gone] {
            let mut told = Vec::new();
            for dialect in Dialect::ALL {
                self.upstream.say([answer.clone()]);
                let client = self.service.client(dialect, "propeller").await;
                told.push(client.get(&self.recorded.task, &handle).await.expect("a poll"));
            }
            assert_eq!(told[0], told[1], "Flyte 1 and Flyte 2");
            assert_eq!(told[1], told[2], "Flyte 2 and REST");
        }
    }

    /// The same task in another attempt.
    fn other_task(&self, attempt: &str) -> Json {
        let mut task = self.recorded.task.clone();
        task["output_prefix"] = json!(format!("s3://bucket/{attempt}"));
        task
    }
}
