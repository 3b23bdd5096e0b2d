//! The admin port: probes, metrics and log level. It needs no token and reveals no secrets.

use std::{fmt, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};

use crate::{Error, telemetry::LogLevel};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Room for a log filter; one with thousands of directives would slow down every event.
const MAX_BODY_BYTES: usize = 4096;

/// The state of a program that the admin port shows.
pub trait Observed: Send + Sync + 'static {
    /// Whether the program is ready for calls.
    ///
    /// # Errors
    /// A short reason why it is not.
    fn ready(&self) -> Result<(), &'static str>;

    /// The program's metrics in OpenMetrics' text format.
    ///
    /// # Errors
    /// When the metrics cannot be encoded.
    fn metrics(&self) -> Result<String, fmt::Error>;
}

#[derive(Clone)]
struct Admin {
    observed: Arc<dyn Observed>,
    log_level: LogLevel,
}

/// `/livez`, `/readyz`, `/metrics` and `/log-level`.
pub fn routes(observed: Arc<dyn Observed>, log_level: LogLevel) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/log-level", get(log_level_get).put(log_level_put))
        .layer((DefaultBodyLimit::max(MAX_BODY_BYTES), from_fn(bound)))
        .with_state(Admin { observed, log_level })
}

/// Ends requests whose body does not come: those that wait for one would keep probes from the port.
async fn bound(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.observed.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.observed.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn log_level_get(State(admin): State<Admin>) -> Response {
    plain(admin.log_level.get().map(|level| format!("{level}\n")))
}

async fn log_level_put(State(admin): State<Admin>, level: String) -> Response {
    let changed = admin.log_level.set(level.trim());
    if changed.is_ok() {
        tracing::warn!(level = level.trim(), "the log level has been changed");
    }
    plain(changed.map(|()| format!("{}\n", level.trim())))
}

fn plain(result: Result<String, Error>) -> Response {
    match result {
        Ok(text) => text.into_response(),
        Err(error) => (error.kind().http(), format!("{error}\n")).into_response(),
    }
}
