//! Which requests are forwarded: the calls that Flyte makes.
//!
//! Whatever is forwarded acts with Flyte's identity. A list of services grants no more than Flyte needs,
//! whatever else a service of the target offers, such as REST.

use http::{HeaderMap, Method, Request, Version, header};

/// The services that Flyte 1 and Flyte 2 call, and gRPC's health.
const SERVICES: [&str; 6] = [
    "flyteidl.service.AgentMetadataService",
    "flyteidl.service.AsyncAgentService",
    "flyteidl.service.SyncAgentService",
    "flyteidl2.connector.AsyncConnectorService",
    "flyteidl2.connector.ConnectorMetadataService",
    "grpc.health.v1.Health",
];

/// The method whose response goes on for ever.
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Why a request is not forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unforwarded {
    /// It is not gRPC over HTTP/2.
    NotGrpc,
    /// It has a method other than POST.
    NotPost,
    /// It is for another service, or its path is not that of a method.
    OtherService,
}

/// Checks that a request is a call of Flyte's.
///
/// # Errors
/// Why it is not.
pub(crate) fn check<B>(request: &Request<B>) -> Result<(), Unforwarded> {
    if request.version() != Version::HTTP_2 || !is_grpc(request.headers()) {
        return Err(Unforwarded::NotGrpc);
    }
    if request.method() != Method::POST {
        return Err(Unforwarded::NotPost);
    }
    let is_call = request.uri().query().is_none() && is_method(request.uri().path());
    if is_call { Ok(()) } else { Err(Unforwarded::OtherService) }
}

/// Whether the response goes on until somebody ends it.
pub(crate) fn is_endless<B>(request: &Request<B>) -> bool {
    request.uri().path() == WATCH
}

/// Whether the one content type is gRPC's, in any encoding. gRPC-Web's have the same prefix.
fn is_grpc(headers: &HeaderMap) -> bool {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return false };
    let encoding = kind.as_bytes().strip_prefix(b"application/grpc");
    encoding.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether `path` is `/package.Service/Method` of a known service. It is compared as it is sent, so
/// neither encoded nor repeated slashes pass.
fn is_method(path: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let names = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    names.is_some_and(|(service, method)| SERVICES.contains(&service) && is_name(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "/flyteidl.service.AsyncAgentService/GetTask";

    fn request(method: &str, path: &str, kind: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path).version(Version::HTTP_2);
        request.header("content-type", kind)
    }

    fn checked(request: http::request::Builder) -> Result<(), Unforwarded> {
        check(&request.body(()).unwrap())
    }

    #[test]
    fn methods_of_flytes_services_are_forwarded() {
        for service in SERVICES {
            let path = format!("/{service}/AnyMethod_2");
            assert_eq!(checked(request("POST", &path, "application/grpc")), Ok(()), "{service}");
        }
    }

    #[test]
    fn other_paths_are_not_forwarded() {
        for path in [
            "/",
            "*",
            "/plugins/v1",
            "/plugins/v1/spark/0",
            "/flyteidl.service.AsyncAgentService",
            "/flyteidl.service.AsyncAgentService/",
            "/flyteidl.service.AsyncAgentService//GetTask",
            "//flyteidl.service.AsyncAgentService/GetTask",
            "/flyteidl.service.AsyncAgentService/GetTask/",
            "/flyteidl.service.AsyncAgentService/GetTask/more",
            "/flyteidl.service.AsyncAgentService/..",
            "/flyteidl.service.AsyncAgentService/../plugins",
            "/flyteidl.service.AsyncAgentService/%2e%2e",
            "/flyteidl.service.AsyncAgentService%2FGetTask",
            "/flyteidl.service.AsyncAgentService/Get%54ask",
            "/flyteidl.service.AsyncAgentService/GetTask?job_id=x",
            "/flyteidl.service.AsyncAgentService/GetTask?",
            "/Flyteidl.Service.AsyncAgentService/GetTask",
            "/flyteidl.admin.AdminService/CreateExecution",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            let refused = checked(request("POST", path, "application/grpc"));
            assert_eq!(refused, Err(Unforwarded::OtherService), "{path}");
        }
    }

    #[test]
    fn other_methods_kinds_and_versions_are_not_forwarded() {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "post"] {
            let refused = checked(request(method, GET, "application/grpc"));
            assert_eq!(refused, Err(Unforwarded::NotPost), "{method}");
        }
        for kind in ["", "application/json", "application/grpc-web", "application/grpcx"] {
            assert_eq!(checked(request("POST", GET, kind)), Err(Unforwarded::NotGrpc), "{kind}");
        }
        let twice = request("POST", GET, "application/grpc").header("content-type", "text/plain");
        assert_eq!(checked(twice), Err(Unforwarded::NotGrpc));
        let http1 = request("POST", GET, "application/grpc").version(Version::HTTP_11);
        assert_eq!(checked(http1), Err(Unforwarded::NotGrpc));
    }
}
