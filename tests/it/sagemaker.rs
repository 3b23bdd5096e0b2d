//! SageMaker: a task is one job, whatever the network and AWS do.

mod boto;
mod differences;
mod names;

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        aws::{Call, Outage},
        sagemaker::{Ending, Options, SageMaker},
    },
    golden::{Flyte, Golden},
};

use crate::{
    aws::stage::{self, attempt, golden},
    replay,
};

type Stage = stage::Stage<SageMaker>;

impl stage::Staged for SageMaker {
    type Plugin = ::sagemaker::SageMaker;
    const ARGS: &'static [&'static str] =
        &["--execution-roles=arn:aws:iam::111122223333:role/ml-*"];
}

fn ending(ending: Ending) -> Options {
    Options { ending, ..Options::default() }
}

/// A training task whose request has `more` members.
fn with(more: &Json) -> Json {
    let mut task = golden("sm_training");
    let config = task["template"]["custom"]["config"].as_object_mut().unwrap();
    config.extend(more.as_object().unwrap().clone());
    task
}

/// Checks that `sent` is what flytekit's connector sends for the request `name`, but for what [`comparable`] leaves out.
fn check_official(name: &str, sent: &Call) {
    let official = Golden::official(Flyte::V1, name).unwrap();
    let method = official["method"].as_str().unwrap().replace('_', "");
    assert_eq!(sent.operation.to_lowercase(), method, "{name}");
    let of = |request: &Json| comparable(&sent.operation, request);
    assert_eq!(of(&sent.input), of(&official["request"]), "{name}");
}

/// A request without what the service has of its own: the attempt's token in the name, tags, text in place of numbers among
/// hyperparameters (boto3 refuses numbers there), and Flyte's variables for tasks' own code, one of which the connector always sets.
fn comparable(operation: &str, request: &Json) -> Json {
    let mut request = request.clone();
    let name = match operation {
        "CreateInferenceRecommendationsJob" => "JobName".to_owned(),
        other => format!("{}Name", other.trim_start_matches("Create")),
    };
    let members = request.as_object_mut().unwrap();
    assert!(members.remove(&name).is_some(), "{name}");
    let is_own = |tag: &Json| tag["Key"].as_str().unwrap().starts_with("outrigger-");
    let tags = members.remove("Tags").unwrap_or_default();
    let tags = tags.as_array().into_iter().flatten().filter(|tag| !is_own(tag));
    let tags = tags.cloned().collect::<Json>();
    members.insert("Tags".to_owned(), tags);
    for value in
        members.get_mut("HyperParameters").and_then(Json::as_object_mut).into_iter().flatten()
    {
        if value.1.is_number() {
            *value.1 = value.1.to_string().into();
        }
    }
    if let Some(variables) = members.get_mut("Environment").and_then(Json::as_object_mut) {
        variables.retain(|name, _| !name.starts_with("FLYTE_"));
    }
    request
}

#[tokio::test]
async fn every_request_of_flytekit_runs() {
    let all = Golden::all(Flyte::V1, "sm_").unwrap();
    assert_eq!(all.len(), 8);
    let stage = Stage::set().await;
    for golden in all {
        let handle = replay::send(&stage.service, &golden).await.unwrap();
        let seen = replay::poll_to_the_end(&stage.service, &golden, &handle).await;
        let name = golden.name.as_str();
        assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message);
        assert_eq!(stage.fake.breaches(), [""; 0], "{name}");
        let outputs = seen.outputs.map(|outputs| format!("{outputs:?}")).unwrap_or_default();
        assert_eq!(outputs.contains("result"), !name.ends_with("_code"), "{name}: {outputs}");
        let sent = stage.fake.submitted().pop().unwrap();
        check_official(name, &sent);
        let sent = json!({ "operation": sent.operation, "input": sent.input });
        insta::assert_json_snapshot!(format!("v1_{name}"), sent);
    }
}

#[tokio::test]
async fn a_job_goes_through_its_phases_with_links_to_console_and_logs() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let (client, task) = (stage.client(dialect).await, golden("sm_training"));
        let handle = client.create(&task).await.unwrap();
        let mut seen = Vec::new();
        while seen.last().is_none_or(|(phase, _)| phase != "SUCCEEDED") {
            let status = client.get(&task, &handle).await.unwrap();
            seen.push((status.phase.clone(), format!("{status:?}")));
        }
        let phases = seen.iter().map(|(phase, _)| phase.as_str()).collect::<Vec<_>>();
        assert_eq!(phases, ["INITIALIZING", "INITIALIZING", "RUNNING", "SUCCEEDED"]);
        assert!(seen[0].1.contains("Starting: as scripted"), "{seen:?}");
        let name = stage.fake.submitted()[0].input["TrainingJobName"].as_str().unwrap().to_owned();
        let console = format!(
            "eu-central-1.console.aws.amazon.com/sagemaker/home?region=eu-central-1#/jobs/{name}"
        );
        let logs =
            format!("$252Faws$252Fsagemaker$252FTrainingJobs$3FlogStreamNameFilter$3D{name}");
        for (_, text) in &seen {
            assert!(text.contains(&console) && text.contains(&logs), "{text}");
        }
        assert!(seen[3].1.contains("model.tar.gz"), "{}", seen[3].1);
    }
}

#[tokio::test]
async fn a_failures_class_decides_whether_flyte_may_retry() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        for (number, (how, phase, text)) in [
            (Ending::failed_script(), "FAILED", "AlgorithmError: ExecuteUserScriptError"),
            (Ending::no_capacity(), "RETRYABLE_FAILED", "Unable to provision"),
            (Ending::out_of_time("MaxRuntimeExceeded"), "FAILED", "MaxRuntimeExceeded"),
        ]
        .into_iter()
        .enumerate()
        {
            stage.fake.end_with(how);
            let seen = stage::run(&client, &attempt(golden("sm_training"), number)).await;
            assert_eq!(seen.phase, phase, "{}", seen.message);
            assert!(seen.message.contains(text), "{}", seen.message);
        }
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
    let own = &["--retryable-failures=AlgorithmError"];
    let stage = Stage::set_with(ending(Ending::failed_script()), own).await;
    let client = stage.client(Dialect::Flyte1).await;
    let seen = stage::run(&client, &golden("sm_training")).await;
    assert_eq!(seen.phase, "RETRYABLE_FAILED");
}

/// A task of each kind.
const KINDS: [&str; 8] = [
    "sm_training",
    "sm_processing",
    "sm_transform",
    "sm_tuning",
    "sm_recommender",
    "sm_endpoint",
    "sm_train_code",
    "sm_clean_code",
];

#[tokio::test]
async fn repeated_creates_are_one_job_of_every_kind() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            for name in [KINDS, KINDS].concat() {
                client.create(&golden(name)).await.unwrap();
            }
        }
        assert_eq!(stage.fake.submitted().len(), KINDS.len(), "{dialect:?}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_one_job() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.lose_answers(1);
        let (client, task) = (stage.client(dialect).await, golden("sm_training"));
        let handle = client.create(&task).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "INITIALIZING");
        assert_eq!(stage.fake.submitted().len(), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn runs_with_the_same_configuration_are_two_jobs() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    for number in 0..2 {
        client.create(&attempt(golden("sm_training"), number)).await.unwrap();
    }
    assert_eq!(stage.fake.count("TrainingJob"), 2);
}

#[tokio::test]
async fn a_name_of_anothers_is_not_adopted() {
    for dialect in Dialect::ALL {
        let plain = with(&json!({"TrainingJobName": "orders"}));
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        // Its own, again.
        for _ in 0..2 {
            client.create(&plain).await.unwrap();
        }
        let theirs = attempt(plain.clone(), 7);
        let message = stage::refusal(&client, &theirs).await;
        assert!(
            message.contains("the training job orders exists, and another made it"),
            "{message}"
        );
        assert_eq!(stage.fake.submitted().len(), 1);
    }
}

#[tokio::test]
async fn a_task_without_a_name_gets_one_of_its_key() {
    for (name, member, length) in
        [("sm_training", "TrainingJobName", 46), ("sm_tuning", "HyperParameterTuningJobName", 32)]
    {
        let stage = Stage::set().await;
        let mut task = golden(name);
        task["template"]["custom"]["config"].as_object_mut().unwrap().remove(member);
        stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
        let made = stage.fake.submitted()[0].input[member].as_str().unwrap().to_owned();
        assert!(made.starts_with("flyte-") && made.len() == length, "{made}");
    }
}

#[tokio::test]
async fn an_account_at_its_limit_has_no_job_and_flyte_submits_again() {
    for dialect in [Dialect::Flyte1, Dialect::Rest] {
        let stage = Stage::set().await;
        let message = "Please use AWS Service Quotas to request an increase for this quota.";
        let limit = Outage::new(400, "ResourceLimitExceeded", message);
        stage.fake.fail_with([limit]);
        let (client, task) = (stage.client(dialect).await, golden("sm_endpoint"));
        let error = format!("{:?}", client.create(&task).await.unwrap_err());
        assert!(error.contains("increase for this quota"), "{error}");
        assert_eq!(stage.fake.calls("CreateEndpoint"), 1, "nothing else is sent at once");
        client.create(&task).await.unwrap();
        assert_eq!(stage.fake.count("Endpoint"), 1);
    }
}

#[tokio::test]
async fn a_throttled_poll_fails_no_job() {
    let stage = Stage::set_with(ending(Ending::Stuck("InProgress".to_owned())), &[]).await;
    let (client, task) = (stage.client(Dialect::Flyte1).await, golden("sm_processing"));
    let handle = client.create(&task).await.unwrap();
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
    stage.fake.fail_with(vec![Outage::throttled(); 20]);
    assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
}

#[tokio::test]
async fn an_unknown_state_is_running_and_counted() {
    let stage = Stage::set_with(ending(Ending::Stuck("InProgress".to_owned())), &[]).await;
    let (client, task) = (stage.client(Dialect::Flyte1).await, golden("sm_training"));
    let handle = client.create(&task).await.unwrap();
    stage.fake.put_into("Hibernating");
    let seen = client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "RUNNING");
    assert!(seen.message.contains("Hibernating"), "{}", seen.message);
}

#[tokio::test]
async fn an_abort_stops_the_job_and_an_abort_of_an_ended_one_changes_nothing() {
    for dialect in Dialect::ALL {
        for (polls, state) in [(3, "stopped"), (0, "completed")] {
            let stage = Stage::set_with(Options { polls, ..Options::default() }, &[]).await;
            let client = stage.client(dialect).await;
            for name in KINDS.into_iter().filter(|name| *name != "sm_endpoint") {
                let task = golden(name);
                let handle = client.create(&task).await.unwrap();
                client.delete(&task, &handle).await.unwrap();
                client.delete(&task, &handle).await.unwrap();
            }
            let states = stage.fake.states();
            assert_eq!(states.len(), KINDS.len() - 1);
            assert!(states.iter().all(|each| each.eq_ignore_ascii_case(state)), "{states:?}");
        }
    }
}

#[tokio::test]
async fn a_delete_leaves_an_endpoint_that_came_up_in_service() {
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(Options { polls: 1, ..Options::default() }, &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("sm_endpoint"));
        let handle = client.create(&task).await.unwrap();
        for phase in ["INITIALIZING", "SUCCEEDED"] {
            assert_eq!(client.get(&task, &handle).await.unwrap().phase, phase);
        }
        // Flyte 2 deletes succeeded tasks an hour after their end.
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.states(), ["InService"], "{dialect:?}");
        assert_eq!(stage.fake.calls("DeleteEndpoint"), 0);
        for state in ["Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed", "Failed"]
        {
            stage.fake.put_into(state);
            client.delete(&task, &handle).await.unwrap();
            assert_eq!(stage.fake.count("Endpoint"), 1, "{state}");
        }
    }
}

#[tokio::test]
async fn an_abort_removes_an_endpoint_that_is_being_made_if_it_is_its_own() {
    for dialect in Dialect::ALL {
        let stage = Stage::set_with(ending(Ending::Stuck("Creating".to_owned())), &[]).await;
        let (client, task) = (stage.client(dialect).await, golden("sm_endpoint"));
        let handle = client.create(&task).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.count("Endpoint"), 0);
        // Flyte repeats a delete whose answer was lost.
        client.delete(&task, &handle).await.unwrap();
        // Somebody makes another one of that name.
        let mut theirs = stage.fake.submitted()[0].input.clone();
        theirs["Tags"] = json!([]);
        stage.fake.make("CreateEndpoint", theirs);
        client.delete(&task, &handle).await.unwrap();
        assert_eq!(stage.fake.count("Endpoint"), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn what_the_operator_does_not_allow_is_refused_and_nobody_is_called() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Rest).await;
    let admin = "arn:aws:iam::111122223333:role/admin";
    let of_redshift = json!([{"InputName": "x", "DatasetDefinition": {
        "RedshiftDatasetDefinition": {"ClusterRoleArn": admin}}}]);
    let mut elsewhere = golden("sm_training");
    elsewhere["template"]["custom"]["region"] = json!("us-east-1");
    let mut code = golden("sm_train_code");
    code["template"]["custom"]["execution_role_arn"] = json!(admin);
    let mut by_input = golden("sm_training");
    by_input["inputs"]["literals"]["region"] =
        json!({"scalar": {"primitive": {"string_value": "us-east-1"}}});
    let mut unknown = golden("sm_training");
    unknown["template"]["custom"]["service"] = json!("iam");
    for (task, message) in [
        (with(&json!({"RoleArn": admin})), "custom.config.RoleArn: jobs may not run as"),
        (
            with(&json!({"ProcessingInputs": of_redshift})),
            "custom.config.ProcessingInputs[0].DatasetDefinition.RedshiftDatasetDefinition.ClusterRoleArn: ",
        ),
        (elsewhere, "custom.region: "),
        (by_input, "inputs.region: "),
        (code, "custom.execution_role_arn: jobs may not run as"),
        (unknown, "service"),
        (
            with(&json!({"Tags": [{"Key": "AWS:x", "Value": "y"}]})),
            "custom.config: the tag \\\"AWS:x\\\": AWS keeps keys",
        ),
        (
            with(&json!({"TrainingJobName": "a_b"})),
            "custom.config.TrainingJobName: \\\"a_b\\\" is not a name",
        ),
        (
            with(&json!({"HyperParameters": {"x": "{inputs.y}"}})),
            "custom.config.HyperParameters.x: inputs.y",
        ),
    ] {
        let error = format!("{:?}", client.create(&task).await.unwrap_err());
        assert!(error.contains(message), "{message}: {error}");
    }
    assert_eq!(stage.fake.calls("CreateTrainingJob"), 0);
}

#[tokio::test]
async fn a_job_without_a_role_has_the_operators() {
    let stage = Stage::set().await;
    let first = "--execution-roles=arn:aws:iam::111122223333:role/ml-default";
    let service = stage.replica(&[first]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    for name in ["sm_training", "sm_tuning"] {
        let mut task = golden(name);
        let config = &mut task["template"]["custom"]["config"];
        for holder in ["", "/TrainingJobDefinition"] {
            if let Some(holder) = config.pointer_mut(holder).and_then(Json::as_object_mut) {
                holder.remove("RoleArn");
            }
        }
        client.create(&task).await.unwrap();
    }
    let sent = stage.fake.submitted();
    let role = "arn:aws:iam::111122223333:role/ml-default";
    assert_eq!(sent[0].input["RoleArn"], role);
    assert_eq!(sent[1].input["TrainingJobDefinition"]["RoleArn"], role);
}
