//! Logs, metrics and the admin port.

use plugin_core::testing::{Dialect, logs};
use serde_json::{Value as Json, json};
use tests::golden::{Flyte, Golden};

use crate::stage::Stage;

fn task() -> Json {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

/// The request lines of the log that match `wanted`.
fn lines(wanted: impl Fn(&Json) -> bool) -> Vec<Json> {
    let log = logs();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let requests = lines.filter(|line| line["target"] == "request");
    requests.filter(wanted).collect()
}

#[tokio::test]
async fn every_request_logs_one_line_with_flyte_identifiers() {
    let stage = Stage::set().await;
    for dialect in Dialect::ALL {
        let mut task = task();
        let name = format!("f{dialect:?}");
        task["task_execution_metadata"]["task_execution_id"]["node_execution_id"]["execution_id"]
            ["name"] = json!(name);
        task["output_prefix"] = json!(format!("s3://bucket/{name}"));
        let client = stage.client(dialect).await;
        let handle = client.create(&task).await.unwrap();
        client.get(&task, &handle).await.unwrap();
        client.delete(&task, &handle).await.unwrap();

        let lines = lines(|line| line["flyte.execution"] == name.as_str());
        let verbs = lines.iter().map(|line| line["verb"].as_str().unwrap());
        assert_eq!(verbs.collect::<Vec<_>>(), ["create", "get", "delete"], "{dialect:?}");
        let job = &lines[0]["job"];
        for line in &lines {
            assert_eq!(line["flyte.project"], "flytesnacks");
            assert_eq!(line["flyte.domain"], "development");
            assert_eq!(line["flyte.node"], "n0");
            assert_eq!(line["flyte.task"], "acme.sql.orders_for_day");
            assert_eq!(line["task_type"], "bigquery_query_job_task");
            assert_eq!((&line["issuer"], &line["role"]), (&json!("tests"), &json!("propeller")));
            assert_eq!(&line["job"], job, "the same job in all its lines");
            let expected = if dialect.is_grpc() { "OK" } else { "200" };
            assert_eq!(line["status"], expected);
            assert!(line["duration_ms"].is_number() && line["request_id"].is_string());
        }
        assert_eq!(lines[1]["phase"], "QUEUED");
    }
}

#[tokio::test]
async fn error_cause_is_logged_and_not_returned() {
    let stage = Stage::set_with(Default::default(), &["--endpoint=http://127.0.0.1:1"]).await;
    let mut task = task();
    task["output_prefix"] = json!("s3://bucket/cause");
    task["task_execution_metadata"]["task_execution_id"]["node_execution_id"]["execution_id"]["name"] =
        json!("fcause");
    let client = stage.client(Dialect::Flyte1).await;
    let refused = client.create(&task).await.unwrap_err();
    assert_eq!(refused.message, "cannot connect to the upstream");
    let lines = lines(|line| line["flyte.execution"] == "fcause");
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["status"], "UNAVAILABLE");
    let cause = lines[0]["cause"].as_str().unwrap();
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
}

#[tokio::test]
async fn metrics_have_opentelemetry_and_flytekit_names() {
    let stage = Stage::set().await;
    for dialect in Dialect::ALL {
        let client = stage.client(dialect).await;
        let handle = client.create(&task()).await.unwrap();
        client.get(&task(), &handle).await.unwrap();
        client.delete(&task(), &handle).await.unwrap();
    }
    let refused =
        stage.client(Dialect::Flyte1).await.create(&json!({"template": {"type": "x"}})).await;
    assert!(refused.is_err());
    let text = stage.service.admin_text("/metrics").await;
    for sample in [
        "target_info{service_name=",
        "rpc_server_call_duration_seconds_bucket{le=\"0.005\",rpc_system_name=\"grpc\",rpc_method=\"flyteidl.service.AsyncAgentService/CreateTask\",rpc_response_status_code=\"OK\"}",
        "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"flyteidl2.connector.AsyncConnectorService/GetTask\",rpc_response_status_code=\"OK\"} 1",
        "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"flyteidl.service.AsyncAgentService/CreateTask\",rpc_response_status_code=\"NOT_FOUND\"} 1",
        "http_server_request_duration_seconds_count{http_request_method=\"PUT\",http_route=\"/plugins/v1/{task_type}/{version}\",http_response_status_code=\"200\",url_scheme=\"http\"} 1",
        "http_client_request_duration_seconds_count{http_request_method=\"POST\",server_address=\"127.0.0.1\",http_response_status_code=\"200\",error_type=\"\"}",
        "flyte_connector_requests_success_total{task_type=\"bigquery_query_job_task\",operation=\"create\"} 3",
        "flyte_connector_requests_success_total{task_type=\"bigquery_query_job_task\",operation=\"get\"} 3",
        "flyte_connector_request_latency_seconds_sum{task_type=\"bigquery_query_job_task\",operation=\"delete\"}",
        "flyte_connector_request_latency_seconds_count{task_type=\"bigquery_query_job_task\",operation=\"delete\"} 3",
        "flyte_connector_input_literal_bytes_count{task_type=\"bigquery_query_job_task\"} 3",
        "http_server_active_requests 0",
        "plugin_upstream_retries_total 0",
    ] {
        assert!(text.contains(sample), "no {sample} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn unknown_task_types_create_no_time_series() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    for number in 0..20 {
        let task = json!({"template": {"type": format!("invented-{number}")}});
        assert!(client.create(&task).await.is_err());
    }
    assert!(!stage.service.admin_text("/metrics").await.contains("invented"));
}

#[tokio::test]
async fn admin_endpoints_need_no_token() {
    let stage = Stage::set().await;
    assert_eq!(stage.service.admin_text("/livez").await, "ok\n");
    assert_eq!(stage.service.admin_text("/readyz").await, "ok\n");
    let level = format!("http://{}/log-level", stage.service.admin());
    let http = reqwest::Client::new();
    for wrong in ["nonsense=loud", "", " ", ","] {
        let answer = http.put(&level).body(wrong).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{wrong:?}");
    }
    let long = http.put(&level).body("a=info,".repeat(1000)).send().await.unwrap();
    assert_eq!(long.status(), 413);
    assert_eq!(stage.service.admin_text("/log-level").await, "info\n");
    let set = http.put(&level).body("trace").send().await.unwrap();
    assert_eq!(set.text().await.unwrap(), "trace\n");
    assert_eq!(stage.service.admin_text("/log-level").await, "trace\n");
    // The level applies to the whole process, and TRACE is slow.
    http.put(&level).body("info").send().await.unwrap();
}

#[tokio::test]
async fn valid_request_id_is_kept_and_otherwise_generated() {
    let stage = Stage::set().await;
    let url = format!("http://{}/plugins/v1", stage.service.api());
    for (sent, kept) in [(Some("abc-1"), true), (Some("no spaces"), false), (None, false)] {
        let mut request = reqwest::Client::new().get(&url);
        if let Some(id) = sent {
            request = request.header("x-request-id", id);
        }
        let answer = request.send().await.unwrap();
        let id = answer.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(Some(id) == sent, kept, "{sent:?} → {id}");
        assert!(kept || id.len() == 32);
    }
}
