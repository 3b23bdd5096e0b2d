//! The OpenAPI document, for every service and for one, and the page that shows it.

use std::sync::Arc;

use axum::{Router, routing::get};
use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use server_core::ServiceInfo;
use utoipa::{
    Modify as _,
    openapi::{
        ObjectBuilder, OpenApi, RefOr, Schema,
        path::{Operation, Parameter},
        schema::Type,
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    body::Problem,
    documented,
    problems::{ProblemBodies, operations},
};
use crate::verbs::Verbs;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Outrigger",
        description = "A Flyte backend plugin as a service. The same calls are served over gRPC to \
                       FlytePropeller and to Flyte 2. Every call needs a token; this document does not.",
        contact(name = "Outrigger"),
    ),
    servers((url = "/", description = "The service that serves this document")),
    tags(
        (name = "jobs", description = "Task types of mode `async`: submit a job, poll it, stop it"),
        (name = "plugins", description = "What the service serves"),
        (name = "tasks", description = "Task types of mode `sync`: execute a task within the call"),
    ),
    components(schemas(Problem)),
    security(("bearer" = [])),
    modifiers(&Bearer)
)]
pub(super) struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The OpenAPI document of every plugin service.
#[must_use]
pub fn openapi() -> OpenApi {
    let mut document = documented().into_openapi();
    ProblemBodies.modify(&mut document);
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let parameters = document.paths.paths.values_mut().flat_map(operations).flat_map(parameters);
    for parameter in parameters {
        match parameter.name.as_str() {
            "X-Request-Timeout" => parameter.schema = Some(timeout().into()),
            "Idempotency-Key" => parameter.schema = Some(key().into()),
            _ => {}
        }
    }
    document
}

fn parameters(operation: &mut Operation) -> impl Iterator<Item = &mut Parameter> {
    operation.parameters.iter_mut().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    })
}

/// The durations that every client can write; `server_core::duration` reads more.
fn timeout() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String);
    text.pattern(Some("^([0-9]+(h|m|s|ms))+$")).examples(["8s", "1m30s", "500ms"]).into()
}

fn key() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).into()
}

/// The document of one service: its name, its task types, and only the operations that they have.
fn openapi_of(verbs: &Verbs, info: ServiceInfo) -> OpenApi {
    let mut document = openapi();
    document.info.title = format!("Outrigger: {}", info.name);
    document.info.version = info.version.to_owned();
    let is_sync = |served: &crate::verbs::Served| served.plugin.is_sync();
    let (sync, jobs) = (verbs.served().any(is_sync), !verbs.served().all(is_sync));
    for item in document.paths.paths.values_mut().filter(|item| item.put.is_some()) {
        if !sync {
            item.post = None;
        }
        if !jobs {
            (item.put, item.get, item.delete) = (None, None, None);
        }
    }
    let parameters = document.paths.paths.values_mut().flat_map(operations).flat_map(parameters);
    for parameter in parameters {
        match parameter.name.as_str() {
            "task_type" => parameter.schema = Some(one_of(verbs, |name, _| name.into())),
            "version" => parameter.schema = Some(one_of(verbs, |_, version| version.into())),
            _ => {}
        }
    }
    document
}

/// Text that is one of what `part` takes of the served task types and their versions.
fn one_of(verbs: &Verbs, part: impl Fn(&str, String) -> Value) -> RefOr<Schema> {
    let mut values = Vec::new();
    for served in verbs.served() {
        let value = part(served.task_type.name, served.task_type.version.to_string());
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let text = ObjectBuilder::new().schema_type(Type::String).default(values.first().cloned());
    Schema::from(text.enum_values(Some(values))).into()
}

/// The path of the document.
const DOCUMENT: &str = "/openapi.json";

/// `/openapi.json`, and `/docs`, which shows it in a browser.
pub(super) fn docs(verbs: &Arc<Verbs>, info: ServiceInfo) -> Router {
    // Encoded once: anyone may ask for it, many times, and not read it.
    let document = Bytes::from(json!(openapi_of(verbs, info)).to_string());
    let answer = ([(header::CONTENT_TYPE, "application/json")], document);
    let document = get(async move || answer.clone());
    // No validator: the default one sends the document's address to swagger.io.
    let config = Config::new([DOCUMENT]).try_it_out_enabled(true).validator_url("none");
    Router::from(SwaggerUi::new("/docs").config(config)).route(DOCUMENT, document)
}
