//! {{ description }}.

mod api;
mod task_types;

{% if mode == "async" -%}
use plugin_core::{
    Context, Error, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType, clap, schemars,
    serde_json::json, upstream::SecretToken,
};
use serde::{Deserialize, Serialize};

/// The vendor's API; `--endpoint` replaces its host.
const API: &str = "https://{{ crate_name | kebab_case }}.example.com/v1";

/// The {{ title }} plugin.
pub struct {{ type_name }} {
    http: Http,
    queue: String,
}

/// What an operator sets: each field is a flag and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// The queue for tasks that name none.
    #[arg(long, env = "{{ crate_name | shouty_snake_case }}_QUEUE", default_value = "standard")]
    queue: String,
}

/// What a task's author writes in `custom`.
#[derive(Deserialize, schemars::JsonSchema)]
pub struct Custom {
    /// The command and its arguments.
    command: Vec<String>,
    /// The queue to run in.
    queue: Option<String>,
}

/// The ids that find the job again; never secrets or hosts.
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
        let token = SecretToken::new("{{ crate_name }}_token");
        let http = http.credentials(token).failures(api::failure).build(API)?;
        Ok(Self { http, queue: settings.queue })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        if task.custom.command.is_empty() {
            return Err(Error::invalid("custom.command: empty"));
        }
        // The vendor lets its callers choose the id, so a repeated create finds the same job.
        let job = Job { id: cx.idempotency_key().hex() };
        let queue = task.custom.queue.as_ref().unwrap_or(&self.queue);
        let body = json!({ "command": task.custom.command, "queue": queue });
        self.http.put(&["jobs", &job.id]).json(&body).send(cx).await?;
        Ok(job)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let found: api::Job = self.http.get(&["jobs", &job.id]).send_json(cx).await?;
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
use plugin_core::{
    Context, Error, Http, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, Value, clap,
    schemars, serde_json::json, upstream::SecretToken,
};
use serde::Deserialize;

/// The vendor's API; `--endpoint` replaces its host.
const API: &str = "https://{{ crate_name | kebab_case }}.example.com/v1";

/// The {{ title }} plugin.
pub struct {{ type_name }} {
    http: Http,
    language: String,
}

/// What an operator sets: each field is a flag and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// The language for tasks that name none.
    #[arg(long, env = "{{ crate_name | shouty_snake_case }}_LANGUAGE", default_value = "en")]
    language: String,
}

/// What a task's author writes in `custom`.
#[derive(Deserialize, schemars::JsonSchema)]
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
        let token = SecretToken::new("{{ crate_name }}_token");
        let http = http.credentials(token).failures(api::failure).build(API)?;
        Ok(Self { http, language: settings.language })
    }

    async fn execute(&self, cx: &Context, task: Task<Custom>) -> Result<Status> {
        if task.custom.text.is_empty() {
            return Err(Error::invalid("custom.text: empty"));
        }
        let language = task.custom.language.as_ref().unwrap_or(&self.language);
        let body = json!({ "text": task.custom.text, "language": language });
        // A translation changes nothing at the vendor, so a failed call may be repeated.
        let request = self.http.post(&["translate"]).json(&body).idempotent();
        let translation: api::Translation = request.send_json(cx).await?;
        let text = Value::String(translation.text);
        Ok(Status::new(Phase::Succeeded).output("text", Some(text)))
    }
}
{% endif -%}
