//! The outgoing client: deadline → retry → credentials → throttle → headers → trace → reqwest.

mod answer;
mod call;
mod credentials;
mod endpoint;
mod request;
mod retry;
mod targets;
mod throttle;
mod token_cache;

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use server_core::{Error, Kind, Result};
use url::Url;

pub(crate) use self::endpoint::{EndpointArgs, UpstreamArgs, require_tls};
pub use self::{
    answer::Response,
    credentials::{Credentials, SecretToken, authorization, bearer},
    request::Request,
    targets::{Listed, Target, Targets},
    token_cache::{Token, TokenCache, TokenSource},
};
/// A file with a token, which is also [`Credentials`] that send it.
pub use server_core::token_file::TokenFile;

use self::{credentials::DynCredentials, endpoint::Endpoint, throttle::Throttle};
use crate::metrics::Metrics;

/// What an answer other than 2xx means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides whether the call is repeated and what becomes of the task. After `Unauthenticated` it is
    /// repeated once, with fresh credentials.
    pub kind: Kind,
    /// The vendor's code, for example `invalidQuery`.
    pub code: Option<String>,
    /// The vendor's words; a task's author reads them.
    pub message: String,
}

/// Reads a vendor's error body; `None` when it is not the vendor's, but a proxy's page for example.
pub type ReadFailure = fn(StatusCode, &[u8]) -> Option<Failure>;

/// Makes [`Http`] clients. Handed to [`Plugin::new`](crate::Plugin::new).
#[derive(Clone)]
pub struct HttpBuilder {
    agent: Arc<str>,
    metrics: Arc<Metrics>,
    endpoint: Option<Endpoint>,
    emulator: Option<Endpoint>,
    insecure: bool,
    attempt_timeout: Duration,
    concurrency: usize,
    credentials: Option<Arc<dyn DynCredentials>>,
    read_failure: Option<ReadFailure>,
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

    /// Signs every call with `credentials`.
    #[must_use]
    pub fn credentials(mut self, credentials: impl Credentials) -> Self {
        self.credentials = Some(Arc::new(credentials));
        self
    }

    /// Reads the vendor's error bodies with `read`.
    #[must_use]
    pub fn failures(mut self, read: ReadFailure) -> Self {
        self.read_failure = Some(read);
        self
    }

    /// Calls an emulator at `host[:port]` or a URL instead of the vendor, without credentials.
    ///
    /// # Errors
    /// `InvalidArgument` when it is neither.
    pub fn emulator(mut self, host: &str) -> Result<Self> {
        let url = if host.contains("://") { host.to_owned() } else { format!("http://{host}") };
        self.emulator = Some(Endpoint::parse(&url)?);
        Ok(self)
    }

    /// The client of the API at `base`, the vendor's own URL.
    ///
    /// `--endpoint` replaces its scheme, host and port and leaves the path.
    ///
    /// # Errors
    /// `InvalidArgument` when `base` is not a URL, or is plain http beyond loopback without
    /// `--insecure-upstream`.
    pub fn build(self, base: &str) -> Result<Http> {
        let vendor = Url::parse(base)
            .map_err(|error| Error::invalid(format!("{base:?} is not a URL: {error}")))?;
        let base = match self.emulator.as_ref().or(self.endpoint.as_ref()) {
            Some(endpoint) => endpoint.in_place_of(&vendor),
            None => vendor,
        };
        if !self.insecure && self.emulator.is_none() {
            endpoint::require_tls(&base)?;
        }
        let shared = Shared {
            client: client(&self.agent, &base)?,
            base,
            metrics: self.metrics,
            attempt_timeout: self.attempt_timeout,
            throttle: Throttle::new(self.concurrency),
            read_failure: self.read_failure,
        };
        let credentials = self.credentials.filter(|_| self.emulator.is_none());
        Ok(Http { shared: Arc::new(shared), credentials })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that makes the client")]
fn client(agent: &str, base: &Url) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .user_agent(agent)
        // A redirect could carry credentials to a host that nobody configured.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(10));
    // No proxy reaches this machine's own loopback.
    let builder = if endpoint::is_loopback(base) { builder.no_proxy() } else { builder };
    builder.build().map_err(Error::internal)
}

#[cfg(all(test, feature = "testing"))]
mod tests;

struct Shared {
    client: reqwest::Client,
    base: Url,
    metrics: Arc<Metrics>,
    attempt_timeout: Duration,
    throttle: Throttle,
    read_failure: Option<ReadFailure>,
}

/// Calls one vendor's API. Cloning is cheap.
#[derive(Clone)]
pub struct Http {
    shared: Arc<Shared>,
    credentials: Option<Arc<dyn DynCredentials>>,
}

impl Http {
    /// The same client, signing with `credentials`: where a task's author chooses who a call is made
    /// as.
    #[must_use]
    pub fn signed_by(&self, credentials: impl Credentials) -> Self {
        Self { shared: Arc::clone(&self.shared), credentials: Some(Arc::new(credentials)) }
    }

    /// A GET of the path made of `segments` below the base; each is percent-encoded.
    pub fn get<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::GET, segments)
    }

    /// A PUT to the path made of `segments` below the base; each is percent-encoded.
    pub fn put<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::PUT, segments)
    }

    /// A DELETE of the path made of `segments` below the base; each is percent-encoded.
    pub fn delete<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::DELETE, segments)
    }

    /// A POST to the path made of `segments` below the base; each is percent-encoded.
    pub fn post<S: AsRef<str>>(&self, segments: &[S]) -> Request<'_> {
        Request::new(self, Method::POST, segments)
    }
}
