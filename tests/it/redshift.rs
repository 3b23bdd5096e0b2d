//! Redshift: a task runs its statements once, where its operator allows it.

use std::time::Duration;

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        aws::{Call, Outage},
        redshift::{Ending, FakeRedshift, Options, Redshift},
    },
    golden::{Flyte, Golden},
};
use tokio::net::TcpListener;

use crate::{aws::stage, replay};

type Stage = stage::Stage<Redshift>;

impl stage::Staged for Redshift {
    type Plugin = ::redshift::Redshift;
    const ARGS: &'static [&'static str] =
        &["--clusters=dwh,etl", "--workgroups=sales", "--databases=dev,prod"];
}

/// A task that unloads the rows of a day.
fn task() -> Json {
    json!({
        "template": {
            "type": "redshift",
            "custom": {"workgroup": "sales"},
            "interface": {
                "inputs": {"variables": {"day": {"type": {"simple": "STRING"}}}},
                "outputs": {"variables": {"results": {"type": {"structured_dataset_type": {}}}}},
            },
            "sql": {"statement": "CREATE TEMP TABLE d AS SELECT * FROM events WHERE day = {{ .inputs.day }};\n\
                UNLOAD ('SELECT * FROM d') TO 's3://acme/events/1/' IAM_ROLE default FORMAT PARQUET"},
        },
        "inputs": {"literals": {"day": {"scalar": {"primitive": {"string_value": "'; DROP TABLE d; --"}}}}},
        "output_prefix": "s3://my-bucket/metadata/run-1/n0/data/0",
    })
}

/// The same with one statement, without output, and with `custom`.
fn single(custom: Json) -> Json {
    let mut task = task();
    task["template"]["custom"] = custom;
    task["template"]["interface"]["outputs"] = json!({});
    task["template"]["sql"]["statement"] = json!("DELETE FROM events WHERE day = :day");
    task
}

#[tokio::test]
async fn every_request_of_the_sdks_is_answered() {
    let refused = [
        ("rs_quoted", "{{ .inputs.day }}: Redshift takes no parameter within quotes"),
        ("rs_no_unload", "interface.outputs.results: the task declares it, but none of its"),
    ];
    let mut all = Golden::all(Flyte::V1, "rs_").unwrap();
    all.extend(Golden::all(Flyte::V2, "rs_").unwrap());
    assert_eq!(all.len(), 10);
    for golden in all {
        let stage = Stage::set_with(Options::default(), &["--poll-freshness=0s"]).await;
        let handle = replay::send(&stage.service, &golden).await.unwrap();
        let seen = replay::poll_to_the_end(&stage.service, &golden, &handle).await;
        let name = golden.name.as_str();
        match refused.iter().find(|(refused, _)| *refused == name) {
            Some((_, message)) => {
                assert_eq!(seen.phase().as_str_name(), "FAILED", "{name}");
                assert!(seen.message.contains(message), "{name}: {}", seen.message);
                assert_eq!(stage.fake.jobs(), 0, "{name}");
            }
            None => {
                assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message);
                let output = format!("{:?}", seen.outputs);
                let declares = golden.json.to_string().contains("\"results\"");
                assert_eq!(
                    output.contains("s3://acme/events/flyte_"),
                    declares,
                    "{name}: {output}"
                );
            }
        }
        assert_eq!(stage.fake.breaches(), [""; 0], "{name}");
    }
}

/// What the golden request `name` of `flyte` submits.
async fn submitted(flyte: Flyte, name: &str) -> Call {
    let stage = Stage::set().await;
    let golden = Golden::read(flyte, name).unwrap();
    replay::send(&stage.service, &golden).await.unwrap();
    stage.fake.submitted().remove(0)
}

#[tokio::test]
async fn values_of_both_sdks_are_parameters() {
    let expected = json!([
        {"name": "at", "value": "2026-03-01 06:30:15.250000+00"},
        {"name": "ids__0", "value": "1"},
        {"name": "ids__1", "value": "2"},
        {"name": "ids__2", "value": "3"},
        {"name": "is_test", "value": "true"},
        {"name": "name", "value": "'; DROP TABLE events; --"},
        {"name": "number", "value": "7"},
        {"name": "share", "value": "0.25"},
        {"name": "span", "value": "26:00:01"},
    ]);
    for flyte in [Flyte::V1, Flyte::V2] {
        let submitted = submitted(flyte, "rs_values").await;
        assert_eq!(submitted.input["Parameters"], expected, "{flyte:?}");
        let sql = submitted.input["Sql"].as_str().unwrap();
        assert!(sql.ends_with("AND id IN (:ids__0, :ids__1, :ids__2)"), "{sql}");
    }
}

#[tokio::test]
async fn statements_without_transaction_are_committed_one_by_one() {
    let submitted = submitted(Flyte::V1, "rs_vacuum").await;
    assert_eq!(submitted.operation, "BatchExecuteStatement");
    let input = submitted.input;
    assert_eq!(input["Sqls"], json!(["VACUUM events", "ANALYZE events"]));
    assert_eq!(input["ExecutionMode"], "AUTO_COMMIT");
    assert_eq!(input["ClusterIdentifier"], "dwh");
    assert_eq!(input["Database"], "prod");
    assert_eq!((&input["StatementName"], &input["WithEvent"]), (&json!("nightly"), &json!(true)));
}

#[tokio::test]
async fn a_batch_succeeds_and_its_output_is_where_it_unloads() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let seen = stage::run(&stage.client(dialect).await, &task()).await;
        assert_eq!(seen.phase, "SUCCEEDED", "{seen:?}");
        let shown = format!("{seen:?}");
        assert!(shown.contains("s3://acme/events/1/") && shown.contains("parquet"), "{shown}");
        assert!(shown.contains("serverless-workgroup?workgroup=sales"), "{shown}");
        let submitted = &stage.fake.submitted()[0];
        assert_eq!(submitted.operation, "BatchExecuteStatement");
        assert_eq!(submitted.input["ExecutionMode"], "TRANSACTION");
        let first = &submitted.input["Sqls"][0];
        assert_eq!(first, "CREATE TEMP TABLE d AS SELECT * FROM events WHERE day = :day");
        let parameters = json!([{"name": "day", "value": "'; DROP TABLE d; --"}]);
        assert_eq!(submitted.input["Parameters"], parameters);
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn failures_have_redshifts_text_and_conflicts_are_tried_again() {
    for dialect in Dialect::ALL {
        for (ending, phase, text) in [
            (Ending::syntax_error(), "FAILED", "syntax error at or near"),
            (Ending::conflict(), "RETRYABLE_FAILED", "Serializable isolation violation"),
        ] {
            let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
            let seen = stage::run(&stage.client(dialect).await, &task()).await;
            let message = seen.message;
            assert_eq!(seen.phase, phase, "{message}");
            assert!(message.contains(text) && message.contains("statement 2"), "{message}");
            assert_eq!(stage.fake.breaches(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn repeated_creates_run_one_statement() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            client.create(&single(json!({"cluster": "dwh"}))).await.unwrap();
            client.create(&single(json!({"cluster": "dwh"}))).await.unwrap();
        }
        assert_eq!((stage.fake.jobs(), stage.fake.repeats()), (1, 3), "{dialect:?}");
        let submitted = &stage.fake.submitted()[0];
        assert_eq!(submitted.operation, "ExecuteStatement");
        assert_eq!(submitted.input["ClientToken"].as_str().unwrap().len(), 64);
        assert_eq!(submitted.input["ClusterIdentifier"], "dwh");
    }
}

#[tokio::test]
async fn another_statement_under_the_same_key_fails() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let task = single(json!({"cluster": "dwh"}));
        stage.client(dialect).await.create(&task).await.unwrap();
        let mut other = task;
        other["template"]["sql"]["statement"] = json!("DELETE FROM events WHERE day < :day");
        let service = stage.replica(&[]).await;
        let client = service.client(dialect, "propeller").await;
        let message = stage::refusal(&client, &other).await;
        assert!(message.contains("token was used with other parameters"), "{message}");
        assert_eq!((stage.fake.jobs(), stage.fake.repeats()), (1, 0));
    }
}

#[tokio::test]
async fn lost_answers_and_throttles_run_one_statement() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.fail_with([Outage::throttled()]);
        stage.fake.lose_answers(1);
        stage.client(dialect).await.create(&task()).await.unwrap();
        assert_eq!(stage.fake.jobs(), 1, "{dialect:?}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_full_queue_refuses_creates_and_slows_nothing_else() {
    let ending = Ending::Stuck("STARTED".to_owned());
    let args = ["--poll-freshness=0s"];
    let stage = Stage::set_with(Options { ending, ..Options::default() }, &args).await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    let mut other = task();
    other["output_prefix"] = json!("s3://my-bucket/metadata/run-2/n0/data/0");
    let full = || Outage::new(400, "ActiveStatementsExceededException", "too many statements");
    stage.fake.fail_with([full()]);
    let error = client.create(&other).await.unwrap_err();
    assert!(error.message.contains("too many statements"), "{error:?}");
    assert_eq!(stage.fake.jobs(), 1, "it is not repeated within the call");
    let before = calls(&stage.fake);
    for _ in 0..20 {
        let seen = client.get(&task(), &handle).await.unwrap();
        assert!(!seen.message.contains("last known"), "{}", seen.message);
    }
    assert_eq!(calls(&stage.fake) - before, 20);
    client.delete(&task(), &handle).await.unwrap();
    client.create(&other).await.unwrap();
    assert_eq!(stage.fake.jobs(), 2);
}

#[tokio::test]
async fn an_abort_cancels_the_statement_and_an_abort_of_an_ended_one_succeeds() {
    for dialect in Dialect::ALL {
        let ending = Ending::Stuck("STARTED".to_owned());
        let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
        let client = stage.client(dialect).await;
        let handle = client.create(&task()).await.unwrap();
        client.delete(&task(), &handle).await.unwrap();
        assert_eq!(stage.fake.states(), ["ABORTED"]);
        client.delete(&task(), &handle).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_refused_and_nobody_is_called() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = stage::replica::<Redshift>(
        &url,
        &["--secrets=arn:aws:secretsmanager:eu-central-1:1:secret:a"],
    )
    .await;
    for (custom, message) in [
        (json!({"cluster": "theirs"}), "custom.cluster: \"theirs\" is not allowed"),
        (json!({"workgroup": "theirs"}), "custom.workgroup: \"theirs\" is not allowed"),
        (
            json!({"cluster": "dwh", "workgroup": "sales"}),
            "custom.workgroup: a task cannot have both",
        ),
        (json!({}), "custom.cluster, custom.workgroup: one of them must be set"),
        (json!({"cluster": "dwh", "database": "hr"}), "custom.database: \"hr\" is not allowed"),
        (
            json!({"cluster": "dwh", "secret": "arn:aws:secretsmanager:eu-central-1:1:secret:b"}),
            "custom.secret: ",
        ),
        (json!({"cluster": "dwh", "db_user": "root"}), "custom.db_user: \"root\" is not allowed"),
        (json!({"workgroup": "sales", "db_user": "root"}), "custom.db_user: on a workgroup"),
        (json!({"cluster": "dwh", "region": "us-east-1"}), "custom.region: "),
        (json!({"cluster": "dwh", "region": "evil.example/"}), "custom.region: "),
        (
            json!({"cluster": "dwh", "role": "arn:aws:iam::111122223333:role/admin"}),
            "custom.role: ",
        ),
        (json!({"cluster": "dwh", "endpoint": url.clone()}), "endpoint"),
        (json!({"cluster": "dwh", "token": "x"}), "token"),
        (json!({"cluster": "dwh", "aws_secret_access_key": "x"}), "aws_secret_access_key"),
    ] {
        for dialect in Dialect::ALL {
            let client = service.client(dialect, "propeller").await;
            let task = single(custom.clone());
            let told = stage::refusal(&client, &task).await;
            assert!(told.contains(message), "{custom} {dialect:?}: {told}");
        }
    }
    let accepted = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(accepted.is_err(), "nothing connects");
}

/// Twelve calls are the fewest: a hundred statements in each, and one for each state that none is in.
#[tokio::test]
async fn a_thousand_new_statements_that_are_polled_at_once_take_few_calls() {
    let args = ["--connection-age=1h", "--poll-freshness=30s"];
    let ending = Ending::Stuck("STARTED".to_owned());
    let stage = Stage::set_with(Options { ending, ..Options::default() }, &args).await;
    let client = stage.client(Dialect::Flyte1).await;
    let task = |number| stage::attempt(task(), number);
    let handles = stage::create_all(&client, (0..1000).map(task)).await;
    assert_eq!(stage.fake.jobs(), 1000);
    let before = calls(&stage.fake);
    let phases = stage::poll_all(&client, &task(0), &handles).await;
    let (made, alone) = (calls(&stage.fake) - before, stage.fake.calls("DescribeStatement"));
    println!("Redshift: {} polls, {made} calls upstream, {alone} of one statement", phases.len());
    assert!(made > alone && made <= 40, "{made} calls");
    assert!(phases.iter().all(|phase| phase == "QUEUED" || phase == "RUNNING"), "{phases:?}");
    assert_eq!(stage.fake.breaches(), [""; 0]);
}

fn calls(fake: &FakeRedshift) -> usize {
    fake.calls("DescribeStatement") + fake.calls("ListStatements")
}
