//! Runs Flyte's `presto`, `hive` and `athena` tasks: SQL statements, as queries of Amazon Athena.

mod api;
mod custom;
mod dialect;
mod errors;
mod job;
mod literal;
mod location;
mod names;
mod parameters;
mod request;
mod results;
mod sql;
mod submit;
mod task_types;
mod text;

use std::collections::HashMap;

use plugin_core::{
    Context, Fingerprint, HttpBuilder, JointPolls, JointStatus, Kind, Options, Phase, Plugin,
    Polled, Result, Status, Task, TaskType,
    aws::{self, Api, Asked, Aws, Client},
    clap,
};

use crate::{
    api::{Found, FoundMany, Many, One},
    custom::Names,
    location::OutputLocation,
    request::{Defaults, Start},
    results::Declared,
};
pub use crate::{custom::Custom, job::Job};

const API: Api =
    Api::json_1_1("athena", "AmazonAthena").refusals(errors::kind).full(errors::is_full);

/// How many queries `BatchGetQueryExecution` describes at most, by the model.
const BATCH: usize = 50;

/// The Athena plugin.
pub struct Athena {
    aws: Aws,
    workgroup: String,
    catalog: Option<String>,
    database: Option<String>,
    output_location: OutputLocation,
}

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Workgroup of tasks that name none.
    #[arg(long, env = "ATHENA_WORKGROUP", default_value = "primary", value_name = "NAME",
          value_parser = workgroup)]
    workgroup: String,

    /// Data catalog of tasks that name none; Athena's default is AwsDataCatalog.
    #[arg(long, env = "ATHENA_CATALOG", value_name = "NAME")]
    catalog: Option<String>,

    /// Database of tasks that name none.
    #[arg(long, env = "ATHENA_DATABASE", value_name = "NAME")]
    database: Option<String>,

    /// Where results of tasks that name no location go: `s3://bucket/prefix/`; `workgroup`, where the workgroup says;
    /// `output-prefix`, below the attempt's output prefix; or `auto`, where the workgroup says, else below the output
    /// prefix.
    #[arg(long, env = "ATHENA_OUTPUT_LOCATION", default_value = "auto", value_name = "LOCATION")]
    output_location: OutputLocation,

    #[command(flatten)]
    aws: aws::Settings,
}

fn workgroup(name: &str) -> Result<String, String> {
    names::WORKGROUP.parse(name)
}

impl Plugin for Athena {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str =
        r#"{"custom": {"database": "default"}, "sql": "SELECT 1 AS one"}"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let Settings { workgroup, catalog, database, output_location, aws } = settings;
        let aws = Aws::new(API, aws, http)?;
        Ok(Self { aws, workgroup, catalog, database, output_location })
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let names = Names::read(cx, cx.task_type().name, &task)?;
        let asked = Asked::default()
            .region("custom.region", task.custom.region.as_deref())
            .role("custom.role", task.custom.role.as_deref());
        let place = self.aws.choose(cx, &asked)?;
        let authors_workgroup = names.workgroup.is_some();
        let start = Start::new(cx, &task, names, &self.defaults())?;
        cx.caller().check_target(start.workgroup())?;
        let job = Job { id: "-".repeat(job::LONGEST_ID), place, results: Declared::of(&task)? };
        cx.check_meta(&job)?;
        let client = self.aws.client(cx, &job.place)?;
        let is_auto = self.output_location == OutputLocation::Auto;
        let of_submit = |error| errors::of_submit(error, authors_workgroup);
        let id = submit::submit(cx, &client, start, is_auto).await.map_err(of_submit)?;
        Ok(Job { id, ..job })
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let client = self.aws.client(cx, &job.place)?;
        let one = One { query_execution_id: &job.id };
        let call = client.call("GetQueryExecution", &one).idempotent();
        match call.send_json::<Found>(cx).await {
            Ok(found) => Ok(job.status(&found.query_execution, self.aws.region(&job.place))),
            Err(error) if error.kind() == Kind::NotFound => Err(job.not_found(&error)),
            Err(error) => Err(error),
        }
    }

    fn describe(&self, job: &Job) -> Status {
        job.described(Status::new(Phase::Running), self.aws.region(&job.place))
    }

    /// Athena does nothing to a query that has ended, so its result stays.
    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Some(client) = self.aws.client_to_stop(cx, &job.place, &job.id) else {
            return Ok(());
        };
        let one = One { query_execution_id: &job.id };
        client.call("StopQueryExecution", &one).idempotent().send(cx).await.map(drop)
    }
}

impl JointPolls for Athena {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        self.aws.group(cx, &job.place).await.map(Some)
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        let Some(first) = jobs.first() else { return Ok(Vec::new()) };
        let client = self.aws.client(cx, &first.job.place)?;
        let batches = jobs.chunks(BATCH).map(|batch| self.describe_many(cx, &client, batch));
        aws::in_batches(batches.collect()).await
    }
}

impl Athena {
    fn defaults(&self) -> Defaults<'_> {
        Defaults {
            workgroup: &self.workgroup,
            catalog: self.catalog.as_deref(),
            database: self.database.as_deref(),
            output_location: &self.output_location,
        }
    }

    /// Describes one batch. What Athena does not process is polled by itself, which tells why.
    async fn describe_many(
        &self,
        cx: &Context,
        client: &Client,
        batch: &[Polled<Job>],
    ) -> Result<Vec<JointStatus>> {
        let ids = batch.iter().map(|polled| polled.job.id.as_str()).collect();
        let call = client.call("BatchGetQueryExecution", &Many { query_execution_ids: ids });
        let found: FoundMany = call.idempotent().send_json(cx).await?;
        let by_id = found.query_executions.iter().map(|one| (one.query_execution_id.as_str(), one));
        let by_id = by_id.collect::<HashMap<_, _>>();
        let status = |Polled { job, .. }: &Polled<Job>| match by_id.get(job.id.as_str()) {
            Some(found) => JointStatus::Status(job.status(found, self.aws.region(&job.place))),
            None => JointStatus::Alone,
        };
        Ok(batch.iter().map(status).collect())
    }
}
