//! A job of the fake.

use serde_json::{Value, json};

use super::Ending;

/// When all of the fake's jobs were submitted, in milliseconds since 1970.
const CREATED_AT: u64 = 1_772_346_615_823;

pub(super) struct Job {
    pub(super) id: String,
    pub(super) input: Value,
    states: Vec<String>,
    passed: usize,
    ending: Ending,
    /// Why it was terminated.
    terminated: Option<String>,
}

impl Job {
    pub(super) fn new(id: String, input: Value, states: Vec<String>, ending: Ending) -> Self {
        Self { id, input, states, passed: 0, ending, terminated: None }
    }

    pub(super) fn state(&self) -> &str {
        match &self.ending {
            _ if self.terminated.is_some() => "FAILED",
            Ending::Stuck(state) => state,
            ending => match (self.states.get(self.passed), ending) {
                (Some(state), _) => state,
                (None, Ending::Success) => "SUCCEEDED",
                (None, _) => "FAILED",
            },
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        ["SUCCEEDED", "FAILED"].contains(&self.state())
    }

    pub(super) fn advance(&mut self) {
        self.passed += 1;
    }

    /// Nothing happens to one that has ended.
    pub(super) fn terminate(&mut self, reason: &str) {
        if !self.has_ended() {
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
        if self.has_ended() || self.state() == "RUNNING" {
            described["container"]["logStreamName"] = "flyte-etl/default/1f2e3d4c5b6a".into();
        }
        if self.has_ended() {
            described["stoppedAt"] = (CREATED_AT + 64_000).into();
        }
        match (&self.terminated, &self.ending) {
            (Some(reason), _) => described["statusReason"] = reason.as_str().into(),
            (None, Ending::Failure(reason, code)) if self.has_ended() => {
                described["statusReason"] = reason.as_str().into();
                if let Some(code) = code {
                    described["container"]["exitCode"] = (*code).into();
                }
            }
            (None, Ending::Success) if self.has_ended() => {
                described["statusReason"] = "Essential container in task exited".into();
                described["container"]["exitCode"] = 0.into();
            }
            _ => {}
        }
        described
    }
}
