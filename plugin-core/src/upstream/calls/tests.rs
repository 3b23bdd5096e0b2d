use server_core::metrics::encode;

use super::*;

fn calls() -> (Registry, Calls) {
    let mut registry = Registry::default();
    let shared = Arc::new(Metrics::register(&mut registry));
    let calls = Calls::register(&mut registry, shared).to_host("localhost");
    (registry, calls)
}

#[track_caller]
fn assert_counted(registry: &Registry, samples: &[&str]) {
    let text = encode(registry).unwrap();
    for sample in samples {
        assert!(text.contains(sample), "no {sample} in\n{text}");
    }
}

#[tokio::test]
async fn a_call_is_counted_by_operation_and_outcome() {
    let (registry, calls) = calls();
    let mut call = calls.grpc(Operation::Create, "/a.B/Create");
    call.answered(StatusCode::OK);
    call.succeeded();
    drop(call);
    calls.http(Operation::Get, &Method::GET, "/a").failed(Kind::Unavailable);
    calls.http(Operation::Delete, &Method::DELETE, "/a").failed(Kind::NotFound);
    calls.grpc(Operation::Execute, "/a.B/Execute").raised(Kind::Unavailable);
    drop(calls.grpc(Operation::Discover, "/a.B/List"));
    let of = |operation, outcome| {
        format!(
            "plugin_upstream_call_duration_seconds_count{{operation=\"{operation}\",outcome=\"{outcome}\"}} 1"
        )
    };
    let expected = [
        of("create", "success"),
        of("get", "failure"),
        of("delete", "refused"),
        of("execute", "exception"),
        of("discover", "cancelled"),
    ];
    assert_counted(&registry, &expected.each_ref().map(String::as_str));
    assert_counted(
        &registry,
        &[
            "http_client_request_duration_seconds_count{http_request_method=\"POST\",server_address=\"localhost\",http_response_status_code=\"200\",error_type=\"\"} 1",
            "http_client_request_duration_seconds_count{http_request_method=\"GET\",server_address=\"localhost\",http_response_status_code=\"0\",error_type=\"UNAVAILABLE\"} 1",
        ],
    );
}

#[tokio::test]
async fn calls_are_counted_while_they_wait_and_run() {
    let (registry, calls) = calls();
    let waiting = calls.waiting(Operation::Get);
    let call = calls.grpc(Operation::Create, "/a.B/Create");
    assert_counted(
        &registry,
        &[
            "plugin_upstream_waiting_calls{operation=\"get\"} 1",
            "plugin_upstream_active_calls{operation=\"create\"} 1",
        ],
    );
    drop((waiting, call));
    assert_counted(
        &registry,
        &[
            "plugin_upstream_waiting_calls{operation=\"get\"} 0",
            "plugin_upstream_active_calls{operation=\"create\"} 0",
        ],
    );
}

#[test]
fn creates_without_a_key_count_by_whether_their_outcome_is_known() {
    let (registry, calls) = calls();
    let create = || calls.create_without_key(TaskType::new("sleep", 0));
    create().answered();
    create().unsent();
    drop(create());
    drop(create());
    assert_counted(
        &registry,
        &[
            "plugin_creates_without_idempotency_total{task_type=\"sleep\",outcome=\"known\"} 1",
            "plugin_creates_without_idempotency_total{task_type=\"sleep\",outcome=\"unknown\"} 2",
        ],
    );
}
