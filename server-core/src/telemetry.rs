//! Logs and traces.

#[cfg(feature = "testing")]
pub mod captured;

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
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{Error, Result, ServiceInfo};

/// The target of spans that only the trace exporter receives.
pub const TRACE_TARGET: &str = "plugin_core::trace";
/// The target of the log line of each request.
pub const REQUEST_TARGET: &str = "request";
/// How long exporting the last traces may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

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
    EnvFilter::builder()
        .parse(directives)
        .map_err(|error| Error::invalid(format!("log level {directives:?}: {error}")))
}

/// Running telemetry, which [`shut_down`](Self::shut_down) flushes.
pub struct Telemetry {
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
        Registry::default()
            .with(log_layer(args.log_format).with_filter(filter).with_filter(no_trace_spans()))
            .with(tracer.map(trace_layer))
            .try_init()
            .map_err(Error::internal)?;
        Ok(Self { log_level, traces })
    }

    /// The handle that changes the log filter.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.log_level.clone()
    }

    /// Exports the buffered traces, within five seconds.
    pub async fn shut_down(self) {
        let Some(traces) = self.traces else {
            return;
        };
        // Blocks until the exporter finishes or gives up, which a runtime worker must not.
        let sent = tokio::task::spawn_blocking(move || traces.shutdown());
        if let Ok(Ok(Err(error))) = tokio::time::timeout(FLUSH_TIMEOUT, sent).await {
            tracing::warn!(%error, "the last traces could not be exported");
        }
    }
}

fn log_layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
        LogFormat::Pretty => fmt::layer().boxed(),
    }
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
