//! Runs Flyte's SageMaker tasks: jobs of training, processing, transform, tuning and inference recommendation, endpoints, and
//! tasks' own code as training and processing jobs.

mod api;
mod boto;
mod code;
mod custom;
mod errors;
mod failure;
mod images;
mod invoke;
mod job;
mod outputs;
mod render;
mod request;
mod resource;
mod roles;
mod submit;
mod task_types;

use plugin_core::{
    Context, Error, HttpBuilder, Kind, Options, Phase, Plugin, Result, Status, Task, TaskType,
    Value,
    aws::{self, Api, Asked, Aws, Client, ExecutionRoles},
    clap,
    serde_json::json,
    task::Inputs,
};

use crate::{
    api::Described,
    request::{KEY_TAG, Request},
    resource::{Resource, runs_code},
    submit::{Adopt, Tags},
};
pub use crate::{boto::Call, custom::Custom, job::Job};

const API: Api =
    Api::json_1_1("api.sagemaker", "SageMaker").signing_name("sagemaker").refusals(errors::kind);

/// The API that asks endpoints for inferences.
const RUNTIME: Api =
    Api::rest_json("runtime.sagemaker").signing_name("sagemaker").refusals(errors::kind);

/// The SageMaker plugin.
pub struct SageMaker {
    aws: Aws,
    runtime: Aws,
    roles: ExecutionRoles,
    retryable: Vec<String>,
    boto: boto::Allowed,
}

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// Classes of failures, or parts of reasons without a class, after which Flyte may retry the task.
    #[arg(
        long,
        env = "SAGEMAKER_RETRYABLE_FAILURES",
        value_name = "TEXT",
        value_delimiter = ',',
        default_value = failure::RETRYABLE
    )]
    retryable_failures: Vec<String>,

    /// Methods of boto3 that `boto` tasks may call: `all` of those that flytekit's tasks do, some of them, or `none`.
    #[arg(
        long,
        env = "SAGEMAKER_BOTO_METHODS",
        value_name = "METHOD",
        value_delimiter = ',',
        default_value = "all"
    )]
    boto_methods: Vec<String>,

    #[command(flatten)]
    roles: ExecutionRoles,

    #[command(flatten)]
    aws: aws::Settings,
}

impl Plugin for SageMaker {
    const TASK_TYPES: &'static [TaskType] = task_types::TASK_TYPES;
    const EXAMPLE: &'static str = r#"{
        "custom": {"config": {"EndpointName": "{inputs.name}", "EndpointConfigName": "orders-1"}},
        "inputs": {"name": "orders"}
    }"#;

    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let Settings { retryable_failures: retryable, boto_methods, roles, aws } = settings;
        roles.require()?;
        let boto = boto::Allowed::new(&boto_methods)?;
        let api = Aws::new(API, aws.clone(), http.clone())?;
        let runtime = api.beside(RUNTIME, &aws, http)?;
        Ok(Self { aws: api, runtime, roles, retryable, boto })
    }

    fn options(&self) -> Options<Self> {
        let (jobs, calls) = task_types();
        Options::default()
            .task_types(jobs)
            .sync_tasks(if self.boto.any() { calls } else { &[] })
            .custom_schema(|_, task_type| {
                if is_call(task_type) { boto::schema() } else { custom::schema(task_type) }
            })
            .example(|_, task_type| {
                if is_call(task_type) { boto::EXAMPLE } else { Self::EXAMPLE }.to_owned()
            })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let task_type = cx.task_type();
        let resource = Resource::of(task_type)
            .ok_or_else(|| Error::invalid("template.type: no job of SageMaker's"))?;
        let custom = &task.custom;
        custom.check(task_type)?;
        let (region, role) = (custom.region.as_deref(), custom.role.as_deref());
        let place = self.aws.choose(cx, &asked(&task.inputs, region, role))?;
        let request = Request::new(cx, &task, resource, place.region(), &self.roles)?;
        let job =
            Job::new(place, resource, request.name.clone(), &request.key, runs_code(task_type));
        cx.check_meta(&job)?;
        let client = self.aws.client(cx, &job.place)?;
        submit::submit(cx, &client, resource.facts(), &request, Adopt::Own).await?;
        Ok(job)
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let client = self.aws.client(cx, &job.place)?;
        let found = Described::read(cx, &client, job.resource, &job.name).await;
        let found = found.map_err(|error| match error.kind() {
            Kind::NotFound => job.not_found(&error),
            _ => error,
        })?;
        let mut status = found.status(&self.retryable);
        if status.phase() == Phase::Succeeded && !job.runs_code {
            let artifacts = found.artifacts(cx, &client).await?;
            status = status.output("result", Some(found.result(artifacts.as_deref())));
        }
        Ok(job.described(status, self.aws.region(&job.place)))
    }

    fn describe(&self, job: &Job) -> Status {
        job.described(Status::new(Phase::Running), self.aws.region(&job.place))
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let Some(client) = self.aws.client_to_stop(cx, &job.place, &job.name) else {
            return Ok(());
        };
        if job.resource == Resource::Endpoint && !is_being_made(cx, &client, &job).await? {
            return Ok(());
        }
        let facts = job.resource.facts();
        // A ValidationException says that it does not run; the core then checks whether it has ended.
        let call = client.call(facts.stop, &json!({ facts.name: job.name }));
        call.idempotent().send(cx).await.map(drop)
    }
}

/// The types of tasks that are jobs, and the last one, `boto`, whose tasks are calls.
fn task_types() -> (&'static [TaskType], &'static [TaskType]) {
    task_types::TASK_TYPES.split_at(task_types::TASK_TYPES.len() - 1)
}

fn is_call(task_type: TaskType) -> bool {
    task_types().1.contains(&task_type)
}

/// The region and the role that a task asks for. As in flytekit, an input called `region` takes precedence.
fn asked<'a>(inputs: &'a Inputs, region: Option<&'a str>, role: Option<&'a str>) -> Asked<'a> {
    let input = inputs.iter().find(|(name, _)| *name == "region");
    let asked = Asked::default().role("custom.role", role);
    match input.map(|(_, input)| &input.value) {
        Some(Value::String(region)) => asked.region("inputs.region", Some(region)),
        _ => asked.region("custom.region", region),
    }
}

/// Whether the endpoint of `job` has not come up yet, and is the one that its task made: another may have its name by now.
async fn is_being_made(cx: &Context, client: &Client, job: &Job) -> Result<bool> {
    let found = Described::read(cx, client, job.resource, &job.name).await?;
    if found.state() != "Creating" {
        return Ok(false);
    }
    let tags = Tags::of(cx, client, found.arn()).await?;
    Ok(job.is_of(tags.get(KEY_TAG)))
}
