//! The commands for those who write files.

use declarative::tools::{Attempt, attempt, check, schema};
use plugin_core::serde_json::{self, Value as Json};

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
