//! Scenarios in which the vendor is slow, overloaded or down, or rejects credentials.

use std::{slice::from_ref, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::Stage;
use crate::testing::{
    Observation,
    recorded::Recorded,
    stage::{DEADLINE, DEADLINE_EXCEEDED, Outcome},
};

/// How many failed polls make propeller fail a task for good.
const FAILED_POLLS: usize = 6;

const LAST_KNOWN: &str = "return the vendor's failure as an error of kind Unavailable, Unauthenticated \
                          or ResourceExhausted: the service then answers with the last known phase";

impl Stage {
    pub(super) async fn refresh_after_401(&self) -> Outcome {
        let Recorded { unauthorized, running, .. } = &self.recorded;
        let advice = "return Kind::Unauthenticated for the answer `unauthorized`, and sign calls with \
                      the `Credentials` of the `Http`: they are then renewed once";
        let handle = self.created().await?;
        self.script(&[from_ref(unauthorized), running]);
        self.expect_phase("a poll", &self.get(&handle).await?, "RUNNING", advice)?;
        self.expect_requests(1 + running.len(), "after one rejection", advice)?;
        let _ = self.upstream.take_received();
        self.script(&[from_ref(unauthorized)]);
        self.expect_phase("a poll", &self.get(&handle).await?, "RUNNING", LAST_KNOWN)?;
        self.expect_requests(2, "while credentials are rejected", advice)
    }

    pub(super) async fn retry_after_429(&self) -> Outcome {
        const WAIT: Duration = Duration::from_secs(1);
        let Recorded { throttled, running, .. } = &self.recorded;
        let advice = "return Kind::ResourceExhausted or Unavailable for the answer `throttled`, and \
                      leave Retry-After to the `Http`: the service then answers with the last known \
                      phase and sends nothing for a while";
        let handle = self.created().await?;
        let throttled = throttled.clone().header("retry-after", "1");
        self.script(&[from_ref(&throttled), running]);
        self.expect_phase("a poll", &self.get(&handle).await?, "RUNNING", advice)?;
        self.expect_requests(1, "of which one was throttled", advice)?;
        self.poll_until_asked(&handle, 1 + running.len()).await?;
        self.expect_requests(1 + running.len(), "after one throttled request", advice)?;
        let requests = self.upstream.received();
        let waited = requests[1].at - requests[0].at;
        let observed = format!("Retry-After was {WAIT:?}, the next request came after {waited:?}");
        self.check(waited >= WAIT, observed, advice)
    }

    /// Polls until the upstream has received `requests`: while it asked for quiet or failed every call, it
    /// gets none for about a second.
    async fn poll_until_asked(&self, handle: &[u8], requests: usize) -> Outcome<Observation> {
        const PAUSE: Duration = Duration::from_millis(100);
        const POLLS: usize = 50;
        for _ in 1..POLLS {
            let seen = self.get(handle).await?;
            if self.upstream.count() >= requests {
                return Ok(seen);
            }
            sleep(PAUSE).await;
        }
        self.get(handle).await
    }

    pub(super) async fn slow_upstream(&self) -> Outcome {
        let handle = self.created().await?;
        let hasty = self.client.clone().with_timeout(DEADLINE);
        let (task, other) = (&self.recorded.task, self.other_task("slow"));
        self.upstream.hold();
        let (polled, created) = tokio::join!(
            self.in_time("a poll", Box::pin(hasty.get(task, &handle))),
            self.in_time("a create", Box::pin(hasty.create(&other))),
        );
        self.upstream.release();
        let seen = self.expect_ok("a poll", polled?, LAST_KNOWN)?;
        self.expect_phase("a poll", &seen, "RUNNING", LAST_KNOWN)?;
        let advice = "the outcome of a create that the vendor has not answered is not known: return \
                      the error of the `Http`";
        self.expect_error("a create", created?, DEADLINE_EXCEEDED, advice).map(drop)
    }

    pub(super) async fn outage(&self) -> Outcome {
        let Recorded { unavailable, running, succeeded, .. } = &self.recorded;
        let handle = self.created().await?;
        self.script(&[from_ref(unavailable)]);
        // At once, because each takes as long as the client retries.
        let polls = (0..FAILED_POLLS).map(|_| self.poll_in_outage(&handle));
        let links = try_join_all(polls).await?;
        let stale = self.service.metric("plugin_stale_answers_total").await;
        let observed =
            format!("the metric plugin_stale_answers_total is {stale} after {FAILED_POLLS} polls");
        self.check(stale == FAILED_POLLS as f64, observed, LAST_KNOWN)?;

        self.script(&[running]);
        let _ = self.upstream.take_received();
        let known = self.poll_until_asked(&handle, running.len()).await?.links;
        for (name, _) in &links[0] {
            self.check(
                known.iter().any(|link| link.0 == *name),
                format!("`describe` has the link {name:?}, which is not in {known:?} of a poll"),
                "give the same links in `get` and in `describe`",
            )?;
        }
        self.script(&[succeeded]);
        let advice = "map the state of `succeeded` to Phase::Succeeded";
        self.expect_phase("a poll", &self.get(&handle).await?, "SUCCEEDED", advice)
    }

    /// The links of a job whose vendor cannot be asked.
    async fn poll_in_outage(&self, handle: &[u8]) -> Outcome<Vec<(String, String)>> {
        let polled = self.client.get(&self.recorded.task, handle).await;
        let seen = self.expect_ok("a poll", polled, LAST_KNOWN)?;
        self.expect_phase("a poll", &seen, "RUNNING", LAST_KNOWN)?;
        Ok(seen.links)
    }

    fn expect_requests(&self, count: usize, when: &str, advice: &str) -> Outcome {
        let received = self.upstream.count();
        let observed = format!("a poll made {received} requests {when}, not {count}");
        self.check(received == count, observed, advice)
    }
}
