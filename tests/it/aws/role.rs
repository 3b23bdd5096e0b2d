//! Roles that the service assumes: its operator's, and those that tasks name.

use plugin_core::testing::Dialect;
use serde_json::{Value as Json, json};
use tests::fakes::aws::{ACCESS_KEY_ID, Assumed, FakeSts, Identity, SECRET_ACCESS_KEY};

use super::{HURRY, Stage, hundred, key, stage, task};

const OPERATORS: &str = "arn:aws:iam::111122223333:role/flyte/operator";
const TEAM_A: &str = "arn:aws:iam::444455556666:role/flyte-team-a";
const TEAM_B: &str = "arn:aws:iam::444455556666:role/flyte-team-b";

/// A service with keys in secrets, and the STS that it asks for roles.
async fn start(args: &[&str]) -> (Stage, FakeSts) {
    let sts = FakeSts::start("eu-central-1").await.unwrap();
    sts.know(Identity::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let url = format!("--sts-endpoint-url={}", sts.url());
    let secrets = stage::secrets();
    let stage = Stage::set(&[&[url.as_str(), &secrets], args].concat()).await;
    (stage, sts)
}

fn assumed(role: &str, external_id: Option<&str>) -> Assumed {
    Assumed {
        role: role.to_owned(),
        session: "outrigger".to_owned(),
        external_id: external_id.map(str::to_owned),
        by: Some(ACCESS_KEY_ID.to_owned()),
    }
}

/// A typed task that names `role`.
fn task_as(role: &str) -> Json {
    let mut task = tests::golden::Golden::read(tests::golden::Flyte::V1, "ath_typed").unwrap().json;
    task["template"]["custom"] = json!({ "role": role });
    task["template"]["sql"]["statement"] = "SELECT 1".into();
    task["output_prefix"] = super::task()["output_prefix"].clone();
    task
}

#[tokio::test]
async fn the_operators_role_is_assumed_with_the_services_keys() {
    let role = format!("--assume-role={OPERATORS}");
    let (stage, sts) = start(&[&role, "--external-id=flyte:prod/1"]).await;
    sts.require_external_id("flyte:prod/1");
    assert_eq!([stage.signer().await, stage.signer().await], [key(1), key(1)]);
    assert_eq!(sts.assumed(), [assumed(OPERATORS, Some("flyte:prod/1"))]);
    assert_eq!((sts.breaches(), stage.athena.breaches()), (vec![], vec![]));
    assert_eq!(stage.fetches("assume_role", "success").await, 1);
}

#[tokio::test]
async fn a_hundred_creates_at_once_assume_it_once() {
    let (stage, sts) = start(&[&format!("--assume-role={OPERATORS}")]).await;
    let all = hundred(&stage).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|one| one.is_err()));
    assert_eq!(sts.requests(), 1);
}

#[tokio::test]
async fn each_role_that_tasks_name_has_its_own_keys_in_every_call() {
    let (stage, sts) = start(&["--allowed-roles=arn:aws:iam::444455556666:role/flyte-*"]).await;
    let client = stage.client().await;
    let mut signers = Vec::new();
    for role in [TEAM_A, TEAM_B, TEAM_A] {
        let task = task_as(role);
        let handle = client.create(&task).await.unwrap();
        client.get(&task, &handle).await.unwrap();
        client.delete(&task, &handle).await.unwrap();
        let calls = stage.athena.received();
        let last = calls.iter().rev().take(3).map(|call| call.access_key.clone());
        let mut keys = last.collect::<Vec<_>>();
        keys.dedup();
        signers.extend(keys);
    }
    assert_eq!(signers, [key(1), key(2), key(1)]);
    assert_eq!(sts.assumed(), [assumed(TEAM_A, None), assumed(TEAM_B, None)]);
    assert_eq!(stage.signer().await, ACCESS_KEY_ID, "a task without a role");
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_fails_the_task_that_names_it() {
    let (stage, sts) = start(&["--allowed-roles=arn:aws:iam::444455556666:role/flyte-*"]).await;
    sts.require_external_id("another");
    for dialect in Dialect::ALL {
        let client = stage.service.client(dialect, "propeller").await;
        let task = task_as(TEAM_A);
        let told = match client.create(&task).await {
            Ok(handle) => {
                let seen = client.get(&task, &handle).await.unwrap();
                assert_eq!(seen.phase, "FAILED", "{}", seen.message);
                seen.message
            }
            Err(refused) => {
                assert_eq!(refused.code, 422, "{dialect}: {refused:?}");
                refused.message
            }
        };
        assert!(told.contains(&format!("the role {TEAM_A} cannot be assumed: User: ")), "{told}");
    }
    assert_eq!(stage.athena.requests(), 0);
}

#[tokio::test]
async fn an_operators_role_that_may_not_be_assumed_is_an_outage() {
    let (stage, sts) = start(&[&format!("--assume-role={OPERATORS}")]).await;
    sts.require_external_id("another");
    let error = stage.create().await.unwrap_err();
    assert_eq!(error.code, 14, "{error:?}");
    assert!(
        error.message.contains(&format!("the role {OPERATORS} cannot be assumed")),
        "{error:?}"
    );
}

/// The role is the author's choice; the keys that assume it are not.
#[tokio::test]
async fn no_task_fails_for_the_keys_that_assume_its_role() {
    let allowed = "--allowed-roles=arn:aws:iam::444455556666:role/flyte-*";
    // The service has none, and STS does not know them.
    let none = Stage::set(&[allowed, "--credential-process=/bin/false"]).await;
    let (unknown, sts) = start(&[allowed]).await;
    sts.know(Identity::new(ACCESS_KEY_ID, "another"));
    for stage in [none, unknown] {
        for dialect in Dialect::ALL {
            let client = stage.service.client(dialect, "propeller").await;
            let error = client.create(&task_as(TEAM_A)).await.unwrap_err();
            let code = if dialect.is_grpc() { 14 } else { 503 };
            assert_eq!(error.code, code, "{dialect}: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_outage_of_sts_fails_no_task() {
    let allowed = "--allowed-roles=arn:aws:iam::444455556666:role/flyte-*";
    for (status, code) in
        [(503, "ServiceUnavailable"), (400, "Throttling"), (500, "InternalFailure")]
    {
        let (stage, sts) = start(&[allowed, HURRY]).await;
        let client = stage.client().await;
        sts.refuse(status, code, "later");
        let error = client.create(&task_as(TEAM_A)).await.unwrap_err();
        assert!([8, 14].contains(&error.code), "{code}: {error:?}");
        assert!(client.create(&task()).await.is_ok(), "a task without a role");
    }
}

/// Flyte 2 sends the values of the secrets that a task names.
#[tokio::test]
async fn an_author_of_flyte_2_brings_keys_which_assume_the_role_of_the_task() {
    let (stage, sts) = start(&["--allowed-roles=arn:aws:iam::444455556666:role/flyte-*"]).await;
    let own = Identity::temporary(9);
    sts.know(own.clone());
    let mut task = task_as(TEAM_A);
    task["template"]["custom"]["secrets"] =
        json!({"aws_access_key_id": "team-a-id", "aws_secret_access_key": "team-a-secret"});
    task["connection"] = json!({"secrets": {
        "aws_access_key_id": own.access_key,
        "aws_secret_access_key": own.secret,
        "aws_session_token": own.session_token,
    }});
    let client = stage.service.client(Dialect::Flyte2, "propeller").await;
    client.create(&task).await.unwrap();
    assert_eq!(stage.athena.received().last().unwrap().access_key, key(1));
    assert_eq!(sts.assumed()[0].by.as_ref(), Some(&own.access_key));

    // Theirs, too, may be wrong: that is the task's fault.
    task["connection"]["secrets"]["aws_secret_access_key"] = "canary".into();
    task["output_prefix"] = super::task()["output_prefix"].clone();
    let handle = client.create(&task).await.unwrap();
    let seen = client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "FAILED", "{seen}");
    assert!(seen.message.contains("cannot be assumed: "), "{seen}");
}
