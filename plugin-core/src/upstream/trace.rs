//! The trace context that a call carries to whoever answers it.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The longest `tracestate` that is sent, in bytes: what W3C's Trace Context asks everybody to take. Callers write it, and
/// gRPC's C core refuses a call with more than 8 KiB of metadata.
const MAX_STATE: usize = 512;

/// `traceparent`, and `tracestate` if there is one, of `span`; nothing while tracing is off.
pub(super) fn headers(span: &Span) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !span.is_disabled() {
        let context = span.context();
        TraceContextPropagator::new().inject_context(&context, &mut Headers(&mut headers));
    }
    headers
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, name: &str, value: String) {
        if value.is_empty() || value.len() > MAX_STATE {
            return;
        }
        let header = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = header {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_that_everybody_takes_is_sent() {
        let mut headers = HeaderMap::new();
        let mut injector = Headers(&mut headers);
        injector.set("traceparent", "00-1-2-01".to_owned());
        for (state, is_sent) in [("", false), (&*"x".repeat(513), false), ("a=b", true)] {
            injector.set("tracestate", state.to_owned());
            assert_eq!(injector.0.contains_key("tracestate"), is_sent, "{state}");
        }
        assert_eq!(headers["traceparent"], "00-1-2-01");
    }

    #[test]
    fn without_tracing_nothing_is_sent() {
        assert!(headers(&Span::none()).is_empty());
    }
}
