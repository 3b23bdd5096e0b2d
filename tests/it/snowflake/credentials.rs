//! Credentials: the service's, a namespace's or an author's.

use plugin_core::testing::{Dialect, rsa_private_key, spawn};
use serde_json::{Value as Json, json};
use tests::fakes::snowflake::{OAUTH_TOKEN, OIDC_TOKEN, Options, PAT};

use super::{Stage, other_key, secrets_dir, task};

#[tokio::test]
async fn namespaces_use_their_own_keys() {
    let stage = Stage::set().await;
    let ours = stage.fake.register_key(rsa_private_key()).unwrap();
    let theirs = stage.fake.register_key(other_key()).unwrap();
    let client = stage.client(Dialect::Flyte1).await;
    for (namespace, fingerprint) in [("team-a", ours), ("team-b", theirs)] {
        let mut task = task();
        task["output_prefix"] = json!(format!("s3://bucket/{namespace}"));
        task["task_execution_metadata"]["namespace"] = json!(namespace);
        let handle = client.create(&task).await.unwrap();
        assert_eq!(client.get(&task, &handle).await.unwrap().phase, "RUNNING");
        let issuer = stage.fake.submitted().pop().unwrap().issuer;
        assert_eq!(issuer, format!("ACMEORG-ANALYTICS.FLYTE_SVC.{fingerprint}"));
    }
}

/// [`task`] with the secret `name` as its key.
fn task_with_key(name: &str) -> Json {
    let mut task = task();
    task["template"]["custom"] = json!({"secrets": {"snowflake_private_key": name}});
    task
}

#[tokio::test]
async fn named_key_takes_precedence_and_has_no_fallback() {
    let stage = Stage::set().await;
    let theirs = stage.fake.register_key(other_key()).unwrap();
    let client = stage.client(Dialect::Flyte2).await;
    let there = task_with_key("TEAM_A_KEY");
    let handle = client.create(&there).await.unwrap();
    assert_eq!(client.get(&there, &handle).await.unwrap().phase, "RUNNING");
    let issuer = stage.fake.submitted().pop().unwrap().issuer;
    assert_eq!(issuer, format!("ACMEORG-ANALYTICS.FLYTE_SVC.{theirs}"));
    client.delete(&there, &handle).await.unwrap();

    let asked = stage.fake.requests();
    let missing = task_with_key("TEAM_B_KEY");
    let refusal = stage.client(Dialect::Rest).await.create(&missing).await.unwrap_err();
    assert_eq!(refusal.code, 422);
    assert!(refusal.message.starts_with("secret TEAM_B_KEY not found"), "{}", refusal.message);
    assert_eq!(stage.fake.requests(), asked);
}

#[tokio::test]
async fn every_auth_type_works() {
    let file = format!("--oidc-token-file={}", secrets_dir().join("oidc").display());
    for (kind, token) in [("oauth", OAUTH_TOKEN), ("pat", PAT), ("wif", OIDC_TOKEN)] {
        let args = [&format!("--auth-type={kind}"), file.as_str()];
        let stage = Stage::set_with(Options::default(), &args).await;
        let client = stage.client(Dialect::Flyte2).await;
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "RUNNING");
        assert_eq!(stage.fake.submitted()[0].issuer, token);
    }
}

#[tokio::test]
async fn unavailable_workload_identity_is_rejected() {
    let stage = Stage::set().await;
    let mut task = task();
    let kwargs = json!({"authenticator": "WORKLOAD_IDENTITY"});
    task["template"]["custom"] = json!({"connection_kwargs": kwargs});
    let refusal = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
    assert_eq!(refusal.code, 422);
    assert!(refusal.message.contains("SNOWFLAKE_OIDC_TOKEN_FILE"), "{}", refusal.message);
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
#[should_panic(expected = "--oidc-token-file <FILE>")]
async fn workload_identity_requires_a_token_file() {
    spawn::<snowflake::Snowflake>(&["--accounts=ORG-ACC", "--auth-type=wif"]).await;
}
