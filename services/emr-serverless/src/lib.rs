//! Runs Flyte's `emr_serverless` tasks: Spark and Hive jobs, as job runs of Amazon EMR Serverless.

mod api;
mod application;
mod custom;
mod driver;
mod environment;
mod errors;
mod job;
mod request;
mod submit;
mod task_types;

use plugin_core::{
    Context, Fingerprint, HttpBuilder, JointPolls, JointStatus, Kind, Options, Phase, Plugin,
    Polled, Result, Status, Task, TaskType,
    aws::{self, Api, Asked, Aws, ExecutionRoles},
    clap,
};

use crate::{application::Applications, driver::Entrypoint, request::Request};
pub use crate::{custom::Custom, job::Job};

const API: Api = Api::rest_json("emr-serverless").refusals(errors::kind).full(errors::is_full);

/// Details of failed runs after which another attempt may succeed, by a part of their text: EMR Serverless gives no
/// codes. They are about capacity that others use at the time.
const RETRYABLE_FAILURES: &str = "maximumCapacity,maximum vCPU,could not be allocated";

/// The EMR Serverless plugin.
pub struct EmrServerless {
    aws: Aws,
    roles: ExecutionRoles,
    applications: Applications,
    entrypoint: Option<Entrypoint>,
    retryable: Vec<String>,
}

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    applications: Applications,

    /// URI in S3 of the script that starts the code of tasks without a job driver.
    #[arg(long, env = "EMR_SERVERLESS_ENTRYPOINT", value_name = "URI")]
    entrypoint: Option<Entrypoint>,

    /// Parts of the details of failed runs after which Flyte may retry the task; case does not matter.
    #[arg(
        long,
        env = "EMR_SERVERLESS_RETRYABLE_FAILURES",
        value_name = "TEXT",
        value_delimiter = ',',
        default_value = RETRYABLE_FAILURES
    )]
    retryable_failures: Vec<String>,

    #[command(flatten)]
    roles: ExecutionRoles,

    #[command(flatten)]
    aws: aws::Settings,
}

impl Plugin for EmrServerless {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str = r#"{
        "custom": {
            "application_name": "etl",
            "execution_role_arn": "arn:aws:iam::123456789012:role/etl",
            "spark_job_driver": {"entryPoint": "s3://your-bucket/main.py", "entryPointArguments": ["{{ .inputs.day }}"]}
        },
        "inputs": {"day": "2026-03-01"}
    }"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let Settings { applications, entrypoint, retryable_failures, roles, aws } = settings;
        roles.require()?;
        let aws = Aws::new(API, aws, http)?;
        Ok(Self { aws, roles, applications, entrypoint, retryable: retryable_failures })
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
        let named = self.applications.choose(cx, custom)?;
        let role =
            self.roles.choose(cx, "custom.execution_role_arn", Some(&custom.execution_role_arn))?;
        let request = Request::new(cx, &task, role, self.entrypoint.as_ref())?;
        let job = Job::new(place, &task);
        cx.check_meta(&job.longest())?;
        let client = self.aws.client(cx, &job.place)?;
        let application = application::find(cx, &client, &named).await?;
        if let Some((field, image)) = request.image(custom) {
            application::check_image(cx, &client, &application, field, image).await?;
        }
        let id = submit::submit(cx, &client, &application, &request).await?;
        Ok(Job { id, application, ..job })
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let client = self.aws.client(cx, &job.place)?;
        let found: api::Found = match client.http().get(&job.path()).send_json(cx).await {
            Ok(found) => found,
            Err(error) if error.kind() == Kind::NotFound => return Err(job.not_found(&error)),
            Err(error) => return Err(error),
        };
        let status = job.with_outputs(found.job_run.status(&self.retryable));
        Ok(job.described(status, self.aws.region(&job.place)))
    }

    fn describe(&self, job: &Job) -> Status {
        job.described(Status::new(Phase::Running), self.aws.region(&job.place))
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Some(client) = self.aws.client_to_stop(cx, &job.place, &job.id) else {
            return Ok(());
        };
        // A ValidationException says that it does not run; the core then checks whether it has ended.
        client.http().delete(&job.path()).send(cx).await.map(drop)
    }
}

/// How many pages a joint poll reads at most, of 50 runs each. What is not listed by then is polled by itself.
const MOST_PAGES: usize = 10;

impl JointPolls for EmrServerless {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        let place = self.aws.group(cx, &job.place).await?.to_string();
        // ListJobRuns takes one application.
        Ok(Some(Fingerprint::of(&[place.as_str(), &job.application])))
    }

    /// The runs of an application that have not ended are listed. What is not listed has ended, or has just changed its
    /// state, and is described.
    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        let Some(first) = jobs.first().map(|polled| &polled.job) else { return Ok(Vec::new()) };
        let client = self.aws.client(cx, &first.place)?;
        let (mut active, mut page) = (api::Active::default(), None);
        for _ in 0..MOST_PAGES {
            let request = api::list(client.http(), &first.application, page.as_deref());
            page = active.add(request.send_json(cx).await?);
            if page.is_none() || jobs.iter().all(|polled| active.has(&polled.job.id)) {
                break;
            }
        }
        let status = |Polled { job, .. }: &Polled<Job>| match active.status(&job.id) {
            Some(status) => JointStatus::Status(job.described(status, self.aws.region(&job.place))),
            None => JointStatus::Alone,
        };
        Ok(jobs.iter().map(status).collect())
    }
}
