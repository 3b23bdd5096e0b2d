//! Runs Flyte's `aws-batch` tasks: a task's container becomes a job of AWS Batch.

mod api;
mod command;
mod custom;
mod definition;
mod errors;
mod job;
mod request;
mod resources;
mod settings;
mod submit;
mod task_types;

use std::collections::HashMap;

use plugin_core::{
    Context, Fingerprint, HttpBuilder, JointPolls, JointStatus, Options, Phase, Plugin, Polled,
    Result, Status, Task, TaskType,
    aws::{Api, Asked, Aws, Client, in_batches},
    serde_json::json,
};

pub use crate::{custom::Custom, job::Job, settings::Settings};
use crate::{definition::Definition, request::Request, settings::Operator};

const API: Api = Api::rest_json("batch").refusals(errors::kind);

/// How many jobs `DescribeJobs` describes at most, by the model's documentation.
const MOST_JOBS: usize = 100;

/// The AWS Batch plugin.
pub struct AwsBatch {
    aws: Aws,
    operator: Operator,
}

impl Plugin for AwsBatch {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str = r#"{"custom": {"platformCapabilities": "EC2"}}"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let Settings { operator, aws } = settings;
        operator.check()?;
        Ok(Self { aws: Aws::new(API, aws, http)?, operator })
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let asked = Asked::default()
            .region("custom.region", task.custom.region.as_deref())
            .role("custom.role", task.custom.role.as_deref());
        let place = self.aws.choose(cx, &asked)?;
        let queue = self.operator.queue(cx, &task)?;
        let definition = Definition::new(cx, &task, &self.operator)?;
        let request = Request::new(cx, &task, queue)?;
        let job = Job { id: job::LONGEST_ID.to_owned(), place };
        cx.check_meta(&job)?;
        let client = self.aws.client(cx, &job.place)?;
        // AWS Batch has no idempotency key: the job's name is ours, and an earlier create may have made it.
        let id = match submit::find(cx, &client, &request).await? {
            Some(id) => id,
            None => {
                let arn = definition.find_or_register(cx, &client).await?;
                submit::submit(cx, &client, request.of(arn)).await?
            }
        };
        Ok(Job { id, ..job })
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let client = self.aws.client(cx, &job.place)?;
        let found = self.describe_jobs(cx, &client, &[&job.id]).await?;
        match found.iter().find(|found| found.job_id == job.id) {
            Some(found) => Ok(self.status(&job, found)),
            None => Err(job.not_found()),
        }
    }

    fn describe(&self, job: &Job) -> Status {
        job.described(Status::new(Phase::Running), None, self.aws.region(&job.place))
    }

    /// AWS Batch does nothing to a job that has ended.
    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Some(client) = self.aws.client_to_stop(cx, &job.place, &job.id) else {
            return Ok(());
        };
        let body = json!({ "jobId": job.id, "reason": api::STOPPED_BY_FLYTE });
        let call = client.http().post(&["v1", "terminatejob"]).json(&body);
        call.idempotent().send(cx).await.map(drop)
    }
}

impl JointPolls for AwsBatch {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        self.aws.group(cx, &job.place).await.map(Some)
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        let Some(first) = jobs.first() else { return Ok(Vec::new()) };
        let client = self.aws.client(cx, &first.job.place)?;
        let batches = jobs.chunks(MOST_JOBS).map(|batch| {
            let ids = batch.iter().map(|polled| polled.job.id.as_str()).collect::<Vec<_>>();
            let client = &client;
            async move { self.describe_jobs(cx, client, &ids).await }
        });
        let found = in_batches(batches.collect()).await?;
        let by_id = found.iter().map(|one| (one.job_id.as_str(), one));
        let by_id = by_id.collect::<HashMap<_, _>>();
        let status = |Polled { job, .. }: &Polled<Job>| match by_id.get(job.id.as_str()) {
            Some(found) => JointStatus::Status(self.status(job, found)),
            // Unknown jobs are absent.
            None => JointStatus::Alone,
        };
        Ok(jobs.iter().map(status).collect())
    }
}

impl AwsBatch {
    /// The jobs with `ids` that AWS knows.
    async fn describe_jobs(
        &self,
        cx: &Context,
        client: &Client,
        ids: &[&str],
    ) -> Result<Vec<api::Detail>> {
        let call = client.http().post(&["v1", "describejobs"]).json(&json!({ "jobs": ids }));
        let found: api::Described = call.idempotent().send_json(cx).await?;
        Ok(found.jobs)
    }

    fn status(&self, job: &Job, found: &api::Detail) -> Status {
        let status = found.status(&self.operator.verdicts);
        job.described(status, found.log_stream(), self.aws.region(&job.place))
    }
}
