//! The admin port: probes, metrics, log level and the API's documents. No tokens, nothing secret.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};

use super::{readiness::Readiness, rest};
use crate::{
    error::Error,
    telemetry::{LogLevel, metrics::Metrics},
};

#[derive(Clone)]
struct Admin {
    readiness: Readiness,
    metrics: Arc<Metrics>,
    log_level: LogLevel,
}

pub(super) fn routes(readiness: Readiness, metrics: Arc<Metrics>, log_level: LogLevel) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/log-level", get(log_level_get).put(log_level_put))
        .with_state(Admin { readiness, metrics, log_level })
        .merge(rest::docs())
}

async fn ready(State(admin): State<Admin>) -> Response {
    match admin.readiness.check() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match admin.metrics.encode() {
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
