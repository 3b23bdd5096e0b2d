//! A call to the vendor: building and sending it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};
use url::{Url, form_urlencoded};

use super::{
    Http,
    answer::{FailedAttempt, Response, by_status, foreign_response, read},
    retry,
};
use crate::{
    context::{Context, Deadline},
    upstream::call::UpstreamCall,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A request that has not been sent yet.
///
/// ```
/// use plugin_core::{Context, Http, Result};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Page {
///     rows: Vec<Vec<String>>,
///     next: Option<String>,
/// }
///
/// /// One page of a job's rows: GET <base>/jobs/<id>/rows/?page=<page>.
/// async fn rows(http: &Http, cx: &Context, id: &str, page: Option<&str>) -> Result<Page> {
///     http.get(&["jobs", id, "rows"]).trailing_slash().query("page", page).send_json(cx).await
/// }
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    http: &'a Http,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Result<Option<Bytes>>,
    idempotent: bool,
    at_most: Option<usize>,
}

impl<'a> Request<'a> {
    pub(super) fn new<S: AsRef<str>>(http: &'a Http, method: Method, segments: &[S]) -> Self {
        let idempotent = method.is_idempotent();
        let mut url = http.shared.base.clone();
        let body = push(&mut url, segments).map(|()| None);
        let headers = HeaderMap::from_iter([(header::ACCEPT, JSON)]);
        Self { http, method, url, headers, body, idempotent, at_most: None }
    }

    /// Ends the path with a slash, for APIs that require one.
    pub fn trailing_slash(mut self) -> Self {
        if let Ok(mut path) = self.url.path_segments_mut() {
            path.pop_if_empty().push("");
        }
        self
    }

    /// Adds `name=value` to the query; `None` adds nothing.
    pub fn query(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.url.query_pairs_mut().append_pair(name, value);
        }
        self
    }

    /// Sends `body` as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).map(|body| Some(body.into())).map_err(Error::internal);
        self.body = self.body.and(body);
        self.header(header::CONTENT_TYPE, JSON)
    }

    /// Sends `fields` as a URL-encoded form, as OAuth's token endpoints expect them.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = self.body.map(|_| Some(form.into()));
        self.header(header::CONTENT_TYPE, FORM)
    }

    /// Marks the call as idempotent, so that it is also repeated after a failure that leaves its outcome
    /// open.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Reads at most the first `bytes` of the response's body; [`Response::is_cut`] says whether there
    /// were more. Without it a body of more than 16 MiB is an error.
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = Some(bytes);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends the request, and repeats it while that is safe, may succeed and fits the deadline.
    ///
    /// # Errors
    /// The failure of the last attempt, with the vendor's message if it responded.
    pub async fn send(self, cx: &Context) -> Result<Response> {
        let mut attempts = retry::Attempts::new(cx.deadline(), self.idempotent);
        let mut is_ambiguous = false;
        loop {
            let mut failed = match self.attempt(cx, attempts.count()).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if is_ambiguous && failed.is_about_service() {
                failed.error = outcome_unknown(failed.error);
            }
            is_ambiguous |= !self.method.is_safe() && failed.is_ambiguous();
            if !cx.is_wanted() {
                return Err(failed.error);
            }
            if let Some(refused) = &failed.refused_signature
                && attempts.refresh_once()
            {
                self.reject_credentials(cx, refused).await;
                continue;
            }
            let Some(pause) = attempts.pause_after(&failed) else {
                return Err(failed.error);
            };
            if !failed.throttled {
                self.http.shared.metrics.retries.inc();
            }
            tokio::time::sleep(pause).await;
            if !cx.is_wanted() {
                return Err(failed.error);
            }
        }
    }

    /// [Sends](Self::send) the request and deserialises the response from JSON.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`Response::json`].
    pub async fn send_json<T: DeserializeOwned>(self, cx: &Context) -> Result<T> {
        self.send(cx).await?.json()
    }

    async fn reject_credentials(&self, cx: &Context, refused: &HeaderMap) {
        if let Some(credentials) = &self.http.credentials {
            credentials.rejected(cx, refused).await;
        }
    }

    async fn attempt(&self, cx: &Context, resend: u32) -> Result<Response, FailedAttempt> {
        // Before a permit is acquired: credentials may be fetched from the same host.
        let signing = timeout_at(self.until(cx), self.sign(cx)).await;
        let signature = signing.unwrap_or_else(|_| Err(no_signature()));
        let signature = signature.map_err(|error| FailedAttempt::unsent(of_credentials(error)))?;
        let request = self.build(&signature).map_err(FailedAttempt::unsent)?;

        let throttle = &self.http.shared.throttle;
        let _permit = throttle.acquire(cx.deadline()).await.map_err(FailedAttempt::throttled)?;
        // Signing and the throttle take time. A safe method may still find out what an earlier call did.
        if !self.method.is_safe() && !cx.is_wanted() {
            return Err(FailedAttempt::unsent(cancelled()));
        }
        let mut call =
            UpstreamCall::start(&self.http.shared.metrics, &self.method, &self.url, resend);
        let exchange = self.exchange(request, signature, &mut call);
        let outcome = timeout_at(self.until(cx), exchange).await;
        let outcome = outcome.unwrap_or_else(|_| Err(FailedAttempt::timed_out()));
        match &outcome {
            Ok(_) => call.succeeded(),
            Err(failed) => call.failed(&failed.error),
        }
        self.report(&outcome);
        outcome
    }

    /// The deadline of a step that begins now.
    fn until(&self, cx: &Context) -> Instant {
        Deadline::after(self.http.shared.attempt_timeout).min(cx.deadline()).instant()
    }

    /// Reports the outcome to the throttle.
    fn report(&self, outcome: &Result<Response, FailedAttempt>) {
        match outcome {
            Err(failed)
                if failed.error.kind() == Kind::ResourceExhausted
                    || failed.retry_after.is_some() =>
            {
                self.http.shared.metrics.throttled.inc();
                self.http.shared.throttle.throttled(failed.retry_after);
            }
            Ok(_) => self.http.shared.throttle.accepted(),
            Err(_) => {}
        }
    }

    async fn exchange(
        &self,
        request: reqwest::Request,
        signature: HeaderMap,
        call: &mut UpstreamCall<'_>,
    ) -> Result<Response, FailedAttempt> {
        let response = self.http.shared.client.execute(request).await;
        let response = response.map_err(FailedAttempt::transport)?;
        call.answered(response.status());
        let at_most = self.at_most.filter(|_| response.status().is_success());
        let response = read(response, at_most).await.map_err(FailedAttempt::transport)?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(self.refused(&response, signature))
    }

    async fn sign(&self, cx: &Context) -> Result<HeaderMap> {
        match &self.http.credentials {
            Some(credentials) => credentials.headers(cx).await,
            None => Ok(HeaderMap::new()),
        }
    }

    fn build(&self, signature: &HeaderMap) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.extend(signature.clone());
        if let Some(body) = self.body.clone()? {
            *request.body_mut() = Some(body.into());
        } else if self.method == Method::POST {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    fn refused(&self, response: &Response, signature: HeaderMap) -> FailedAttempt {
        let failure = match self.http.shared.read_failure {
            Some(read) => read(response.status, &response.body)
                .unwrap_or_else(|| foreign_response(response.status)),
            None => by_status(response.status),
        };
        let retry_after = retry::retry_after(&response.headers);
        let mut error = Error::new(failure.kind, failure.message).upstream();
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        if let Some(wait) = retry_after {
            error = error.with_retry_after(wait);
        }
        // Some vendors respond with 403 to an expired token; their failure reader recognises it.
        let unauthorized =
            response.status == StatusCode::UNAUTHORIZED || failure.kind == Kind::Unauthenticated;
        let refused_signature = unauthorized.then(|| Box::new(signature));
        FailedAttempt { error, unsent: false, throttled: false, refused_signature, retry_after }
    }
}

/// An earlier attempt may have succeeded: a later refusal does not prove that the call had no effect.
fn outcome_unknown(error: Error) -> Error {
    Error::unavailable("the upstream refused a retry; an earlier attempt may have succeeded")
        .with_source(error)
}

/// Appends `segments` to the path; refuses those that would change the rest of it.
fn push<S: AsRef<str>>(url: &mut Url, segments: &[S]) -> Result<()> {
    let mut path = url.path_segments_mut().map_err(|()| Error::internal("the base has no path"))?;
    path.pop_if_empty();
    for segment in segments.iter().map(AsRef::as_ref) {
        // The URL parser removes tabs and line breaks before it looks for dots.
        if matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r']) {
            return Err(Error::invalid(format!("{segment:?} is not a valid path segment")));
        }
        path.push(segment);
    }
    Ok(())
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
