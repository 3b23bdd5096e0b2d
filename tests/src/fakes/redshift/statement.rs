//! A statement of the fake, or a batch.

use serde_json::{Value, json};

use super::Ending;
use crate::fakes::aws::{At, Course};

/// The states before the end, one for each poll; the last again and again.
const STATES: [&str; 3] = ["SUBMITTED", "PICKED", "STARTED"];

/// When all of the fake's statements were submitted, in seconds since 1970.
const CREATED_AT: f64 = 1_772_346_615.823;

pub(super) struct Statement {
    id: String,
    input: Value,
    course: Course<String>,
}

impl Statement {
    pub(super) fn new(id: String, input: Value, polls: usize, ending: Ending) -> Self {
        let states = (0..polls).map(|poll| STATES[poll.min(2)].to_owned()).collect();
        Self { id, input, course: Course::new(states, ending) }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn state(&self) -> &str {
        match self.course.at() {
            At::State(state) => state,
            At::Succeeded => "FINISHED",
            At::Failed(_) => "FAILED",
            At::Stopped => "ABORTED",
        }
    }

    pub(super) fn advance(&mut self) {
        self.course.advance();
    }

    /// Whether it was active, and is now cancelled.
    pub(super) fn cancel(&mut self) -> bool {
        self.course.stop()
    }

    pub(super) fn started(&self) -> Value {
        let mut answer = self.place();
        answer["Id"] = self.id.as_str().into();
        answer["CreatedAt"] = CREATED_AT.into();
        answer
    }

    pub(super) fn listed(&self) -> Value {
        json!({
            "Id": self.id,
            "Status": self.state(),
            "StatementName": self.input["StatementName"],
            "CreatedAt": CREATED_AT,
            "IsBatchStatement": self.input["Sqls"].is_array(),
        })
    }

    /// Whether it runs where `asked` says.
    pub(super) fn is_at(&self, asked: &Value) -> bool {
        ["ClusterIdentifier", "WorkgroupName"]
            .iter()
            .all(|field| asked[field].is_null() || asked[field] == self.input[field])
    }

    pub(super) fn described(&self) -> Value {
        let has_ended = self.state() == "FINISHED";
        let mut answer = self.place();
        answer["Id"] = self.id.as_str().into();
        answer["Status"] = self.state().into();
        answer["CreatedAt"] = CREATED_AT.into();
        answer["UpdatedAt"] = (CREATED_AT + 1.5).into();
        answer["Duration"] = if has_ended { 1_830_000_000_i64 } else { -1 }.into();
        answer["ResultRows"] = if has_ended { 42 } else { -1 }.into();
        answer["ResultSize"] = if has_ended { 0 } else { -1 }.into();
        answer["RedshiftQueryId"] = 1247.into();
        answer["HasResultSet"] = false.into();
        if let At::Failed(error) = self.course.at() {
            answer["Error"] = error.as_str().into();
        }
        match self.input["Sqls"].as_array() {
            Some(statements) => answer["SubStatements"] = self.subs(statements),
            None => answer["QueryString"] = self.input["Sql"].clone(),
        }
        answer
    }

    /// The statements of a batch; the last one ends as the batch does.
    fn subs(&self, statements: &[Value]) -> Value {
        let sub = |(text, number): (&Value, usize)| {
            let is_last = number == statements.len();
            let mut sub = json!({
                "Id": format!("{}:{number}", self.id),
                "Status": if is_last { self.state() } else { "FINISHED" },
                "QueryString": text,
            });
            if let (At::Failed(error), true) = (self.course.at(), is_last) {
                sub["Error"] = error.as_str().into();
            }
            sub
        };
        statements.iter().zip(1..).map(sub).collect()
    }

    fn place(&self) -> Value {
        let fields = ["ClusterIdentifier", "WorkgroupName", "Database", "SecretArn", "DbUser"];
        let present = fields.iter().filter(|field| !self.input[**field].is_null());
        present.map(|field| ((*field).to_owned(), self.input[*field].clone())).collect()
    }
}
