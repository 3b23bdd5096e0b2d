//! A job run of the fake.

use serde_json::{Value, json};

use super::{
    Ending, Failure,
    application::{Application, CREATED_AT},
};
use crate::fakes::aws::{Answer, At, Course, Done, Exception};

pub(super) struct Run {
    pub(super) id: String,
    pub(super) application: String,
    /// Its input, without the token.
    input: Value,
    arn: String,
    course: Course<Failure>,
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
        Self { id, application, input, arn, course: Course::new(states, ending) }
    }

    pub(super) fn state(&self) -> &str {
        match self.course.at() {
            At::State(state) => state,
            At::Succeeded => "SUCCESS",
            At::Failed(failure) => &failure.state,
            At::Stopped => "CANCELLED",
        }
    }

    fn details(&self) -> &str {
        match self.course.at() {
            At::Failed(failure) => &failure.details,
            // The model wants something there.
            _ => "-",
        }
    }

    pub(super) fn advance(&mut self) {
        self.course.advance();
    }

    /// Cancels it, unless it has ended.
    pub(super) fn cancel(&mut self) -> Answer {
        match self.course.stop() {
            true => {
                let answer = json!({ "applicationId": self.application, "jobRunId": self.id });
                Ok(Done::Output(answer))
            }
            false => {
                let id = &self.id;
                let message =
                    format!("Job run {id} is in a terminal state and cannot be cancelled");
                Err(Exception::new("ValidationException", message))
            }
        }
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
        if self.course.has_ended() {
            described["totalExecutionDurationSeconds"] = 61.into();
            described["totalResourceUtilization"] =
                json!({ "vCPUHour": 0.024, "memoryGBHour": 0.121, "storageGBHour": 0.121 });
        }
        described
    }
}
