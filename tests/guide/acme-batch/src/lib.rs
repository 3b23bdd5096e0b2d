//! Runs Flyte's `acme_batch` tasks on Acme Batch.

use plugin_core::{
    Context, Error, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType,
    http::SecretToken,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The Acme Batch plugin.
pub struct AcmeBatch {
    http: Http,
    default_queue: String,
}

/// What an operator sets: each field is a flag, a variable and a line in docs/config.md.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Queue of tasks that name none.
    #[arg(long, env = "ACME_DEFAULT_QUEUE", default_value = "standard")]
    default_queue: String,
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

impl Job {
    /// `status` with a link to the job's page.
    fn linked(&self, status: Status) -> Status {
        status.link("Acme Batch", format!("https://acme.example/jobs/{}", self.id))
    }
}

/// A job as Acme describes it.
#[derive(Deserialize)]
struct Description {
    state: String,
    reason: Option<String>,
}

impl Description {
    /// Every state Acme has, and any that it may add: an unknown one is a running job.
    fn status(self) -> Status {
        match self.state.as_str() {
            "waiting" => Status::new(Phase::Queued),
            "running" => Status::new(Phase::Running),
            "done" => Status::new(Phase::Succeeded),
            "failed" => Status::new(Phase::Failed).message(self.reason.unwrap_or_default()),
            "preempted" => Status::new(Phase::RetryableFailed).message("preempted"),
            unknown => Status::unknown_state(unknown),
        }
    }
}

impl Plugin for AcmeBatch {
    const TASK_TYPES: &'static [TaskType] = &[TaskType { name: "acme_batch", version: 0 }];

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let http = http.credentials(SecretToken::new("acme_token"));
        Ok(Self {
            http: http.build("https://batch.acme.example/v1")?,
            default_queue: settings.default_queue,
        })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        if task.custom.command.is_empty() {
            return Err(Error::invalid("custom.command: empty"));
        }
        // Acme lets us choose the id, so the same task again is the same job.
        let job = Job { id: cx.idempotency_key().hex() };
        let queue = task.custom.queue.as_ref().unwrap_or(&self.default_queue);
        let order = json!({ "command": task.custom.command, "queue": queue });
        self.http.put(&["jobs", &job.id]).json(&order).send(cx).await?;
        Ok(job)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let found: Description = self.http.get(&["jobs", &job.id]).send_json(cx).await?;
        Ok(job.linked(found.status()))
    }

    fn describe(&self, job: &Job) -> Status {
        job.linked(Status::new(Phase::Running))
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        self.http.delete(&["jobs", &job.id]).send(cx).await.map(drop)
    }
}
