//! The conformance suite, passed by a plugin in the shape of dbt Cloud: the vendor takes no idempotency
//! key, so a create looks for the run by its cause and triggers it if there is none.
//!
//! The API is dbt's Administrative API v2 (<https://docs.getdbt.com/dbt-cloud/api-v2>).

use plugin_core::{
    Context, Http, HttpBuilder, Kind, Phase, Plugin, Result, Status, Task, TaskType,
    http::StatusCode,
    upstream::{Failure, SecretToken},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

const API: &str = "https://cloud.getdbt.com/api/v2";

pub(crate) struct Dbt {
    http: Http,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Custom {
    account_id: u64,
    job_id: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Run {
    account: u64,
    project: u64,
    id: u64,
}

/// Every response has its content in `data`.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Description {
    id: u64,
    project_id: u64,
    status: u64,
    status_message: Option<String>,
    #[serde(default)]
    trigger: Json,
}

impl Plugin for Dbt {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("dbt_cloud", 0)];
    type Settings = Settings;
    type Custom = Custom;
    type Meta = Run;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        let token = SecretToken::new("dbt_token").scheme("Token");
        Ok(Self { http: http.failures(failure).credentials(token).build(API)? })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Run> {
        let Custom { account_id, job_id } = task.custom;
        let cause = format!("Flyte {}", cx.idempotency_key());
        let run = match self.find(cx, &task.custom, &cause).await? {
            Some(run) => run,
            None => {
                let (account, job) = (account_id.to_string(), job_id.to_string());
                let trigger = self.http.post(&["accounts", &account, "jobs", &job, "run"]);
                let trigger = trigger.trailing_slash().json(&json!({ "cause": cause }));
                trigger.send_json::<Envelope<Description>>(cx).await?.data
            }
        };
        Ok(Run { account: account_id, project: run.project_id, id: run.id })
    }

    async fn get(&self, cx: &Context, run: Run) -> Result<Status> {
        let (account, id) = (run.account.to_string(), run.id.to_string());
        let request = self.http.get(&["accounts", &account, "runs", &id]).trailing_slash();
        let found: Envelope<Description> = request.send_json(cx).await?;
        Ok(linked(found.data.status(), &run))
    }

    fn describe(&self, run: &Run) -> Status {
        linked(Status::new(Phase::Running), run)
    }

    async fn delete(&self, cx: &Context, run: Run) -> Result<()> {
        let (account, id) = (run.account.to_string(), run.id.to_string());
        let request = self.http.post(&["accounts", &account, "runs", &id, "cancel"]);
        request.trailing_slash().idempotent().send(cx).await.map(drop)
    }
}

impl Dbt {
    /// The run that `cause` triggered, among the latest of the job.
    async fn find(&self, cx: &Context, job: &Custom, cause: &str) -> Result<Option<Description>> {
        let request = self.http.get(&["accounts", &job.account_id.to_string(), "runs"]);
        let request = request.trailing_slash().query("order_by", Some("-id"));
        let request = request.query("job_definition_id", Some(&job.job_id.to_string()));
        let request = request.query("include_related", Some(r#"["trigger"]"#));
        let runs: Envelope<Vec<Description>> = request.send_json(cx).await?;
        Ok(runs.data.into_iter().find(|run| run.trigger["cause"] == cause))
    }
}

impl Description {
    fn status(self) -> Status {
        let message = self.status_message.unwrap_or_default();
        match self.status {
            1 => Status::new(Phase::Queued),
            2 => Status::new(Phase::Initializing),
            3 => Status::new(Phase::Running),
            10 => Status::new(Phase::Succeeded),
            20 => Status::new(Phase::Failed).message(message),
            30 => Status::new(Phase::Failed).message("the run was cancelled"),
            unknown => Status::unknown_state(unknown.to_string()),
        }
    }
}

fn linked(status: Status, Run { account, project, id }: &Run) -> Status {
    let url = format!("https://cloud.getdbt.com/deploy/{account}/projects/{project}/runs/{id}/");
    status.link("dbt Cloud", url)
}

fn failure(status: StatusCode, body: &[u8]) -> Option<Failure> {
    let body = serde_json::from_slice::<Json>(body).ok()?;
    let message = body["status"]["user_message"].as_str()?.to_owned();
    let kind = match status.as_u16() {
        401 => Kind::Unauthenticated,
        403 => Kind::PermissionDenied,
        404 => Kind::NotFound,
        429 => Kind::ResourceExhausted,
        500.. => Kind::Unavailable,
        _ => Kind::InvalidArgument,
    };
    Some(Failure::new(kind, message))
}

pub(crate) const RECORDED: &str = include_str!("dbt_shape/recorded.json");

plugin_core::conformance_tests!(Dbt, RECORDED);
