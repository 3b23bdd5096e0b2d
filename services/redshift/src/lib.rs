//! Runs Flyte's `redshift` tasks: SQL statements, through the Redshift Data API.

mod api;
mod custom;
mod dialect;
mod errors;
mod job;
mod request;
mod settings;
mod sql;
mod target;
mod task_types;
mod unload;
mod value;

use plugin_core::{
    Context, Error, HttpBuilder, JointPolls, JointStatus, Kind, Options, Phase, Plugin, Polled,
    Result, Status, Task, TaskType,
    aws::{self, Api, Asked, Aws, Client},
    digest::Fingerprint,
    serde_json::json,
};

pub use crate::{custom::Custom, job::Job, settings::Settings};
use crate::{request::Request, target::Allowed, unload::Results};

const API: Api =
    Api::json_1_1("redshift-data", "RedshiftData").refusals(errors::kind).full(errors::is_full);

/// The Redshift plugin.
pub struct Redshift {
    aws: Aws,
    allowed: Allowed,
    retryable: Vec<String>,
}

impl Plugin for Redshift {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str =
        r#"{"custom": {"workgroup": "analytics", "database": "dev"}, "sql": "SELECT 1 AS one"}"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let Settings { aws, allowed, retryable_errors } = settings;
        let allowed = allowed.checked()?;
        Ok(Self { aws: Aws::new(API, aws, http)?, allowed, retryable: retryable_errors })
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let custom = &task.custom;
        let asked = Asked::default()
            .region("custom.region", custom.region.as_deref())
            .role("custom.role", custom.role.as_deref());
        let place = self.aws.choose(cx, &asked)?;
        let login = self.allowed.choose(cx, custom)?;
        let rendered = sql::render(cx, task.sql()?, &task.inputs)?;
        let results = Results::of(&task, &rendered)?;
        let request = Request::new(cx, &task, &login, rendered)?;
        let queue = login.target.parts().1.to_owned();
        let job = Job { id: String::new(), place, target: login.target, results };
        // The id that Redshift will give it is as long as all of them.
        cx.check_meta(&Job { id: job::LONGEST_ID.to_owned(), ..job.clone() })?;
        let client = self.aws.client(cx, &job.place)?;
        let call = client.call(request.operation(), &request).idempotent().submits_job(&queue);
        let started: api::Started = call.send_json(cx).await.map_err(aws::of_submit)?;
        match started.id.filter(|id| job::is_id(id)) {
            Some(id) => Ok(Job { id, ..job }),
            None => Err(Error::unavailable("Redshift's response has no id of a statement")),
        }
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let client = self.aws.client(cx, &job.place)?;
        let request = client.call("DescribeStatement", &json!({ "Id": job.id }));
        let found: api::Described = match request.idempotent().send_json(cx).await {
            Ok(found) => found,
            Err(error) if error.kind() == Kind::NotFound => return Err(job.not_found(&error)),
            Err(error) => return Err(error),
        };
        Ok(job.described(
            job.with_results(found.status(&self.retryable)),
            self.aws.region(&job.place),
        ))
    }

    fn describe(&self, job: &Job) -> Status {
        job.described(Status::new(Phase::Running), self.aws.region(&job.place))
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Some(client) = self.aws.client_to_stop(cx, &job.place, &job.id) else {
            return Ok(());
        };
        // A ValidationException says that it does not run; the core then checks whether it has ended.
        let request = client.call("CancelStatement", &json!({ "Id": job.id }));
        request.idempotent().send(cx).await.map(drop)
    }
}

/// How many pages of one state a joint poll reads at most. A cluster has at most 500 active statements, of which this
/// service's may be few.
const MOST_PAGES: usize = 10;

impl JointPolls for Redshift {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        let place = self.aws.group(cx, &job.place).await?.to_string();
        // ListStatements takes one cluster or workgroup.
        let (kind, name) = job.target.parts();
        Ok(Some(Fingerprint::of(&[place.as_str(), kind, name])))
    }

    /// The Data API can describe one statement at a time, but it lists those in a state: whatever is listed as active has
    /// not ended. What is not listed has, or has just changed its state, and is described.
    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        let Some(first) = jobs.first().map(|polled| &polled.job) else { return Ok(Vec::new()) };
        let client = self.aws.client(cx, &first.place)?;
        let mut active = api::Active::default();
        for state in api::ACTIVE {
            self.list(cx, &client, first, state, &mut active).await?;
        }
        let status = |polled: &Polled<Job>| {
            let job = &polled.job;
            match active.status(&job.id) {
                Some(status) => {
                    JointStatus::Status(job.described(status, self.aws.region(&job.place)))
                }
                None => JointStatus::Alone,
            }
        };
        Ok(jobs.iter().map(status).collect())
    }
}

impl Redshift {
    /// Adds the statements in `state` at the target of `job` to `active`.
    async fn list(
        &self,
        cx: &Context,
        client: &Client,
        job: &Job,
        state: &'static str,
        active: &mut api::Active,
    ) -> Result<()> {
        let mut page = request::List::of(job, state);
        for _ in 0..MOST_PAGES {
            let request = client.call("ListStatements", &page).idempotent();
            let listed: api::Listed = request.send_json(cx).await?;
            page.next_token = active.add(state, listed);
            if page.next_token.is_none() {
                break;
            }
        }
        Ok(())
    }
}
