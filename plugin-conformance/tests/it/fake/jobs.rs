//! The fake's jobs and tasks, whatever the protocol.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use plugin_core::testing::{create_request, proto::flyteidl::admin::CreateTaskRequest};
use serde_json::{Value as Json, json};
use tokio::{sync::Mutex as AsyncMutex, time::sleep};

use super::{ASYNC, Fake, Fault, SYNC};

/// How many polls find a job running: two rounds over three protocols.
const RUNNING_POLLS: usize = 6;
/// After how many polls a terminal job runs again, if it does.
const TERMINAL_POLLS: usize = RUNNING_POLLS + 3;
/// How long a submission takes.
const SUBMISSION: Duration = Duration::from_millis(100);

/// A job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) polls: usize,
    deleted: bool,
}

#[derive(Default)]
pub(crate) struct Jobs {
    all: Mutex<Vec<Job>>,
    by_prefix: Mutex<HashMap<String, usize>>,
    /// Held while a job is submitted.
    submitting: AsyncMutex<()>,
    in_flight: Mutex<HashMap<String, usize>>,
}

/// What a create or an execution comes to.
pub(crate) enum Outcome<T> {
    Accepted(T),
    /// A refusal of the task, with its message.
    Refused(String),
    /// An error of the call.
    NotFound,
    Invalid(String),
    Unavailable,
}

/// A status, of which each protocol makes its own.
pub(crate) struct Status {
    pub(crate) phase: &'static str,
    pub(crate) message: String,
    /// A LiteralMap.
    pub(crate) outputs: Option<Json>,
    pub(crate) links: Vec<(&'static str, &'static str)>,
}

impl Status {
    pub(crate) fn of(phase: &'static str, message: &str) -> Self {
        Self { phase, message: message.to_owned(), outputs: None, links: vec![LINK] }
    }
}

const LINK: (&str, &str) = ("Console", "https://vendor.example.com/job");

/// A task from the proto-JSON that REST has.
pub(crate) fn task(json: &Json) -> Option<CreateTaskRequest> {
    json.is_object().then(|| create_request(json).ok()).flatten()
}

fn literal(kind: &str, value: &Json) -> Json {
    json!({"scalar": {"primitive": {kind: value}}})
}

impl Fake {
    fn serves(&self, version: i32) -> bool {
        version == 0 || (version == 1 && self.is(Fault::TwoVersions))
    }

    /// What is wrong with a task, if anything is.
    fn check(&self, task: &CreateTaskRequest, is_sync: bool) -> Option<Outcome<usize>> {
        let Some(template) = &task.template else {
            let accepted = self.is(Fault::NoTemplateIsAccepted);
            return (!accepted).then(|| Outcome::Invalid("template: missing".to_owned()));
        };
        let (served, unknown, vague, transient) = match is_sync {
            false => (
                ASYNC,
                Fault::UnknownTypeIsAccepted,
                Fault::BadCustomIsVague,
                Fault::RefusalIsTransient,
            ),
            true => (
                SYNC,
                Fault::SyncUnknownTypeIsAccepted,
                Fault::SyncBadCustomIsVague,
                Fault::SyncRefusalIsTransient,
            ),
        };
        if template.r#type != served {
            return (!self.is(unknown)).then_some(Outcome::NotFound);
        }
        if !self.serves(template.task_type_version) {
            return (!self.is(Fault::UnknownVersionIsAccepted)).then_some(Outcome::NotFound);
        }
        let custom = template.custom.clone().unwrap_or_default();
        match custom.fields.get("text").and_then(|text| text.kind.as_ref()) {
            Some(prost_types::value::Kind::StringValue(text)) if text == "refuse" => {
                let refused = Outcome::Refused("the vendor says no".to_owned());
                Some(if self.is(transient) { Outcome::Unavailable } else { refused })
            }
            Some(prost_types::value::Kind::StringValue(_)) | None => None,
            Some(_) if self.is(Fault::BadCustomIsAccepted) && !is_sync => None,
            Some(_) if self.is(Fault::BadCustomIsAnError) && !is_sync => {
                Some(Outcome::Invalid("custom.text: must be a string".to_owned()))
            }
            Some(_) if self.is(vague) => Some(Outcome::Refused("something is wrong".to_owned())),
            Some(_) => Some(Outcome::Refused("custom.text: must be a string".to_owned())),
        }
    }

    /// Creates a job and returns its number.
    pub(crate) async fn create(&self, task: &CreateTaskRequest) -> Outcome<usize> {
        if let Some(problem) = self.check(task, false) {
            return problem;
        }
        let prefix = match self.fault {
            Fault::OneJobForEveryPrefix => String::new(),
            _ => task.output_prefix.clone(),
        };
        if self.is(Fault::ConcurrentCreatesAreTwo) {
            if let Some(known) = self.jobs.by_prefix.lock().unwrap().get(&prefix) {
                return Outcome::Accepted(*known);
            }
            sleep(SUBMISSION).await;
            return Outcome::Accepted(self.submit(prefix));
        }
        if [Fault::SecondJobForRepeat, Fault::SecondJobWithoutIds].contains(&self.fault) {
            return Outcome::Accepted(self.submit_joined(prefix).await);
        }
        let _one_at_a_time = self.jobs.submitting.lock().await;
        let known = self.jobs.by_prefix.lock().unwrap().get(&prefix).copied();
        Outcome::Accepted(known.unwrap_or_else(|| self.submit(prefix)))
    }

    fn submit(&self, prefix: String) -> usize {
        let mut jobs = self.jobs.all.lock().unwrap();
        jobs.push(Job::default());
        let number = jobs.len() - 1;
        self.jobs.by_prefix.lock().unwrap().insert(prefix, number);
        number
    }

    /// Joins a submission in progress, and forgets it when it has ended.
    async fn submit_joined(&self, prefix: String) -> usize {
        let known = self.jobs.in_flight.lock().unwrap().get(&prefix).copied();
        if let Some(known) = known {
            sleep(SUBMISSION).await;
            return known;
        }
        let number = self.submit(prefix.clone());
        self.jobs.in_flight.lock().unwrap().insert(prefix.clone(), number);
        sleep(SUBMISSION).await;
        self.jobs.in_flight.lock().unwrap().remove(&prefix);
        number
    }

    /// The handle of a job.
    pub(crate) fn handle(&self, number: usize) -> Vec<u8> {
        let padding = if self.is(Fault::LongHandle) { "p".repeat(2000) } else { String::new() };
        format!("fake/{number}/{}/{padding}end", check_sum(number)).into_bytes()
    }

    /// The job of a handle; `Err` says whether it was one of ours before it was altered.
    pub(crate) fn open(&self, handle: &[u8]) -> Result<usize, bool> {
        let count = self.jobs.all.lock().unwrap().len();
        let found = (0..count).find(|number| self.handle(*number) == handle);
        found.ok_or_else(|| handle.windows(4).any(|part| part == b"ake/"))
    }

    /// The status of a job; `None` is an outage.
    pub(crate) async fn poll(&self, number: usize) -> Option<Status> {
        let job = {
            let mut jobs = self.jobs.all.lock().unwrap();
            jobs[number].polls += 1;
            jobs[number].clone()
        };
        match self.fault {
            Fault::PollFailsOnce if job.polls == 2 => return None,
            Fault::PollIsSlow if job.polls == 1 => sleep(Duration::from_millis(2200)).await,
            _ => {}
        }
        Some(self.status_of(&job))
    }

    fn status_of(&self, job: &Job) -> Status {
        if job.deleted {
            let runs_on = self.is(Fault::DeletedJobRunsOn);
            return Status::of(if runs_on { "RUNNING" } else { "FAILED" }, "stopped");
        }
        if job.polls <= RUNNING_POLLS {
            let first_round = job.polls <= RUNNING_POLLS / 2;
            let mut status = Status::of("RUNNING", "");
            if self.is(Fault::PhaseIsUndefined) && first_round {
                status.phase = "UNDEFINED";
            }
            if self.is(Fault::LinksComeLate) && first_round {
                status.links.clear();
            }
            return status;
        }
        match self.fault {
            Fault::TaskFails => Status::of("FAILED", "the vendor failed"),
            Fault::TerminalBecomesRunning if job.polls > TERMINAL_POLLS => {
                Status::of("RUNNING", "")
            }
            _ => Status { outputs: self.outputs(false), ..Status::of("SUCCEEDED", "") },
        }
    }

    fn outputs(&self, is_sync: bool) -> Option<Json> {
        let missing = match is_sync {
            true => self.is(Fault::SyncOutputIsMissing),
            false => self.is(Fault::OutputIsMissing),
        };
        let mut literals = json!({"text": literal("string_value", &json!("hi"))});
        if !missing {
            let float = self.is(Fault::OutputHasAnotherType) && !is_sync;
            literals["count"] = match float {
                true => literal("float_value", &json!(1.5)),
                false => literal("integer", &json!("1")),
            };
        }
        let none = self.is(Fault::NoOutputs) && !is_sync;
        (!none).then(|| json!({ "literals": literals }))
    }

    /// Stops a job; `Err` is an error that Flyte would repeat.
    pub(crate) fn delete(&self, number: usize) -> Result<(), ()> {
        let mut jobs = self.jobs.all.lock().unwrap();
        let job = &mut jobs[number];
        if job.deleted && self.is(Fault::SecondDeleteFails) {
            return Err(());
        }
        if job.polls > RUNNING_POLLS && !job.deleted {
            return if self.is(Fault::DeleteOfEndedFails) { Err(()) } else { Ok(()) };
        }
        job.deleted = true;
        Ok(())
    }

    /// Executes a sync task.
    pub(crate) fn execute(&self, task: &CreateTaskRequest) -> Outcome<Status> {
        match self.check(task, true) {
            Some(Outcome::Refused(message)) => Outcome::Refused(message),
            Some(Outcome::NotFound) => Outcome::NotFound,
            Some(Outcome::Invalid(message)) => Outcome::Invalid(message),
            Some(Outcome::Unavailable) => Outcome::Unavailable,
            _ if self.is(Fault::ExecuteFails) => Outcome::Unavailable,
            _ if self.is(Fault::ExecuteIsNotTerminal) => {
                Outcome::Accepted(Status::of("RUNNING", ""))
            }
            _ if self.is(Fault::SyncTaskFails) => Outcome::Accepted(Status::of("FAILED", "no")),
            _ => Outcome::Accepted(Status {
                outputs: self.outputs(true),
                ..Status::of("SUCCEEDED", "")
            }),
        }
    }
}

fn check_sum(number: usize) -> usize {
    (number + 7) * 7919
}
