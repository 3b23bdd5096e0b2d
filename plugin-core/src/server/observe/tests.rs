use std::{collections::BTreeMap, fmt, sync::Mutex};

use axum::body::Body;
use http::Version;
use tracing::{
    Id, Subscriber,
    field::{Field, Visit},
    span::Attributes,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

use super::*;

type Fields = BTreeMap<&'static str, String>;

/// Collects the fields of new spans.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Fields>>>);

struct Visitor<'a>(&'a mut Fields);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Visitor(&mut fields));
        self.0.lock().unwrap().push(fields);
    }
}

/// The span of a request, as fields.
fn span_of(request: &Request) -> Fields {
    let spans = Spans::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(spans.clone()), || {
        let route = Route::of(request);
        server_span(request, &route, "http")
    });
    spans.0.lock().unwrap().remove(0)
}

#[test]
fn span_names_and_methods_come_from_closed_sets() {
    let grpc = "application/grpc";
    for (method, path, content_type, name, recorded) in [
        ("GET", "/plugins/v1/invented", "", "GET _OTHER", "GET"),
        ("BREW", "/plugins/v1/invented", "", "HTTP _OTHER", "_OTHER"),
        ("TRACE", "/", "", "HTTP _OTHER", "_OTHER"),
        ("POST", "/grpc.health.v1.Health/Check", grpc, "grpc.health.v1.Health/Check", "POST"),
        ("BREW", "/invented.Service/Method", grpc, "_OTHER", "_OTHER"),
    ] {
        let request = Request::builder().method(method).uri(path).version(Version::HTTP_2);
        let request = request.header("content-type", content_type).body(Body::empty()).unwrap();
        let span = span_of(&request);
        assert_eq!((&*span["otel.name"], &*span["http.request.method"]), (name, recorded));
    }
}

#[test]
fn the_scheme_is_that_of_the_port() {
    let request = Request::get("https://elsewhere/plugins/v1").header("x-forwarded-proto", "https");
    assert_eq!(span_of(&request.body(Body::empty()).unwrap())["url.scheme"], "http");
}

#[test]
fn long_paths_are_cut() {
    let request = Request::get(format!("/{}", "x".repeat(10_000))).body(Body::empty()).unwrap();
    assert_eq!(span_of(&request)["url.path"].len(), 512);
}
