//! The one table of what each route does: gRPC methods and REST operations with their verbs.

use std::{collections::BTreeMap, sync::LazyLock};

use axum::extract::{MatchedPath, Request};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tonic_health::pb::health_server::SERVICE_NAME as HEALTH;

use crate::{
    context::Verb,
    wire::proto::{
        flyteidl::service::{
            agent_metadata_service_server::SERVICE_NAME as AGENT_METADATA,
            async_agent_service_server::SERVICE_NAME as ASYNC_AGENT,
            sync_agent_service_server::SERVICE_NAME as SYNC_AGENT,
        },
        flyteidl2::connector::{
            async_connector_service_server::SERVICE_NAME as ASYNC_CONNECTOR,
            connector_metadata_service_server::SERVICE_NAME as CONNECTOR_METADATA,
        },
    },
};

/// The label of a route or gRPC method that is not served.
const OTHER: &str = "_OTHER";

/// A gRPC service and its methods; a method without a verb is a probe.
type Service = (&'static str, &'static [(&'static str, Option<Verb>)]);

const JOBS: &[(&str, Option<Verb>)] = &[
    ("CreateTask", Some(Verb::Create)),
    ("GetTask", Some(Verb::Get)),
    ("DeleteTask", Some(Verb::Delete)),
];

/// The services of Flyte 1 and Flyte 2.
const FLYTE: [Service; 5] = [
    (ASYNC_AGENT, JOBS),
    (SYNC_AGENT, &[("ExecuteTaskSync", Some(Verb::Execute))]),
    (AGENT_METADATA, &[("GetAgent", Some(Verb::List)), ("ListAgents", Some(Verb::List))]),
    (ASYNC_CONNECTOR, JOBS),
    (
        CONNECTOR_METADATA,
        &[("GetConnector", Some(Verb::List)), ("ListConnectors", Some(Verb::List))],
    ),
];

/// The services of gRPC itself.
const STANDARD: [Service; 3] = [
    (HEALTH, &[("Check", None), ("Watch", None)]),
    (
        tonic_reflection::pb::v1::server_reflection_server::SERVICE_NAME,
        &[("ServerReflectionInfo", Some(Verb::List))],
    ),
    (
        tonic_reflection::pb::v1alpha::server_reflection_server::SERVICE_NAME,
        &[("ServerReflectionInfo", Some(Verb::List))],
    ),
];

/// The methods whose responses last as long as their caller likes.
const ENDLESS: [&str; 2] = ["Health/Watch", "ServerReflection/ServerReflectionInfo"];

/// The REST operations.
static REST: [(Method, &str, Verb); 6] = [
    (Method::PUT, "/plugins/v1/{task_type}/{version}", Verb::Create),
    (Method::POST, "/plugins/v1/{task_type}/{version}", Verb::Execute),
    (Method::GET, "/plugins/v1/{task_type}/{version}", Verb::Get),
    (Method::DELETE, "/plugins/v1/{task_type}/{version}", Verb::Delete),
    (Method::GET, "/plugins/v1", Verb::List),
    (Method::GET, "/plugins/v1/{task_type}/{version}/schema", Verb::List),
];

/// Every gRPC method, as `package.Service/Method`.
static METHODS: LazyLock<BTreeMap<String, Option<Verb>>> = LazyLock::new(|| {
    let services = FLYTE.iter().chain(&STANDARD);
    let methods = services.flat_map(|(service, methods)| {
        methods.iter().map(move |(method, verb)| (format!("{service}/{method}"), *verb))
    });
    methods.collect()
});

/// The gRPC services that have a health status of their own.
pub(super) fn services_with_health() -> impl Iterator<Item = &'static str> {
    FLYTE.iter().map(|(name, _)| *name).chain([HEALTH])
}

/// The protocol of a request, in which it is read and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Rest,
    Grpc,
}

/// Whether the caller says that the request is gRPC's.
fn says_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

/// The status for a request for a gRPC method over other HTTP than gRPC's: `POST` over HTTP/2 with its content
/// type (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). tonic would serve it.
fn refusal<B>(request: &http::Request<B>) -> Option<StatusCode> {
    if request.method() != Method::POST {
        Some(StatusCode::METHOD_NOT_ALLOWED)
    } else if !says_grpc(request.headers()) {
        Some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    } else if request.version() < Version::HTTP_2 {
        Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED)
    } else {
        None
    }
}

/// The two services of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jobs {
    Agents,
    Connectors,
}

impl Jobs {
    fn of(service: &str) -> Option<Self> {
        match service {
            ASYNC_AGENT => Some(Self::Agents),
            ASYNC_CONNECTOR => Some(Self::Connectors),
            _ => None,
        }
    }

    /// The pattern of the paths, as the router has it.
    fn pattern(self) -> &'static str {
        match self {
            Self::Agents => "/flyteidl.service.AsyncAgentService/{*rest}",
            Self::Connectors => "/flyteidl2.connector.AsyncConnectorService/{*rest}",
        }
    }
}

/// The route of a request, as labels and permissions need it.
pub(super) struct Route {
    matched: Option<MatchedPath>,
    /// The service, if the request did not pass the router.
    jobs: Option<Jobs>,
    /// The gRPC method as `package.Service/Method`, or `_OTHER`: a label from a closed set.
    pub(super) rpc_method: &'static str,
    /// What the request does. `None` for a probe or a document, which take neither a token nor a
    /// permit.
    pub(super) verb: Option<Verb>,
    pub(super) protocol: Protocol,
    /// The answer to a request for a gRPC method that is not one of gRPC's.
    pub(super) refusal: Option<StatusCode>,
}

impl Route {
    /// The route of a call about a job over gRPC, and its service. `None` for everything else, which needs a router.
    pub(super) fn of_jobs<B>(request: &http::Request<B>) -> Option<(Self, Jobs)> {
        let path = request.uri().path().strip_prefix('/')?;
        let jobs = Jobs::of(path.split_once('/')?.0)?;
        let (method, verb) = METHODS.get_key_value(path)?;
        if refusal(request).is_some() {
            return None;
        }
        let route = Self {
            matched: None,
            jobs: Some(jobs),
            rpc_method: method,
            verb: *verb,
            protocol: Protocol::Grpc,
            refusal: None,
        };
        Some((route, jobs))
    }

    pub(super) fn of(request: &Request) -> Self {
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let path = request.uri().path();
        let path = path.strip_prefix('/').unwrap_or(path);
        match METHODS.get_key_value(path) {
            Some((method, verb)) => {
                let refusal = refusal(request);
                let protocol = if refusal.is_none() { Protocol::Grpc } else { Protocol::Rest };
                Self { matched, jobs: None, rpc_method: method, verb: *verb, protocol, refusal }
            }
            None => {
                // All of the health service is open, its unknown methods included.
                let is_probe = path.split_once('/').is_some_and(|(service, _)| service == HEALTH);
                let pattern = matched.as_ref().map_or(OTHER, MatchedPath::as_str);
                let is_document = is_document(request.method(), pattern);
                let is_open = is_probe || is_document;
                let verb = (!is_open).then(|| rest_verb(request.method(), pattern));
                let is_rest = is_document || REST.iter().any(|(_, path, _)| *path == pattern);
                let protocol = if says_grpc(request.headers()) && !is_rest {
                    Protocol::Grpc
                } else {
                    Protocol::Rest
                };
                Self { matched, jobs: None, rpc_method: OTHER, verb, protocol, refusal: None }
            }
        }
    }

    /// Whether the response lasts as long as its caller likes.
    pub(super) fn is_endless(&self) -> bool {
        ENDLESS.iter().any(|method| self.rpc_method.ends_with(method))
    }

    /// The pattern of the path, or `_OTHER`: a label from a closed set.
    pub(super) fn pattern(&self) -> &str {
        match self.jobs {
            Some(jobs) => jobs.pattern(),
            None => self.matched.as_ref().map_or(OTHER, MatchedPath::as_str),
        }
    }
}

/// Whether the request reads the API's documents, which a browser must be able to do without a token.
fn is_document(method: &Method, pattern: &str) -> bool {
    let reads = [Method::GET, Method::HEAD].contains(method);
    let is_page = pattern == "/docs" || pattern.starts_with("/docs/");
    reads && (is_page || ["/", "/openapi.json"].contains(&pattern))
}

/// The verb of a REST operation; everything unknown counts as listing.
fn rest_verb(method: &Method, pattern: &str) -> Verb {
    // axum answers HEAD as it would GET.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let operation = REST.iter().find(|(m, path, _)| m == method && *path == pattern);
    operation.map_or(Verb::List, |(_, _, verb)| *verb)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost_reflect::DescriptorPool;

    use super::*;
    use crate::{server::openapi, wire::proto::DESCRIPTORS};

    fn described(descriptors: &[u8]) -> BTreeSet<String> {
        let pool = DescriptorPool::decode(descriptors).unwrap();
        let methods = pool.services().flat_map(|service| {
            let names = service.methods().map(|method| method.name().to_owned());
            let service = service.full_name().to_owned();
            names.map(move |name| format!("{service}/{name}")).collect::<Vec<_>>()
        });
        methods.collect()
    }

    fn listed(services: &[Service]) -> BTreeSet<String> {
        let methods = services.iter().flat_map(|(service, methods)| {
            methods.iter().map(move |(method, _)| format!("{service}/{method}"))
        });
        methods.collect()
    }

    #[test]
    fn every_grpc_method_of_the_protos_has_a_verb() {
        assert_eq!(listed(&FLYTE), described(DESCRIPTORS));
        let standard = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        assert_eq!(listed(&STANDARD), standard.into_iter().flat_map(described).collect());
    }

    #[test]
    fn every_documented_rest_operation_has_a_verb() {
        let document = serde_json::to_value(openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap().iter();
        let documented = paths.flat_map(|(path, operations)| {
            let methods = operations.as_object().unwrap().keys();
            methods.map(move |method| (method.to_uppercase(), path.clone()))
        });
        let listed = REST.iter().map(|(method, path, _)| (method.to_string(), (*path).to_owned()));
        assert_eq!(documented.collect::<BTreeSet<_>>(), listed.collect());
    }

    fn route(method: &str, path: &str) -> Route {
        let request = Request::builder().method(method).uri(path);
        Route::of(&request.body(axum::body::Body::empty()).unwrap())
    }

    #[test]
    fn grpc_methods_are_labelled_and_have_their_verb() {
        for (path, label, verb) in [
            ("flyteidl.service.AsyncAgentService/CreateTask", None, Some(Verb::Create)),
            ("flyteidl2.connector.AsyncConnectorService/GetTask", None, Some(Verb::Get)),
            ("flyteidl2.connector.AsyncConnectorService/DeleteTask", None, Some(Verb::Delete)),
            ("flyteidl.service.AgentMetadataService/ListAgents", None, Some(Verb::List)),
            ("flyteidl.service.SyncAgentService/ExecuteTaskSync", None, Some(Verb::Execute)),
            ("grpc.health.v1.Health/Check", None, None),
            ("grpc.health.v1.Health/Unknown", Some(OTHER), None),
            ("unknown.Service/CreateTask", Some(OTHER), Some(Verb::List)),
            ("/grpc.health.v1.Health/Check", Some(OTHER), Some(Verb::List)),
            ("grpc.health.v1.Health", Some(OTHER), Some(Verb::List)),
        ] {
            let route = route("POST", &format!("/{path}"));
            assert_eq!((route.rpc_method, route.verb), (label.unwrap_or(path), verb), "{path}");
        }
    }

    #[test]
    fn grpc_methods_take_grpc_alone_and_rest_operations_rest() {
        const CHECK: &str = "/grpc.health.v1.Health/Check";
        for (method, version, path, content_type, protocol, refusal) in [
            ("POST", Version::HTTP_2, CHECK, "application/grpc", Protocol::Grpc, None),
            ("POST", Version::HTTP_2, CHECK, "application/grpc+proto", Protocol::Grpc, None),
            ("POST", Version::HTTP_2, CHECK, "application/json", Protocol::Rest, Some(415)),
            ("POST", Version::HTTP_2, CHECK, "", Protocol::Rest, Some(415)),
            ("PUT", Version::HTTP_2, CHECK, "application/grpc", Protocol::Rest, Some(405)),
            ("POST", Version::HTTP_11, CHECK, "application/grpc", Protocol::Rest, Some(505)),
            ("POST", Version::HTTP_2, "/unknown.S/M", "application/grpc", Protocol::Grpc, None),
            ("GET", Version::HTTP_2, "/unknown", "", Protocol::Rest, None),
        ] {
            let request = Request::builder().method(method).uri(path).version(version);
            let request = request.header("content-type", content_type);
            let route = Route::of(&request.body(axum::body::Body::empty()).unwrap());
            let refused = route.refusal.map(|status| status.as_u16());
            assert_eq!((route.protocol, refused), (protocol, refusal), "{method} {content_type}");
        }
    }

    #[test]
    fn calls_about_jobs_have_the_same_route_without_a_router() {
        let request = |path: &str, content_type| {
            let request = Request::builder().method("POST").uri(format!("/{path}"));
            let request = request.version(Version::HTTP_2).header("content-type", content_type);
            request.body(axum::body::Body::empty()).unwrap()
        };
        for (service, jobs) in [(ASYNC_AGENT, Jobs::Agents), (ASYNC_CONNECTOR, Jobs::Connectors)] {
            for (method, verb) in JOBS {
                let request = request(&format!("{service}/{method}"), "application/grpc");
                let (route, of) = Route::of_jobs(&request).unwrap();
                let routed = Route::of(&request);
                assert_eq!((of, route.verb), (jobs, *verb));
                assert_eq!(
                    (route.rpc_method, route.verb, route.protocol, route.refusal),
                    (routed.rpc_method, routed.verb, routed.protocol, routed.refusal)
                );
                assert_eq!(route.pattern(), format!("/{service}/{{*rest}}"));
            }
            let unknown = request(&format!("{service}/Unknown"), "application/grpc");
            let json = request(&format!("{service}/GetTask"), "application/json");
            assert!(Route::of_jobs(&unknown).is_none() && Route::of_jobs(&json).is_none());
        }
        let other = request(&format!("{SYNC_AGENT}/ExecuteTaskSync"), "application/grpc");
        assert!(Route::of_jobs(&other).is_none());
    }

    #[test]
    fn watches_and_reflection_are_endless() {
        let endless = METHODS.keys().filter(|path| route("POST", &format!("/{path}")).is_endless());
        assert_eq!(
            endless.collect::<Vec<_>>(),
            [
                "grpc.health.v1.Health/Watch",
                "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            ]
        );
    }

    #[test]
    fn rest_verbs_follow_method_and_pattern() {
        let job = "/plugins/v1/{task_type}/{version}";
        assert_eq!(rest_verb(&Method::HEAD, job), Verb::Get);
        assert_eq!(rest_verb(&Method::DELETE, job), Verb::Delete);
        assert_eq!(rest_verb(&Method::PATCH, job), Verb::List);
        assert_eq!(rest_verb(&Method::POST, "/openapi.json"), Verb::List);
    }

    #[test]
    fn documents_are_open_to_readers_alone() {
        for path in ["/", "/openapi.json", "/docs", "/docs/", "/docs/{*rest}"] {
            assert!(is_document(&Method::GET, path) && is_document(&Method::HEAD, path), "{path}");
            assert!(!is_document(&Method::POST, path), "{path}");
        }
        for path in ["/plugins/v1", "/docs2", OTHER, "/plugins/v1/{task_type}/{version}/schema"] {
            assert!(!is_document(&Method::GET, path), "{path}");
        }
    }
}
