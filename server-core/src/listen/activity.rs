//! What a connection is busy with, and until when it may stay open.

use std::{
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderValue, Version, header::CONNECTION};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};

/// How long a connection may take until its first request, and an HTTP/1.1 client from the first byte of a
/// further one to the end of its head. The one limit for every protocol, whatever the client sends
/// instead: nothing, half a handshake or preface, half a head, or frames without end.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection without requests may take to close: the round trip after the first GOAWAY.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client of a closing connection may take to read the rest of its responses.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The requests of one connection.
pub(super) struct Activity {
    /// How long an HTTP/1.1 connection may wait for its next request.
    http1_idle: Duration,
    /// How long a request may take on a connection that is to end.
    grace: Duration,
    state: Mutex<State>,
}

struct State {
    /// The protocol, known from the first request.
    version: Option<Version>,
    /// The number of requests that the service has not answered.
    calls: usize,
    /// The number of responses that are being sent.
    responses: usize,
    /// When `calls` or `responses` last changed, or the connection was opened or began to close.
    since: Instant,
    /// When the head of the next HTTP/1.1 request began to arrive.
    head: Option<Instant>,
    /// When the last request arrived.
    began: Instant,
    /// Since when HTTP/1.1's next response ends the connection.
    retired: Option<Instant>,
    closing: bool,
    /// Wakes the task of a closing connection: with its last response it is due earlier.
    waker: Option<Waker>,
}

/// How [`Activity::drive`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driven {
    /// The connection has ended.
    Ended,
    /// The client has exceeded a limit.
    Overdue,
}

impl Activity {
    /// Of a connection that was opened at `opened`.
    pub(super) fn new(opened: Instant, http1_idle: Duration, grace: Duration) -> Arc<Self> {
        let state = State {
            version: None,
            calls: 0,
            responses: 0,
            since: opened,
            head: None,
            began: opened,
            retired: None,
            closing: false,
            waker: None,
        };
        Arc::new(Self { http1_idle, grace, state: Mutex::new(state) })
    }

    /// Bytes have arrived: those of a head, unless a request is in progress.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.is_idle() && state.version.is_some_and(|version| version < Version::HTTP_2) {
            state.head.get_or_insert_with(Instant::now);
        }
    }

    /// A request has arrived: its head is complete.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Call {
        let mut state = self.state();
        state.version = Some(version);
        state.head = None;
        state.began = Instant::now();
        state.calls += 1;
        Call(Arc::clone(self))
    }

    /// The connection is to end without a lost call. Completes when it can close: at once over HTTP/2, whose
    /// GOAWAY says what was lost. An idle HTTP/1.1 client may be about to send a request, so its next response
    /// says that it is the last; [`drive`](Self::drive) ends a request that takes longer than the grace.
    pub(super) async fn retire(&self) {
        let waits = {
            let mut state = self.state();
            state.retired = Some(Instant::now());
            state.version.is_some_and(|version| version < Version::HTTP_2)
        };
        if waits {
            // Wakes the task, which may have polled `drive` before.
            tokio::task::yield_now().await;
            std::future::pending().await
        }
    }

    /// Whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        !self.state().is_idle()
    }

    /// From now on the connection stays open for requests in progress only.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closing = true;
        state.since = Instant::now();
    }

    /// Runs `connection` until it ends or its client is overdue.
    pub(super) async fn drive(&self, mut connection: Pin<&mut impl Future>) -> Driven {
        let mut timer = pin!(sleep_until(self.state().since));
        std::future::poll_fn(|cx| {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Driven::Ended);
            }
            let Some(due) = self.due(cx) else {
                return Poll::Pending;
            };
            // Not left to the timer alone: a flood of frames uses up the task's budget, without which a
            // timer is never ready.
            if due <= Instant::now() {
                return Poll::Ready(Driven::Overdue);
            }
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            timer.as_mut().poll(cx).map(|()| Driven::Overdue)
        })
        .await
    }

    /// When the connection has to close; `None` while something else limits it: the service its calls,
    /// pings an idle HTTP/2 connection, its age a response without end.
    fn due(&self, cx: &Context<'_>) -> Option<Instant> {
        let mut state = self.state();
        if state.closing {
            state.waker = Some(cx.waker().clone());
            return state.due_while_closing();
        }
        match state.version {
            None => Some(state.since + REQUEST_TIMEOUT),
            Some(Version::HTTP_2) => None,
            Some(_) if !state.is_idle() => {
                // The service's own answer at its deadline comes first.
                let limit = self.grace + READ_TIMEOUT;
                state.retired.map(|retired| retired.max(state.began) + limit)
            }
            Some(_) => match state.head {
                Some(head) => Some(head + REQUEST_TIMEOUT),
                None => Some(state.since + self.http1_idle),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.calls == 0 && self.responses == 0
    }

    fn due_while_closing(&self) -> Option<Instant> {
        match (self.calls, self.responses) {
            (0, 0) => Some(self.since + CLOSE_TIMEOUT),
            (0, _) => Some(self.since + READ_TIMEOUT),
            _ => None,
        }
    }

    fn changed(&mut self) {
        self.since = Instant::now();
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A request that the service has not answered. If it is dropped, its client has cancelled it.
pub(super) struct Call(Arc<Activity>);

impl Call {
    /// The response, counted until it has been sent.
    pub(super) fn answered<B>(self, mut response: http::Response<B>) -> http::Response<Counted<B>> {
        let mut state = self.0.state();
        state.responses += 1;
        if state.retired.is_some() && state.version.is_some_and(|version| version < Version::HTTP_2)
        {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        drop(state);
        let sent = Sent(Arc::clone(&self.0));
        response.map(|body| Counted { body, _sent: sent })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.calls -= 1;
        state.changed();
    }
}

/// The body of a response; dropped when it has been sent.
pub(super) struct Counted<B> {
    body: B,
    _sent: Sent,
}

struct Sent(Arc<Activity>);

impl Drop for Sent {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.responses -= 1;
        state.changed();
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
