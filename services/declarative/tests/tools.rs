//! The commands for those who write files.

#![expect(clippy::unwrap_used, reason = "functions that tests share")]

use declarative::tools::{Attempt, attempt, attempt_against, check, schema};
use plugin_core::{
    TrialArgs,
    serde_json::{self, Value as Json, json},
    testing::{Answer, Upstream},
};

const OPENAI: &str = include_str!("../examples/openai-batch.yaml");
const RECORDED: &str = include_str!("../examples/openai-batch.recorded.json");

fn tried(request: Option<&str>, recorded: Option<&str>) -> Result<String, String> {
    attempt(&Attempt::new("openai.yaml", OPENAI).request(request).recorded(recorded))
}

#[test]
fn check_says_what_is_in_a_file() {
    let summary = check("openai.yaml", OPENAI).unwrap();
    assert!(summary.contains("task type openai_batch, version 0"), "{summary}");
    assert!(summary.contains("secret openai_api_key: An API key of a project"), "{summary}");
    assert!(check("x.yaml", "version: 1\n").unwrap_err().to_string().contains("--> x.yaml:"));
}

#[test]
fn try_shows_requests_without_secrets() {
    let shown = tried(Some(r#"{"custom": {"input_file_id": "file-7"}}"#), None).unwrap();
    assert!(shown.contains("GET https://api.openai.com/v1/batches?limit=100\n"), "{shown}");
    assert!(shown.contains("POST https://api.openai.com/v1/batches\n"), "{shown}");
    assert!(shown.contains("authorization: Bearer <openai_api_key>\n"), "{shown}");
    assert!(shown.contains(r#""input_file_id": "file-7""#), "{shown}");
    assert!(shown.contains("GET https://api.openai.com/v1/batches/JOB-ID\n"), "{shown}");
}

#[test]
fn try_says_what_recorded_answers_mean() {
    let shown = tried(None, Some(RECORDED)).unwrap();
    for line in [
        r#"job: {"id":"batch_abc123"}"#,
        "POST https://api.openai.com/v1/batches/batch_abc123/cancel",
        "running: a poll answers RUNNING",
        "succeeded: a poll answers SUCCEEDED",
        "failed: a poll answers FAILED",
        "gone: NOT_FOUND invalid_request_error No batch found",
        "throttled: RESOURCE_EXHAUSTED rate_limit_exceeded",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn try_names_the_wrong_field() {
    let error = tried(Some(r#"{"custom": {"input_file": "file-7"}}"#), None).unwrap_err();
    assert!(error == "custom.input_file: unknown field; did you mean input_file_id?", "{error}");
    let error = tried(Some("{custom: {}}"), None).unwrap_err();
    assert_eq!(error, "custom.input_file_id: missing");
}

#[test]
fn try_explains_what_each_expression_and_rule_gave() {
    let explained = Attempt::new("openai.yaml", OPENAI).recorded(Some(RECORDED)).explained();
    let shown = attempt(&explained).unwrap();
    for line in [
        r#"    =custom.input_file_id: "file-abc123""#,
        r#"    =body.id: "batch_abc123""#,
        r#"    =body.status: "completed""#,
        "    states.completed: SUCCEEDED",
        "    states.paused: no such state: running, and counted",
        "    outputs.error_file_id: no value",
        r#"    outputs.output_file_id: "file-cvaTdG""#,
        "    errors.throttled: fits",
        "    errors.refused: does not fit",
    ] {
        assert!(shown.contains(&format!("{line}\n")), "{line}: {shown}");
    }
    let file = include_str!("../examples/step-functions.yaml");
    let recorded = include_str!("../examples/step-functions.recorded.json");
    let set = ["step-functions.region=eu-central-1"];
    let tried = Attempt::new("step-functions.yaml", file).recorded(Some(recorded)).explained();
    let shown = attempt(&tried.set(&set).unwrap()).unwrap();
    assert!(shown.contains("gone: NOT_FOUND ExecutionDoesNotExist"), "{shown}");
    assert!(shown.contains("    errors.not_found: fits\n"), "{shown}");
}

#[test]
fn try_says_how_a_call_ends() {
    let file = include_str!("../examples/aws-lambda.yaml");
    let failed = r#"{"failed": {
        "headers": {"x-amz-function-error": "Unhandled"},
        "body": {"errorMessage": "no rows", "errorType": "ReportError"}
    }}"#;
    let set = ["aws-lambda.region=eu-central-1"];
    let tried = Attempt::new("aws-lambda.yaml", file).recorded(Some(failed)).explained();
    let shown = attempt(&tried.set(&set).unwrap()).unwrap();
    let url = "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/report/invocations";
    for line in [
        format!("# execute\nPOST {url}\n"),
        "failed: the task ends as FAILED\n".to_owned(),
        "    =body.errorMessage: \"no rows\"\n".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
}

/// What `try --against` prints with the vendor's `answers`.
async fn tried_against(answers: Vec<Answer>) -> (String, Upstream) {
    let vendor = Upstream::start().await;
    vendor.answer_with(answers);
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("openai_api_key"), "sk-canary-0123456789").unwrap();
    let args = TrialArgs {
        against: Some(vendor.url()),
        secrets_dir: secrets.path().to_owned(),
        insecure_upstream: false,
    };
    let shown = attempt_against(&Attempt::new("openai.yaml", OPENAI).explained(), &args).await;
    (shown.unwrap(), vendor)
}

#[tokio::test]
async fn try_against_a_url_sends_what_it_shows() {
    let running = json!({"id": "batch_1", "status": "in_progress", "echo": "sk-canary-0123456789"});
    let (shown, vendor) = tried_against(vec![
        Answer::new(200, json!({"data": []})),
        Answer::new(200, json!({"id": "batch_1"})),
        Answer::new(200, running),
        Answer::new(200, json!({"id": "batch_1", "status": "cancelling"})),
    ])
    .await;
    let sent = vendor.received().iter().map(ToString::to_string).collect::<Vec<_>>();
    let url = vendor.url();
    let expected = ["GET /v1/batches", "POST /v1/batches", "GET /v1/batches/batch_1"];
    for (sent, expected) in sent.iter().zip(expected) {
        assert!(sent.starts_with(expected), "{sent}");
    }
    assert_eq!(vendor.received()[1].headers["authorization"], "Bearer sk-canary-0123456789");
    for line in [
        format!("# look-up\nGET {url}/v1/batches?limit=100\n"),
        format!("# create\nPOST {url}/v1/batches\n"),
        "authorization: Bearer <openai_api_key>\n".to_owned(),
        "=> 200 OK\n".to_owned(),
        "job: {\"id\":\"batch_1\"}\n".to_owned(),
        "a poll answers RUNNING\n".to_owned(),
        "    states.in_progress: RUNNING\n".to_owned(),
        format!("# delete\nPOST {url}/v1/batches/batch_1/cancel\n"),
        "\nstopped\n".to_owned(),
        "\"echo\": \"***\"".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn try_against_a_url_shows_the_vendors_error() {
    let error = json!({"error": {"code": "invalid_value", "message": "no such file"}});
    let (shown, vendor) =
        tried_against(vec![Answer::new(200, json!({"data": []})), Answer::new(400, error)]).await;
    assert!(shown.contains("=> INVALID_ARGUMENT invalid_value: no such file\n"), "{shown}");
    assert!(shown.contains("    errors.refused: does not fit\n"), "{shown}");
    assert_eq!(vendor.count(), 2);
}

const ACME: &str = include_str!("acme.yaml");

/// What `try --against` prints of Acme's file `source` with the settings `set`.
async fn tried_at_acme(source: &str, set: &[&str]) -> Result<String, String> {
    let vendor = Upstream::start().await;
    let created = Answer::new(200, json!({"id": "1"}));
    vendor.answer_with([created, Answer::new(200, json!({"state": "waiting"}))]);
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("acme_token"), "canary-0123456789").unwrap();
    let against = Some(format!("{}/", vendor.url().trim_end_matches('/')));
    let secrets_dir = secrets.path().to_owned();
    let args = TrialArgs { against, secrets_dir, insecure_upstream: false };
    attempt_against(&Attempt::new("acme.yaml", source).set(set).unwrap(), &args).await
}

#[tokio::test]
async fn try_against_a_url_needs_no_address() {
    let shown = tried_at_acme(ACME, &[]).await.unwrap();
    assert!(shown.contains("/v1/jobs\n") && shown.contains("a poll answers QUEUED"), "{shown}");
}

#[tokio::test]
async fn try_against_a_url_names_the_setting_that_is_missing() {
    let other = "\n  team: {description: The team that pays}\n  retries";
    let error = tried_at_acme(&ACME.replacen("\n  retries", other, 1), &[]).await.unwrap_err();
    assert!(error.contains("--set (DECLARATIVE_SET): acme.address is missing"), "{error}");
    // One that is no address is not made one.
    let region = ACME.replace("=settings.address ~ '/v1'", "https://${settings.address}.example");
    let error = tried_at_acme(&region, &[]).await.unwrap_err();
    assert!(error.contains("acme.address is missing: The URL of Acme's API"), "{error}");
}

#[tokio::test]
async fn try_says_where_in_the_file_a_failed_expression_is() {
    let file = ACME.replace("retries: =settings.retries", "retries: =9 // (settings.retries - 2)");
    let file = file.replace("type: integer, default: 2", "type: integer, default: 3");
    let line = file.lines().position(|line| line.contains("retries: =9")).unwrap() + 1;
    let set = ["acme.address=https://acme.example", "acme.retries=2"];
    let error = attempt(&Attempt::new("acme.yaml", &file).set(&set).unwrap()).unwrap_err();
    assert!(error.starts_with("create.request.json: `9 // (settings.retries - 2)`: "), "{error}");
    assert!(error.ends_with(&format!("\n  --> acme.yaml:{line}:17")), "{error}");
    let shown = tried_at_acme(&file, &set).await.unwrap();
    assert!(shown.contains(&format!(" (acme.yaml:{line}:17)")), "{shown}");
}

#[test]
fn try_explains_where_a_failed_output_is() {
    let file = ACME.replace("{rows: =body.rows,", "{rows: =9 // body.none,");
    let place = file.lines().position(|line| line.contains("{rows: =9")).unwrap() + 1;
    let set = ["acme.address=https://acme.example"];
    let recorded =
        r#"{"created": {"body": {"id": "1"}}, "succeeded": {"body": {"state": "done"}}}"#;
    let tried = Attempt::new("acme.yaml", &file).recorded(Some(recorded)).explained();
    let shown = attempt(&tried.set(&set).unwrap()).unwrap();
    let line = shown.lines().find(|line| line.trim().starts_with("outputs.rows:")).unwrap();
    assert!(line.ends_with(&format!(" (acme.yaml:{place}:20)")), "{shown}");
}

#[test]
fn a_task_has_no_tags() {
    for task in ["{custom: {input_file_id: !!binary YQ==}}", "{custom: {input_file_id: !x a}}"] {
        let error = tried(Some(task), None).unwrap_err();
        assert!(error.contains("the tag `!") && error.contains("--> the task:1:"), "{error}");
    }
}

#[test]
fn check_says_whose_limits_are_whose() {
    let limits = "limits: {creates: 9, task_types: {acme_small: {creates: 2}}}\n";
    let file = limits.to_owned() + &ACME.replace("[acme_job:0]", "[acme_job:0, acme_small:0]");
    let summary = check("acme.yaml", &file).unwrap();
    assert!(summary.contains("at most 2 creates at once, for acme_small\n"), "{summary}");
    assert!(
        summary.contains("at most 9 creates at once, for all tasks of acme_job together\n"),
        "{summary}"
    );
    let file = ACME.replacen("version: 1", "version: 1\nlimits: {creates: 9}", 1);
    let summary = check("acme.yaml", &file).unwrap();
    assert!(summary.contains("at most 9 creates at once\n"), "{summary}");
}

#[test]
fn the_schema_is_closed() {
    fn check(schema: &Json, path: &str) {
        if let Some(object) = schema.as_object() {
            if object.contains_key("properties") {
                let closed = object.get("additionalProperties") == Some(&Json::Bool(false));
                assert!(closed, "{path} is open");
            }
            object.iter().for_each(|(name, value)| check(value, &format!("{path}/{name}")));
        } else if let Some(list) = schema.as_array() {
            list.iter().for_each(|value| check(value, path));
        }
    }
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    assert!(schema["properties"]["create"].is_object());
    check(&schema, "");
}

#[test]
fn wrong_tasks_and_answers_have_their_places() {
    for (task, message) in [
        ("{custom: [a}", "--> the task:1:"),
        ("{\"customs\": {}}", "did you mean `custom`?"),
        ("[]", "must be a mapping"),
    ] {
        let error = tried(Some(task), None).unwrap_err();
        assert!(error.contains(message) && error.contains("--> the task:1:"), "{task}: {error}");
    }
    for (answers, message) in [
        ("created: {}", "expected value"),
        ("{\"creatd\": {}}", "unknown step `creatd`; did you mean `created`?"),
        ("{\"created\": {\"bdy\": {}}}", "unknown field `bdy`"),
        ("{\"created\": 7}", "an answer, or a list of answers"),
        ("{\"created\": {\"status\": 42}}", "a status is a number from 100 to 999"),
        ("{\"created\": {\"headers\": {\"a b\": \"c\"}}}", "is no header"),
        ("{\"gone\": {}, \"gone\": {}}", "the step `gone` is here twice"),
    ] {
        let error = tried(None, Some(answers)).unwrap_err();
        assert!(error.contains(message), "{answers}: {error}");
        assert!(error.contains("--> the recorded answers:1:"), "{answers}: {error}");
    }
    let error = tried(None, Some("{\"created\": {\"body\": {}}}")).unwrap_err();
    let line = OPENAI.lines().position(|line| line.contains("job: {id: =body.id}")).unwrap() + 1;
    let expected = "the recorded answers: created: create.job.id: has no value\n  --> openai.yaml";
    assert!(error.starts_with(&format!("{expected}:{line}:")), "{error}");
    // A step of the author's own is no mistake.
    let shown = tried(None, Some("{\"expired\": {\"body\": {\"status\": \"expired\"}}}")).unwrap();
    assert!(shown.contains("expired: a poll answers RETRYABLE_FAILED"), "{shown}");
}

#[test]
fn a_file_that_is_not_utf_8_has_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"version: 1\nplugin: {name: caf\xe9}\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_declarative"))
        .arg("check")
        .arg(&path)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(
        error.contains("the file is not UTF-8") && error.contains("latin1.yaml:2:19"),
        "{error}"
    );
}
