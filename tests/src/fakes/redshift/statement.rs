//! A statement of the fake, or a batch.

use serde_json::{Value, json};

use super::Ending;

/// When all of the fake's statements were submitted, in seconds since 1970.
const CREATED_AT: f64 = 1_772_346_615.823;

pub(super) struct Statement {
    id: String,
    input: Value,
    /// How many polls find it unfinished.
    polls: u32,
    passed: u32,
    ending: Ending,
    is_cancelled: bool,
}

impl Statement {
    pub(super) fn new(id: String, input: Value, polls: u32, ending: Ending) -> Self {
        Self { id, input, polls, passed: 0, ending, is_cancelled: false }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether `input` is what it was submitted with.
    pub(super) fn is_of(&self, input: &Value) -> bool {
        self.input == *input
    }

    pub(super) fn state(&self) -> &str {
        match &self.ending {
            _ if self.is_cancelled => "ABORTED",
            Ending::Stuck(state) => state,
            _ if self.passed < self.polls => {
                ["SUBMITTED", "PICKED", "STARTED"][self.passed.min(2) as usize]
            }
            Ending::Success => "FINISHED",
            Ending::Failure(_) => "FAILED",
        }
    }

    pub(super) fn advance(&mut self) {
        self.passed += 1;
    }

    /// Whether it was active, and is now cancelled.
    pub(super) fn cancel(&mut self) -> bool {
        let is_active = !["FINISHED", "FAILED", "ABORTED"].contains(&self.state());
        self.is_cancelled |= is_active;
        is_active
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
        if let (Ending::Failure(error), "FAILED") = (&self.ending, self.state()) {
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
            if let (Ending::Failure(error), "FAILED", true) = (&self.ending, self.state(), is_last)
            {
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
