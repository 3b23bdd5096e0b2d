//! Runs Flyte's `databricks` tasks: a task's code, or a notebook, as one run of Databricks Jobs.

mod api;
mod code;
mod compute;
mod credentials;
mod request;
mod states;
mod workspaces;

use plugin_core::{
    Context, Http, HttpBuilder, Phase, Plugin, Result, Status, Task, TaskType, Value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokio::time::timeout;

use crate::{
    code::CodeArgs,
    credentials::{AuthType, Choice, Identities, IdentityArgs},
    states::Verdicts,
    workspaces::{Workspace, Workspaces},
};

/// The output that Flyte's SDKs declare for a task with one result.
const ONLY_OUTPUT: &str = "o0";

/// The Databricks plugin.
pub struct Databricks {
    workspaces: Workspaces,
    identities: Identities,
    code: CodeArgs,
    verdicts: Verdicts,
}

/// What an operator sets.
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
}

/// What a task's author writes: `Databricks` of flyte-sdk, `DatabricksV2` of flytekit.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Custom {
    /// The body of `runs/submit`, in the form with `tasks` or with a single task's keys on top.
    databricks_conf: Option<Map<String, Json>>,
    /// The workspace's host; one of those that the service's operator lists.
    databricks_instance: Option<String>,
    /// How to sign in, if not as the operator says.
    databricks_auth_type: Option<AuthType>,
    /// The secret that holds a personal access token.
    databricks_token_secret: Option<String>,
    /// The service principal to sign in as.
    databricks_client_id: Option<String>,
    /// The secret that holds the service principal's OAuth secret.
    databricks_oauth_secret: Option<String>,
    /// The service credential that serverless code reads its storage with.
    databricks_service_credential_provider: Option<String>,
    /// A notebook to run in place of the task's code.
    notebook_path: Option<String>,
    /// What to run the notebook with.
    notebook_base_parameters: Option<Map<String, Json>>,
    /// Spark's settings, for a new cluster that has none of its own.
    spark_conf: Option<Map<String, Json>>,
    /// Hadoop's settings, for the same cluster.
    hadoop_conf: Option<Map<String, Json>>,
    /// Flyte 2: which secret holds what, for example `databricks_token`.
    secrets: Option<Map<String, Json>>,
}

/// What finds the run again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    /// The workspace's fingerprint; it leads to a host only while an operator lists that.
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
    const TASK_TYPES: &'static [TaskType] = &[TaskType { name: "databricks", version: 0 }];

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Run;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let hosts = settings.default_instance.into_iter().chain(settings.instances);
        let hosts = hosts.filter(|host| !host.trim().is_empty()).collect::<Vec<_>>();
        Ok(Self {
            workspaces: Workspaces::new(&hosts, &http)?,
            identities: Identities::new(settings.identity),
            code: settings.code,
            verdicts: settings.verdicts,
        })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Run> {
        let host = task.custom.databricks_instance.as_deref().filter(|host| !host.is_empty());
        let workspace = self.workspaces.named(host)?;
        cx.caller().check_target(&workspace.host)?;
        let identity = Choice::of(&task.custom)?;
        let body = request::submit(cx, &task, &self.code)?;
        let http = self.identities.sign(workspace, &identity)?;
        let request = http.post(&api::path("submit")).idempotent().json(&body);
        let submitted: api::Submitted = request.send_json(cx).await?;
        let is_notebook = task.custom.notebook_path.is_some();
        Ok(Run {
            workspace: workspace.fingerprint.clone(),
            id: submitted.run_id,
            identity,
            exit_value: is_notebook && has_one_output(&task),
        })
    }

    async fn get(&self, cx: &Context, run: Run) -> Result<Status> {
        let (workspace, http) = self.find(&run)?;
        let request = http.get(&api::path("get")).query("run_id", Some(&run.id.to_string()));
        let found: api::Run = request.send_json(cx).await?;
        let status = found.status(&self.verdicts, workspace.page(run.id));
        match status.phase() {
            Phase::Succeeded if run.exit_value => {
                let output = output(cx, &http, found.notebook_task_id().unwrap_or(run.id)).await?;
                Ok(status.output(ONLY_OUTPUT, Some(Value::String(output.exit_value()))))
            }
            Phase::Failed | Phase::RetryableFailed => {
                // What went wrong is known without it, if less exactly.
                let output = output(cx, &http, found.failed_task_id().unwrap_or(run.id));
                let output = timeout(cx.deadline().remaining() / 2, output).await;
                let words = output.ok().and_then(Result::ok).and_then(api::Output::error_text);
                Ok(words.into_iter().fold(status, Status::message))
            }
            _ => Ok(status),
        }
    }

    fn describe(&self, run: &Run) -> Status {
        let status = Status::new(Phase::Running).info("run_id", Some(run.id.to_string()));
        match self.workspaces.of_run(&run.workspace) {
            Ok(workspace) => status.link(api::CONSOLE, workspace.page(run.id)),
            Err(_) => status,
        }
    }

    async fn delete(&self, cx: &Context, run: Run) -> Result<()> {
        let (_, http) = self.find(&run)?;
        let request = http.post(&api::path("cancel")).idempotent();
        match request.json(&json!({ "run_id": run.id })).send(cx).await {
            Err(error) if api::has_ended(&error) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

impl Databricks {
    fn find(&self, run: &Run) -> Result<(&Workspace, Http)> {
        let workspace = self.workspaces.of_run(&run.workspace)?;
        Ok((workspace, self.identities.sign(workspace, &run.identity)?))
    }
}

/// What a task of a run wrote or returned.
async fn output(cx: &Context, http: &Http, task_id: i64) -> Result<api::Output> {
    http.get(&api::path("get-output"))
        .query("run_id", Some(&task_id.to_string()))
        .send_json(cx)
        .await
}

/// Whether the task has a single result, which the SDKs call `o0`.
fn has_one_output(task: &Task<Custom>) -> bool {
    task.declares_output(ONLY_OUTPUT) && !task.declares_output("o1")
}
