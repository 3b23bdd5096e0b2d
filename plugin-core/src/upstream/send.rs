//! Sending a request: attempt by attempt, each signed, paced, counted and traced.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use serde::de::DeserializeOwned;
use server_core::{Error, Kind, Result};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Request, Shared,
    answer::{FailedAttempt, Reading, Response, by_status, foreign_response},
    breaker::Passage,
    call::UpstreamCall,
    credentials::{Outgoing, Signature},
    lanes::{Lane, Purpose},
    permits::Permitted,
    retry::{self, Attempts},
};
use crate::context::{Context, Deadline};

/// How long a call waits before it asks again for a retry beyond the budget.
const BUDGET_PAUSE: Duration = Duration::from_secs(1);

impl Request<'_> {
    /// Sends the request, and repeats it while that is safe, may succeed, fits the deadline and is within
    /// the budget for retries.
    ///
    /// # Errors
    /// The failure of the last attempt, with the vendor's message if it responded.
    pub async fn send(self, cx: &Context) -> Result<Response> {
        Sending::new(&self, cx).run().await
    }

    /// [Sends](Self::send) the request and deserialises the response from JSON.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`Response::json`].
    pub async fn send_json<T: DeserializeOwned + Send + 'static>(self, cx: &Context) -> Result<T> {
        self.send(cx).await?.into_json().await
    }
}

/// A call under way.
struct Sending<'a> {
    request: &'a Request<'a>,
    cx: &'a Context,
    attempts: Attempts,
    /// An earlier attempt may have taken effect.
    is_ambiguous: bool,
    /// The lane of the last attempt that was signed.
    lane: Option<Lane>,
    /// A signature that the vendor refused, and its error.
    refused: Option<(Signature, Error)>,
}

impl<'a> Sending<'a> {
    fn new(request: &'a Request<'a>, cx: &'a Context) -> Self {
        let attempts = Attempts::new(cx.deadline(), request.idempotent, cx.is_poll());
        Self { request, cx, attempts, is_ambiguous: false, lane: None, refused: None }
    }

    async fn run(mut self) -> Result<Response> {
        loop {
            let mut failed = match self.attempt().await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if self.is_ambiguous && failed.is_about_service() {
                failed.error = outcome_unknown(failed.error);
            }
            self.is_ambiguous |= !self.request.method.is_safe() && failed.is_ambiguous();
            if !self.repeats(&mut failed).await {
                return Err(failed.error);
            }
        }
    }

    /// Whether to repeat the call after `failed`; waits until it is time.
    async fn repeats(&mut self, failed: &mut FailedAttempt) -> bool {
        if !self.cx.is_wanted() {
            return false;
        }
        if let Some(signature) = failed.refused_signature.take()
            && self.attempts.refresh_once()
        {
            if let Some(credentials) = &self.request.http.credentials {
                credentials.rejected(self.cx, &signature.headers).await;
            }
            self.refused = Some((*signature, failed.error.clone()));
            return true;
        }
        let Some(pause) = self.attempts.pause_after(failed) else {
            return false;
        };
        sleep(pause).await;
        (failed.throttled || self.is_within_budget().await) && self.cx.is_wanted()
    }

    /// Whether another attempt is within the budget. A poll has an answer without it; other calls wait for
    /// their share.
    async fn is_within_budget(&self) -> bool {
        let metrics = &self.shared().metrics;
        let Some(lane) = &self.lane else {
            return true;
        };
        while !lane.allows_retry() {
            metrics.denied_retries.inc();
            let pause = BUDGET_PAUSE.mul_f64(rand::random_range(0.5..1.5));
            if self.cx.is_poll() || !self.cx.is_wanted() || self.cx.deadline().remaining() < pause {
                return false;
            }
            sleep(pause).await;
        }
        metrics.retries.inc();
        true
    }

    fn shared(&self) -> &'a Shared {
        &self.request.http.shared
    }

    async fn attempt(&mut self) -> Result<Response, FailedAttempt> {
        let (request, cx) = (self.request, self.cx);
        // Before a permit is acquired: credentials may be fetched from the same host.
        let signing = timeout_at(self.until(), self.signature()).await;
        let signature = signing.unwrap_or_else(|_| Err(no_signature()));
        let mut signature = signature
            .map_err(|error| FailedAttempt::unsent(of_credentials(error).about_credentials()))?;
        self.check_refused(&signature)?;
        let mut ready = request.build(&signature.headers).map_err(FailedAttempt::unsent)?;
        let lane = self.lane();
        let _permit = self.acquire(&lane).await.map_err(FailedAttempt::throttled)?;
        // Signing and the pace take time. A safe method may still find out what an earlier call did.
        if !request.method.is_safe() && !cx.is_wanted() {
            return Err(FailedAttempt::unsent(cancelled()));
        }
        self.sign(&mut signature, &mut ready)?;
        let passage = self.pass(&lane)?;
        let outcome = self.exchange(ready, signature).await;
        self.report(&outcome, &lane, passage);
        outcome
    }

    /// A signature that was refused is sent again only within the budget: a vendor that refuses all of
    /// them would get each call twice.
    fn check_refused(&self, signature: &Signature) -> Result<(), FailedAttempt> {
        match (&self.refused, &self.lane) {
            (Some((refused, error)), Some(lane)) if refused.is_like(signature) => {
                match lane.allows_retry() {
                    true => Ok(()),
                    false => Err(FailedAttempt::repeated(error.clone())),
                }
            }
            _ => Ok(()),
        }
    }

    /// The lane of this attempt: the secrets that sign it are known by now.
    fn lane(&mut self) -> Lane {
        let (request, quota) = (self.request, &*self.request.http.quota);
        let (lanes, identity) = (&self.shared().lanes, self.cx.authors_identity());
        let lane = lanes.of(request.purpose, quota, identity);
        let lane = match &request.queue {
            Some(queue) => lanes.with_queue(lane, queue, quota, identity),
            None => lane,
        };
        if self.lane.is_none() {
            lane.count_call();
        }
        self.lane = Some(lane.clone());
        lane
    }

    /// The deadline of a step that begins now.
    fn until(&self) -> Instant {
        Deadline::after(self.shared().attempt_timeout).min(self.cx.deadline()).instant()
    }

    async fn signature(&self) -> Result<Signature> {
        match &self.request.http.credentials {
            Some(credentials) => credentials.signature(self.cx).await,
            None => Ok(Signature::default()),
        }
    }

    /// Signs `ready`, if its credentials sign requests: last, because a signature may count for minutes only.
    fn sign(
        &self,
        signature: &mut Signature,
        ready: &mut http::Request<Full<Bytes>>,
    ) -> Result<(), FailedAttempt> {
        let Some(signer) = &signature.signer else { return Ok(()) };
        let signing = self.request.body_bytes().and_then(|body| {
            let url = self.request.resource.url(&self.shared().base);
            signer.sign(&Outgoing::new(ready.method(), &url, ready.headers(), body))
        });
        let unsigned = |error| FailedAttempt::unsent(of_credentials(error).about_credentials());
        let headers = signing.map_err(unsigned)?;
        ready.headers_mut().extend(headers.clone());
        signature.headers.extend(headers);
        Ok(())
    }

    /// Waits until the attempt may be sent. Its permit counts as a running call until it is dropped.
    async fn acquire(&self, lane: &Lane) -> Result<Permitted<'a>> {
        if let Some(submits) = &lane.submits {
            submits.turn(self.cx).await?;
        }
        loop {
            lane.pace.turn(self.cx).await?;
            let permit = self.shared().permits.acquire(self.cx, self.is_poll()).await?;
            // The vendor may have asked for quiet since.
            if lane.pace.quiet().is_zero() {
                return Ok(permit);
            }
        }
    }

    /// Whether the request itself polls: one for a token serves other calls as well.
    fn is_poll(&self) -> bool {
        self.cx.is_poll() && self.request.purpose == Purpose::Api
    }

    fn pass<'l>(&self, lane: &'l Lane) -> Result<Option<Passage<'l>>, FailedAttempt> {
        let passage = lane.breaker().map(super::breaker::Breaker::pass).transpose();
        passage.map_err(|wait| {
            self.shared().metrics.broken.inc();
            FailedAttempt::throttled(fails_every_call(wait))
        })
    }

    async fn exchange(
        &self,
        ready: http::Request<Full<Bytes>>,
        signature: Signature,
    ) -> Result<Response, FailedAttempt> {
        let (request, started) = (self.request, Instant::now());
        self.cx.count_call();
        let (metrics, client) = (&self.shared().metrics, &self.shared().client);
        let (base, path) = (&self.shared().base.url, request.resource.path());
        let mut call =
            UpstreamCall::start(metrics, &request.method, base, path, self.attempts.count());
        let until = self.until();
        let exchange =
            timeout_at(until, self.exchange_within(ready, signature, until, &mut call)).await;
        let outcome = exchange.unwrap_or_else(|_| {
            client.timed_out(started);
            Err(FailedAttempt::timed_out())
        });
        if self.is_poll() {
            self.shared().permits.took(started.elapsed());
        }
        match &outcome {
            Ok(_) => call.succeeded(),
            Err(failed) => call.failed(&failed.error),
        }
        outcome
    }

    async fn exchange_within(
        &self,
        ready: http::Request<Full<Bytes>>,
        signature: Signature,
        until: Instant,
        call: &mut UpstreamCall<'_>,
    ) -> Result<Response, FailedAttempt> {
        let client = &self.shared().client;
        let response = client.send(ready).await.map_err(FailedAttempt::unanswered)?;
        client.answered();
        call.answered(response.status());
        let at_most = self.request.at_most;
        let is_safe = self.request.method.is_safe();
        let reading = Reading { bodies: &self.shared().bodies, until, at_most, is_safe };
        let mut response = reading.read(response).await?;
        response.body = self.request.secrets(&signature).masked(response.body);
        if response.status.is_success() {
            return Ok(response);
        }
        Err(self.refused(&response, signature))
    }

    fn refused(&self, response: &Response, signature: Signature) -> FailedAttempt {
        let failure = match &self.shared().read_failure {
            Some(read) => read(response.status, &response.headers, &response.body)
                .unwrap_or_else(|| foreign_response(response.status)),
            None => by_status(response.status),
        };
        // Some vendors respond with 403 to an expired token; their failure reader recognises it.
        let unauthorized =
            response.status == StatusCode::UNAUTHORIZED || failure.kind == Kind::Unauthenticated;
        let retry_after = retry::retry_after(&response.headers);
        let failed = FailedAttempt::refused(failure, retry_after);
        let refused_signature = unauthorized.then(|| Box::new(signature));
        FailedAttempt { refused_signature, ..failed }
    }

    /// Reports the outcome to the pace and the breaker.
    fn report(
        &self,
        outcome: &Result<Response, FailedAttempt>,
        lane: &Lane,
        passage: Option<Passage<'_>>,
    ) {
        match outcome {
            Ok(_) => {
                lane.pace.accepted();
                lane.submits.iter().for_each(|submits| submits.accepted());
            }
            Err(failed) if failed.is_full => {
                self.shared().metrics.throttled.inc();
                lane.submits.iter().for_each(|submits| submits.throttled(None));
            }
            Err(failed) if failed.is_rate_limit() => {
                self.shared().metrics.throttled.inc();
                lane.pace.throttled(failed.retry_after);
            }
            Err(_) => {}
        }
        let Some(passage) = passage else { return };
        match outcome {
            Err(failed) if failed.is_unanswered() => passage.failed(),
            Ok(_) | Err(_) => passage.answered(),
        }
    }
}

/// An earlier attempt may have succeeded: a later refusal does not prove that the call had no effect.
fn outcome_unknown(error: Error) -> Error {
    Error::unavailable("the upstream refused a retry; an earlier attempt may have succeeded")
        .with_source(error)
}

/// `NotFound` and `AlreadyExists` of a token request are not about the job that the call is about.
fn of_credentials(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound | Kind::AlreadyExists => error.with_kind(Kind::FailedPrecondition),
        _ => error,
    }
}

fn cancelled() -> Error {
    Error::new(Kind::DeadlineExceeded, "the operation was cancelled before the upstream was called")
}

fn no_signature() -> Error {
    Error::unavailable("timed out obtaining upstream credentials")
}

fn fails_every_call(wait: Duration) -> Error {
    Error::unavailable("the upstream fails every call; it is being probed").with_retry_after(wait)
}
