//! Whose a name is: repeated creates, others' jobs, and names that SageMaker does not take.

use futures_util::future::join_all;
use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};

use super::{KINDS, Stage, with};
use crate::aws::stage::{self, attempt, golden};

#[tokio::test]
async fn creates_at_the_same_time_are_one_job_of_every_kind() {
    for name in KINDS {
        let stage = Stage::set().await;
        let other = stage.replica(&[]).await;
        let mut clients = Vec::new();
        for dialect in Dialect::ALL {
            clients.push(stage.client(dialect).await);
            clients.push(other.client(dialect, "propeller").await);
        }
        let task = golden(name);
        let handles = join_all(clients.iter().map(|client| client.create(&task))).await;
        for (client, handle) in clients.iter().zip(handles) {
            let seen = client.get(&task, &handle.unwrap()).await.unwrap();
            assert_ne!(seen.phase, "FAILED", "{name}: {}", seen.message);
        }
        assert_eq!(stage.fake.submitted().len(), 1, "{name}");
        assert_eq!(stage.fake.breaches(), [""; 0]);
    }
}

#[tokio::test]
async fn another_request_of_the_same_attempt_is_refused() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let client = stage.client(dialect).await;
        client.create(&golden("sm_training")).await.unwrap();
        let longer = with(&json!({"StoppingCondition": {"MaxRuntimeInSeconds": 7200}}));
        let message = stage::refusal(&client, &longer).await;
        assert!(message.contains("this attempt asked for something else under it"), "{message}");
        assert_eq!(stage.fake.submitted().len(), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_task_cannot_make_its_job_look_like_anothers() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    client.create(&golden("sm_training")).await.unwrap();
    let theirs = stage.fake.submitted()[0].input["Tags"].clone();
    let forged = with(&json!({"TrainingJobName": "orders", "Tags": theirs}));
    client.create(&attempt(forged, 1)).await.unwrap();
    let tags = stage.fake.submitted()[1].input["Tags"].clone();
    let own = |tags: &Json| {
        let tags = tags.as_array().unwrap().iter();
        tags.filter(|tag| tag["Key"] == "outrigger-key").cloned().collect::<Vec<_>>()
    };
    assert_eq!(own(&tags).len(), 1, "{tags}");
    assert_ne!(own(&tags), own(&theirs));
    let plain = with(&json!({"TrainingJobName": "orders"}));
    let message = stage::refusal(&client, &plain).await;
    assert!(message.contains("orders exists, and another made it"), "{message}");
}

#[tokio::test]
async fn an_endpoint_whose_name_differs_in_its_case_is_not_adopted() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let theirs = json!({"EndpointName": "Orders", "EndpointConfigName": "orders"});
        stage.fake.make("CreateEndpoint", theirs);
        let client = stage.client(dialect).await;
        let mut task = golden("sm_endpoint");
        task["template"]["custom"]["config"]["EndpointName"] = json!("orders");
        let message = stage::refusal(&client, &task).await;
        assert!(message.contains("the endpoint orders exists, and another made it"), "{message}");
        assert_eq!(stage.fake.count("Endpoint"), 1);
    }
}

#[tokio::test]
async fn names_and_roles_of_inputs_are_checked_like_the_authors_own() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Rest).await;
    let given = |member: &str, text: &str, value: &str| {
        let mut task = with(&json!({ member: text }));
        task["inputs"]["literals"]["x"] = json!({"scalar": {"primitive": {"string_value": value}}});
        task
    };
    let admin = "arn:aws:iam::111122223333:role/admin";
    let (long, longest) = ("a".repeat(64), "a".repeat(50));
    for (member, text, value, message) in [
        ("TrainingJobName", "{inputs.x}", "a/../b", "custom.config.TrainingJobName: "),
        ("TrainingJobName", "{inputs.x}", "", "custom.config.TrainingJobName: "),
        ("TrainingJobName", "{inputs.x}", "größer", "custom.config.TrainingJobName: "),
        ("TrainingJobName", "{inputs.x}", &long, "custom.config.TrainingJobName: "),
        (
            "TrainingJobName",
            "{inputs.x}-abcde-{idempotence_token}",
            &longest,
            "custom.config.TrainingJobName: too long",
        ),
        ("RoleArn", "{inputs.x}", admin, "custom.config.RoleArn: jobs may not run as"),
        ("RoleArn", "{inputs.x}", "", "custom.config.RoleArn: must be the ARN of a role"),
    ] {
        let error = client.create(&given(member, text, value)).await.unwrap_err();
        assert!(error.message.contains(message), "{text} {value}: {error:?}");
    }
    assert_eq!(stage.fake.calls("CreateTrainingJob"), 0);
    let fits = given("TrainingJobName", "{inputs.x}-{idempotence_token}", &longest);
    client.create(&fits).await.unwrap();
    let name = stage.fake.submitted()[0].input["TrainingJobName"].clone();
    assert_eq!(name.as_str().unwrap().len(), 63);
    assert_eq!(stage.fake.breaches(), [""; 0]);
}
