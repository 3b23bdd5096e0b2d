//! A fake AWS Batch that runs no containers.
//!
//! It speaks rest-json. Like AWS Batch it has no idempotency key: each submit is a job, and jobs are listed by their names,
//! upper and lower case alike. Definitions have revisions. Jobs go through states to the configured [`Ending`] and can be
//! terminated while they have not ended.

mod job;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::job::Job;
use super::aws::{self, Answer, Call, Checker, Done, Exception, Fake, Model, Service};

/// A running fake.
pub type FakeAwsBatch = Fake<AwsBatch>;

/// How jobs end.
pub type Ending = aws::Ending<Failure>;

/// How a job fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub reason: String,
    /// The exit code of the container, if it ran.
    pub exit_code: Option<i64>,
}

impl Ending {
    /// A container that exits with an error.
    #[must_use]
    pub fn failed_code() -> Self {
        Self::failed("Essential container in task exited", Some(1))
    }

    /// A host that is taken away.
    #[must_use]
    pub fn lost_host() -> Self {
        Self::failed("Host EC2 (instance i-0a1b2c3d) terminated.", None)
    }

    /// A queue that can never run the job.
    #[must_use]
    pub fn misconfigured() -> Self {
        Self::failed(
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - No instance meets the requirements",
            None,
        )
    }

    fn failed(reason: &str, exit_code: Option<i64>) -> Self {
        Self::Failure(Failure { reason: reason.to_owned(), exit_code })
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The states in which polls find a job before it ends.
    pub states: Vec<String>,
    /// How jobs end.
    pub ending: Ending,
    /// The names of the job queues.
    pub queues: Vec<String>,
    /// How many jobs a page of a list is about, whether they match or not.
    pub page: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            states: ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING"].map(str::to_owned).to_vec(),
            ending: Ending::Success,
            queues: ["etl", "ml"].map(str::to_owned).to_vec(),
            page: 100,
        }
    }
}

/// AWS Batch.
pub struct AwsBatch {
    options: Options,
    /// Registered definitions, as they were requested; a revision is the number of those of its name up to it.
    definitions: Vec<Value>,
    jobs: BTreeMap<String, Job>,
    /// Whether descriptions are of the first job, whatever is asked for.
    describes_first: bool,
}

impl FakeAwsBatch {
    /// Describes the first job from now on, whatever is asked for.
    pub fn describe_first(&self) {
        self.service(|batch| batch.describes_first = true);
    }

    /// The registered job definitions, in order.
    #[must_use]
    pub fn definitions(&self) -> Vec<Value> {
        self.service(|batch| batch.definitions.clone())
    }
}

impl Service for AwsBatch {
    type Options = Options;
    type Failure = Failure;

    fn model() -> &'static Model {
        Model::batch()
    }

    fn new(options: Options) -> Self {
        let (definitions, jobs) = (Vec::new(), BTreeMap::new());
        Self { options, definitions, jobs, describes_first: false }
    }

    fn answer(&mut self, call: &Call, _: &Checker) -> Answer {
        match call.operation.as_str() {
            "DescribeJobDefinitions" => Ok(self.definitions_called(&call.input)),
            "RegisterJobDefinition" => self.register(&call.input),
            "ListJobs" => self.list(&call.input),
            "SubmitJob" => self.submit(&call.input),
            "DescribeJobs" => self.describe(&call.input),
            "TerminateJob" => Ok(self.terminate(call)),
            other => Err(Exception::unknown(other)),
        }
    }

    fn states(&self) -> Vec<String> {
        self.jobs.values().map(|job| job.state().to_owned()).collect()
    }

    fn ending(&mut self) -> &mut Ending {
        &mut self.options.ending
    }

    fn fault(message: &str) -> Exception {
        Exception::new("ServerException", message)
    }
}

fn refused(message: impl Into<String>) -> Exception {
    Exception::new("ClientException", message)
}

impl AwsBatch {
    /// Checks the queue in `input`, which may be an ARN.
    fn check_queue(&self, input: &Value) -> Result<(), Exception> {
        let queue = input["jobQueue"].as_str().unwrap_or_default();
        let name = queue.rsplit('/').next().unwrap_or_default();
        match self.options.queues.iter().any(|known| known == name) {
            true => Ok(()),
            false => Err(refused(format!("JobQueue {queue} not found."))),
        }
    }

    /// The definitions of a name, with their revisions.
    fn revisions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a Value)> {
        let named = self.definitions.iter().filter(move |one| one["jobDefinitionName"] == name);
        named.enumerate().map(|(before, one)| (before + 1, one))
    }

    fn definitions_called(&self, input: &Value) -> Done {
        let name = input["jobDefinitionName"].as_str().unwrap_or_default();
        let found = self.revisions(name).map(|(revision, one)| {
            json!({
                "jobDefinitionName": name, "jobDefinitionArn": definition_arn(name, revision), "revision": revision,
                "status": "ACTIVE", "type": "container", "containerProperties": one["containerProperties"],
                "platformCapabilities": one["platformCapabilities"],
            })
        });
        Done::Output(json!({ "jobDefinitions": found.collect::<Value>() }))
    }

    fn register(&mut self, input: &Value) -> Answer {
        let name = input["jobDefinitionName"].as_str().unwrap_or_default().to_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_name) {
            return Err(refused(format!("{name} is no name")));
        }
        self.definitions.push(input.clone());
        let revision = self.revisions(&name).count();
        let arn = definition_arn(&name, revision);
        let registered =
            json!({ "jobDefinitionName": name, "jobDefinitionArn": arn, "revision": revision });
        Ok(Done::Output(registered))
    }

    fn list(&self, input: &Value) -> Answer {
        self.check_queue(input)?;
        let filter = &input["filters"][0];
        let name = filter["values"][0].as_str().unwrap_or_default();
        if filter["name"] != "JOB_NAME" || name.is_empty() {
            return Err(refused(format!("the fake knows no filter {filter}")));
        }
        let after = input["nextToken"].as_str().unwrap_or_default();
        let all = self.jobs.values().filter(|job| job.id.as_str() > after);
        let page = all.take(self.options.page).collect::<Vec<_>>();
        let named = page.iter().filter(|job| {
            let its = job.input["jobName"].as_str().unwrap_or_default();
            its.eq_ignore_ascii_case(name) && job.input["jobQueue"] == input["jobQueue"]
        });
        let mut listed =
            json!({ "jobSummaryList": named.map(|job| job.listed()).collect::<Value>() });
        if let Some(last) = page.last().filter(|_| page.len() == self.options.page) {
            listed["nextToken"] = last.id.as_str().into();
        }
        Ok(Done::Output(listed))
    }

    fn submit(&mut self, input: &Value) -> Answer {
        self.check_queue(input)?;
        let definition = input["jobDefinition"].as_str().unwrap_or_default();
        let name = definition.rsplit('/').next().unwrap_or_default();
        let (name, revision) = name.rsplit_once(':').unwrap_or((name, "1"));
        if !self.revisions(name).any(|(known, _)| known.to_string() == revision) {
            return Err(refused(format!("JobDefinition {definition} not found.")));
        }
        let id = format!("876da822-4198-45f2-a252-{:012x}", self.jobs.len() + 1);
        let (states, ending) = (self.options.states.clone(), self.options.ending.clone());
        let job = Job::new(id.clone(), input.clone(), states, ending);
        let submitted = job.submitted();
        self.jobs.insert(id, job);
        Ok(Done::Started(submitted))
    }

    fn describe(&mut self, input: &Value) -> Answer {
        let ids = input["jobs"].as_array().cloned().unwrap_or_default();
        if ids.len() > 100 {
            return Err(refused(format!("{} jobs are more than 100", ids.len())));
        }
        let mut found = Vec::new();
        let first = self.jobs.keys().next().filter(|_| self.describes_first).cloned();
        for id in ids.iter().filter_map(Value::as_str) {
            let id = first.as_deref().unwrap_or(id);
            // Unknown jobs are absent.
            if let Some(job) = self.jobs.get_mut(id) {
                found.push(job.described());
                job.advance();
            }
        }
        Ok(Done::Output(json!({ "jobs": found })))
    }

    fn terminate(&mut self, call: &Call) -> Done {
        if let Some(job) = self.jobs.get_mut(call.text("jobId")) {
            job.terminate(call.text("reason"));
        }
        Done::Output(json!({}))
    }
}

fn definition_arn(name: &str, revision: usize) -> String {
    format!("arn:aws:batch:eu-central-1:111122223333:job-definition/{name}:{revision}")
}
