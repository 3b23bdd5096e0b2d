//! The HTTP client of one upstream, replaced when its connections are dead.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::Full;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use server_core::{Error, Result};
use tokio::time::Instant;
use url::Url;

use super::{
    connect::{Connector, connector},
    endpoint::is_loopback,
};

/// Dead HTTP/2 connections are noticed by pings, also while no call is under way.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts that were cut off earlier say nothing: their caller was in a hurry.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two replacements, so that a slow vendor is not called on a new connection each time.
const REPLACE_EVERY: Duration = Duration::from_secs(2);

/// A client whose connections are given up once a call on them times out while no other is answered.
pub(super) struct Client {
    current: ArcSwap<Pooled>,
    agent: HeaderValue,
    use_proxy: bool,
    use_tls: bool,
    life: Mutex<Life>,
}

type Pooled = legacy::Client<Connector, Full<Bytes>>;

struct Life {
    answered_at: Instant,
    replaced_at: Instant,
}

impl Client {
    pub(super) fn new(agent: &str, base: &Url) -> Result<Self> {
        // A proxy cannot reach this machine's loopback.
        let use_proxy = !is_loopback(base);
        let use_tls = base.scheme() == "https";
        let agent = HeaderValue::from_str(agent).map_err(Error::internal)?;
        let now = Instant::now();
        Ok(Self {
            current: ArcSwap::from_pointee(build(&agent, use_proxy, use_tls)?),
            agent,
            use_proxy,
            use_tls,
            life: Mutex::new(Life { answered_at: now, replaced_at: now }),
        })
    }

    /// Sends `request`, and returns the head of its response.
    pub(super) fn send(&self, mut request: Request<Full<Bytes>>) -> legacy::ResponseFuture {
        let agent = || self.agent.clone();
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(agent);
        self.current.load().request(request)
    }

    #[cfg(test)]
    pub(super) fn shared(&self) -> std::sync::Arc<Pooled> {
        self.current.load_full()
    }

    /// Notes that the upstream answered.
    pub(super) fn answered(&self) {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).answered_at = Instant::now();
    }

    /// Notes that an attempt timed out, which began at `started`. If nothing was answered since, its connection may be
    /// dead, with every call that is sent on it: later attempts get another. Calls under way go on.
    pub(super) fn timed_out(&self, started: Instant) {
        {
            let mut life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if now - started < SHORTEST_TIMEOUT {
                return;
            }
            if life.answered_at > started || now - life.replaced_at < REPLACE_EVERY {
                return;
            }
            life.replaced_at = now;
        }
        match build(&self.agent, self.use_proxy, self.use_tls) {
            Ok(client) => {
                tracing::debug!("the connections to the upstream are replaced");
                self.current.store(client.into());
            }
            Err(error) => {
                tracing::warn!(%error, "the connections to the upstream cannot be replaced")
            }
        }
    }
}

/// A client that follows no redirects: one could send credentials to a host that is not configured.
fn build(agent: &HeaderValue, use_proxy: bool, use_tls: bool) -> Result<Pooled> {
    let client = legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(connector(agent, use_proxy, use_tls)?);
    Ok(client)
}
