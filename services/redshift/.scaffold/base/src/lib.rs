//! Runs SQL statements of Flyte tasks on Amazon Redshift.

mod api;
mod task_types;

use plugin_core::{
    Context, Error, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType, clap,
    schemars, serde_json::json, upstream::SecretToken,
};
use serde::{Deserialize, Serialize};

/// The vendor's API; `--endpoint` replaces its host.
const API: &str = "https://redshift.example.com/v1";

/// The Redshift plugin.
pub struct Redshift {
    http: Http,
    queue: String,
}

/// What an operator sets: each field is a flag and an environment variable.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// The queue for tasks that name none.
    #[arg(long, env = "REDSHIFT_QUEUE", default_value = "standard")]
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

impl Plugin for Redshift {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let token = SecretToken::new("redshift_token");
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
    status.link("Redshift", format!("https://redshift.example.com/jobs/{}", job.id))
}
