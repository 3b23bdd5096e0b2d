//! Runs Flyte tasks of plugins that are YAML files: what a vendor's API looks like is data, not code.
//!
//! A file is read (`file`), checked and compiled (`definition`) once; its expressions (`expression`) are evaluated for each task and
//! answer. [`tools`] checks files and shows what they send.

mod auth;
mod base_url;
mod checker;
mod custom;
mod definition;
mod errors;
mod expression;
mod file;
mod files;
mod job;
mod limits;
mod located;
mod mistake;
mod names;
mod node;
mod request;
mod served;
mod settings;
mod status;
mod task;
pub mod tools;
mod trace;
mod value;

use std::sync::Arc;

use plugin_core::{
    Context, Error, Fingerprint, HttpBuilder, JointPolls, JointStatus, Kind, Options, Phase,
    Plugin, Polled, Result, Status, SyncTasks, Task, TaskType,
    serde_json::{Map, Value as Json},
};

pub use self::{definition::Definition, job::Job, mistake::Mistakes, settings::Settings};
use crate::{files::Files, served::Served, settings::Assignment};

/// The plugins of the operator's files.
pub struct Declarative {
    files: Files,
    /// Those whose tasks are jobs.
    task_types: &'static [TaskType],
    /// Those that are answered within the call.
    sync: &'static [TaskType],
}

impl Plugin for Declarative {
    /// None of its own: they are the files'.
    const TASK_TYPES: &'static [TaskType] = &[];

    type Settings = Settings;
    type Custom = Map<String, Json>;
    type Meta = Job;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        let files = Files::read(settings.files, settings.set.clone(), http)?;
        let plugins = files.plugins.iter().map(|file| file.plugin()).collect::<Vec<_>>();
        for (index, one) in plugins.iter().enumerate() {
            let name = &one.definition.name;
            if plugins[..index].iter().any(|other| other.definition.name == *name) {
                return Err(Error::invalid(format!("two files have the plugin {name}")));
            }
        }
        for Assignment { plugin, name, .. } in &settings.set {
            if !plugins.iter().any(|one| one.definition.name == *plugin) {
                let message =
                    format!("--set (DECLARATIVE_SET): {plugin}.{name}: no file has this plugin");
                return Err(Error::invalid(message));
            }
        }
        let (mut task_types, mut sync) = (Vec::<TaskType>::new(), Vec::<TaskType>::new());
        for definition in plugins.iter().map(|one| &one.definition) {
            for (name, version) in &definition.task_types {
                if task_types.iter().chain(&sync).any(|known| known.name == name) {
                    return Err(Error::invalid(format!("two files have the task type {name}")));
                }
                let same = if definition.jobs().is_ok() { &mut task_types } else { &mut sync };
                // Once for each file, for as long as the service runs.
                same.push(TaskType::new(String::leak(name.clone()), *version));
            }
        }
        Ok(Self { files, task_types: Vec::leak(task_types), sync: Vec::leak(sync) })
    }

    fn options(&self) -> Options<Self> {
        Options::default()
            .task_types(self.task_types)
            .sync_tasks(self.sync)
            .joint_polls()
            .custom_schema(|this: &Self, task_type| match this.of_task_type(task_type) {
                Ok(served) => served.definition.custom.schema(),
                Err(_) => Json::Bool(true),
            })
            .example(|this: &Self, task_type| match this.of_task_type(task_type) {
                Ok(served) => served.definition.example.to_string(),
                Err(_) => "{}".to_owned(),
            })
            .revision(|this: &Self| this.files.revision())
            .metrics(|this: &Self, registry| this.files.metrics.register(registry))
            .background(|this: Arc<Self>| Box::pin(async move { this.files.keep_fresh().await }))
    }

    async fn create(&self, cx: &Context, task: Task<Map<String, Json>>) -> Result<Job> {
        self.of_task_type(cx.task_type())?.create(cx, &task).await
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        self.of_job(&job)?.get(cx, &job).await
    }

    fn describe(&self, job: &Job) -> Status {
        match self.of_job(job) {
            Ok(served) => served.described(Status::new(Phase::Running), job),
            Err(_) => Status::new(Phase::Running),
        }
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        self.of_job(&job)?.delete(cx, &job).await
    }
}

impl SyncTasks for Declarative {
    type Call = Map<String, Json>;

    async fn execute(&self, cx: &Context, task: Task<Map<String, Json>>) -> Result<Status> {
        self.of_task_type(cx.task_type())?.execute(cx, &task).await
    }
}

impl JointPolls for Declarative {
    async fn group(&self, cx: &Context, job: &Job) -> Result<Option<Fingerprint>> {
        self.of_job(job)?.group(cx, job).await
    }

    async fn get_many(&self, cx: &Context, jobs: &[Polled<Job>]) -> Result<Vec<JointStatus>> {
        // A group has the name of its plugin.
        let Some(Polled { job, .. }) = jobs.first() else { return Ok(Vec::new()) };
        self.of_job(job)?.get_many(cx, jobs).await
    }
}

impl Declarative {
    fn of_task_type(&self, task_type: TaskType) -> Result<Arc<Served>> {
        let found = self.find(|served| {
            served.definition.task_types.iter().any(|(name, _)| *name == task_type.name)
        });
        found.ok_or_else(|| {
            Error::not_found(format!("no file has the task type {}", task_type.name))
        })
    }

    fn of_job(&self, job: &Job) -> Result<Arc<Served>> {
        let found = self.find(|served| served.definition.name == job.plugin);
        found.ok_or_else(|| {
            let message = format!("no file has the job's plugin {}", job.plugin);
            Error::new(Kind::FailedPrecondition, message)
        })
    }

    fn find(&self, is_it: impl Fn(&Served) -> bool) -> Option<Arc<Served>> {
        self.files.plugins.iter().map(|file| file.plugin()).find(|served| is_it(served))
    }
}
