//! Snowflake: a task runs exactly one statement, in the right account.

mod credentials;
mod defaults;

use std::{path::Path, sync::OnceLock, time::Duration};

use plugin_core::testing::{
    Answer, Client, Dialect, TestService, Upstream, rsa_private_key, spawn,
};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tests::{
    fakes::snowflake::{Ending, FakeSnowflake, OAUTH_TOKEN, OIDC_TOKEN, Options, PAT},
    golden::{Flyte, Golden},
};
use tokio::net::TcpListener;

/// The accounts in the golden requests.
const ACCOUNTS: &str = "--accounts=ACMEORG-ANALYTICS,xy12345.eu-central-1,ORG-ACC";

pub(crate) struct Stage {
    pub(crate) fake: FakeSnowflake,
    pub(crate) service: TestService,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        Self::set_with(Options::default(), &[]).await
    }

    pub(crate) async fn set_with(options: Options, args: &[&str]) -> Self {
        let fake = FakeSnowflake::start(options).await.unwrap();
        fake.register_key(rsa_private_key()).unwrap();
        let service = replica(&fake, args).await;
        Self { fake, service }
    }

    pub(crate) async fn client(&self, dialect: Dialect) -> Client {
        self.service.client(dialect, "propeller").await
    }
}

/// A directory with every secret that the service may read.
fn secrets_dir() -> &'static Path {
    static DIR: OnceLock<TempDir> = OnceLock::new();
    let dir = DIR.get_or_init(|| {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path();
        std::fs::create_dir_all(dir.join("team-b")).unwrap();
        std::fs::write(dir.join("snowflake_private_key"), rsa_private_key()).unwrap();
        std::fs::write(dir.join("team-b/snowflake_private_key"), other_key()).unwrap();
        std::fs::write(dir.join("team_a_key"), other_key()).unwrap();
        std::fs::write(dir.join("snowflake_oauth_token"), OAUTH_TOKEN).unwrap();
        std::fs::write(dir.join("snowflake_pat"), PAT).unwrap();
        std::fs::write(dir.join("oidc"), OIDC_TOKEN).unwrap();
        temporary
    });
    dir.path()
}

/// A key other than the one that all tests share.
pub(crate) fn other_key() -> &'static str {
    include_str!("../../services/snowflake/src/key/pem/pkcs8.pem")
}

async fn replica(fake: &FakeSnowflake, args: &[&str]) -> TestService {
    let endpoint = format!("--endpoint={}", fake.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let mut all = vec![endpoint.as_str(), secrets.as_str()];
    all.extend(args);
    if !args.iter().any(|arg| arg.starts_with("--accounts")) {
        all.push(ACCOUNTS);
    }
    spawn::<snowflake::Snowflake>(&all).await
}

fn task() -> Json {
    Golden::read(Flyte::V1, "sf_scalars").unwrap().json
}

#[tokio::test]
async fn repeated_create_runs_one_statement() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        let other = replica(&stage.fake, &[]).await;
        for service in [&stage.service, &other] {
            let client = service.client(dialect, "propeller").await;
            client.create(&task()).await.unwrap();
            client.create(&task()).await.unwrap();
        }
        assert_eq!((stage.fake.statements(), stage.fake.repeats()), (1, 3), "{dialect:?}");
    }
}

#[tokio::test]
async fn create_with_lost_responses_runs_one_statement() {
    for dialect in Dialect::ALL {
        let stage = Stage::set().await;
        stage.fake.lose_answers(2);
        let handle = stage.client(dialect).await.create(&task()).await.unwrap();
        assert_eq!((stage.fake.statements(), stage.fake.repeats()), (1, 2), "{dialect:?}");
        let seen = stage.client(dialect).await.get(&task(), &handle).await.unwrap();
        assert_eq!(seen.phase, "RUNNING");
        assert_eq!(stage.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn cancelled_create_runs_one_statement() {
    let stage = Stage::set().await;
    stage.fake.hold_submits();
    let (client, task) = (stage.client(Dialect::Flyte1).await, task());
    tokio::select! {
        created = client.create(&task) => panic!("the response was held back: {created:?}"),
        () = until(|| stage.fake.statements() == 1) => {}
    }
    stage.fake.release_submits();
    stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
    assert_eq!(stage.fake.statements(), 1);
}

#[tokio::test]
async fn another_attempt_runs_another_statement() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let mut task = task();
    for attempt in 0..2 {
        task["output_prefix"] = json!(format!("s3://bucket/run/n0/{attempt}"));
        client.create(&task).await.unwrap();
    }
    assert_eq!(stage.fake.statements(), 2);
    let submitted = stage.fake.submitted();
    assert_ne!(submitted[0].request_id, submitted[1].request_id);
}

#[tokio::test]
async fn unconfigured_account_is_rejected_and_never_contacted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = listener.local_addr().unwrap().to_string();
    let stage = Stage::set().await;
    let mut by_config = task();
    by_config["template"]["config"]["account"] = json!(theirs);
    let mut by_custom = task();
    by_custom["template"]["custom"] = json!({"account": theirs});
    let mut by_kwargs = task();
    by_kwargs["template"]["custom"] = json!({"connection_kwargs": {"host": theirs}});
    for (task, field) in [
        (by_config, "template.config.account: unknown account"),
        (by_custom, "custom.account: unknown account"),
        (by_kwargs, "custom.connection_kwargs.host: not allowed"),
    ] {
        let refusal = stage.client(Dialect::Rest).await.create(&task).await.unwrap_err();
        assert_eq!(refusal.code, 400);
        assert!(refusal.message.starts_with(field), "{}", refusal.message);
        let handle = stage.client(Dialect::Flyte1).await.create(&task).await.unwrap();
        let seen = stage.client(Dialect::Flyte1).await.get(&task, &handle).await.unwrap();
        assert_eq!(seen.phase, "FAILED");
        assert!(seen.message.contains(field), "{}", seen.message);
    }
    assert_eq!(stage.fake.requests(), 0);
    let called = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(called.is_err(), "a connection was made to {theirs}");
}

#[tokio::test]
async fn rules_limit_accounts() {
    let stage = Stage::set().await;
    let limited = stage.service.client(Dialect::Rest, "limited").await;
    let refusal = limited.create(&task()).await.unwrap_err();
    assert_eq!(refusal.code, 403);
    assert_eq!(stage.fake.requests(), 0);
}

#[tokio::test]
async fn snowflake_outage_fails_no_task() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    for statuses in [[503; 8], [429; 8], [500; 8], [504; 8], [401; 8], [403; 8]] {
        stage.fake.fail_with(statuses);
        let hasty = client.clone().with_timeout(Duration::from_millis(500));
        assert_eq!(hasty.get(&task(), &handle).await.unwrap().phase, "RUNNING", "{statuses:?}");
    }
    stage.fake.fail_with([]);
    for phase in ["RUNNING", "RUNNING", "SUCCEEDED", "SUCCEEDED"] {
        assert_eq!(client.get(&task(), &handle).await.unwrap().phase, phase);
    }
    let asked = stage.fake.requests();
    client.get(&task(), &handle).await.unwrap();
    assert_eq!(stage.fake.requests(), asked, "a terminal status is cached");
}

#[tokio::test]
async fn snowflake_errors_map_to_phases() {
    for (status, code, phase) in [
        (422, "001003", "FAILED"),
        (422, "000603", "RETRYABLE_FAILED"),
        (422, "000604", "FAILED"),
        (422, "000625", "RETRYABLE_FAILED"),
        (408, "000630", "FAILED"),
        (422, "391908", "SUCCEEDED"),
    ] {
        let message = "as scripted".to_owned();
        let ending = Ending::Failure { status, code: code.to_owned(), message };
        let stage = Stage::set_with(Options { polls: 1, ending, ..Options::default() }, &[]).await;
        let client = stage.client(Dialect::Flyte2).await;
        let handle = client.create(&task()).await.unwrap();
        assert_eq!(client.get(&task(), &handle).await.unwrap().phase, "RUNNING");
        let seen = client.get(&task(), &handle).await.unwrap();
        assert_eq!(seen.phase, phase, "{code}: {}", seen.message);
        assert_eq!(seen.outputs.is_null(), phase != "SUCCEEDED", "{code}");
    }
}

#[tokio::test]
async fn retryable_create_errors_are_unavailable() {
    let refused = |code: &str| Ending::Failure {
        status: 422,
        code: code.to_owned(),
        message: "as scripted".to_owned(),
    };
    let options = Options { polls: 0, ending: refused("000603"), ..Options::default() };
    let stage = Stage::set_with(options, &[]).await;
    let client = stage.client(Dialect::Rest).await;
    for (code, status) in [("000603", 503), ("000625", 503), ("001003", 422)] {
        stage.fake.end_with(refused(code));
        let mut task = task();
        task["output_prefix"] = json!(format!("s3://bucket/{code}"));
        let refusal = client.create(&task).await.unwrap_err();
        assert_eq!(refusal.code, status, "{code}: {}", refusal.message);
        assert!(refusal.message.contains("as scripted"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn retryable_create_error_includes_the_code() {
    let refused = Ending::Failure {
        status: 422,
        code: "000603".to_owned(),
        message: "as scripted".to_owned(),
    };
    let options = Options { polls: 0, ending: refused, ..Options::default() };
    let stage = Stage::set_with(options, &[]).await;
    for dialect in [Dialect::Flyte1, Dialect::Flyte2] {
        let refusal = stage.client(dialect).await.create(&task()).await.unwrap_err();
        assert!(refusal.message.starts_with("000603: as scripted"), "{}", refusal.message);
    }
}

#[tokio::test]
async fn job_of_a_removed_account_can_be_deleted() {
    let stage = Stage::set().await;
    let handle = stage.client(Dialect::Flyte1).await.create(&task()).await.unwrap();
    let asked = stage.fake.requests();
    let elsewhere = replica(&stage.fake, &["--accounts=ORG-OTHER"]).await;
    for dialect in Dialect::ALL {
        let client = elsewhere.client(dialect, "propeller").await;
        client.delete(&task(), &handle).await.expect("nothing can be stopped there");
    }
    assert_eq!(stage.fake.requests(), asked);
}

#[tokio::test]
async fn recently_created_missing_statement_is_queued() {
    let stage = Stage::set().await;
    let client = stage.client(Dialect::Flyte1).await;
    let handle = client.create(&task()).await.unwrap();
    let empty = FakeSnowflake::start(Options::default()).await.unwrap();
    empty.register_key(rsa_private_key()).unwrap();
    let elsewhere = replica(&empty, &[]).await;
    let client = elsewhere.client(Dialect::Flyte1, "propeller").await;
    let seen = client.get(&task(), &handle).await.unwrap();
    assert_eq!((seen.phase.as_str(), seen.links.len()), ("QUEUED", 1));
    let again = client.delete(&task(), &handle).await.unwrap_err();
    assert_eq!(again.code, 14, "it may still start: {}", again.message);
    let old = elsewhere.aged(&handle, Duration::from_secs(60));
    client.delete(&task(), &old).await.expect("there is nothing to stop");
}

/// The status response includes the first partition of the result, which may be large.
#[tokio::test]
async fn large_result_does_not_hide_the_end_of_a_statement() {
    let upstream = Upstream::start().await;
    let answer = |status: u16, code: &str, data: Json| {
        let rows = json!({"numRows": 1, "rowType": [{"name": "V"}]});
        Answer::new(
            status,
            json!({"code": code, "message": "m", "statementHandle": "01b-1", "resultSetMetaData": rows, "data": data}),
        )
    };
    let endpoint = format!("--endpoint={}", upstream.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let service = spawn::<snowflake::Snowflake>(&[ACCOUNTS, &endpoint, &secrets]).await;
    let client = service.client(Dialect::Flyte1, "propeller").await;
    upstream.answer_with([answer(202, "333334", json!([]))]);
    let task = Golden::read(Flyte::V1, "sf_select_output").unwrap().json;
    let handle = client.create(&task).await.unwrap();
    upstream.answer_with([answer(200, "090001", json!([["x".repeat(20 << 20)]]))]);
    let seen = client.get(&task, &handle).await.unwrap();
    assert_eq!(seen.phase, "SUCCEEDED", "{}", seen.message);
    assert!(seen.outputs.to_string().contains("snowflake://"), "{}", seen.outputs);
}

/// Only Snowflake's own response with status 200 says that a statement has succeeded.
#[tokio::test]
async fn a_large_response_is_not_success_by_its_size() {
    let upstream = Upstream::start().await;
    let endpoint = format!("--endpoint={}", upstream.url());
    let secrets = format!("--secrets-dir={}", secrets_dir().display());
    let service = spawn::<snowflake::Snowflake>(&[ACCOUNTS, &endpoint, &secrets]).await;
    let large = "x".repeat(1 << 20);
    let running = |message: &str| {
        let body = json!({"code": "333334", "message": message, "statementHandle": "01b-1"});
        Answer::new(202, body)
    };
    let task = Golden::read(Flyte::V1, "sf_select_output").unwrap().json;
    for dialect in Dialect::ALL {
        let client = service.client(dialect, "propeller").await;
        upstream.answer_with([running("m")]);
        let handle = client.create(&task).await.unwrap();
        for answer in [running(&large), Answer::new(200, json!(large))] {
            upstream.answer_with([answer]);
            let seen = client.get(&task, &handle).await.unwrap();
            assert_ne!(seen.phase, "SUCCEEDED", "{}", seen.message);
        }
    }
}

#[tokio::test]
async fn defaults_of_the_operator_apply_to_missing_values() {
    let args = [
        "--accounts=ACMEORG-ANALYTICS",
        "--user=default_user",
        "--warehouse=default_wh",
        "--database=\"Mixed Case\"",
        "--role=loader",
        "--query-tag=flyte",
        "--statement-timeout=0",
    ];
    let stage = Stage::set_with(Options { polls: 0, ..Options::default() }, &args).await;
    let client = stage.client(Dialect::Rest).await;
    let task = json!({
        "template": {"type": "snowflake", "sql": {"statement": "SELECT 1"}},
        "output_prefix": "s3://bucket/defaults",
    });
    client.create(&task).await.unwrap();
    let submitted = &stage.fake.submitted()[0];
    assert!(submitted.issuer.starts_with("ACMEORG-ANALYTICS.DEFAULT_USER.SHA256:"));
    let expected = json!({
        "statement": "SELECT 1",
        "warehouse": "DEFAULT_WH",
        "database": "Mixed Case",
        "schema": "PUBLIC",
        "role": "LOADER",
        "timeout": 604_800,
        "parameters": {"query_tag": "flyte"},
    });
    assert_eq!(submitted.body, expected);
}

#[tokio::test]
#[should_panic(expected = "--accounts <ACCOUNT[=HOST]>")]
async fn startup_requires_accounts() {
    spawn::<snowflake::Snowflake>(&[]).await;
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
