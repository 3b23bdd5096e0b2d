//! A job run of the fake.

use serde_json::{Value, json};

use super::{
    Ending,
    application::{Application, CREATED_AT},
};

pub(super) struct Run {
    pub(super) id: String,
    pub(super) application: String,
    /// Its input, without the token.
    pub(super) input: Value,
    arn: String,
    states: Vec<String>,
    passed: usize,
    ending: Ending,
    is_cancelled: bool,
}

impl Run {
    pub(super) fn new(
        id: String,
        application: &Application,
        input: Value,
        states: Vec<String>,
        ending: Ending,
    ) -> Self {
        let arn = format!("{}/jobruns/{id}", application.arn());
        let application = application.id.clone();
        Self { id, application, input, arn, states, passed: 0, ending, is_cancelled: false }
    }

    pub(super) fn state(&self) -> &str {
        match &self.ending {
            _ if self.is_cancelled => "CANCELLED",
            Ending::Stuck(state) => state,
            ending => match (self.states.get(self.passed), ending) {
                (Some(state), _) => state,
                (None, Ending::Success) => "SUCCESS",
                (None, Ending::Timeout(_)) => "CANCELLED",
                (None, _) => "FAILED",
            },
        }
    }

    fn details(&self) -> &str {
        match &self.ending {
            Ending::Failure(details) | Ending::Timeout(details) if self.has_ended() => details,
            // The model wants something there.
            _ => "-",
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        ["SUCCESS", "FAILED", "CANCELLED"].contains(&self.state())
    }

    pub(super) fn advance(&mut self) {
        self.passed += 1;
    }

    /// Whether it was active, and is now cancelled.
    pub(super) fn cancel(&mut self) -> bool {
        let was_active = !self.has_ended();
        self.is_cancelled |= was_active;
        was_active
    }

    pub(super) fn started(&self) -> Value {
        json!({ "applicationId": self.application, "jobRunId": self.id, "arn": self.arn })
    }

    /// What lists and descriptions have.
    fn common(&self) -> Value {
        json!({
            "applicationId": self.application, "name": self.input["name"], "arn": self.arn,
            "createdBy": "arn:aws:sts::123456789012:assumed-role/outrigger/outrigger",
            "createdAt": CREATED_AT, "updatedAt": CREATED_AT, "executionRole": self.input["executionRoleArn"],
            "state": self.state(), "stateDetails": self.details(), "releaseLabel": "emr-7.1.0", "mode": "BATCH", "attempt": 1,
        })
    }

    pub(super) fn listed(&self) -> Value {
        let mut listed = self.common();
        listed["id"] = self.id.as_str().into();
        listed
    }

    pub(super) fn described(&self) -> Value {
        let mut described = self.common();
        described["jobRunId"] = self.id.as_str().into();
        described["jobDriver"] = self.input["jobDriver"].clone();
        described["tags"] = self.input["tags"].clone();
        if self.has_ended() {
            described["totalExecutionDurationSeconds"] = 61.into();
            described["totalResourceUtilization"] =
                json!({ "vCPUHour": 0.024, "memoryGBHour": 0.121, "storageGBHour": 0.121 });
        }
        described
    }
}
