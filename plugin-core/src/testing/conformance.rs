//! The conformance suite of plugins: requirements that hold for every vendor.

mod rejected;
mod trouble;

use std::{slice::from_ref, time::Duration};

use futures_util::future::join_all;

use super::{
    client::{Dialect, Observation},
    recorded::Recorded,
    scenario::Scenario,
    stage::{self, Outcome, list, side_by_side},
    upstream::ReceivedRequest,
};
use crate::{plugin::Plugin, run::Registration};

type Stage = stage::Stage<Recorded>;

/// The most bytes of a handle.
const MAX_HANDLE: usize = 1024;

/// Plays `scenario` with `P` over every protocol.
///
/// # Panics
/// When `P` does not meet the requirement, with what was observed and what to do about it.
pub async fn conformance<P: Plugin>(scenario: Scenario, recorded: Recorded) {
    side_by_side(&Dialect::ALL, |dialect| {
        let recorded = recorded.clone();
        let play = async move {
            // The polls of an outage are made at once, but each by itself.
            let args =
                if scenario == Scenario::Outage { &["--poll-freshness=0s"][..] } else { &[] };
            let plugin = Registration::of::<P>;
            let stage = Stage::start(plugin, dialect, scenario, recorded, args).await;
            stage.play(scenario).await?;
            stage.service.stop().await;
            Ok(())
        };
        Box::pin(play)
    })
    .await;
}

impl Stage {
    async fn play(&self, scenario: Scenario) -> Outcome {
        match scenario {
            Scenario::HappyPath => self.happy_path().await,
            Scenario::SameKeyTwice => self.same_key_twice().await,
            Scenario::DeleteTwice => self.delete_twice().await,
            Scenario::UnknownState => self.unknown_state().await,
            Scenario::RefreshAfter401 => self.refresh_after_401().await,
            Scenario::RetryAfter429 => self.retry_after_429().await,
            Scenario::SlowUpstream => self.slow_upstream().await,
            Scenario::CallerDisconnectsDuringCreate => self.caller_disconnects().await,
            Scenario::BadCustom => self.bad_custom().await,
            Scenario::BadHandle => self.bad_handle().await,
            Scenario::RefusedJob => self.refused_job().await,
            Scenario::Outage => self.outage().await,
            Scenario::CanaryNowhere => self.canary_nowhere().await,
            Scenario::ProtocolsAgree => self.protocols_agree().await,
        }
    }

    async fn create(&self) -> Outcome<Vec<u8>> {
        let created = self.client.create(&self.recorded.task).await;
        self.expect_ok("a create", created, "a create must succeed on the answers of `created`")
    }

    /// A job that the vendor has accepted. The requests of its create are forgotten.
    async fn created(&self) -> Outcome<Vec<u8>> {
        self.script(&[&self.recorded.created]);
        let handle = self.create().await?;
        self.check(
            handle.len() <= MAX_HANDLE,
            format!("the handle has {} bytes, more than {MAX_HANDLE}", handle.len()),
            "keep only what finds the job again in `Meta`",
        )?;
        let _ = self.upstream.take_received();
        Ok(handle)
    }

    async fn get(&self, handle: &[u8]) -> Outcome<Observation> {
        let advice = "a poll must answer with a phase whatever the vendor does: propeller fails a \
                      task for good after its sixth failed poll";
        let polled = self.client.get(&self.recorded.task, handle).await;
        let seen = self.expect_ok("a poll", polled, advice)?;
        self.check(seen.phase != "UNDEFINED", "a poll answered without a phase", advice)?;
        Ok(seen)
    }

    async fn delete(&self, handle: &[u8], advice: &str) -> Outcome {
        let deleted = self.client.delete(&self.recorded.task, handle).await;
        self.expect_ok("a delete", deleted, advice)
    }

    async fn happy_path(&self) -> Outcome {
        let handle = self.created().await?;
        self.script(&[&self.recorded.running]);
        let running = self.get(&handle).await?;
        let advice = "map the state of `running` to Phase::Running";
        self.expect_phase("a poll", &running, "RUNNING", advice)?;
        self.script(&[&self.recorded.succeeded]);
        let succeeded = self.get(&handle).await?;
        let advice = "map the state of `succeeded` to Phase::Succeeded";
        self.expect_phase("a poll", &succeeded, "SUCCEEDED", advice)?;
        self.check(
            running.links == succeeded.links,
            format!(
                "the links were {:?} at first and {:?} in the end",
                running.links, succeeded.links
            ),
            "give the same links in every status: Flyte reads those of a phase's first status only",
        )?;
        self.script(&[&self.recorded.cancelled]);
        self.delete(&handle, "a delete must succeed on the answers of `cancelled`").await
    }

    async fn same_key_twice(&self) -> Outcome {
        let Recorded { created, repeated, running, .. } = &self.recorded;
        self.script(&[created]);
        let first = self.create().await?;
        let submit = self.upstream.received();
        // A plugin may look at the job that it finds.
        self.script(&[repeated, running]);
        let second = self.create().await?;
        self.check_repeat(&submit, &self.upstream.received()[submit.len()..])?;

        let mut polls = Vec::new();
        for handle in [first, second] {
            let _ = self.upstream.take_received();
            self.script(&[running]);
            self.get(&handle).await?;
            polls.push(list(&self.upstream.received()));
        }
        self.check(
            polls[0] == polls[1],
            format!("the handle of the first create polls {}, the repeat's {}", polls[0], polls[1]),
            "a repeated create must return the `Meta` of the first one's job",
        )
    }

    /// The requests of a repeated create must submit nothing that the first create did not.
    fn check_repeat(&self, submit: &[ReceivedRequest], repeat: &[ReceivedRequest]) -> Outcome {
        let recorded = self.recorded.repeated.len();
        self.check(
            repeat.len() >= recorded,
            format!("of the {recorded} answers of `repeated` {} were used", repeat.len()),
            "ask the vendor in every create, and remember nothing: a repeat may reach another replica",
        )?;
        for (index, request) in repeat.iter().enumerate() {
            if is_read(request) {
                continue;
            }
            self.check(
                index < recorded,
                format!("the repeated create sent {request} after the calls of `repeated`"),
                "a repeated create must find the job of the first one and submit no other: look for \
                 it by cx.idempotency_key(), or give the vendor that as its idempotency key",
            )?;
            let same = |sent: &&ReceivedRequest| {
                (&sent.method, &sent.target, &sent.body)
                    == (&request.method, &request.target, &request.body)
            };
            let body = String::from_utf8_lossy(&request.body);
            self.check(
                submit.iter().any(|sent| same(&sent)),
                format!(
                    "the repeated create sent {request} with the body {body:?}, the first did not"
                ),
                "send the same bytes for the same key: derive names and ids from \
                 cx.idempotency_key(), and nothing from time or chance",
            )?;
        }
        Ok(())
    }

    async fn delete_twice(&self) -> Outcome {
        let Recorded { cancelled, gone, .. } = &self.recorded;
        let handle = self.created().await?;
        // In a job's first minute the vendor may not list it yet.
        let old = self.service.aged(&handle, Duration::from_secs(60));
        for (handle, answers, advice) in [
            (&handle, cancelled, "a delete must succeed on the answers of `cancelled`"),
            (
                &old,
                gone,
                "return Kind::NotFound for the answers of `gone`: the delete then succeeds",
            ),
        ] {
            let _ = self.upstream.take_received();
            self.script(&[answers]);
            self.delete(handle, advice).await?;
            let asked = self.upstream.count() > 0;
            self.check(asked, "a delete made no request", "tell the vendor to stop the job")?;
        }
        Ok(())
    }

    async fn unknown_state(&self) -> Outcome {
        let advice = "a state that the plugin does not know must be Status::unknown_state, so that a \
                      running job is not failed";
        let handle = self.created().await?;
        self.script(&[&self.recorded.unknown_state]);
        self.expect_phase("a poll", &self.get(&handle).await?, "RUNNING", advice)?;
        let counted = self.service.metric("plugin_unknown_states_total").await;
        let observed = format!("the metric plugin_unknown_states_total is {counted}, not 1");
        self.check(counted == 1.0, observed, advice)
    }

    async fn caller_disconnects(&self) -> Outcome {
        let Recorded { task, created, running, .. } = &self.recorded;
        self.script(&[created]);
        self.upstream.hold();
        tokio::select! {
            result = self.client.create(task) => {
                let observed = match result {
                    Ok(_) => "a create ended before the vendor answered".to_owned(),
                    Err(error) => format!("a create failed with {error} before the vendor answered"),
                };
                return Err(self.failure(observed, "return from `create` when the job is submitted"));
            }
            () = self.upstream.wait_for(1) => {}
        }
        // The repeat has to arrive while the first create is in progress.
        let release = async {
            let joined = self.joined().await;
            self.upstream.release();
            joined
        };
        let (handle, joined) = tokio::join!(self.create(), release);
        joined?;
        let (handle, sent) = (handle?, self.upstream.count());
        self.check(
            sent == created.len(),
            format!("the create and its repeat sent {sent} requests, not {}", created.len()),
            "`created` must have an answer for each call of one create, which the repeat joins",
        )?;
        self.script(&[running]);
        let advice = "map the state of `running` to Phase::Running";
        self.expect_phase("a poll", &self.get(&handle).await?, "RUNNING", advice)
    }

    async fn canary_nowhere(&self) -> Outcome {
        let Recorded { running, failed, refused, unauthorized, .. } = &self.recorded;
        let handle = self.created().await?;
        let mut responses = String::new();
        for answers in [running, failed, from_ref(unauthorized)] {
            self.script(&[answers]);
            responses += &format!("{:?}", self.get(&handle).await?);
        }
        self.script(&[refused]);
        responses += &format!("{:?}", self.client.create(&self.other_task("canary")).await);
        let handle = self.service.opened(&handle);
        self.expect_no_secret_in(&[("a response", &responses), ("the handle", &handle)]).await
    }

    async fn protocols_agree(&self) -> Outcome {
        let handle = self.created().await?;
        let Recorded { running, succeeded, failed, unknown_state, gone, .. } = &self.recorded;
        let clients = Dialect::ALL.map(|dialect| self.service.client(dialect, "propeller"));
        let clients = join_all(clients).await;
        for answers in [running, succeeded, failed, unknown_state, gone] {
            let mut seen = Vec::new();
            for (dialect, client) in Dialect::ALL.iter().zip(&clients) {
                self.script(&[answers]);
                let polled = client.get(&self.recorded.task, &handle).await;
                let advice = "a poll must answer with a phase whatever the vendor does";
                seen.push(self.expect_ok(&format!("a poll over {dialect}"), polled, advice)?);
            }
            self.check(
                seen.iter().all(|one| *one == seen[0]),
                format!("Flyte 1, Flyte 2 and REST reported different statuses: {seen:#?}"),
                "the status of a job must depend on the vendor's answer alone",
            )?;
        }
        Ok(())
    }
}

/// Whether `request` only reads. APIs of AWS that speak awsJson name their operations in a header, and POST all of them.
fn is_read(request: &ReceivedRequest) -> bool {
    let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.rsplit('.').next());
    let reads = |operation: &str| {
        ["Describe", "Get", "List"].iter().any(|verb| operation.starts_with(verb))
    };
    request.method == http::Method::GET || operation.is_some_and(reads)
}
