//! A fake SageMaker that runs no jobs.
//!
//! It speaks awsJson 1.1: names are unique, those of endpoints whatever their case; jobs and endpoints go through states to
//! the configured [`Ending`]; jobs can be stopped while they run; tags are kept. Of the runtime's API it has asynchronous
//! invocations, which nobody serves.

mod operations;
mod resource;

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::Value;

use self::resource::{Kind, Resource};
use super::aws::{self, Answer, Call, Checker, Exception, Fake, Model, Service};

/// A running fake.
pub type FakeSageMaker = Fake<SageMaker>;

/// How jobs end, and how endpoints come up.
pub type Ending = aws::Ending<Failure>;

/// How a job fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// As failed, for this reason.
    Failed(String),
    /// Stopped, a training job with this secondary status, without a stop: a limit of time.
    Stopped(String),
}

impl Ending {
    /// A script that raises.
    #[must_use]
    pub fn failed_script() -> Self {
        Self::failed("AlgorithmError: ExecuteUserScriptError:\nExitCode 1")
    }

    /// A region that has no room.
    #[must_use]
    pub fn no_capacity() -> Self {
        Self::failed(
            "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type.",
        )
    }

    /// A limit of time, which a training job's secondary status names.
    #[must_use]
    pub fn out_of_time(secondary: &str) -> Self {
        Self::Failure(Failure::Stopped(secondary.to_owned()))
    }

    fn failed(reason: &str) -> Self {
        Self::Failure(Failure::Failed(reason.to_owned()))
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The number of polls that find a job unfinished.
    pub polls: usize,
    /// How jobs end.
    pub ending: Ending,
    /// Whether endpoints need their configuration, and configurations their models.
    pub needs_parts: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { polls: 3, ending: Ending::Success, needs_parts: false }
    }
}

/// SageMaker. Its jobs are all things made: also endpoints and their parts.
pub struct SageMaker {
    options: Options,
    /// By kind and name.
    resources: BTreeMap<(&'static str, String), Resource>,
    /// How many were ever made.
    made: usize,
}

impl FakeSageMaker {
    /// Makes what `operation` makes of `input`, as somebody else.
    pub fn make(&self, operation: &str, input: Value) {
        if let Some(kind) = operation.strip_prefix("Create").and_then(Kind::of) {
            self.service(|sagemaker| sagemaker.keep(kind, input));
        }
    }

    /// Puts all jobs and endpoints that were made into `state`, in which they stay.
    pub fn put_into(&self, state: &str) {
        self.service(|sagemaker| {
            sagemaker.resources.values_mut().for_each(|one| one.put_into(state));
        });
    }

    /// The number of things made: of `suffix`, for example `TrainingJob`, `Endpoint` or `Model`.
    #[must_use]
    pub fn count(&self, suffix: &str) -> usize {
        self.service(|sagemaker| {
            sagemaker.resources.keys().filter(|(kind, _)| *kind == suffix).count()
        })
    }
}

impl Service for SageMaker {
    type Options = Options;
    type Failure = Failure;

    fn model() -> &'static Model {
        Model::sagemaker()
    }

    fn rest_model() -> Option<&'static Model> {
        Some(Model::sagemaker_runtime())
    }

    fn new(options: Options) -> Self {
        Self { options, resources: BTreeMap::new(), made: 0 }
    }

    fn answer(&mut self, call: &Call, _: &Checker) -> Answer {
        self.operate(call)
    }

    fn states(&self) -> Vec<String> {
        let mut all = self.resources.values().collect::<Vec<_>>();
        all.sort_by_key(|one| one.number);
        all.into_iter().map(|one| one.state().to_owned()).collect()
    }

    fn ending(&mut self) -> &mut Ending {
        &mut self.options.ending
    }

    /// The model has no error for it.
    fn fault(message: &str) -> Exception {
        Exception::common(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", message)
    }
}

impl SageMaker {
    fn keep(&mut self, kind: &'static Kind, input: Value) {
        self.made += 1;
        let made = Resource::new(kind, input, &self.options, self.made);
        self.resources.insert(made.key(), made);
    }
}
