//! One call to the vendor.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use url::Url;

use super::{Failure, Http, retry};
use crate::{
    context::Context,
    error::{Error, Kind, Result},
    telemetry::upstream_call::UpstreamCall,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// A call that has not been made yet.
#[must_use = "a request does nothing until it is sent"]
pub struct Request<'a> {
    http: &'a Http,
    method: Method,
    url: Url,
    body: Result<Option<Bytes>>,
    idempotent: bool,
}

/// A vendor's 2xx answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body, read as JSON.
    ///
    /// # Errors
    /// `Unavailable` when it is something else: a proxy's page, for example.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::unavailable("the upstream's answer could not be read").with_source(error)
        })
    }
}

/// A try that did not bring a 2xx answer.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The vendor never saw the call, so that repeating it is safe whatever it does.
    pub(super) unsent: bool,
    /// The vendor did not accept the credentials.
    pub(super) unauthorized: bool,
    pub(super) retry_after: Option<Duration>,
}

impl<'a> Request<'a> {
    pub(super) fn new<S: AsRef<str>>(http: &'a Http, method: Method, segments: &[S]) -> Self {
        let idempotent = method.is_idempotent();
        let mut url = http.0.base.clone();
        let body = push(&mut url, segments).map(|()| None);
        Self { http, method, url, body, idempotent }
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
        self
    }

    /// Says that the call may be made twice with the effect of once, so that it is repeated when an
    /// answer is lost.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Makes the call, and again as long as that is safe, may help and fits the deadline.
    ///
    /// # Errors
    /// What the last try ended with, in the vendor's words where it answered.
    pub async fn send(self, cx: &Context) -> Result<Response> {
        let mut tries = retry::Tries::new(cx.deadline(), self.idempotent);
        loop {
            let failed = match self.attempt(cx, tries.count()).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if failed.unauthorized && tries.refresh_once() {
                self.reject_credentials(cx).await;
                continue;
            }
            let Some(pause) = tries.pause_after(&failed) else {
                return Err(failed.error);
            };
            self.http.0.builder.metrics.upstream_retry();
            tokio::time::sleep(pause).await;
        }
    }

    /// [Sends](Self::send) and reads the answer as JSON.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and [`Response::json`].
    pub async fn send_json<T: DeserializeOwned>(self, cx: &Context) -> Result<T> {
        self.send(cx).await?.json()
    }

    async fn reject_credentials(&self, cx: &Context) {
        if let Some(credentials) = &self.http.0.builder.credentials {
            credentials.rejected(cx).await;
        }
    }

    async fn attempt(&self, cx: &Context, resend: u32) -> Result<Response, Failed> {
        let time = self.http.0.builder.attempt_timeout.min(cx.deadline().remaining());
        let metrics = &self.http.0.builder.metrics;
        let mut call = UpstreamCall::start(metrics, &self.method, &self.url, resend);
        let outcome = tokio::time::timeout(time, self.try_once(cx, &mut call)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failed::timed_out()));
        match &outcome {
            Ok(_) => call.succeeded(),
            Err(failed) => call.failed(&failed.error),
        }
        outcome
    }

    async fn try_once(
        &self,
        cx: &Context,
        call: &mut UpstreamCall<'_>,
    ) -> Result<Response, Failed> {
        let signature = self.sign(cx).await.map_err(Failed::unsent)?;
        let request = self.build(signature).map_err(Failed::unsent)?;
        let answer =
            self.http.0.builder.client.execute(request).await.map_err(Failed::transport)?;
        call.answered(answer.status());
        let response = read(answer).await.map_err(Failed::transport)?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(self.refused(&response))
    }

    async fn sign(&self, cx: &Context) -> Result<HeaderMap> {
        match &self.http.0.builder.credentials {
            Some(credentials) => credentials.headers(cx).await,
            None => Ok(HeaderMap::new()),
        }
    }

    fn build(&self, signature: HeaderMap) -> Result<reqwest::Request> {
        let mut request = reqwest::Request::new(self.method.clone(), self.url.clone());
        *request.headers_mut() = signature;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        if let Some(body) = self.body.clone()? {
            headers
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.into());
        } else if self.method == Method::POST {
            headers.insert(header::CONTENT_LENGTH, header::HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    fn refused(&self, response: &Response) -> Failed {
        let failure = (self.http.0.builder.read_failure)(response.status, &response.body)
            .unwrap_or_else(|| by_status(response.status));
        let retry_after = retry::retry_after(&response.headers);
        let mut error = Error::new(failure.kind, failure.message).from_upstream();
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        if let Some(wait) = retry_after {
            error = error.with_retry_after(wait);
        }
        let unauthorized = response.status == StatusCode::UNAUTHORIZED;
        Failed { error, unsent: false, unauthorized, retry_after }
    }
}

impl Failed {
    fn unsent(error: Error) -> Self {
        Self { error, unsent: true, unauthorized: false, retry_after: None }
    }

    fn timed_out() -> Self {
        let error = Error::new(Kind::DeadlineExceeded, "the upstream did not answer in time");
        Self { unsent: false, ..Self::unsent(error.from_upstream()) }
    }

    fn transport(error: impl Into<Transport>) -> Self {
        let Transport { error, unsent } = error.into();
        Self { unsent, ..Self::unsent(error.from_upstream()) }
    }
}

/// A connection that failed before, during or after the call.
pub(super) struct Transport {
    error: Error,
    unsent: bool,
}

impl From<reqwest::Error> for Transport {
    fn from(error: reqwest::Error) -> Self {
        let unsent = error.is_connect();
        let what = if unsent {
            "the upstream cannot be reached"
        } else {
            "the upstream's answer was lost"
        };
        Self { error: Error::unavailable(what).with_source(error.without_url()), unsent }
    }
}

impl From<Error> for Transport {
    fn from(error: Error) -> Self {
        Self { error, unsent: false }
    }
}

async fn read(mut answer: reqwest::Response) -> Result<Response, Transport> {
    let mut body = bytes::BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::unavailable("the upstream's answer is too large").into());
        }
        body.extend_from_slice(&chunk);
    }
    let headers = std::mem::take(answer.headers_mut());
    Ok(Response { status: answer.status(), headers, body: body.freeze() })
}

/// Adds `segments` to the path; one that would lead elsewhere is refused.
fn push<S: AsRef<str>>(url: &mut Url, segments: &[S]) -> Result<()> {
    let mut path = url.path_segments_mut().map_err(|()| Error::internal("the base has no path"))?;
    path.pop_if_empty();
    for segment in segments.iter().map(AsRef::as_ref) {
        if matches!(segment, "" | "." | "..") {
            return Err(Error::invalid(format!("{segment:?} cannot name anything at the vendor")));
        }
        path.push(segment);
    }
    Ok(())
}

/// What a status means when its body says nothing.
fn by_status(status: StatusCode) -> Failure {
    let kind = match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 | 410 => Kind::NotFound,
        409 => Kind::AlreadyExists,
        422 => Kind::FailedPrecondition,
        429 => Kind::ResourceExhausted,
        408 | 500..=599 => Kind::Unavailable,
        400..=499 => Kind::InvalidArgument,
        _ => Kind::Unavailable,
    };
    Failure { kind, code: None, message: format!("the upstream answered {status}") }
}
