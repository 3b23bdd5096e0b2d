//! One call to the vendor.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use server_core::{Error, Kind, Result};
use tokio::time::{Instant, timeout_at};
use url::{Url, form_urlencoded};

use super::{
    Http,
    answer::{Failed, Response, by_status, not_the_vendors, read},
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

    /// Ends the path with a slash, for APIs that want one.
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

    /// Sends `fields` as an HTML form, the way OAuth's token endpoints want them.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.body = self.body.map(|_| Some(form.into()));
        self.header(header::CONTENT_TYPE, FORM)
    }

    /// Says that the call may be made twice with the effect of once, so that it is repeated when an
    /// answer is lost.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Reads no more than the first `bytes` of an answer; [`Response::is_cut`] says whether there are
    /// more. Without it a longer answer than 16 MiB is an error.
    pub fn at_most(mut self, bytes: usize) -> Self {
        self.at_most = Some(bytes);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Makes the call, and again as long as that is safe, may help and fits the deadline.
    ///
    /// # Errors
    /// What the last try ended with, in the vendor's words where it answered.
    pub async fn send(self, cx: &Context) -> Result<Response> {
        let mut tries = retry::Tries::new(cx.deadline(), self.idempotent);
        let mut in_doubt = false;
        loop {
            let mut failed = match self.attempt(cx, tries.count()).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            if in_doubt && failed.is_about_us() {
                failed.error = outcome_unknown(failed.error);
            }
            in_doubt |= !self.method.is_safe() && failed.is_ambiguous();
            if !cx.is_wanted() {
                return Err(failed.error);
            }
            if let Some(refused) = &failed.refused_signature
                && tries.refresh_once()
            {
                self.reject_credentials(cx, refused).await;
                continue;
            }
            let Some(pause) = tries.pause_after(&failed) else {
                return Err(failed.error);
            };
            if !failed.crowded {
                self.http.shared.metrics.upstream_retry();
            }
            tokio::time::sleep(pause).await;
            if !cx.is_wanted() {
                return Err(failed.error);
            }
        }
    }

    /// [Sends](Self::send) and reads the answer as JSON.
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

    async fn attempt(&self, cx: &Context, resend: u32) -> Result<Response, Failed> {
        // Before a place is taken: credentials may be fetched from the same host.
        let signing = timeout_at(self.until(cx), self.sign(cx)).await;
        let signature = signing.unwrap_or_else(|_| Err(no_signature()));
        let signature = signature.map_err(|error| Failed::unsent(of_credentials(error)))?;
        let request = self.build(&signature).map_err(Failed::unsent)?;

        let throttle = &self.http.shared.throttle;
        let _place = throttle.admit(cx.deadline()).await.map_err(Failed::crowded)?;
        // Signing and the queue took their time. What starts nothing may still tell what was started.
        if !self.method.is_safe() && !cx.is_wanted() {
            return Err(Failed::unsent(unwanted()));
        }
        let mut call =
            UpstreamCall::start(&self.http.shared.metrics, &self.method, &self.url, resend);
        let exchange = self.exchange(request, signature, &mut call);
        let outcome = timeout_at(self.until(cx), exchange).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Failed::timed_out()));
        match &outcome {
            Ok(_) => call.succeeded(),
            Err(failed) => call.failed(&failed.error),
        }
        self.report(&outcome);
        outcome
    }

    /// When a step that begins now has to end.
    fn until(&self, cx: &Context) -> Instant {
        Deadline::after(self.http.shared.attempt_timeout).min(cx.deadline()).instant()
    }

    /// Tells the throttle how the vendor took the call.
    fn report(&self, outcome: &Result<Response, Failed>) {
        match outcome {
            Err(failed)
                if failed.error.kind() == Kind::ResourceExhausted
                    || failed.retry_after.is_some() =>
            {
                self.http.shared.metrics.upstream_throttled();
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
    ) -> Result<Response, Failed> {
        let answer = self.http.shared.client.execute(request).await.map_err(Failed::transport)?;
        call.answered(answer.status());
        let at_most = self.at_most.filter(|_| answer.status().is_success());
        let response = read(answer, at_most).await.map_err(Failed::transport)?;
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

    fn refused(&self, response: &Response, signature: HeaderMap) -> Failed {
        let failure = match self.http.shared.read_failure {
            Some(read) => read(response.status, &response.body)
                .unwrap_or_else(|| not_the_vendors(response.status)),
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
        // Some vendors say 403 of a token that has ended; their reader knows.
        let unauthorized =
            response.status == StatusCode::UNAUTHORIZED || failure.kind == Kind::Unauthenticated;
        let refused_signature = unauthorized.then(|| Box::new(signature));
        Failed { error, unsent: false, crowded: false, refused_signature, retry_after }
    }
}

/// An earlier try may have been taken: a later one's refusal does not say that nothing was done.
fn outcome_unknown(error: Error) -> Error {
    Error::unavailable("the upstream may have taken the call, and then refused it")
        .with_source(error)
}

/// Adds `segments` to the path; one that would lead elsewhere is refused.
fn push<S: AsRef<str>>(url: &mut Url, segments: &[S]) -> Result<()> {
    let mut path = url.path_segments_mut().map_err(|()| Error::internal("the base has no path"))?;
    path.pop_if_empty();
    for segment in segments.iter().map(AsRef::as_ref) {
        // The parser drops tabs and line ends before it looks for dots.
        if matches!(segment, "" | "." | "..") || segment.contains(['\t', '\n', '\r']) {
            return Err(Error::invalid(format!("{segment:?} cannot name anything at the vendor")));
        }
        path.push(segment);
    }
    Ok(())
}

/// What is missing, or there already, when a call is signed is not what the call is about.
fn of_credentials(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound | Kind::AlreadyExists => error.with_kind(Kind::FailedPrecondition),
        _ => error,
    }
}

fn unwanted() -> Error {
    Error::new(Kind::DeadlineExceeded, "nobody waits for the call any more; it was not made")
}

fn no_signature() -> Error {
    Error::unavailable("credentials for the upstream were not had in time")
}
