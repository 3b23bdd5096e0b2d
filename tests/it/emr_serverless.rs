//! EMR Serverless: a task is one run, whatever the network and AWS do.

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        aws::Outage,
        emr_serverless::{Application, EmrServerless, Ending, Options},
    },
    golden::{Flyte, Golden},
};

use crate::{
    aws::stage::{self, golden},
    replay,
};

const APPLICATION: &str = "00f1r2v3abcdef09";
const IMAGE: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/etl:1.4";
const ENTRYPOINT: &str = "--entrypoint=s3://acme-etl/flyte/entrypoint.py";

type Stage = stage::Stage<EmrServerless>;

impl stage::Staged for EmrServerless {
    type Plugin = ::emr_serverless::EmrServerless;
    const ARGS: &'static [&'static str] =
        &["--execution-roles=arn:aws:iam::111122223333:role/etl-*"];
}

fn with(applications: Vec<Application>) -> Options {
    Options { applications, ..Options::default() }
}

/// A Spark script with further keys of `custom`.
fn script(more: Json) -> Json {
    let mut task = golden("emr_minimal");
    let custom = task["template"]["custom"].as_object_mut().unwrap();
    custom.extend(more.as_object().unwrap().clone());
    task
}

#[tokio::test]
async fn every_request_of_the_sdks_runs() {
    let mut all = Golden::all(Flyte::V1, "emr_").unwrap();
    all.extend(Golden::all(Flyte::V2, "emr_").unwrap());
    assert_eq!(all.len(), 7);
    for golden in all {
        let applications = vec![
            Application::new(APPLICATION, "etl").with_image(IMAGE),
            Application::new("00f1r2v3abcdef0a", "etl-new").with_image(IMAGE),
        ];
        let stage = Stage::set_with(with(applications), &[ENTRYPOINT]).await;
        let handle = replay::send(&stage.service, &golden).await.unwrap();
        let seen = replay::poll_to_the_end(&stage.service, &golden, &handle).await;
        let name = golden.name.as_str();
        assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message);
        assert_eq!(stage.fake.breaches(), [""; 0], "{name}");
        let version = if golden.flyte == Flyte::V1 { "v1" } else { "v2" };
        let (sent, token) = stage.fake.submitted()[0].without("clientToken");
        assert_eq!(token.len(), 64, "{name}");
        insta::assert_json_snapshot!(format!("{version}_{name}"), sent);
    }
}

#[tokio::test]
async fn a_script_has_no_outputs_and_code_writes_its_own() {
    for (name, outputs) in [("emr_spark", json!({})), ("emr_code", Json::Null)] {
        for dialect in Dialect::ALL {
            let applications = vec![Application::new(APPLICATION, "etl").with_image(IMAGE)];
            let stage = Stage::set_with(with(applications), &[ENTRYPOINT]).await;
            let (client, task) = (stage.client(dialect).await, golden(name));
            let handle = client.create(&task).await.unwrap();
            let seen = loop {
                let seen = client.get(&task, &handle).await.unwrap();
                if seen.phase == "SUCCEEDED" {
                    break seen;
                }
            };
            assert_eq!(seen.outputs, outputs, "{name} {dialect}");
            assert_eq!(seen.custom_info["execution_seconds"], 61, "{name} {dialect}");
            assert_eq!(seen.custom_info["application_id"], APPLICATION, "{name} {dialect}");
        }
    }
}

#[tokio::test]
async fn administrators_variables_reach_spark() {
    let stage = Stage::set().await;
    let mut task = golden("emr_spark");
    task["task_execution_metadata"]["environment_variables"] =
        json!({"STAGE": "prod", "SPACED": "a b"});
    stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    let driver = stage.fake.submitted()[0].input["jobDriver"].to_string();
    assert!(driver.contains("--conf spark.executorEnv.STAGE=prod"), "{driver}");
    assert!(!driver.contains("SPACED"), "{driver}");
}

#[tokio::test]
async fn links_lead_to_the_run_and_to_its_logs() {
    let stage = Stage::set().await;
    let (client, task) = (stage.client(Dialect::Rest).await, golden("emr_spark"));
    let handle = client.create(&task).await.unwrap();
    let seen = format!("{:?}", client.get(&task, &handle).await.unwrap());
    for part in [
        "https://eu-central-1.console.aws.amazon.com/emr/home?region=eu-central-1#/serverless/00f1r2v3abcdef09/jobs/00f1r2v900000001",
        "#logsV2:log-groups/log-group/$252Facme$252Fetl$3FlogStreamNameFilter$3Dapplications$252F00f1r2v3abcdef09$252Fjobs",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    assert_eq!(stage.fake.calls("GetDashboardForJobRun"), 0);
}

#[tokio::test]
async fn failures_have_awss_details_and_capacity_is_tried_again() {
    for dialect in Dialect::ALL {
        for (ending, phase, text) in [
            (Ending::failed_script(), "FAILED", "please check complete logs"),
            (Ending::no_capacity(), "RETRYABLE_FAILED", "maximumCapacity"),
            (Ending::timeout(), "FAILED", "CANCELLED: Job timed out."),
        ] {
            let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
            let seen = stage::run(&stage.client(dialect).await, &golden("emr_spark")).await;
            let message = seen.message;
            assert_eq!(seen.phase, phase, "{message}");
            assert!(message.contains(text), "{message}");
            assert_eq!(stage.fake.breaches(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn repeated_creates_are_one_run() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            client.create(&golden("emr_spark")).await.unwrap();
            client.create(&golden("emr_spark")).await.unwrap();
        }
        assert_eq!((stage.fake.jobs(), stage.fake.repeats()), (1, 3), "{dialect:?}");
    }
}

#[tokio::test]
async fn creates_at_the_same_time_are_one_run() {
    let stage = Stage::set().await;
    let other = stage.replica(&[]).await;
    let mut clients = Vec::new();
    for dialect in Dialect::ALL {
        clients.push(stage.client(dialect).await);
        clients.push(other.client(dialect, "propeller").await);
    }
    let task = golden("emr_spark");
    for handle in futures_util::future::join_all(clients.iter().map(|one| one.create(&task))).await
    {
        handle.unwrap();
    }
    assert_eq!(stage.fake.jobs(), 1);
    // Another request of the same attempt starts nothing, and says so.
    let mut other = task.clone();
    other["template"]["custom"]["spark_job_driver"]["entryPoint"] = json!("s3://acme-etl/other.py");
    let message = stage::refusal(&clients[0], &other).await;
    assert!(message.contains("token was used with other parameters"), "{message}");
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn lost_answers_and_throttles_are_one_run() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.fail_with([Outage::throttled()]);
        stage.fake.lose_answers(1);
        stage.client(dialect).await.create(&golden("emr_spark")).await.unwrap();
        assert_eq!(stage.fake.jobs(), 1, "{dialect:?}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_throttled_poll_fails_no_run() {
    let ending = Ending::Stuck("RUNNING".to_owned());
    let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
    let (client, task) = (stage.client(Dialect::Flyte1).await, golden("emr_spark"));
    let handle = client.create(&task).await.unwrap();
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
    stage.fake.fail_with(vec![Outage::throttled(); 20]);
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
}

#[tokio::test]
async fn an_abort_cancels_the_run_and_an_abort_of_an_ended_one_succeeds() {
    for dialect in Dialect::ALL {
        let ending = Ending::Stuck("RUNNING".to_owned());
        let stage = Stage::set_with(Options { ending, ..Options::default() }, &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("emr_spark"));
        let handle = client.create(&task).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.states(), ["CANCELLED"]);
        client.delete(&task, &handle).await.unwrap();
    }
}

#[tokio::test]
async fn an_application_is_found_by_its_name_if_it_is_the_only_one() {
    let two = vec![
        Application::new("00f1r2v3abcdef0a", "etl"),
        Application::new("00f1r2v3abcdef0b", "ml"),
        Application::new("00f1r2v3abcdef0c", "ml"),
        Application::new("a1", "odd"),
    ];
    let stage = Stage::set_with(with(two), &[]).await;
    let client = stage.client(Dialect::Rest).await;
    client.create(&script(json!({"application_name": "etl"}))).await.unwrap();
    assert_eq!(stage.fake.submitted()[0].input["applicationId"], "00f1r2v3abcdef0a");
    let task = stage::attempt(script(json!({"application_id": "a1"})), 1);
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.submitted()[1].input["applicationId"], "a1");
    for (name, message) in [
        ("a1", "no application in eu-central-1 is called"),
        ("ml", "use the id of one: 00f1r2v3abcdef0b, 00f1r2v3abcdef0c"),
        ("bi", "no application in eu-central-1 is called"),
    ] {
        let error = client.create(&script(json!({"application_name": name}))).await.unwrap_err();
        assert!(format!("{error:?}").contains(message), "{error:?}");
    }
}

#[tokio::test]
async fn a_stopped_application_is_started_and_the_create_repeated() {
    for dialect in Dialect::ALL {
        let stopped = Application::new(APPLICATION, "etl").without_auto_start();
        let stage = Stage::set_with(with(vec![stopped.in_state("STOPPED", 0)]), &[]).await;
        stage.client(dialect).await.create(&golden("emr_spark")).await.unwrap();
        let requests = ["StartApplication", "StartJobRun"].map(|name| stage.fake.calls(name));
        assert_eq!(requests, [1, 2], "{dialect}");
        assert_eq!(stage.fake.jobs(), 1);
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_submit_is_repeated_if_its_application_came_up_right_after_the_refusal() {
    for dialect in Dialect::ALL {
        // The next look finds it started.
        let starting = Application::new(APPLICATION, "etl").in_state("STARTING", 0);
        let stage = Stage::set_with(with(vec![starting]), &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("emr_spark"));
        let handle = client.create(&task).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "QUEUED");
        let requests = ["GetApplication", "StartJobRun"].map(|name| stage.fake.calls(name));
        assert_eq!((requests, stage.fake.jobs()), ([1, 2], 1), "{dialect}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_look_at_the_application_that_is_not_allowed_hides_no_refusal() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.fail_with([
            Outage::new(400, "ValidationException", "the entry point is no URI"),
            Outage::new(403, "AccessDeniedException", "not authorized to GetApplication"),
        ]);
        let message = stage::refusal(&stage.client(dialect).await, &golden("emr_spark")).await;
        assert!(message.contains("the entry point is no URI"), "{dialect}: {message}");
        assert_eq!(stage.fake.jobs(), 0);
    }
}

#[tokio::test]
async fn an_application_that_starts_by_itself_is_left_alone() {
    let stopped = Application::new(APPLICATION, "etl").in_state("STOPPED", 0);
    let stage = Stage::set_with(with(vec![stopped]), &[]).await;
    stage.client(Dialect::Flyte1).await.create(&golden("emr_spark")).await.unwrap();
    let requests = ["GetApplication", "StartApplication"].map(|name| stage.fake.calls(name));
    assert_eq!(requests, [0, 0]);
}

#[tokio::test]
async fn an_application_that_takes_too_long_is_an_error_that_says_so() {
    let slow = Application::new(APPLICATION, "etl").in_state("STARTING", 1000);
    let stage = Stage::set_with(with(vec![slow]), &["--request-timeout=4s"]).await;
    let error = stage.client(Dialect::Flyte1).await.create(&golden("emr_spark")).await.unwrap_err();
    assert!(format!("{error:?}").contains("is starting, which may take minutes"), "{error:?}");
    assert_eq!(stage.fake.jobs(), 0);
}

#[tokio::test]
async fn a_deleted_application_is_a_failure_with_awss_message() {
    let gone = Application::new(APPLICATION, "etl").in_state("TERMINATED", 0);
    let stage = Stage::set_with(with(vec![gone]), &[]).await;
    let message = stage::refusal(&stage.client(Dialect::Flyte1).await, &golden("emr_spark")).await;
    assert!(message.contains("is in TERMINATED state"), "{message}");
}

#[tokio::test]
async fn code_runs_on_its_own_image_or_not_at_all() {
    let stage = Stage::set_with(Options::default(), &[ENTRYPOINT]).await;
    let client = stage.client(Dialect::Rest).await;
    let error = client.create(&golden("emr_code")).await.unwrap_err();
    let message =
        format!("the task needs {IMAGE}, but the application {APPLICATION} has AWS's own image");
    assert!(format!("{error:?}").contains(&message), "{error:?}");
    let mut task = golden("emr_code");
    task["template"]["custom"]["sync_image"] = false.into();
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.jobs(), 1);
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_refused_and_nobody_is_called() {
    let stage = Stage::set_with(Options::default(), &["--applications=etl,ml"]).await;
    let client = stage.client(Dialect::Rest).await;
    for (more, message) in [
        (
            json!({"application_name": "theirs"}),
            "custom.application_name: \\\"theirs\\\" is not allowed",
        ),
        (
            json!({"execution_role_arn": "arn:aws:iam::111122223333:role/admin"}),
            "custom.execution_role_arn: jobs may not run as",
        ),
        (json!({"region": "us-east-1"}), "custom.region: "),
        (json!({"role": "arn:aws:iam::111122223333:role/admin"}), "custom.role: "),
        (json!({"no_such_key": 1}), "no_such_key"),
        (json!({"tags": {"aws:x": "y"}}), "custom.tags: \\\"aws:x\\\": AWS keeps keys"),
        (
            json!({"spark_job_driver": ["s3://a/b.py", ["x"], "--conf a=b"]}),
            "custom.spark_job_driver: invalid type: sequence, expected an object",
        ),
    ] {
        let error = client.create(&script(more.clone())).await.unwrap_err();
        let error = format!("{error:?}");
        assert!(
            error.contains(message) || error.contains(&message.replace("\\\"", "\"")),
            "{more}: {error}"
        );
    }
    let error = client.create(&golden("emr_code")).await.unwrap_err();
    assert!(format!("{error:?}").contains("is not allowed"), "{error:?}");
    let calls = ["StartJobRun", "ListApplications", "GetApplication"];
    assert_eq!(calls.map(|name| stage.fake.calls(name)), [0, 0, 0]);
}

#[tokio::test]
async fn a_thousand_polls_at_once_are_few_calls() {
    let ending = Ending::Stuck("RUNNING".to_owned());
    let stage =
        Stage::set_with(Options { ending, ..Options::default() }, &["--poll-freshness=60s"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut handles = Vec::new();
    for number in 0..100 {
        let task = stage::attempt(golden("emr_spark"), number);
        handles.push((client.create(&task).await.unwrap(), task));
    }
    let calls =
        || ["GetJobRun", "ListJobRuns"].map(|name| stage.fake.calls(name)).iter().sum::<usize>();
    let (mut polls, before) = (Vec::new(), calls());
    for _ in 0..10 {
        for (handle, task) in &handles {
            polls.push(client.get(task, handle));
        }
    }
    for seen in futures_util::future::join_all(polls).await {
        assert_eq!(seen.unwrap().phase, "RUNNING");
    }
    let made = calls() - before;
    assert!(made <= 100, "{made} calls for 1000 polls");
    assert_eq!(stage.fake.breaches(), [""; 0]);
}
