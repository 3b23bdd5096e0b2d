//! Real requests of Flyte's SDKs, end to end to Snowflake.

use plugin_core::testing::{links_of, outputs_of, proto::flyteidl::admin::Resource};
use serde_json::json;
use tests::{
    fakes::snowflake::{Ending, Options},
    golden::{Flyte, Golden},
};

use crate::{replay, snowflake::Stage};

/// One key in two forms, the second encrypted with "secret".
const PLAIN_KEY: &str = include_str!("../../services/snowflake/src/key/pem/pkcs8.pem");
const ENCRYPTED_KEY: &str = include_str!("../../services/snowflake/src/key/pem/aes256.pem");

/// Golden requests that cannot be run, with the expected message.
const REFUSED: [(&str, &str); 2] = [
    ("sf_missing_param", "inputs.y: no such input; the task has [x]"),
    ("sf_batch_uneven", "custom.batch: the lists must have the same length, but inputs.a has 2"),
];

impl Stage {
    async fn send(&self, golden: &Golden) -> Vec<u8> {
        replay::send(&self.service, golden).await.unwrap()
    }

    async fn poll(&self, golden: &Golden, handle: &[u8]) -> Resource {
        replay::poll(&self.service, golden, handle).await
    }

    async fn stop(&self, golden: &Golden, handle: &[u8]) {
        replay::stop(&self.service, golden, handle).await.unwrap();
    }

    async fn poll_to_the_end(&self, golden: &Golden, handle: &[u8]) -> Resource {
        replay::poll_to_the_end(&self.service, golden, handle).await
    }
}

async fn stage(options: Options) -> Stage {
    let stage = Stage::set_with(options, &[]).await;
    stage.fake.register_key(PLAIN_KEY).unwrap();
    stage
}

fn all() -> Vec<Golden> {
    let mut all = Golden::all(Flyte::V1, "sf_").unwrap();
    all.extend(Golden::all(Flyte::V2, "sf_").unwrap());
    assert_eq!(all.len(), 18);
    all.into_iter().map(with_key).collect()
}

/// Replaces the key with one that the fake accepts, encrypted if there is a passphrase.
fn with_key(golden: Golden) -> Golden {
    let passphrase = &golden.json["connection"]["secrets"]["snowflake_private_key_passphrase"];
    let key = if passphrase.is_string() { ENCRYPTED_KEY } else { PLAIN_KEY };
    let secrets = [("snowflake_private_key", key), ("snowflake_private_key_passphrase", "secret")];
    golden.with_secrets(&secrets).unwrap()
}

fn runs(golden: &&Golden) -> bool {
    REFUSED.iter().all(|(name, _)| *name != golden.name)
}

fn version(golden: &Golden) -> &'static str {
    if golden.flyte == Flyte::V1 { "v1" } else { "v2" }
}

fn uri(resource: &Resource) -> String {
    let outputs = outputs_of(resource).unwrap_or_default();
    let text = format!("{outputs:?}");
    let start = text.find("snowflake://");
    start.map(|at| text[at..].split('"').next().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn every_snowflake_request_succeeds_with_results() {
    for golden in all().iter().filter(runs) {
        let stage = stage(Options::default()).await;
        let handle = stage.send(golden).await;
        let seen = stage.poll_to_the_end(golden, &handle).await;
        let name = format!("{}_{}", version(golden), golden.name);
        assert_eq!(seen.phase().as_str_name(), "SUCCEEDED", "{name}: {}", seen.message);
        assert_eq!(stage.fake.violations(), [""; 0], "{name}");
        let submitted = &stage.fake.submitted()[0];
        let shown = json!({
            "body": submitted.body,
            "issuer": submitted.issuer.split(".SHA256:").next(),
            "results": uri(&seen),
            "link": links_of(&seen)[0].uri,
        });
        insta::assert_json_snapshot!(name, shown);
    }
}

#[tokio::test]
async fn invalid_requests_fail_with_the_reason() {
    for golden in all().iter().filter(|golden| !runs(golden)) {
        let stage = stage(Options::default()).await;
        let handle = stage.send(golden).await;
        let seen = stage.poll(golden, &handle).await;
        assert_eq!(seen.phase().as_str_name(), "FAILED", "{}", golden.name);
        let (_, expected) = REFUSED.iter().find(|(name, _)| *name == golden.name).unwrap();
        assert!(seen.message.contains(expected), "{}: {}", golden.name, seen.message);
        assert_eq!(stage.fake.requests(), 0);
    }
}

#[tokio::test]
async fn every_failed_snowflake_request_has_snowflakes_message() {
    for golden in all().iter().filter(runs) {
        let stage = stage(Options { ending: Ending::syntax_error(), ..Options::default() }).await;
        let handle = stage.send(golden).await;
        let seen = stage.poll_to_the_end(golden, &handle).await;
        assert_eq!(seen.phase().as_str_name(), "FAILED", "{}", golden.name);
        let expected =
            "001003: syntax error line 1 at position 7 unexpected 'FRM'. (SQLSTATE 42000)";
        assert_eq!(seen.message, expected, "{}", golden.name);
        assert_eq!(seen.log_links.len(), 1, "{}", golden.name);
    }
}

#[tokio::test]
async fn every_snowflake_request_can_be_cancelled() {
    for golden in all().iter().filter(runs) {
        let stage = stage(Options { polls: 100, ..Options::default() }).await;
        let handle = stage.send(golden).await;
        stage.stop(golden, &handle).await;
        let seen = stage.poll(golden, &handle).await;
        assert_eq!(seen.phase().as_str_name(), "FAILED", "{}", golden.name);
        // Stopping an ended statement succeeds.
        stage.stop(golden, &handle).await;
        assert_eq!(stage.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn invalid_key_is_rejected_without_exposing_it() {
    let stage = Stage::set_with(Options::default(), &[]).await;
    let golden = Golden::read(Flyte::V2, "sf_count_users").unwrap();
    let handle = stage.send(&golden).await;
    let seen = stage.poll(&golden, &handle).await;
    assert_eq!(seen.phase().as_str_name(), "FAILED");
    assert!(seen.message.contains("secret snowflake_private_key: is not a"), "{}", seen.message);
    assert!(!seen.message.contains("RkFLRSBL"));
    assert_eq!(stage.fake.requests(), 0);
}
