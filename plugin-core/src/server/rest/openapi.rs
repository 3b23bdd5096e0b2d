//! The OpenAPI document of every service.

use super::{
    body::Problem,
    documented,
    problems::{ProblemBodies, operations},
};
use utoipa::{
    Modify as _,
    openapi::{
        ObjectBuilder, OpenApi, RefOr, Schema,
        path::{Operation, Parameter},
        schema::Type,
    },
};

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
