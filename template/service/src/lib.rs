//! {{ description }}.

mod api;
mod task_types;

{% if mode == "async" -%}
use plugin_core::{upstream::SecretToken, Context, Error, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where the vendor answers; `--endpoint` names another host.
const API: &str = "https://{{ crate_name | kebab_case }}.example.com/v1";

/// The {{ title }} plugin.
pub struct {{ type_name }} {
    http: Http,
    queue: String,
}

/// What an operator sets: each field is a flag and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Queue of tasks that name none.
    #[arg(long, env = "{{ crate_name | shouty_snake_case }}_QUEUE", default_value = "standard")]
    queue: String,
}

/// What a task's author writes in `custom`.
#[derive(Deserialize, JsonSchema)]
pub struct Custom {
    /// The command and its arguments.
    command: Vec<String>,
    /// The queue to run in.
    queue: Option<String>,
}

/// What finds the job again: ids, never secrets or hosts.
#[derive(Serialize, Deserialize)]
pub struct Job {
    id: String,
}

impl Plugin for {{ type_name }} {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let http = http.credentials(SecretToken::new("{{ crate_name }}_token"));
        Ok(Self { http: http.build(API)?, queue: settings.queue })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        if task.custom.command.is_empty() {
            return Err(Error::invalid("custom.command: empty"));
        }
        // The vendor lets us choose the id, so the same task again is the same job.
        let job = Job { id: cx.idempotency_key().hex() };
        let queue = task.custom.queue.as_ref().unwrap_or(&self.queue);
        let order = json!({ "command": task.custom.command, "queue": queue });
        self.http.put(&["jobs", &job.id]).json(&order).send(cx).await?;
        Ok(job)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let found: api::Description = self.http.get(&["jobs", &job.id]).send_json(cx).await?;
        Ok(linked(found.status(), &job))
    }

    fn describe(&self, job: &Job) -> Status {
        linked(Status::new(Phase::Running), job)
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        self.http.delete(&["jobs", &job.id]).send(cx).await.map(drop)
    }
}

/// `status` with a link to the job's page.
fn linked(status: Status, job: &Job) -> Status {
    status.link("{{ title }}", format!("https://{{ crate_name | kebab_case }}.example.com/jobs/{}", job.id))
}
{% else -%}
use plugin_core::{upstream::SecretToken, Context, Error, Http, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

/// Where the vendor answers; `--endpoint` names another host.
const API: &str = "https://{{ crate_name | kebab_case }}.example.com/v1";

/// The {{ title }} plugin.
pub struct {{ type_name }} {
    http: Http,
    language: String,
}

/// What an operator sets: each field is a flag and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Language of tasks that name none.
    #[arg(long, env = "{{ crate_name | shouty_snake_case }}_LANGUAGE", default_value = "en")]
    language: String,
}

/// What a task's author writes in `custom`.
#[derive(Deserialize, JsonSchema)]
pub struct Custom {
    /// What to translate.
    text: String,
    /// The language to translate it to.
    language: Option<String>,
}

impl SyncPlugin for {{ type_name }} {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;

    type Settings = Settings;
    type Custom = Custom;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let http = http.credentials(SecretToken::new("{{ crate_name }}_token"));
        Ok(Self { http: http.build(API)?, language: settings.language })
    }

    async fn execute(&self, cx: &Context, task: Task<Custom>) -> Result<Status> {
        if task.custom.text.is_empty() {
            return Err(Error::invalid("custom.text: empty"));
        }
        let language = task.custom.language.as_ref().unwrap_or(&self.language);
        let question = json!({ "text": task.custom.text, "language": language });
        // Nothing lasts of it, so a call that failed may be made again.
        let request = self.http.post(&["translate"]).json(&question).idempotent();
        let answer: api::Answer = request.send_json(cx).await?;
        let text = Value::String(answer.text);
        Ok(Status::new(Phase::Succeeded).output("text", Some(text)))
    }
}
{% endif -%}
