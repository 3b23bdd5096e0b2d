//! The one table of what each route does: gRPC methods and REST operations with their verbs.

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

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

/// The path of the REST operations on tasks.
pub(super) const TASKS: &str = "/plugins/v1/{task_type}/{version}";

/// The REST operations.
static REST: [(Method, &str, Verb); 6] = [
    (Method::PUT, TASKS, Verb::Create),
    (Method::POST, TASKS, Verb::Execute),
    (Method::GET, TASKS, Verb::Get),
    (Method::DELETE, TASKS, Verb::Delete),
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

/// What serves a request that needs no router.
pub(super) enum Known {
    /// A service of jobs, over gRPC.
    Grpc(Jobs),
    /// The operations on jobs, over REST.
    Rest,
}

/// The task type and the version in the path of a REST operation on tasks; `None` if one of them may be encoded, which is for
/// the router to read.
pub(super) fn plain_task(path: &str) -> Option<(&str, &str)> {
    let is_plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !segment.is_empty() && segment.bytes().all(allowed)
    };
    let (task_type, version) = path.strip_prefix("/plugins/v1/")?.split_once('/')?;
    (is_plain(task_type) && is_plain(version)).then_some((task_type, version))
}

/// The route of a request, as labels and permissions need it.
pub(super) struct Route {
    matched: Option<MatchedPath>,
    /// The pattern of the path, if the request did not pass the router.
    known: Option<&'static str>,
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
    /// The route of a call about a job, and what serves it. `None` for everything else, which needs a router.
    pub(super) fn of_known<B>(request: &http::Request<B>) -> Option<(Self, Known)> {
        match Self::of_grpc_jobs(request) {
            Some((route, jobs)) => Some((route, Known::Grpc(jobs))),
            None => Some((Self::of_rest_jobs(request)?, Known::Rest)),
        }
    }

    fn of_rest_jobs<B>(request: &http::Request<B>) -> Option<Self> {
        plain_task(request.uri().path())?;
        // The router answers HEAD as well.
        let verb = match *request.method() {
            Method::GET => Verb::Get,
            Method::PUT => Verb::Create,
            Method::DELETE => Verb::Delete,
            _ => return None,
        };
        Some(Self {
            matched: None,
            known: Some(TASKS),
            rpc_method: OTHER,
            verb: Some(verb),
            protocol: Protocol::Rest,
            refusal: None,
        })
    }

    fn of_grpc_jobs<B>(request: &http::Request<B>) -> Option<(Self, Jobs)> {
        let path = request.uri().path().strip_prefix('/')?;
        let jobs = Jobs::of(path.split_once('/')?.0)?;
        let (method, verb) = METHODS.get_key_value(path)?;
        if refusal(request).is_some() {
            return None;
        }
        let route = Self {
            matched: None,
            known: Some(jobs.pattern()),
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
                Self { matched, known: None, rpc_method: method, verb: *verb, protocol, refusal }
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
                Self { matched, known: None, rpc_method: OTHER, verb, protocol, refusal: None }
            }
        }
    }

    /// Whether the response lasts as long as its caller likes.
    pub(super) fn is_endless(&self) -> bool {
        ENDLESS.iter().any(|method| self.rpc_method.ends_with(method))
    }

    /// The pattern of the path, or `_OTHER`: a label from a closed set.
    pub(super) fn pattern(&self) -> &str {
        match self.known {
            Some(known) => known,
            None => self.matched.as_ref().map_or(OTHER, MatchedPath::as_str),
        }
    }

    /// The same, to keep.
    pub(super) fn label(&self) -> Cow<'static, str> {
        match self.known {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(self.pattern().to_owned()),
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
mod tests;
