//! A job of the fake.

use serde_json::{Value, json};

use super::{Ending, Failure};
use crate::fakes::aws::{At, Course};

/// When all of the fake's jobs were submitted, in milliseconds since 1970.
const CREATED_AT: u64 = 1_772_346_615_823;

pub(super) struct Job {
    pub(super) id: String,
    pub(super) input: Value,
    course: Course<Failure>,
    /// Why it was terminated.
    terminated: Option<String>,
}

impl Job {
    pub(super) fn new(id: String, input: Value, states: Vec<String>, ending: Ending) -> Self {
        Self { id, input, course: Course::new(states, ending), terminated: None }
    }

    pub(super) fn state(&self) -> &str {
        match self.course.at() {
            At::State(state) => state,
            At::Succeeded => "SUCCEEDED",
            At::Failed(_) | At::Stopped => "FAILED",
        }
    }

    pub(super) fn advance(&mut self) {
        self.course.advance();
    }

    /// Nothing happens to one that has ended.
    pub(super) fn terminate(&mut self, reason: &str) {
        if self.course.stop() {
            self.terminated = Some(reason.to_owned());
        }
    }

    fn arn(&self) -> String {
        format!("arn:aws:batch:eu-central-1:111122223333:job/{}", self.id)
    }

    pub(super) fn submitted(&self) -> Value {
        json!({ "jobArn": self.arn(), "jobName": self.input["jobName"], "jobId": self.id })
    }

    pub(super) fn listed(&self) -> Value {
        json!({
            "jobArn": self.arn(), "jobName": self.input["jobName"], "jobId": self.id, "status": self.state(),
            "createdAt": CREATED_AT, "jobDefinition": self.input["jobDefinition"],
        })
    }

    pub(super) fn described(&self) -> Value {
        let mut described = json!({
            "jobArn": self.arn(), "jobName": self.input["jobName"], "jobId": self.id, "jobQueue": self.input["jobQueue"],
            "status": self.state(), "createdAt": CREATED_AT, "startedAt": CREATED_AT + 4000,
            "jobDefinition": self.input["jobDefinition"], "attempts": [], "isCancelled": false,
            "isTerminated": self.terminated.is_some(), "container": {},
        });
        if self.course.has_ended() || self.state() == "RUNNING" {
            described["container"]["logStreamName"] = "flyte-etl/default/1f2e3d4c5b6a".into();
        }
        if self.course.has_ended() {
            described["stoppedAt"] = (CREATED_AT + 64_000).into();
        }
        match self.course.at() {
            At::Stopped => described["statusReason"] = self.terminated.as_deref().into(),
            At::Failed(Failure { reason, exit_code }) => {
                described["statusReason"] = reason.as_str().into();
                if let Some(code) = exit_code {
                    described["container"]["exitCode"] = (*code).into();
                }
            }
            At::Succeeded => {
                described["statusReason"] = "Essential container in task exited".into();
                described["container"]["exitCode"] = 0.into();
            }
            At::State(_) => {}
        }
        described
    }
}
