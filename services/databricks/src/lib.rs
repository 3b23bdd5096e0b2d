//! Runs Flyte's `databricks` tasks: each task's code or notebook becomes one run of Databricks Jobs.

mod api;
mod code;
mod compute;
mod credentials;
mod custom;
mod git;
mod keys;
mod lists;
mod nulls;
mod request;
mod states;
mod task_types;
mod workspaces;

use plugin_core::{
    Context, Fingerprint, Http, HttpBuilder, JointPolls, JointStatus, Options, Phase, Plugin,
    Polled, Result, Status, Task, TaskType, Value, clap,
    serde_json::json,
    upstream::{Listed, Target as _, Targets},
};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{
    api::Output,
    code::CodeArgs,
    credentials::{Choice, Identities, IdentityArgs},
    lists::Lists,
    states::Verdicts,
    workspaces::Workspace,
};

pub use self::custom::Custom;

/// The Databricks plugin.
pub struct Databricks {
    workspaces: Targets<Workspace>,
    identities: Identities,
    code: CodeArgs,
    verdicts: Verdicts,
    serves_spark: bool,
}

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Hosts of the workspaces that tasks may run in, for example `acme.cloud.databricks.com`. No
    /// other host is ever called. Tasks that name none run in the first.
    #[arg(long, env = "DATABRICKS_INSTANCES", value_name = "HOST,…", value_delimiter = ',')]
    instances: Vec<String>,

    /// Host for tasks that name none, in place of the first of `--instances`; it need not be listed
    /// there.
    #[arg(long, env = "FLYTE_DATABRICKS_INSTANCE", value_name = "HOST")]
    default_instance: Option<String>,

    #[command(flatten)]
    identity: IdentityArgs,

    #[command(flatten)]
    verdicts: Verdicts,

    #[command(flatten)]
    code: CodeArgs,

    /// Also serve the task type `spark`, which flytekit's old `Databricks` task uses. Only if no Spark
    /// operator serves it: Flyte routes a task type to one of the two.
    #[arg(long, env = "DATABRICKS_SPARK")]
    spark: bool,
}

/// Identifies the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The workspace's fingerprint; it leads to a host only while the operator lists that host.
    workspace: String,
    id: i64,
    #[serde(default, skip_serializing_if = "Choice::is_none")]
    identity: Choice,
    /// Whether the notebook's exit value is the task's output.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exit_value: bool,
}

impl Plugin for Databricks {
    /// Both Flytes write version 0.
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str = r#"{
        "custom": {
            "databricksInstance": "your-workspace.cloud.databricks.com",
            "databricksConf": {
                "run_name": "from the API page",
                "existing_cluster_id": "0123-456789-abcdefgh",
                "notebook_task": {"notebook_path": "/Users/you@example.com/notebook"}
            }
        }
    }"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Run;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let hosts = settings.default_instance.into_iter().chain(settings.instances);
        let hosts = hosts.filter(|host| !host.trim().is_empty());
        let workspaces = hosts.map(|host| host.parse()).collect::<Result<Vec<Workspace>>>()?;
        Ok(Self {
            workspaces: Targets::new(workspaces, &http.failures(api::failure))?,
            identities: Identities::new(settings.identity),
            code: settings.code,
            verdicts: settings.verdicts,
            serves_spark: settings.spark,
        })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Run> {
        let host = task.custom.databricks_instance.as_deref().filter(|host| !host.is_empty());
        let host = host.unwrap_or_else(|| self.workspaces.first().target.name());
        let workspace = self.workspaces.choose(cx, "custom.databricksInstance", host)?;
        let identity = Choice::of(&task.custom)?;
        let body = request::submit(cx, &task, &self.code)?;
        let http = self.identities.sign(workspace, &identity)?;
        let request = http.post(&api::path("submit")).idempotent().json(&body);
        let submitted: api::Submitted = request.send_json(cx).await?;
        let is_notebook = task.custom.notebook_path.is_some();
        Ok(Run {
            workspace: workspace.target.fingerprint.clone(),
            id: submitted.run_id,
            identity,
            exit_value: is_notebook && request::returns_string(&task),
        })
    }

    async fn get(&self, cx: &Context, run: Run) -> Result<Status> {
        let (workspace, http) = self.find(&run)?;
        let request = http.get(&api::path("get")).query("run_id", Some(&run.id.to_string()));
        let found: api::Run = request.send_json(cx).await?;
        let status = found.status(&self.verdicts, workspace.target.page(run.id));
        match status.phase() {
            Phase::Succeeded if run.exit_value => {
                let task_id = found.notebook_task_id().unwrap_or(run.id);
                let output = Output::of(cx, &http, task_id).await?;
                Ok(match output.exit_value() {
                    Some(value) => status.output(request::ONLY_OUTPUT, Some(Value::String(value))),
                    None => Status::new(Phase::Failed)
                        .message("Databricks truncated the notebook's exit value"),
                })
            }
            Phase::Failed | Phase::RetryableFailed => {
                // The failure is known without it, if in less detail.
                let output = Output::of(cx, &http, found.failed_task_id().unwrap_or(run.id));
                let output = timeout(cx.deadline().remaining() / 2, output).await;
                let message = output.ok().and_then(Result::ok).and_then(Output::error_message);
                Ok(message.into_iter().fold(status, Status::message))
            }
            _ => Ok(status),
        }
    }

    fn describe(&self, run: &Run) -> Status {
        let status = Status::new(Phase::Running).info("run_id", Some(run.id.to_string()));
        match self.workspaces.of_job(&run.workspace) {
            Ok(workspace) => status.link(api::CONSOLE, workspace.target.page(run.id)),
            Err(_) => status,
        }
    }

    async fn delete(&self, cx: &Context, run: Run) -> Result<()> {
        // The run cannot be cancelled, and Flyte 2 would retry a failed delete forever.
        let Ok(workspace) = self.workspaces.of_job(&run.workspace) else {
            tracing::warn!(run_id = run.id, "run not cancelled: its workspace is no longer listed");
            return Ok(());
        };
        let http = self.identities.sign(workspace, &run.identity)?;
        let request = http.post(&api::path("cancel")).idempotent();
        match request.json(&json!({ "run_id": run.id })).send(cx).await {
            Err(error) if api::has_ended(&error) => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn options(&self) -> Options<Self> {
        let types = Self::TASK_TYPES;
        let served = if self.serves_spark { types } else { &types[..1] };
        Options::default().task_types(served).joint_polls()
    }
}

impl JointPolls for Databricks {
    async fn group(&self, cx: &Context, run: &Run) -> Result<Option<Fingerprint>> {
        self.identities.group(cx, &run.workspace, &run.identity).await.map(Some)
    }

    async fn get_many(&self, cx: &Context, runs: &[Polled<Run>]) -> Result<Vec<JointStatus>> {
        let Some(Polled { job, .. }) = runs.first() else { return Ok(Vec::new()) };
        let (workspace, http) = self.find(job)?;
        let workspace = &workspace.target;
        Lists { cx, http: &http, workspace, verdicts: &self.verdicts }.get_many(runs).await
    }
}

impl Databricks {
    fn find(&self, run: &Run) -> Result<(&Listed<Workspace>, Http)> {
        let workspace = self.workspaces.of_job(&run.workspace)?;
        Ok((workspace, self.identities.sign(workspace, &run.identity)?))
    }
}
