//! `boto` tasks: calls that are answered at once.

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::fakes::sagemaker::Options;

use super::{Stage, check_official, with};
use crate::aws::stage::{self, attempt, golden};

/// `boto` tasks are answered within the call, which Flyte 2 cannot make.
const SYNC: [Dialect; 2] = [Dialect::Flyte1, Dialect::Rest];

/// `task` with the text `value` as its input `name`.
fn with_input(mut task: Json, name: &str, value: &str) -> Json {
    task["inputs"]["literals"][name] = json!({"scalar": {"primitive": {"string_value": value}}});
    task
}

/// The token in a name of flytekit's workflow.
fn token(name: &str) -> &str {
    name.strip_prefix("orders-").unwrap()
}

#[tokio::test]
async fn flytekits_workflows_make_a_deployment_and_delete_it() {
    for dialect in SYNC {
        let options = Options { polls: 1, needs_parts: true, ..Options::default() };
        let stage = Stage::set_with(options, &[]).await;
        let client = stage.client(dialect).await;
        let mut names = Vec::<String>::new();
        for (name, member) in
            [("smb_model", "ModelName"), ("smb_endpoint_config", "EndpointConfigName")]
        {
            let task = match names.last() {
                Some(made) => with_input(golden(name), "idempotence_token", token(made)),
                None => golden(name),
            };
            let seen = client.execute(&task).await.unwrap();
            assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
            let sent = stage.fake.submitted().pop().unwrap();
            if names.is_empty() {
                check_official(name, &sent);
            }
            let made = sent.input[member].clone();
            let made = made.as_str().unwrap().to_owned();
            let outputs = seen.outputs.to_string();
            assert!(outputs.contains(token(&made)), "{outputs}");
            names.push(made);
        }
        let endpoint = with_input(golden("sm_endpoint"), "idempotence_token", token(&names[1]));
        let seen = stage::run(&client, &endpoint).await;
        assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
        let endpoint = stage.fake.submitted()[2].input["EndpointName"].as_str().unwrap().to_owned();
        let image = &stage.fake.submitted()[0].input["PrimaryContainer"]["Image"];
        let registry = "746233611703.dkr.ecr.eu-central-1.amazonaws.com";
        assert_eq!(*image, format!("{registry}/sagemaker-tritonserver:21.08-py3"));
        for (task, input, name) in [
            ("smb_delete_endpoint", "endpoint_name", &endpoint),
            ("smb_delete_endpoint_config", "endpoint_config_name", &names[1]),
            ("smb_delete_model", "model_name", &names[0]),
        ] {
            // Another attempt finds nothing, which is what was asked for.
            for number in 0..2 {
                let task = attempt(with_input(golden(task), input, name), number);
                let seen = client.execute(&task).await.unwrap();
                assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
            }
        }
        assert!(stage.fake.states().is_empty(), "{:?}", stage.fake.states());
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn a_repeated_call_makes_one_model_and_only_the_same_definition_is_adopted() {
    for dialect in SYNC {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        stage.fake.lose_answers(1);
        for _ in 0..2 {
            assert_eq!(client.execute(&golden("smb_model")).await.unwrap().phase, "SUCCEEDED");
        }
        assert_eq!(stage.fake.count("Model"), 1);
        let mut plain = golden("smb_model");
        plain["template"]["custom"]["config"]["ModelName"] = json!("orders");
        for number in 0..2 {
            let seen = client.execute(&attempt(plain.clone(), number)).await.unwrap();
            assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
            assert!(seen.outputs.to_string().contains("ModelArn"), "{}", seen.outputs);
        }
        assert_eq!(stage.fake.count("Model"), 2);
        let other = with_input(attempt(plain, 3), "model_path", "s3://acme-ml/other.tar.gz");
        let message = match client.execute(&other).await {
            Ok(seen) => format!("{} {}", seen.phase, seen.message),
            Err(error) => format!("{error:?}"),
        };
        assert!(message.contains("the model orders exists, and another made it"), "{message}");
    }
}

#[tokio::test]
async fn a_description_is_passed_on_with_its_times_in_words() {
    let stage = Stage::set_with(Options { polls: 0, ..Options::default() }, &[]).await;
    let client = stage.client(Dialect::Rest).await;
    client.create(&with(&json!({"TrainingJobName": "orders-1"}))).await.unwrap();
    let seen = client.execute(&golden("smb_describe")).await.unwrap();
    let outputs = seen.outputs.to_string();
    assert!(outputs.contains("2026-03-01T06:30:15.823000+00:00"), "{outputs}");
    // A stop of a job that has ended changes nothing.
    let mut stop = golden("smb_describe");
    stop["template"]["custom"]["method"] = json!("stop_training_job");
    assert_eq!(client.execute(&attempt(stop, 1)).await.unwrap().phase, "SUCCEEDED");
    assert_eq!(stage.fake.calls("StopTrainingJob"), 1);
}

#[tokio::test]
async fn a_method_that_the_operator_does_not_list_is_refused_and_nobody_is_called() {
    let stage = Stage::set_with(Options::default(), &["--boto-methods=delete_model"]).await;
    let client = stage.client(Dialect::Rest).await;
    let mut iam = golden("smb_delete_model");
    iam["template"]["custom"]["service"] = json!("iam");
    for (task, message) in [
        (golden("smb_model"), "custom.method: "),
        (golden("smb_delete_endpoint"), "custom.method: "),
        (iam, "custom.service: "),
    ] {
        let error = format!("{:?}", client.execute(&task).await.unwrap_err());
        assert!(error.contains(message), "{error}");
    }
    let calls = ["CreateModel", "DeleteEndpoint", "DeleteModel"];
    assert_eq!(calls.map(|name| stage.fake.calls(name)), [0, 0, 0]);
}
