//! The admin port: probes, metrics and log level. No tokens, nothing secret.

use std::{fmt, sync::Arc};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};

use crate::{Error, telemetry::LogLevel};

/// What the admin port tells of a program.
pub trait Observed: Send + Sync + 'static {
    /// Whether it should be sent calls.
    ///
    /// # Errors
    /// Why it should not, in a few words.
    fn ready(&self) -> Result<(), &'static str>;

    /// Its metrics as OpenMetrics' text.
    ///
    /// # Errors
    /// When they cannot be written.
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
        .with_state(Admin { observed, log_level })
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.observed.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
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
    text(admin.log_level.get().map(|level| format!("{level}\n")))
}

async fn log_level_put(State(admin): State<Admin>, level: String) -> Response {
    let changed = admin.log_level.set(level.trim());
    if changed.is_ok() {
        tracing::warn!(level = level.trim(), "the log level was changed");
    }
    text(changed.map(|()| format!("{}\n", level.trim())))
}

fn text(result: Result<String, Error>) -> Response {
    match result {
        Ok(text) => text.into_response(),
        Err(error) => (error.kind().http(), format!("{error}\n")).into_response(),
    }
}
