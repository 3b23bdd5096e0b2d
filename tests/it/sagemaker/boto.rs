//! `boto` tasks: calls that are answered at once, of SageMaker's API and of its runtime's.

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::{
    fakes::{
        aws::{ACCESS_KEY_ID, FakeSts, Identity, SECRET_ACCESS_KEY},
        sagemaker::Options,
    },
    golden::{Flyte, Golden},
};

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
        assert!(
            message.contains("the model orders exists, and it was made from another request"),
            "{message}"
        );
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

/// A stage whose endpoint `orders-1` is in service.
async fn with_endpoint(args: &[&str]) -> Stage {
    let stage = Stage::set_with(Options { polls: 0, ..Options::default() }, args).await;
    let endpoint = json!({"EndpointName": "orders-1", "EndpointConfigName": "orders-1"});
    stage.fake.make("CreateEndpoint", endpoint);
    stage
}

/// flytekit's task that asks an endpoint, with `more` in its request.
fn invocation(more: &Json) -> Json {
    let mut task = golden("smb_invoke");
    let config = task["template"]["custom"]["config"].as_object_mut().unwrap();
    config.extend(more.as_object().unwrap().clone());
    config.retain(|_, value| !value.is_null());
    task
}

#[tokio::test]
async fn flytekits_task_asks_an_endpoint_and_is_told_where_the_answer_comes_to() {
    for dialect in SYNC {
        let stage = with_endpoint(&[]).await;
        let seen = stage.client(dialect).await.execute(&golden("smb_invoke")).await.unwrap();
        assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
        let (sent, id) = stage.fake.submitted()[0].without("InferenceId");
        let official = Golden::official(Flyte::V1, "smb_invoke").unwrap();
        assert_eq!(official["method"], "invoke_endpoint_async");
        assert_eq!(sent, official["request"]);
        assert_eq!(id.len(), 64);
        let outputs = seen.outputs.to_string();
        for part in [
            format!("s3://acme-ml/inferences/orders-1/{id}.out"),
            format!("s3://acme-ml/failures/orders-1/{id}-error.out"),
            "OutputLocation".to_owned(),
            "FailureLocation".to_owned(),
            "InferenceId".to_owned(),
            "idempotence_token".to_owned(),
        ] {
            assert!(outputs.contains(&part), "{part}: {outputs}");
        }
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn all_members_of_an_invocation_are_sent() {
    let stage = with_endpoint(&[]).await;
    let more = json!({
        "InputLocation": null, "Body": "{inputs.day};größer", "Accept": "application/json",
        "CustomAttributes": "team=ml, {inputs.day}", "InferenceId": "orders-{idempotence_token}",
        "S3OutputPathExtension": "daily/{inputs.day}", "Filename": "scores.json",
        "RequestTTLSeconds": 60,
    });
    let seen = stage.client(Dialect::Rest).await.execute(&invocation(&more)).await.unwrap();
    assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
    let (sent, id) = stage.fake.submitted()[0].without("InferenceId");
    assert_eq!(
        sent,
        json!({
            "EndpointName": "orders-1", "ContentType": "text/csv", "InvocationTimeoutSeconds": 600,
            // As JSON has blobs.
            "Body": "MjAyNi0wMy0wMTtncsO2w59lcg==", "Accept": "application/json",
            "CustomAttributes": "team=ml, 2026-03-01", "S3OutputPathExtension": "daily/2026-03-01",
            "Filename": "scores.json", "RequestTTLSeconds": 60,
        })
    );
    let outputs = seen.outputs.to_string();
    assert!(outputs.contains(&id) && outputs.contains(token(&id)), "{id}: {outputs}");
    assert!(outputs.contains("orders-1/daily/2026-03-01/scores.json"), "{outputs}");
    assert_eq!(stage.fake.breaches(), [""; 0]);
}

#[tokio::test]
async fn an_invocation_whose_answer_is_lost_is_repeated_by_flyte_alone_with_the_same_id() {
    for dialect in SYNC {
        let stage = with_endpoint(&[]).await;
        let client = stage.client(dialect).await;
        stage.fake.lose_answers(1);
        client.execute(&golden("smb_invoke")).await.unwrap_err();
        assert_eq!(stage.fake.calls("InvokeEndpointAsync"), 1);
        for number in [None, Some(1)] {
            let task = golden("smb_invoke");
            let task = number.map_or(task.clone(), |number| attempt(task, number));
            assert_eq!(client.execute(&task).await.unwrap().phase, "SUCCEEDED");
        }
        let sent = stage.fake.submitted();
        let [first, repeated, other] = [0, 1, 2].map(|at| sent[at].text("InferenceId"));
        assert_eq!(first, repeated);
        assert_ne!(first, other, "another attempt");
    }
}

#[tokio::test]
async fn an_invocation_that_cannot_be_is_refused_by_its_member() {
    let stage = with_endpoint(&[]).await;
    let client = stage.client(Dialect::Rest).await;
    for (more, message) in [
        (json!({"EndpointName": "a/../b"}), "custom.config.EndpointName: "),
        (json!({"EndpointName": null}), "custom.config.EndpointName: "),
        (json!({"Body": "1,2"}), "custom.config: must have one of InputLocation and Body"),
        (json!({"InputLocation": null}), "custom.config: must have one of InputLocation and Body"),
        (json!({"InputLocation": null, "Body": [1, 2]}), "custom.config.Body: must be text"),
        (json!({"Accept": "text/csv\r\nX-Evil: 1"}), "custom.config.Accept: must be text"),
        (json!({"TargetModel": "m"}), "custom.config.TargetModel: "),
        (json!({"EndpointName": "orders-2"}), "Endpoint orders-2 of account"),
    ] {
        let message_of = match client.execute(&invocation(&more)).await {
            Ok(seen) => format!("{} {}", seen.phase, seen.message),
            Err(error) => format!("{error:?}"),
        };
        assert!(message_of.contains(message), "{message}: {message_of}");
    }
    assert_eq!(stage.fake.calls("InvokeEndpointAsync"), 1, "the last one alone");
    assert!(stage.fake.submitted().is_empty());
}

#[tokio::test]
async fn both_apis_are_called_with_the_same_keys_of_a_role() {
    let sts = FakeSts::start("eu-central-1").await.unwrap();
    sts.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let url = format!("--sts-endpoint-url={}", sts.url());
    let role = "--assume-role=arn:aws:iam::111122223333:role/operator";
    let stage = with_endpoint(&[&url, role]).await;
    (1..=2).for_each(|number| stage.fake.checker().know(Identity::temporary(number)));
    let client = stage.client(Dialect::Rest).await;
    for name in ["smb_invoke", "smb_delete_model", "smb_invoke"] {
        let seen = client.execute(&golden(name)).await.unwrap();
        assert_eq!(seen.phase, "SUCCEEDED", "{name}: {}", seen.message);
    }
    assert_eq!(sts.requests(), 1);
    let signers = stage.fake.received().into_iter().map(|call| call.access_key);
    let signers = signers.collect::<std::collections::BTreeSet<_>>();
    assert_eq!(signers.len(), 1, "{signers:?}");
    assert_eq!(stage.fake.breaches(), [""; 0]);
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
        (golden("smb_invoke"), "custom.method: "),
        (iam, "custom.service: "),
    ] {
        let error = format!("{:?}", client.execute(&task).await.unwrap_err());
        assert!(error.contains(message), "{error}");
    }
    let calls = ["CreateModel", "DeleteEndpoint", "DeleteModel"];
    assert_eq!(calls.map(|name| stage.fake.calls(name)), [0, 0, 0]);
}
