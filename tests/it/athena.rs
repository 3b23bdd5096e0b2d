//! Athena: a task is one query, whatever the network and AWS do.

use std::time::Duration;

use futures_util::future::join_all;
use plugin_core::testing::{Dialect, Observation};
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        athena::{Athena, Ending, Options},
        aws::Outage,
    },
    golden::{Flyte, Golden},
};
use tokio::net::TcpListener;

use crate::{
    aws::stage::{self, end, golden},
    replay,
};

type Stage = stage::Stage<Athena>;

impl stage::Staged for Athena {
    type Plugin = ::athena::Athena;
    const ARGS: &'static [&'static str] = &[];
}

/// The task `ath_typed` with other keys of `custom`.
fn typed(custom: Json) -> Json {
    let mut task = golden("ath_typed");
    task["template"]["custom"] = custom;
    task["template"]["sql"]["statement"] = "SELECT 1".into();
    task
}

#[tokio::test]
async fn every_request_of_the_sdks_is_answered() {
    let refused = [
        ("ath_hive_select", "custom.query.query: has 5 statements"),
        ("ath_raw_output", "custom.statement: {{ .RawOutputDataPrefix }} is not available"),
    ];
    let mut all = Golden::all(Flyte::V1, "ath_").unwrap();
    all.extend(Golden::all(Flyte::V2, "ath_").unwrap());
    assert_eq!(all.len(), 16);
    for golden in all {
        let stage = Stage::set().await;
        let handle = replay::send(&stage.service, &golden).await.unwrap();
        let seen = replay::poll_to_the_end(&stage.service, &golden, &handle).await;
        let name = golden.name.as_str();
        let refusal = refused.iter().find(|(refused, _)| *refused == name);
        match refusal {
            Some((_, message)) => {
                assert_eq!(seen.phase().as_str_name(), "FAILED", "{name}");
                assert!(seen.message.starts_with(message), "{name}: {}", seen.message);
                assert_eq!(stage.fake.requests(), 0, "{name}");
            }
            None => assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message),
        }
        assert_eq!(stage.fake.breaches(), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn results_have_the_declared_type() {
    let uri = "s3://acme-athena/results/0a1b2c3d-0000-4000-8000-000000000001.csv";
    for (name, kind) in
        [("ath_select", "schema"), ("ath_table", "structured_dataset"), ("ath_typed_file", "blob")]
    {
        for dialect in Dialect::ALL {
            let stage = Stage::set().await;
            let (client, task) = (stage.client(dialect).await, golden(name));
            let handle = client.create(&task).await.unwrap();
            assert_eq!(end(&client, &task, &handle).await.phase, "SUCCEEDED");
            let seen = client.get(&task, &handle).await.unwrap();
            // Flyte 2 has a list of outputs.
            let outputs = seen.outputs.to_string();
            assert!(outputs.contains(&format!("\"{kind}\":{{")), "{name} {dialect}: {outputs}");
            assert!(outputs.contains(uri), "{name} {dialect}: {outputs}");
            assert_eq!(seen.custom_info["data_scanned_bytes"], 10_485_760);
        }
    }
}

#[tokio::test]
async fn repeated_create_is_one_query() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            client.create(&golden("ath_select")).await.unwrap();
            client.create(&golden("ath_select")).await.unwrap();
        }
        assert_eq!((stage.fake.jobs(), stage.fake.repeats()), (1, 3), "{dialect:?}");
    }
}

#[tokio::test]
async fn create_with_lost_answers_is_one_query() {
    let stage = Stage::set().await;
    stage.fake.lose_answers(2);
    stage.client(Dialect::Flyte1).await.create(&golden("ath_select")).await.unwrap();
    assert_eq!((stage.fake.jobs(), stage.fake.repeats()), (1, 2));
}

#[tokio::test]
async fn another_query_under_the_same_key_fails() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    client.create(&golden("ath_select")).await.unwrap();
    let (client, mut other) = (stage.client(Dialect::Flyte1).await, golden("ath_select"));
    other["template"]["custom"]["statement"] = "SELECT 2".into();
    let handle = client.create(&other).await.unwrap();
    let Observation { phase, message, .. } = end(&client, &other, &handle).await;
    assert_eq!(phase, "FAILED");
    assert!(message.contains("another query was already submitted under this key"), "{message}");
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn failures_have_athenas_reason_and_are_retried_where_athena_says_so() {
    for (ending, phase, reason) in [
        (Ending::syntax_error(), "FAILED", "SYNTAX_ERROR: line 1:8"),
        (Ending::internal_error(), "RETRYABLE_FAILED", "Query exhausted resources"),
        (
            Ending::cancelled("Bytes scanned limit was exceeded"),
            "FAILED",
            "Bytes scanned limit was exceeded",
        ),
    ] {
        for dialect in Dialect::ALL {
            let stage = Stage::set().await;
            stage.fake.end_with(ending.clone());
            let (client, task) = (stage.client(dialect).await, golden("ath_select"));
            let handle = client.create(&task).await.unwrap();
            let seen = end(&client, &task, &handle).await;
            assert_eq!(seen.phase, phase, "{dialect:?}");
            assert!(seen.message.contains(reason), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_phase_may_go_backwards() {
    let states = ["QUEUED", "RUNNING", "QUEUED", "RUNNING"].map(str::to_owned).to_vec();
    for dialect in Dialect::ALL {
        let options = Options { states: states.clone(), ..Options::default() };
        let stage = Stage::set_with(options, &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("ath_select"));
        let handle = client.create(&task).await.unwrap();
        for expected in ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "SUCCEEDED", "SUCCEEDED"] {
            assert_eq!(client.get(&task, &handle).await.unwrap().phase, expected, "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn delete_stops_a_query_and_spares_one_that_has_ended() {
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(
            Options { ending: Ending::Stuck("RUNNING".into()), ..Options::default() },
            &[],
        )
        .await;
        let (client, task) = (stage.client(dialect).await, golden("ath_select"));
        let handle = client.create(&task).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        let Observation { phase, message, .. } = end(&client, &task, &handle).await;
        assert_eq!(phase, "FAILED");
        assert_eq!(message, "CANCELLED: Query cancelled by user");

        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        let handle = client.create(&task).await.unwrap();
        assert_eq!(end(&client, &task, &handle).await.phase, "SUCCEEDED");
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "SUCCEEDED", "{dialect:?}");
    }
}

#[tokio::test]
async fn throttles_are_waited_out() {
    let stage = Stage::set().await;
    stage.fake.fail_with([Outage::throttled(), Outage::throttled()]);
    let client = stage.client(Dialect::Flyte1).await;
    client.create(&golden("ath_select")).await.unwrap();
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn a_denied_workgroup_fails_the_task_whose_author_chose_it() {
    let denied = || {
        let why = "User: arn:aws:iam::111122223333:user/etl is not authorized to perform: athena:StartQueryExecution on \
                   resource: arn:aws:athena:eu-central-1:111122223333:workgroup/secret";
        Outage::new(400, "AccessDeniedException", why)
    };
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    stage.fake.fail_with([denied()]);
    let task = typed(json!({"workgroup": "secret"}));
    let handle = client.create(&task).await.unwrap();
    let Observation { phase, message, .. } = end(&client, &task, &handle).await;
    assert_eq!(phase, "FAILED");
    assert!(
        message.contains("the service may not run queries in the task's workgroup"),
        "{message}"
    );
    // The service's own workgroup, and its keys, are no fault of the task.
    for (custom, refusal) in
        [(json!({}), denied()), (json!({"workgroup": "etl"}), Outage::expired())]
    {
        let stage = Stage::set().await;
        stage.fake.fail_with(vec![refusal; 20]);
        let created = stage.client(Dialect::Flyte1).await.create(&typed(custom)).await;
        assert!(created.is_err(), "{created:?}");
    }
}

#[tokio::test]
async fn expired_credentials_fail_no_query() {
    let stage = Stage::set().await;
    let (client, task) = (stage.client(Dialect::Flyte1).await, golden("ath_select"));
    let handle = client.create(&task).await.unwrap();
    stage.fake.expire_keys();
    for _ in 0..3 {
        let seen = client.get(&task, &handle).await.unwrap();
        assert!(["QUEUED", "RUNNING"].contains(&seen.phase.as_str()), "{}", seen.phase);
    }
}

/// The bodies of all submits, also of refused ones.
fn submits(stage: &Stage) -> Vec<Json> {
    let calls = stage.fake.received().into_iter();
    calls.filter(|call| call.operation == "StartQueryExecution").map(|call| call.input).collect()
}

#[tokio::test]
async fn a_workgroup_without_a_location_gets_one_below_the_output_prefix() {
    let options = || Options { workgroup_location: None, ..Options::default() };
    let stage = Stage::set_with(options(), &[]).await;
    stage.client(Dialect::Flyte1).await.create(&golden("ath_select")).await.unwrap();
    let sent = submits(&stage);
    let prefix = golden("ath_select")["output_prefix"].as_str().unwrap().to_owned();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].get("ResultConfiguration"), None);
    assert_eq!(sent[1]["ResultConfiguration"]["OutputLocation"], format!("{prefix}/athena/"));
    // Athena knows the token of a repeat, and refuses it without the location.
    for service in [&stage.service, &stage.replica(&[]).await] {
        let client = service.client(Dialect::Flyte1, "propeller").await;
        let handle = client.create(&golden("ath_select")).await.unwrap();
        assert_eq!(end(&client, &golden("ath_select"), &handle).await.phase, "SUCCEEDED");
    }
    assert_eq!(stage.fake.jobs(), 1);
    let mut other = golden("ath_select");
    other["template"]["custom"]["statement"] = "SELECT 2".into();
    let client = stage.replica(&[]).await.client(Dialect::Flyte1, "propeller").await;
    let handle = client.create(&other).await.unwrap();
    let Observation { phase, message, .. } = end(&client, &other, &handle).await;
    assert_eq!((phase.as_str(), stage.fake.jobs()), ("FAILED", 1));
    assert!(message.contains("another query was already submitted under this key"), "{message}");
    for (setting, location) in [
        ("--output-location=s3://acme-results", Some("s3://acme-results/".to_owned())),
        ("--output-location=output-prefix", Some(format!("{prefix}/athena/"))),
        ("--output-location=workgroup", None),
    ] {
        let stage = Stage::set_with(options(), &[setting]).await;
        let client = stage.client(Dialect::Flyte1).await;
        let handle = client.create(&golden("ath_select")).await.unwrap();
        let seen = client.get(&golden("ath_select"), &handle).await.unwrap();
        let sent = submits(&stage).remove(0)["ResultConfiguration"]["OutputLocation"].clone();
        assert_eq!(sent.as_str().map(str::to_owned), location, "{setting}");
        if location.is_none() {
            assert!(seen.message.contains("No output location provided"), "{}", seen.message);
        }
    }
}

#[tokio::test]
async fn managed_results_fail_a_task_that_declares_them() {
    let options = Options { managed_results: true, ..Options::default() };
    let stage = Stage::set_with(options, &[]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let task = golden("ath_select");
    let handle = client.create(&task).await.unwrap();
    let Observation { phase, message, .. } = end(&client, &task, &handle).await;
    assert_eq!(phase, "FAILED");
    assert!(message.contains("managed query results"), "{message}");
}

#[tokio::test]
async fn what_is_not_configured_is_refused_before_anything_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = stage::replica::<Athena>(&url, &["--regions=us-gov-west-1"]).await;
    for (custom, message) in [
        (json!({"region": "us-east-1"}), "custom.region: unknown region \"us-east-1\""),
        (json!({"region": "evil.example/"}), "custom.region: unknown region"),
        (json!({"role": "arn:aws:iam::111122223333:role/admin"}), "custom.role: the role"),
        (json!({"endpoint": url.clone()}), "custom"),
        (json!({"token": "x"}), "custom"),
        (json!({"aws_secret_access_key": "x"}), "custom"),
        (json!({"output_location": url.clone()}), "custom.output_location: "),
    ] {
        for dialect in Dialect::ALL {
            let client = service.client(dialect, "propeller").await;
            let task = typed(custom.clone());
            let told = stage::refusal(&client, &task).await;
            assert!(told.contains(message), "{custom} {dialect:?}: {told}");
        }
    }
    let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(accepted.is_err(), "nothing connects");
}

#[tokio::test]
async fn a_listed_region_is_signed_for_and_linked() {
    let stage = Stage::set_with(Options::default(), &["--regions=us-gov-west-1,cn-north-1"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    for (region, console) in [
        (
            "eu-central-1",
            "https://eu-central-1.console.aws.amazon.com/athena/home?region=eu-central-1#/query-editor/history/",
        ),
        (
            "us-gov-west-1",
            "https://us-gov-west-1.console.amazonaws-us-gov.com/athena/home?region=us-gov-west-1#/",
        ),
        ("cn-north-1", "https://cn-north-1.console.amazonaws.cn/athena/home?region=cn-north-1#/"),
    ] {
        let mut task = typed(json!({"region": region}));
        task["output_prefix"] = format!("s3://my-bucket/{region}").into();
        let handle = client.create(&task).await.unwrap();
        let seen = format!("{:?}", client.get(&task, &handle).await.unwrap());
        assert!(seen.contains(console), "{seen}");
    }
    assert_eq!(stage.fake.breaches(), [""; 0]);
}

/// Twenty calls are the fewest: fifty queries in each.
#[tokio::test]
async fn a_thousand_new_queries_that_are_polled_at_once_take_few_calls() {
    let args = ["--connection-age=1h", "--poll-freshness=30s"];
    // Every poll of the fake goes on to the next state, and a slow machine takes many.
    let ending = Ending::Stuck("RUNNING".into());
    let stage = Stage::set_with(Options { ending, ..Options::default() }, &args).await;
    let client = stage.client(Dialect::Flyte1).await;
    let task = |number| stage::attempt(golden("ath_select"), number);
    let handles = stage::create_all(&client, (0..1000).map(task)).await;
    assert_eq!(stage.fake.jobs(), 1000);
    let before = stage.fake.requests();
    let phases = stage::poll_all(&client, &task(0), &handles).await;
    let calls = stage.fake.requests() - before;
    let alone = stage.fake.calls("GetQueryExecution");
    println!("Athena: {} polls, {calls} calls upstream, {alone} of one query", phases.len());
    assert!(calls > alone && calls <= 40, "{calls} calls");
    assert!(phases.iter().all(|phase| phase == "QUEUED" || phase == "RUNNING"));
    assert_eq!(stage.fake.breaches(), [""; 0]);
}

#[tokio::test]
async fn queries_that_a_batch_does_not_process_are_polled_by_themselves() {
    let stage = Stage::set_with(Options::default(), &["--poll-freshness=100ms"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut handles = Vec::new();
    // Few: on a slow machine more would be answered with what is known.
    for number in 0..12 {
        let mut task = golden("ath_select");
        task["output_prefix"] = format!("s3://my-bucket/some/{number}").into();
        handles.push(client.create(&task).await.unwrap());
    }
    stage.fake.process_none();
    let task = golden("ath_select");
    let polls = handles.iter().map(async |handle| client.get(&task, handle).await.unwrap().phase);
    let phases = join_all(polls).await;
    assert!(phases.iter().all(|phase| phase == "QUEUED"), "{phases:?}");
    assert!(stage.fake.calls("GetQueryExecution") > 0);
}
