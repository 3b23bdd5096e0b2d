//! Logs and traces.

#[cfg(feature = "testing")]
pub mod captured;
mod json;
mod writer;

use std::time::Duration;

use clap::ValueEnum;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, LevelFilter, Targets},
    fmt,
    layer::{Filter, SubscriberExt as _},
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

pub use self::writer::dropped_lines;
use self::{json::JsonLog, writer::LogWriter};
use crate::{Error, Result, ServiceInfo};

/// The target of spans that only the trace exporter receives.
pub const TRACE_TARGET: &str = "plugin_core::trace";
/// The target of the log line of each request.
pub const REQUEST_TARGET: &str = "request";
/// How long exporting the last traces may take. With what else a shutdown waits for, it stays within five
/// seconds.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long writing the last log lines may take.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);

/// The settings of logs and traces.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Format of log lines.
    #[arg(long, env = "PLUGIN_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,

    /// Log filter, in the syntax of tracing's EnvFilter: `info`, or `warn,request=info`. `PUT /log-level`
    /// on the admin port changes it at run time.
    #[arg(long, env = "PLUGIN_LOG_LEVEL", default_value = "info")]
    pub log_level: String,

    /// OTLP/gRPC endpoint of the OpenTelemetry collector to export traces to. Without it tracing is off.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Sampling ratio of requests without a parent span, from 0 to 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = parse_ratio)]
    pub trace_ratio: f64,
}

fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Human-readable.
    Pretty,
}

/// A handle that changes the log filter at run time.
#[derive(Clone)]
pub struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// The current filter directives.
    ///
    /// # Errors
    /// `Internal` when the subscriber has been dropped.
    pub fn get(&self) -> Result<String> {
        self.0.with_current(ToString::to_string).map_err(Error::internal)
    }

    /// Replaces the filter by `directives`, for example `warn,request=info`.
    ///
    /// # Errors
    /// `InvalidArgument` when they cannot be parsed.
    pub fn set(&self, directives: &str) -> Result<()> {
        self.0.reload(filter(directives)?).map_err(Error::internal)
    }
}

fn filter(directives: &str) -> Result<EnvFilter> {
    // Without directives, the filter would let nothing through but errors.
    if directives.split(',').all(|directive| directive.trim().is_empty()) {
        let example = "give one, for example info, or warn,request=info";
        return Err(Error::invalid(format!("log level: missing; {example}")));
    }
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| Error::invalid(format!("log level {directives:?}: {error}")))
}

/// Running telemetry. [`shut_down`](Self::shut_down) exports the last traces, and dropping it writes the
/// last lines of the log.
pub struct Telemetry {
    log: LogWriter,
    log_level: LogLevel,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging and, if configured, tracing for the whole process.
    ///
    /// # Errors
    /// `InvalidArgument` that names the invalid setting.
    pub fn start(args: &TelemetryArgs, info: ServiceInfo) -> Result<Self> {
        let (filter, log_level) = reload::Layer::new(filter(&args.log_level)?);
        let log_level = LogLevel(log_level);
        let traces = args.otlp_endpoint.as_deref().map(|url| exporter(url, args.trace_ratio, info));
        let traces = traces.transpose()?;
        let tracer = traces.as_ref().map(|provider| provider.tracer(info.name));
        let log = LogWriter::start(std::io::stdout())?;
        let logged = logged(log_layer(args.log_format, log.clone()), filter);
        let started = match tracer {
            Some(tracer) => logged.with(trace_layer(tracer)).try_init(),
            // A layer that is `None` would have every event of every library looked at.
            None => logged.try_init(),
        };
        started.map_err(Error::internal)?;
        // The default one writes to standard error, which blocks a worker when nobody reads it.
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self { log, log_level, traces })
    }

    /// The handle that changes the log filter.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.log_level.clone()
    }

    /// Exports the buffered traces, within three seconds.
    pub async fn shut_down(&self) {
        let Some(traces) = self.traces.clone() else {
            return;
        };
        // Blocks until the exporter finishes or gives up, which a runtime worker must not.
        let sent =
            tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(EXPORT_TIMEOUT));
        match tokio::time::timeout(EXPORT_TIMEOUT, sent).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last traces could not be exported"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last traces could not be exported in time"),
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.log.flush_within(LOG_TIMEOUT);
    }
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "panic: {}", panic.payload_as_str().unwrap_or("unknown"));
}

fn log_layer<S>(format: LogFormat, log: LogWriter) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => JsonLog(move |line: &[u8]| log.push(line)).boxed(),
        LogFormat::Pretty => fmt::layer().with_writer(log).boxed(),
    }
}

/// What logs. Both filters are one, so that an event or a span that either refuses costs a comparison: of two
/// filters in a row, each event asks both.
fn logged<L, F>(log: L, filter: F) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    L: Layer<Registry> + Send + Sync,
    F: Filter<Registry> + Send + Sync + 'static,
{
    Registry::default().with(log.with_filter(filter.and(no_trace_spans())))
}

/// Keeps spans for the exporter out of the log; without an exporter they are then not even created.
fn no_trace_spans() -> Targets {
    Targets::new().with_default(tracing::Level::TRACE).with_target(TRACE_TARGET, LevelFilter::OFF)
}

fn trace_layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // Only our own spans: those of h2 or the exporter itself would feed back.
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_filter(Targets::new().with_target(TRACE_TARGET, tracing::Level::INFO))
}

fn exporter(endpoint: &str, ratio: f64, info: ServiceInfo) -> Result<SdkTracerProvider> {
    let (_, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        // Not shown, and gRPC would not send them.
        return Err(Error::invalid(
            "--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): must not contain credentials",
        ));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| {
            Error::invalid(format!("OTLP endpoint {endpoint:?} is not valid")).with_source(error)
        })?;
    let resource = Resource::builder()
        .with_service_name(info.name)
        .with_attribute(KeyValue::new("service.version", info.version))
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(sampler)
        .build())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::Identity;

    use super::*;

    #[test]
    fn what_the_log_level_refuses_is_not_even_looked_at() {
        for (directives, expected) in [
            ("info", LevelFilter::INFO),
            ("warn,request=info", LevelFilter::INFO),
            ("error", LevelFilter::ERROR),
            ("debug", LevelFilter::DEBUG),
        ] {
            let (filter, _level) = reload::Layer::new(filter(directives).unwrap());
            let logged = logged(Identity::new(), filter);
            assert_eq!(logged.max_level_hint(), Some(expected), "{directives}");
        }
    }
}
