//! What every request passes before its handler. The one place that orders it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use server_core::{Error, Kind, Result};
use tokio::time::timeout_at;
use tracing::Instrument as _;

use super::{
    Auth,
    admission::Admission,
    deadline,
    handler::Handler,
    limits::ConcurrencyLimit,
    metrics::Metrics,
    observe::{Observed, return_id, take_id},
    respond::{rendered, with_error},
    route::Route,
    streams::StreamLimit,
};
use crate::{record::Record, verbs::Incoming};

/// What the requests of the API port share.
pub(super) struct Gate {
    pub(super) metrics: Arc<Metrics>,
    /// The longest that a call may take.
    pub(super) timeout: Duration,
    pub(super) auth: Auth,
    pub(super) limit: ConcurrencyLimit,
    pub(super) admission: Arc<Admission>,
    pub(super) streams: StreamLimit,
}

/// [`pass`] for what the router serves.
pub(super) async fn pass_to_route(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Response {
    // Labels, permissions and limits depend on the route.
    let route = Route::of(&request);
    pass(gate, route, request, Handler::Route(next)).await
}

/// Serves a request: identified and observed, within its deadline, and only if it may pass. One layer, because
/// each of its own would cost allocations and memory in every request.
pub(super) async fn pass(
    gate: Arc<Gate>,
    route: Route,
    mut request: Request,
    handler: Handler,
) -> Response {
    // The log line and the response carry the id.
    let id = take_id(&mut request);
    let observed = Observed::start(Arc::clone(&gate.metrics), route, &request, id.clone());
    let (record, span) = (observed.record(), observed.span());
    let serving = gate.serve(observed.route(), &record, request, handler);
    let served = AssertUnwindSafe(serving).catch_unwind().instrument(span).await;
    let mut response = served.unwrap_or_else(|panic| {
        gate.metrics.panics.inc();
        with_error(Error::panicked(&*panic), &record, observed.route().protocol)
    });
    observed.finish(&response);
    return_id(&mut response, id);
    response
}

impl Gate {
    /// Encodes the errors of everything within in the caller's protocol.
    async fn serve(
        &self,
        route: &Route,
        record: &Record,
        request: Request,
        handler: Handler,
    ) -> Response {
        let timeout = deadline::of(request.headers(), route, self.timeout);
        let deadline = timeout.deadline;
        let call = self.call(route, record, timeout, request, handler);
        // Before authentication, so that a slow key set cannot block a call.
        let called = timeout_at(deadline.instant(), call).await;
        let called = called.unwrap_or_else(|_| {
            let message = "deadline exceeded; the outcome is unknown";
            Err(Error::new(Kind::DeadlineExceeded, message))
        });
        match called {
            Ok(response) => rendered(response, record, route.protocol),
            Err(error) => with_error(error, record, route.protocol),
        }
    }

    async fn call(
        &self,
        route: &Route,
        record: &Record,
        timeout: deadline::Timeout,
        request: Request,
        handler: Handler,
    ) -> Result<Response> {
        let (mut parts, body) = request.into_parts();
        // Before the limit, so that unauthenticated requests take no permit.
        let caller = self.auth.authenticate(route, &parts, record).await?;
        // Strangers learn nothing about their requests but that they need a token.
        timeout.check()?;
        let entry = self.limit.enter(route, caller.as_ref(), timeout.deadline).await?;
        if let Some(status) = route.refusal {
            self.admission.refuse(parts.version, body).await;
            return Ok(status.into_response());
        }
        // After the count, so that its queue holds no body.
        let admitted = self.admission.admit(route, caller.as_ref(), &parts, body).await?;
        let kept = admitted.held;
        let (permit, is_from_memory) = entry.with(kept.clone());
        if let Some(caller) = caller {
            let (deadline, record) = (timeout.deadline, record.clone());
            let message = admitted.message;
            let incoming = Incoming { caller, deadline, record, permit, message, is_from_memory };
            parts.extensions.insert(incoming);
        }
        // After the head of the response, nothing above limits a call.
        self.streams.serve(route, Request::from_parts(parts, admitted.body), handler).await
    }
}
