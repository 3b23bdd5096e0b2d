//! Authentication, authorisation, discovery and invalid requests.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Method, StatusCode};
use plugin_core::testing::{
    Client, Dialect,
    proto::flyteidl::admin::{GetAgentRequest, ListAgentsResponse},
};
use prost::Message as _;
use serde_json::{Value as Json, json};
use tests::golden::{Flyte, Golden};
use tonic::{Code, transport::Channel};

use crate::{raw, stage::Stage};

fn task() -> Json {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

async fn channel(stage: &Stage) -> Channel {
    let url = format!("http://{}", stage.service.api());
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn unauthenticated_calls_are_rejected_in_every_protocol() {
    let stage = Stage::set().await;
    for dialect in Dialect::ALL {
        let unauthenticated = if dialect.is_grpc() { 16 } else { 401 };
        for token in [None, Some("nonsense".to_owned())] {
            let client = Client::connect(dialect, stage.service.api(), token).await;
            let created = client.create(&task()).await.map(drop).unwrap_err();
            let polled = client.get(&task(), b"x").await.map(drop).unwrap_err();
            let deleted = client.delete(&task(), b"x").await.unwrap_err();
            for refusal in [created, polled, deleted] {
                assert_eq!(refusal.code, unauthenticated, "{dialect:?}");
            }
        }
    }
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn rules_limit_verbs_and_access_to_jobs() {
    let stage = Stage::set().await;
    for dialect in Dialect::ALL {
        let forbidden = if dialect.is_grpc() { 7 } else { 403 };
        let reader = stage.service.client(dialect, "reader").await;
        assert_eq!(reader.create(&task()).await.unwrap_err().code, forbidden);
        let anothers = stage.client(dialect).await.create(&task()).await.unwrap();
        assert_eq!(reader.get(&task(), &anothers).await.unwrap_err().code, forbidden);
        assert_eq!(reader.delete(&task(), &anothers).await.unwrap_err().code, forbidden);
        let admin = stage.service.client(dialect, "admin").await;
        assert!(admin.get(&task(), &anothers).await.is_ok(), "an admin may access every job");
    }
}

#[tokio::test]
async fn rest_sends_www_authenticate_challenges() {
    let stage = Stage::set().await;
    let url = format!("http://{}/plugins/v1", stage.service.api());
    let http = reqwest::Client::new();
    let reader = stage.service.token("reader");
    for (token, method, status, challenge) in [
        (None, Method::GET, 401, "Bearer realm=\"outrigger\""),
        (Some("x"), Method::GET, 401, "Bearer realm=\"outrigger\", error=\"invalid_token\""),
        (
            Some(reader.as_str()),
            Method::PUT,
            403,
            "Bearer realm=\"outrigger\", error=\"insufficient_scope\"",
        ),
    ] {
        let url = format!("{url}/bigquery_query_job_task/0");
        let mut request = http.request(method, url).json(&json!({}));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["www-authenticate"], challenge);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
}

#[tokio::test]
async fn only_health_checks_need_no_token() {
    const SERVING: &[u8] = &[8, 1];
    let stage = Stage::set().await;
    let check = "/grpc.health.v1.Health/Check";
    let healthy = raw::call(channel(&stage).await, check, Vec::new(), None).await.unwrap();
    assert_eq!(healthy, SERVING);
    for method in [
        "/flyteidl.service.AgentMetadataService/ListAgents",
        "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/nobody.Knows/This",
    ] {
        let refused = raw::call(channel(&stage).await, method, Vec::new(), None).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{method}");
    }
    for path in ["/docs2", "/plugins/v1", "/nowhere"] {
        let url = format!("http://{}{path}", stage.service.api());
        let refused = reqwest::get(url).await.unwrap().status();
        assert_eq!(refused, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn discovery_lists_each_task_type_once_in_both_fields() {
    let stage = Stage::set().await;
    let token = stage.service.token("propeller");
    for method in [
        "/flyteidl.service.AgentMetadataService/ListAgents",
        "/flyteidl2.connector.ConnectorMetadataService/ListConnectors",
    ] {
        let listed = raw::call(channel(&stage).await, method, Vec::new(), Some(&token)).await;
        let agents = ListAgentsResponse::decode(listed.unwrap()).unwrap().agents;
        assert_eq!(agents.len(), 1);
        let agent = &agents[0];
        assert!(!agent.is_sync);
        assert_eq!(agent.supported_task_types, ["bigquery_query_job_task"]);
        let categories = agent.supported_task_categories.iter();
        let categories = categories.map(|category| (category.name.as_str(), category.version));
        assert_eq!(categories.collect::<Vec<_>>(), [("bigquery_query_job_task", 0)]);

        let get = match method.contains("Agent") {
            true => "/flyteidl.service.AgentMetadataService/GetAgent",
            false => "/flyteidl2.connector.ConnectorMetadataService/GetConnector",
        };
        let ask = |name: &str| GetAgentRequest { name: name.to_owned() }.encode_to_vec();
        let found = raw::call(channel(&stage).await, get, ask(&agent.name), Some(&token)).await;
        assert!(found.is_ok());
        let missing = raw::call(channel(&stage).await, get, ask("nobody"), Some(&token)).await;
        assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn unknown_methods_and_paths_fail_in_the_callers_protocol() {
    let stage = Stage::set().await;
    let token = stage.service.token("propeller");
    for method in [
        "/nobody.Knows/This",
        "/flyteidl.service.AsyncAgentService/GetTaskLogs",
        "/flyteidl2.connector.AsyncConnectorService/Nonsense",
    ] {
        let refused = raw::call(channel(&stage).await, method, Vec::new(), Some(&token)).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented, "{method}");
    }
    let http = reqwest::Client::new();
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "NOT_FOUND"),
        (Method::POST, "/plugins/v1", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "/plugins/v1/bigquery_query_job_task/0/", 404, "NOT_FOUND"),
    ] {
        let url = format!("http://{}{path}", stage.service.api());
        let answer = http.request(method, url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let problem: Json = answer.json().await.unwrap();
        assert_eq!(problem["error_code"], code);
        assert_eq!(problem["status"], status);
    }
}

#[tokio::test]
async fn invented_methods_are_not_allowed_on_any_route() {
    let stage = Stage::set().await;
    let token = stage.service.token("propeller");
    let job = "/plugins/v1/bigquery_query_job_task/0";
    let schema = format!("{job}/schema");
    for http2 in [false, true] {
        let http = reqwest::Client::builder();
        let http = if http2 { http.http2_prior_knowledge() } else { http.http1_only() };
        let http = http.build().unwrap();
        for path in ["/plugins/v1", job, schema.as_str(), "/openapi.json", "/docs/"] {
            for method in ["TRACE", "PATCH", "OPTIONS", "BREW"] {
                let url = format!("http://{}{path}", stage.service.api());
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let request = http.request(method.clone(), url).bearer_auth(&token);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 405, "{method} {path} {http2}");
                let problem: Json = answer.json().await.unwrap();
                assert_eq!(problem["error_code"], "METHOD_NOT_ALLOWED", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn invalid_timeouts_are_explained_to_authenticated_callers_alone() {
    let stage = Stage::set().await;
    let url = format!("http://{}/plugins/v1", stage.service.api());
    let token = stage.service.token("propeller");
    let http = reqwest::Client::new();
    for timeout in ["bogus", "0s", "-1s", "8", ""] {
        let request = http.get(&url).header("X-Request-Timeout", timeout);
        let stranger = request.try_clone().unwrap().send().await.unwrap();
        assert_eq!(stranger.status(), 401, "{timeout:?}");
        let known = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(known.status(), 400, "{timeout:?}");
        let problem: Json = known.json().await.unwrap();
        let message = problem["message"].as_str().unwrap();
        assert!(message.starts_with("header X-Request-Timeout: must be a duration"), "{message}");
    }
    let valid = http.get(&url).header("X-Request-Timeout", "8s").bearer_auth(&token);
    assert_eq!(valid.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn oversized_request_is_rejected() {
    let stage = Stage::set_with(Default::default(), &["--max-body-bytes=10000"]).await;
    let mut task = task();
    task["template"]["sql"]["statement"] = format!("SELECT '{}'", "x".repeat(20_000)).into();
    for (dialect, code) in [(Dialect::Flyte1, 11), (Dialect::Flyte2, 11), (Dialect::Rest, 413)] {
        let refused = stage.client(dialect).await.create(&task).await.unwrap_err();
        assert_eq!(refused.code, code, "{dialect:?}: {}", refused.message);
    }
    assert_eq!(stage.fake.jobs(), 0);
}

#[tokio::test]
async fn request_of_several_megabytes_is_accepted() {
    let stage = Stage::set().await;
    let mut task = task();
    task["inputs"]["literals"]["text"] =
        json!({"scalar": {"primitive": {"string_value": "x".repeat(3 << 20)}}});
    for dialect in Dialect::ALL {
        let created = stage.client(dialect).await.create(&task).await;
        assert!(created.is_ok(), "{dialect:?}: {created:?}");
    }
}

/// axum routes HEAD to the handler of GET, so it needs the same authorisation.
#[tokio::test]
async fn head_is_authorised_like_get() {
    let stage = Stage::set().await;
    let handle = stage.client(Dialect::Rest).await.create(&task()).await.unwrap();
    let job = BASE64_URL_SAFE_NO_PAD.encode(handle);
    let url =
        format!("http://{}/plugins/v1/bigquery_query_job_task/0?job_id={job}", stage.service.api());
    for (subject, status) in [("propeller", 200), ("reader", 403), ("stranger", 403)] {
        let token = stage.service.token(subject);
        let request = reqwest::Client::new().head(&url).bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), status, "{subject}");
    }
    let asked = stage.fake.requests();
    let lister = stage.service.token("lister");
    let refused = reqwest::Client::new().head(&url).bearer_auth(lister).send().await.unwrap();
    assert_eq!((refused.status(), stage.fake.requests()), (StatusCode::FORBIDDEN, asked));
}

#[tokio::test]
async fn names_with_url_syntax_are_rejected() {
    let stage = Stage::set().await;
    for (field, name) in [
        ("ProjectID", "../../v3/projects/other"),
        ("ProjectID", "acme/jobs/x?y="),
        ("ProjectID", ""),
        ("Location", "EU&projection=full"),
    ] {
        let mut task = task();
        task["template"]["custom"][field] = json!(name);
        let refused = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
        assert_eq!(refused.code, 400, "{name}");
        assert!(refused.message.starts_with(&format!("custom.{field}: ")), "{}", refused.message);
    }
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn malformed_protobuf_is_an_invalid_argument() {
    let stage = Stage::set().await;
    let token = stage.service.token("propeller");
    let method = "/flyteidl.service.AsyncAgentService/CreateTask";
    let empty = raw::call(channel(&stage).await, method, Vec::new(), Some(&token)).await;
    let status = empty.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::InvalidArgument, "template: missing"));
    let garbage = raw::call(channel(&stage).await, method, vec![0xff; 64], Some(&token)).await;
    let status = garbage.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().starts_with("body: could not be decoded"), "{status:?}");
}
