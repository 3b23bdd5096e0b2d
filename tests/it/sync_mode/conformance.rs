//! A sync plugin that passes the conformance suite.

use plugin_core::{
    Context, Http, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, Value,
    upstream::SecretToken,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Translates a string.
struct Translate {
    http: Http,
}

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Custom {
    text: String,
    to: String,
}

#[derive(Deserialize)]
struct Translation {
    text: String,
}

impl SyncPlugin for Translate {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("translate", 0)];
    type Settings = Settings;
    type Custom = Custom;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        let http = http.credentials(SecretToken::new("translate_token"));
        Ok(Self { http: http.build("https://translate.example/v1")? })
    }

    async fn execute(&self, cx: &Context, task: Task<Custom>) -> Result<Status> {
        let question = json!({"text": task.custom.text, "to": task.custom.to});
        let translation: Translation =
            self.http.post(&["translate"]).json(&question).send_json(cx).await?;
        let text = Value::String(translation.text);
        Ok(Status::new(Phase::Succeeded).output("text", Some(text)))
    }
}

const RECORDED: &str = r#"{
  "task": {
    "template": {
      "type": "translate",
      "custom": {"text": "good morning", "to": "de"},
      "interface": {"outputs": {"variables": {"text": {"type": {"simple": "STRING"}}}}}
    },
    "output_prefix": "s3://my-bucket/metadata/f7a1b2c3/n0/data/0"
  },
  "bad_custom": {"text": "good morning", "to": 49},
  "bad_field": "custom.to",
  "secrets": {"translate_token": "translate-0123456789abcdef"},
  "succeeded": {"body": {"text": "guten Morgen"}},
  "outputs": {"literals": {"text": {"scalar": {"primitive": {"string_value": "guten Morgen"}}}}},
  "refused": {"status": 422, "body": {"error": "no such language"}},
  "refused_message": "422",
  "unauthorized": {"status": 401, "body": {"error": "bad token"}},
  "throttled": {"status": 429, "body": {"error": "slow down"}},
  "unavailable": {"status": 503, "body": {"error": "maintenance"}}
}"#;

plugin_core::sync_conformance_tests!(Translate, RECORDED);
