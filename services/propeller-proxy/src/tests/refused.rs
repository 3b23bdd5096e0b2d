//! Requests that are not Flyte's calls, on real connections.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const GET_TASK: &str = "http://127.0.0.1:8081/flyteidl.service.AsyncAgentService/GetTask";

#[tokio::test]
async fn only_grpc_is_forwarded() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    for (kind, status) in [
        ("application/grpc", StatusCode::OK),
        ("application/grpc+proto", StatusCode::OK),
        ("application/grpc;charset=utf-8", StatusCode::OK),
        ("application/grpc-web", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/grpc-web+proto", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let request = Request::post(GET_TASK).header("content-type", kind);
        let answer = call_with(&mut sender, request).await.unwrap();
        assert_eq!(answer.status, status, "{kind}");
    }
    let request = Request::get("http://127.0.0.1:8081/plugins/v1");
    let answer = call_with(&mut sender, request).await.unwrap();
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(replica.received().len(), 3);
}

#[tokio::test]
async fn rest_with_grpcs_content_type_is_not_forwarded() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    for (method, path) in [
        ("PUT", "/plugins/v1/bigquery_query_job_task/0"),
        ("GET", "/plugins/v1/bigquery_query_job_task/0?job_id=x"),
        ("DELETE", "/plugins/v1/bigquery_query_job_task/0?job_id=x"),
        ("PUT", "/flyteidl.service.AsyncAgentService/CreateTask"),
        ("GET", "/flyteidl.service.AsyncAgentService/GetTask"),
    ] {
        let uri = format!("http://127.0.0.1:8081{path}");
        let request =
            Request::builder().method(method).uri(uri).header("content-type", "application/grpc");
        let answer = call_with(&mut sender, request).await.unwrap();
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    assert!(replica.received().is_empty());
}

#[tokio::test]
async fn other_paths_are_unimplemented() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let mut sender = stage.connect().await;
    let paths = [
        "/plugins/v1",
        "/plugins/v1/bigquery_query_job_task/0",
        "//flyteidl.service.AsyncAgentService/GetTask",
        "/flyteidl.service.AsyncAgentService/%2e%2e",
        "/flyteidl.service.AsyncAgentService/GetTask?access_token=x",
        "/flyteidl.admin.AdminService/CreateExecution",
    ];
    for path in paths {
        let request = Request::post(format!("http://127.0.0.1:8081{path}"))
            .header("content-type", "application/grpc");
        let answer = call_with(&mut sender, request).await.unwrap();
        assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, "12"), "{path}");
        let status = tonic::Status::from_header_map(&answer.headers).unwrap();
        assert!(status.message().starts_with("propeller-proxy forwards only"), "{status}");
    }
    assert!(replica.received().is_empty());
    stage.counted("UNIMPLEMENTED", paths.len()).await;
}

#[tokio::test]
async fn connect_is_not_forwarded() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    let request = Request::connect("10.0.0.1:443").header("content-type", "application/grpc");
    let answer = call_with(&mut stage.connect().await, request).await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.status.is_success()));
    assert!(replica.received().is_empty());
}

#[tokio::test]
async fn grpc_over_http_1_is_not_forwarded() {
    let replica = Replica::start().await;
    let stage = Stage::set(&[replica.address]).await;
    for target in ["/flyteidl.service.AsyncAgentService/GetTask", GET_TASK] {
        let mut stream = TcpStream::connect(stage.address).await.unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\n\
             content-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    }
    assert!(replica.received().is_empty());
}
