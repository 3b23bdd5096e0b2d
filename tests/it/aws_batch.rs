//! AWS Batch: a task is one job, whatever the network and AWS do.

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        aws::Outage,
        aws_batch::{AwsBatch, Ending, Options},
    },
    golden::{Flyte, Golden},
};

use crate::{
    aws::stage::{self, golden},
    replay,
};

const TASK_ROLE: &str = "--task-execution-role=arn:aws:iam::111122223333:role/ecs";

type Stage = stage::Stage<AwsBatch>;

impl stage::Staged for AwsBatch {
    type Plugin = ::aws_batch::AwsBatch;
    const ARGS: &'static [&'static str] = &["--job-queues=etl,ml"];
}

fn ending(ending: Ending) -> Options {
    Options { ending, ..Options::default() }
}

/// A task with further keys of `custom`.
fn with(more: Json) -> Json {
    let mut task = golden("aws_minimal");
    let custom = task["template"]["custom"].as_object_mut().unwrap();
    custom.extend(more.as_object().unwrap().clone());
    task
}

#[tokio::test]
async fn every_request_of_the_sdks_runs() {
    let mut all = Golden::all(Flyte::V1, "aws_").unwrap();
    all.extend(Golden::all(Flyte::V2, "aws_").unwrap());
    assert_eq!(all.len(), 4);
    for golden in all {
        let stage = Stage::set_with(Options::default(), &[TASK_ROLE]).await;
        let handle = replay::send(&stage.service, &golden).await.unwrap();
        let seen = replay::poll_to_the_end(&stage.service, &golden, &handle).await;
        let name = golden.name.as_str();
        assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message);
        assert_eq!(stage.fake.breaches(), [""; 0], "{name}");
        let sent = json!({
            "definition": stage.fake.definitions()[0], "job": stage.fake.submitted()[0].input,
        });
        let version = if golden.flyte == Flyte::V1 { "v1" } else { "v2" };
        insta::assert_json_snapshot!(format!("{version}_{name}"), sent);
    }
}

#[tokio::test]
async fn outputs_are_written_where_flyte_looks_for_them() {
    for name in ["aws_minimal", "aws_orders"] {
        let stage = Stage::set().await;
        let task = golden(name);
        stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
        let command = &stage.fake.submitted()[0].input["containerOverrides"]["command"];
        let at = command.as_array().unwrap().iter().position(|arg| arg == "--output-prefix");
        assert_eq!(command[at.unwrap() + 1], task["output_prefix"], "{command}");
    }
}

#[tokio::test]
async fn a_function_of_flyte_2_is_told_its_run_and_action() {
    let golden = Golden::read(Flyte::V2, "aws_ours").unwrap();
    let stage = Stage::set().await;
    replay::send(&stage.service, &golden).await.unwrap();
    let command = stage.fake.submitted()[0].input["containerOverrides"]["command"].clone();
    let command = command.as_array().unwrap().iter().map(|one| one.as_str().unwrap());
    let command = command.collect::<Vec<_>>();
    for (option, value) in [
        ("--run-name", "f7a1b2c3"),
        ("--name", "n0"),
        ("--outputs-path", golden.json["output_prefix"].as_str().unwrap()),
    ] {
        let at = command.iter().position(|one| *one == option).unwrap();
        assert_eq!(command[at + 1], value, "{option}");
    }
}

#[tokio::test]
async fn a_job_goes_through_its_phases_with_links_to_console_and_log() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let (client, task) = (stage.client(dialect).await, golden("aws_orders"));
        let handle = client.create(&task).await.unwrap();
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(phase, _)| phase != "SUCCEEDED") {
            let status = client.get(&task, &handle).await.unwrap();
            seen.push((status.phase.clone(), format!("{status:?}")));
        }
        let phases = seen.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>();
        assert_eq!(phases, ["QUEUED", "QUEUED", "INITIALIZING", "RUNNING", "SUCCEEDED"]);
        let id = "876da822-4198-45f2-a252-000000000001";
        let console = format!(
            "eu-central-1.console.aws.amazon.com/batch/home?region=eu-central-1#jobs/detail/{id}"
        );
        assert!(seen.iter().all(|(_, text)| text.contains(&console)), "{seen:?}");
        let log = "log-group/$252Faws$252Fbatch$252Fjob/log-events/flyte-etl$252Fdefault$252F1f2e3d4c5b6a";
        assert!(seen[3].1.contains(log) && seen[4].1.contains(log), "{seen:?}");
    }
}

#[tokio::test]
async fn reasons_and_exit_codes_decide_whether_flyte_may_retry() {
    for dialect in Dialect::ALL {
        for (how, args, phase, text) in [
            (Ending::failed_code(), &[][..], "RETRYABLE_FAILED", "EXIT_1: Essential container"),
            (Ending::failed_code(), &["--failed-jobs=final"], "FAILED", "EXIT_1: Essential"),
            (Ending::lost_host(), &["--failed-jobs=final"], "RETRYABLE_FAILED", "Host EC2"),
            (Ending::misconfigured(), &[], "FAILED", "MISCONFIGURATION:JOB_RESOURCE"),
        ] {
            let stage = Stage::set_with(ending(how), args).await;
            let seen = stage::run(&stage.client(dialect).await, &golden("aws_minimal")).await;
            let message = seen.message;
            assert_eq!(seen.phase, phase, "{message}");
            assert!(message.contains(text), "{message}");
            assert_eq!(stage.fake.breaches(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn repeated_creates_are_one_job() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            client.create(&golden("aws_orders")).await.unwrap();
            client.create(&golden("aws_orders")).await.unwrap();
        }
        assert_eq!(stage.fake.jobs(), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn creates_that_reach_a_replica_at_the_same_time_are_one_job() {
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(ending(Ending::Stuck("RUNNABLE".to_owned())), &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("aws_orders"));
        let creates = (0..10).map(|_| client.create(&task));
        for handle in futures_util::future::join_all(creates).await {
            assert_eq!(client.get(&task, &handle.unwrap()).await.unwrap().phase, "QUEUED");
        }
        assert_eq!((stage.fake.jobs(), stage.fake.definitions().len()), (1, 1), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_job_is_found_on_a_later_page_of_the_queues_list() {
    let options = Options { page: 1, ..Options::default() };
    let stage = Stage::set_with(options, &[]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let tasks = (0..3).map(|number| stage::attempt(golden("aws_orders"), number));
    let tasks = tasks.collect::<Vec<_>>();
    for task in tasks.iter().chain(&tasks) {
        client.create(task).await.unwrap();
    }
    assert_eq!(stage.fake.jobs(), 3);
}

#[tokio::test]
async fn a_list_that_is_too_long_to_read_is_no_reason_for_a_second_job() {
    for dialect in Dialect::ALL {
        let options = Options { page: 1, ..Options::default() };
        let stage = Stage::set_with(options, &[]).await;
        let client = stage.client(dialect).await;
        let task = |number| stage::attempt(golden("aws_orders"), number);
        for number in 0..20 {
            client.create(&task(number)).await.unwrap();
        }
        // The twentieth page says that there is another.
        let error = client.create(&task(20)).await.unwrap_err();
        assert!(error.message.contains("has more than 20 pages"), "{error:?}");
        assert_eq!((stage.fake.jobs(), stage.fake.calls("SubmitJob")), (20, 20), "{dialect}");
        client.create(&task(19)).await.unwrap();
        assert_eq!(stage.fake.jobs(), 20, "{dialect}");
    }
}

#[tokio::test]
async fn a_poll_believes_no_answer_about_another_job() {
    for dialect in Dialect::ALL {
        let options = Options { states: Vec::new(), ..Options::default() };
        let stage = Stage::set_with(options, &[]).await;
        let client = stage.client(dialect).await;
        let (theirs, task) = (golden("aws_minimal"), stage::attempt(golden("aws_orders"), 1));
        let other = client.create(&theirs).await.unwrap();
        let handle = client.create(&task).await.unwrap();
        stage.fake.describe_first();
        assert_eq!(client.get(&theirs, &other).await.unwrap().phase, "SUCCEEDED");
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "QUEUED", "{dialect}");
    }
}

#[tokio::test]
async fn a_submit_whose_answer_is_lost_is_one_job() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.lose_answers(1);
        let (client, task) = (stage.client(dialect).await, golden("aws_orders"));
        let handle = client.create(&task).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "QUEUED");
        assert_eq!(stage.fake.calls("SubmitJob"), 1, "{dialect:?}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn jobs_of_an_image_share_a_definition() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    for number in 0..3 {
        let task = stage::attempt(golden("aws_orders"), number);
        client.create(&task).await.unwrap();
    }
    assert_eq!((stage.fake.jobs(), stage.fake.definitions().len()), (3, 1));
    let mut task = golden("aws_orders");
    task["output_prefix"] = json!("s3://my-bucket/metadata/run-9/n0/data/0");
    task["template"]["container"]["image"] = json!("registry.example.com/etl:2");
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.definitions().len(), 2);
}

#[tokio::test]
async fn the_container_has_the_executions_role_if_the_operator_allows_it() {
    let allowed = "--execution-roles=arn:aws:iam::111122223333:role/etl-*";
    let stage = Stage::set_with(Options::default(), &[allowed]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut task = golden("aws_orders");
    let role = "arn:aws:iam::111122223333:role/etl-orders";
    task["task_execution_metadata"]["identity"] = json!({ "iam_role": role });
    client.create(&task).await.unwrap();
    assert_eq!(stage.fake.definitions()[0]["containerProperties"]["jobRoleArn"], role);
    task["task_execution_metadata"]["identity"]["iam_role"] =
        json!("arn:aws:iam::111122223333:role/admin");
    task["output_prefix"] = json!("s3://my-bucket/metadata/run-2/n0/data/0");
    let message = stage::refusal(&client, &task).await;
    let expected = "task_execution_metadata.identity.iam_role: jobs may not run as";
    assert!(message.contains(expected), "{message}");
}

#[tokio::test]
async fn a_throttled_poll_fails_no_job() {
    let stage = Stage::set_with(ending(Ending::Stuck("RUNNING".to_owned())), &[]).await;
    let (client, task) = (stage.client(Dialect::Flyte1).await, golden("aws_orders"));
    let handle = client.create(&task).await.unwrap();
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
    let throttled = Outage::new(429, "TooManyRequestsException", "Too Many Requests");
    stage.fake.fail_with(vec![throttled; 20]);
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
}

#[tokio::test]
async fn an_abort_terminates_the_job_and_an_abort_of_an_ended_one_changes_nothing() {
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(ending(Ending::Stuck("RUNNABLE".to_owned())), &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("aws_orders"));
        let handle = client.create(&task).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.states(), ["FAILED"]);
        client.delete(&task, &handle).await.unwrap();
        let stage =
            Stage::set_with(Options { states: Vec::new(), ..Options::default() }, &[]).await;
        let client = stage.client(dialect).await;
        let handle = client.create(&task).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.states(), ["SUCCEEDED"]);
    }
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_refused_and_nobody_is_called() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Rest).await;
    for (more, message) in [
        (json!({"jobQueue": "theirs"}), "custom.jobQueue: \"theirs\" is not allowed"),
        (json!({"region": "us-east-1"}), "custom.region: "),
        (json!({"role": "arn:aws:iam::111122223333:role/admin"}), "custom.role: "),
        (json!({"jobRole": "arn:aws:iam::111122223333:role/admin"}), "custom.jobRole: "),
        (json!({"platformCapabilities": "FARGATE"}), "custom.platformCapabilities: FARGATE needs"),
        (json!({"noSuchKey": 1}), "noSuchKey"),
        (json!({"tags": {"aws:x": "y"}}), "custom.tags: \"aws:x\": AWS keeps keys"),
        (json!({"arrayProperties": {"size": 2}}), "arrayProperties"),
        (json!({"schedulingPriority": 10_000}), "custom.schedulingPriority: 10000 is more than"),
    ] {
        let error = client.create(&with(more.clone())).await.unwrap_err();
        let error = format!("{error:?}").replace("\\\"", "\"");
        assert!(error.contains(message), "{more}: {error}");
    }
    let mut task = golden("aws_minimal");
    task["template"]["config"]["dynamic_queue"] = json!("theirs");
    let error = format!("{:?}", client.create(&task).await.unwrap_err());
    assert!(error.contains("template.config.dynamic_queue: "), "{error}");
    let calls = ["ListJobs", "DescribeJobDefinitions", "RegisterJobDefinition", "SubmitJob"];
    assert_eq!(calls.map(|name| stage.fake.calls(name)), [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_thousand_polls_at_once_are_few_calls() {
    let stuck = ending(Ending::Stuck("RUNNING".to_owned()));
    let stage = Stage::set_with(stuck, &["--poll-freshness=60s"]).await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut handles = Vec::new();
    for number in 0..120 {
        let task = stage::attempt(golden("aws_orders"), number);
        handles.push((client.create(&task).await.unwrap(), task));
    }
    let (mut polls, before) = (Vec::new(), stage.fake.calls("DescribeJobs"));
    for _ in 0..10 {
        for (handle, task) in &handles {
            polls.push(client.get(task, handle));
        }
    }
    for seen in futures_util::future::join_all(polls).await {
        assert_eq!(seen.unwrap().phase, "RUNNING");
    }
    let made = stage.fake.calls("DescribeJobs") - before;
    assert!(made <= 100, "{made} calls for 1200 polls");
    assert_eq!(stage.fake.breaches(), [""; 0]);
}
