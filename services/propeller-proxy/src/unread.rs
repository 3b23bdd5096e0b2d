//! Responses that their callers do not read.
//!
//! Such a response keeps a stream of the connection to its replica open, and up to a stream's window of
//! bytes. It may, for a while: [`dial`](crate::dial) gives the connection room for all of them. One that
//! is not read for long is ended, and those that are unread the longest when there are many, because
//! memory and the streams of a connection are limited.

use std::{
    cmp::Reverse,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Which unread responses are ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a response may be unread.
    pub(crate) longest: Duration,
    /// How many responses may be unread for longer than `check_every`.
    pub(crate) most: usize,
    /// The interval between checks.
    pub(crate) check_every: Duration,
}

impl Default for Limits {
    /// Even if one replica sends them all, they take an eighth of the 1,000 streams that a service accepts on a
    /// connection. In all buffers they are 25 MiB.
    fn default() -> Self {
        Self { longest: Duration::from_secs(30), most: 125, check_every: Duration::from_secs(1) }
    }
}

/// The responses that are being forwarded.
#[derive(Clone, Default)]
pub(crate) struct Unread {
    limits: Limits,
    sources: Arc<Mutex<Vec<Weak<Source>>>>,
    /// Counts the responses that were ended.
    ended: Counter,
}

/// A replica's response, read by its caller.
pub(crate) struct Source(Mutex<State>);

struct State {
    /// `None` once the response was ended because it was not read.
    body: Option<Incoming>,
    /// Since when the caller has not asked for more.
    unread_since: Option<Instant>,
}

/// Why a response ends early.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection to the replica broke.
    Connection(hyper::Error),
    /// The caller did not read it.
    Unread,
    /// The proxy stops, and the response would go on for ever.
    Stopping,
}

impl Unread {
    /// No responses yet; `ended` counts those that will be ended.
    pub(crate) fn new(limits: Limits, ended: Counter) -> Self {
        Self { limits, sources: Arc::default(), ended }
    }

    /// A response that ends if its caller does not read it.
    pub(crate) fn watch(&self, body: Incoming) -> Arc<Source> {
        let state = State { body: Some(body), unread_since: None };
        let source = Arc::new(Source(Mutex::new(state)));
        self.sources().push(Arc::downgrade(&source));
        source
    }

    /// Ends unread responses until `stop`.
    pub(crate) async fn keep_ending(self, stop: CancellationToken) {
        let check_every = self.limits.check_every;
        while stop.run_until_cancelled(sleep(check_every)).await.is_some() {
            self.check();
        }
    }

    fn check(&self) {
        let mut unread = self.unread();
        unread.sort_by_key(|(time, _)| Reverse(*time));
        let excess = unread.len().saturating_sub(self.limits.most);
        for (index, (time, source)) in unread.iter().enumerate() {
            if index < excess || *time >= self.limits.longest {
                source.state().body = None;
                self.ended.inc();
            }
        }
    }

    /// The responses that have been unread for longer than a check's interval, and for how long.
    fn unread(&self) -> Vec<(Duration, Arc<Source>)> {
        let mut sources = self.sources();
        sources.retain(|source| source.strong_count() > 0);
        let sources = sources.iter().filter_map(Weak::upgrade);
        let unread = sources.filter_map(|source| Some((source.unread()?, source)));
        unread.filter(|(time, _)| *time >= self.limits.check_every).collect()
    }

    fn sources(&self) -> MutexGuard<'_, Vec<Weak<Source>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long the caller has not asked for more of a response that goes on.
    fn unread(&self) -> Option<Duration> {
        let state = self.state();
        state.body.as_ref()?;
        state.unread_since.map(|since| since.elapsed())
    }

    /// The next frame. hyper asks for it once the caller has room for it.
    pub(crate) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let mut state = self.state();
        state.unread_since = None;
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err(Broken::Unread)));
        };
        let polled = Pin::new(body).poll_frame(cx);
        if matches!(&polled, Poll::Ready(Some(Ok(_)))) {
            state.unread_since = Some(Instant::now());
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Broken::Connection)))
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.state().body.as_ref().is_some_and(Body::is_end_stream)
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.state().body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Broken {
    /// The message for the caller.
    pub(crate) fn message(&self, target: &str) -> String {
        match self {
            Self::Connection(_) => format!(
                "propeller-proxy: the connection to a replica of {target} broke before its response was complete"
            ),
            Self::Unread => format!(
                "propeller-proxy: the response of {target} was ended because it was not read for too long"
            ),
            Self::Stopping => "propeller-proxy is stopping".to_owned(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Unread => f.write_str("its caller did not read it"),
            Self::Stopping => f.write_str("the proxy is stopping"),
        }
    }
}
