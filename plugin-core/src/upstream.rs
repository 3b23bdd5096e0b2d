//! The client for the vendor's API: deadline → retry → credentials → pace → breaker → trace → hyper.

mod answer;
mod bodies;
mod breaker;
mod call;
mod calls;
mod client;
mod connect;
mod credentials;
mod endpoint;
mod lanes;
mod lenient;
mod mask;
mod metrics;
mod pace;
mod permits;
mod request;
mod resource;
mod retry;
mod send;
mod targets;
mod token;
mod token_cache;
mod trace;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode};
use server_core::{Error, Kind, Result};
use url::Url;

#[cfg(feature = "aws")]
pub(crate) use self::endpoint::UrlText;
#[cfg(feature = "google")]
pub(crate) use self::token_cache::CachedTokens;
#[cfg(feature = "aws")]
pub(crate) use self::token_cache::{Lease, LeaseSource, Leases};
pub use self::{
    answer::RESPONSE_TOO_LARGE,
    answer::Response,
    calls::{Call, Calls, Operation, UnkeyedCreate, WaitingCall},
    credentials::{
        Credentials, Outgoing, SecretToken, Signer, authorization, bearer, secret_bearer,
    },
    lenient::{lenient, lenient_list},
    request::Request,
    retry::retry_after,
    targets::{Listed, Target, Targets},
    token::Token,
    token_cache::{TokenCache, TokenSource, obtain},
};
/// A file with a token, which is also [`Credentials`] that send it.
pub use server_core::token_file::TokenFile;

use self::{
    bodies::Bodies, client::Client, credentials::DynCredentials, endpoint::Endpoint, lanes::Lanes,
    permits::Permits, resource::Base,
};
pub(crate) use self::{
    endpoint::{EndpointArgs, UpstreamArgs, check as check_url, require_tls},
    metrics::Metrics,
};

/// The meaning of a response other than 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Failure {
    /// The kind, which decides whether the call is repeated and how the task ends. After
    /// `Unauthenticated` the call is repeated once, with fresh credentials.
    pub kind: Kind,
    /// The vendor's error code, for example `invalidQuery`.
    pub code: Option<String>,
    /// The vendor's message, for the task's author.
    pub message: String,
    /// Whether the vendor takes no further job for now, while it answers all other calls.
    pub(crate) is_full: bool,
}

impl Failure {
    /// A failure of `kind` with the vendor's message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), is_full: false }
    }

    /// Marks a transient failure that is about the jobs at the vendor, not about calls: a limit of active jobs is reached, or
    /// what would run them is paused. No other call is slowed down; the caller is told when to submit again, and submits that are
    /// marked with [`Request::submits_job`] are held back.
    pub fn full(mut self) -> Self {
        self.is_full = true;
        self
    }

    /// Sets the vendor's error code.
    pub fn code(mut self, code: impl Into<Option<String>>) -> Self {
        self.code = code.into();
        self
    }
}

/// Reads a vendor's error body; `None` when the body is not the vendor's, but for example a proxy's
/// error page.
pub type ReadFailure = fn(StatusCode, &[u8]) -> Option<Failure>;

/// A [`ReadFailure`] that also sees the headers, and may know things.
type Reader = dyn Fn(StatusCode, &HeaderMap, &[u8]) -> Option<Failure> + Send + Sync;

/// Builds [`Http`] clients; passed to [`Plugin::new`](crate::Plugin::new).
///
/// ```
/// use plugin_core::{
///     Http, HttpBuilder, Kind, Result, serde_json,
///     upstream::{Failure, SecretToken},
/// };
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct ErrorBody {
///     code: String,
///     message: String,
/// }
///
/// fn client(http: HttpBuilder) -> Result<Http> {
///     http.credentials(SecretToken::new("acme_token"))
///         .failures(|status, body| {
///             let body: ErrorBody = serde_json::from_slice(body).ok()?;
///             let kind = match status.as_u16() {
///                 401 => Kind::Unauthenticated,
///                 404 => Kind::NotFound,
///                 429 => Kind::ResourceExhausted,
///                 500.. => Kind::Unavailable,
///                 _ => Kind::InvalidArgument,
///             };
///             Some(Failure::new(kind, body.message).code(body.code))
///         })
///         .build("https://api.acme.example/v1")
/// }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct HttpBuilder {
    agent: Arc<str>,
    metrics: Arc<Metrics>,
    endpoint: Option<Endpoint>,
    emulator: Option<Endpoint>,
    insecure: bool,
    attempt_timeout: Duration,
    concurrency: usize,
    credentials: Option<Arc<dyn DynCredentials>>,
    read_failure: Option<Arc<Reader>>,
}

impl HttpBuilder {
    pub(crate) fn new(
        args: &UpstreamArgs,
        endpoint: Option<&str>,
        agent: &str,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let endpoint = endpoint.map(Endpoint::parse).transpose()?;
        Ok(Self {
            agent: agent.into(),
            metrics,
            endpoint,
            emulator: None,
            insecure: args.insecure_upstream,
            attempt_timeout: args.upstream_timeout,
            concurrency: args.upstream_concurrency,
            credentials: None,
            read_failure: None,
        })
    }

    /// The metrics of the clients that it builds.
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Ends an attempt of a call after `timeout`, in place of `--upstream-timeout`: for an API that is known to be slow.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Makes at most `calls` calls at once with a client, in place of `--upstream-concurrency`; zero counts as one.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls;
        self
    }

    /// Signs every call with `credentials`.
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Reads the vendor's error bodies with `read`. Without it the status alone decides the kind.
    pub fn failures(self, read: ReadFailure) -> Self {
        self.failures_with(move |status, _, body| read(status, body))
    }

    /// Reads the vendor's error bodies with `read`, which is also given the response's headers: some vendors
    /// write the error's code there.
    pub fn failures_with(
        mut self,
        read: impl Fn(StatusCode, &HeaderMap, &[u8]) -> Option<Failure> + Send + Sync + 'static,
    ) -> Self {
        self.read_failure = Some(Arc::new(read));
        self
    }

    /// Calls what the operator named, or this machine's own metadata service, instead of the vendor: `--endpoint`
    /// does not replace it, and `insecure` allows plain http to it.
    #[cfg(any(feature = "aws", feature = "google"))]
    pub(crate) fn for_credentials(mut self, insecure: bool) -> Self {
        (self.endpoint, self.credentials, self.read_failure) = (None, None, None);
        self.insecure |= insecure;
        self
    }

    /// Calls an emulator at `host[:port]` or a URL instead of the vendor, without credentials.
    ///
    /// # Errors
    /// `InvalidArgument` when `host` is neither.
    pub fn emulator(mut self, host: &str) -> Result<Self> {
        let url = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
        self.emulator = Some(Endpoint::parse(&url)?);
        Ok(self)
    }

    /// Builds the client for the API at `base`, the vendor's own URL.
    ///
    /// `--endpoint` replaces its scheme, host and port and keeps its path.
    ///
    /// # Errors
    /// `InvalidArgument` when `base` is not a URL, or uses plain http to a host other than loopback
    /// without `--insecure-upstream`.
    pub fn build(self, base: &str) -> Result<Http> {
        let vendor = Url::parse(base).map_err(|error| {
            // A setting may be in it, with a password.
            let shown = if base.contains('@') { "the vendor's URL" } else { base };
            Error::invalid(format!("{shown:?} is not a URL: {error}"))
        })?;
        endpoint::check(&vendor)
            .map_err(|why| Error::invalid(format!("the vendor's URL: {why}")))?;
        let base = match self.emulator.as_ref().or(self.endpoint.as_ref()) {
            Some(endpoint) => endpoint.in_place_of(&vendor),
            None => vendor,
        };
        if !self.insecure && self.emulator.is_none() {
            endpoint::require_tls(&base)?;
        }
        let shared = Shared {
            client: Client::new(&self.agent, &base)?,
            base: Base::new(base)?,
            metrics: self.metrics,
            attempt_timeout: self.attempt_timeout,
            permits: Permits::new(self.concurrency),
            bodies: Bodies::new(),
            lanes: Lanes::new(),
            read_failure: self.read_failure,
        };
        let credentials = self.credentials.filter(|_| self.emulator.is_none());
        Ok(Http { shared: Arc::new(shared), credentials, quota: "".into() })
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;

struct Shared {
    client: Client,
    base: Base,
    metrics: Arc<Metrics>,
    attempt_timeout: Duration,
    /// Limits the calls under way.
    permits: Permits,
    /// Limits the memory of responses.
    bodies: Bodies,
    lanes: Lanes,
    read_failure: Option<Arc<Reader>>,
}

/// A client for one vendor's API. Cloning is cheap.
///
/// Every call keeps to the [`Context`](crate::Context)'s deadline, is repeated where that is safe, signed,
/// throttled, counted and traced.
///
/// ```
/// use plugin_core::{Context, Http, Result, serde_json::json};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Job {
///     id: String,
/// }
///
/// async fn submit(http: &Http, cx: &Context, statement: &str) -> Result<String> {
///     let body = json!({ "statement": statement, "request_id": cx.idempotency_key().hex() });
///     let job: Job = http.post(&["jobs"]).json(&body).idempotent().send_json(cx).await?;
///     Ok(job.id)
/// }
///
/// async fn cancel(http: &Http, cx: &Context, id: &str) -> Result<()> {
///     http.delete(&["jobs", id]).send(cx).await?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Http {
    shared: Arc<Shared>,
    credentials: Option<Arc<dyn DynCredentials>>,
    /// What the vendor's quota is per.
    quota: Arc<str>,
}

impl Http {
    /// The same client with other `credentials`, for calls whose identity the task's author chooses.
    #[must_use]
    pub fn signed_by(&self, credentials: impl Credentials) -> Self {
        Self { credentials: Some(Arc::new(credentials)), ..self.clone() }
    }

    /// The same client for calls that count against the vendor's quota of `unit`, for example a project.
    /// Rate limits of one unit do not slow down the calls of another. Needed only where one client calls
    /// for several; identities that authors choose are kept apart as they are.
    #[must_use]
    pub fn quota(&self, unit: &str) -> Self {
        Self { quota: unit.into(), ..self.clone() }
    }

    /// `request` of a library, with this client's scheme, host and port; for credentials, and safe to repeat.
    #[cfg(feature = "aws")]
    pub(crate) fn relayed(&self, request: http::Request<bytes::Bytes>) -> Request<'_> {
        Request::relayed(self, request)
    }

    /// A GET request to the base's path followed by `segments`, each percent-encoded.
    pub fn get<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::GET, segments)
    }

    /// A PUT request to the base's path followed by `segments`, each percent-encoded.
    pub fn put<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::PUT, segments)
    }

    /// A DELETE request to the base's path followed by `segments`, each percent-encoded.
    pub fn delete<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::DELETE, segments)
    }

    /// A POST request to the base's path followed by `segments`, each percent-encoded.
    pub fn post<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::POST, segments)
    }
}
