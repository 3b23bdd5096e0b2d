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
            let (route, of) = Route::of_grpc_jobs(&request).unwrap();
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
        assert!(Route::of_grpc_jobs(&unknown).is_none() && Route::of_grpc_jobs(&json).is_none());
    }
    let other = request(&format!("{SYNC_AGENT}/ExecuteTaskSync"), "application/grpc");
    assert!(Route::of_grpc_jobs(&other).is_none());
}

#[test]
fn plain_operations_on_jobs_need_no_router() {
    let known = |method: &str, path: &str| {
        let request = Request::builder().method(method).uri(path);
        Route::of_known(&request.body(axum::body::Body::empty()).unwrap())
    };
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let (route, of) =
            known(method.as_str(), "/plugins/v1/Acme-job_2.x/v0?job_id=a%20b").unwrap();
        assert!(matches!(of, Known::Rest));
        assert_eq!(
            (route.pattern(), route.verb, route.protocol, route.rpc_method),
            (TASKS, Some(rest_verb(&method, TASKS)), Protocol::Rest, OTHER)
        );
        assert!(route.matched.is_none() && route.refusal.is_none());
    }
    for (method, path) in [
        ("POST", "/plugins/v1/acme/0"),
        ("HEAD", "/plugins/v1/acme/0"),
        ("GET", "/plugins/v1/acm%65/0"),
        ("GET", "/plugins/v1/acme/0/"),
        ("GET", "/plugins/v1/acme//0"),
        ("GET", "/plugins/v1/acme/"),
        ("GET", "/plugins/v1//0"),
        ("GET", "/plugins/v1/acme"),
        ("GET", "/plugins/v1/acme/0/schema"),
        ("GET", "//plugins/v1/acme/0"),
    ] {
        assert!(known(method, path).is_none(), "{method} {path}");
    }
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
