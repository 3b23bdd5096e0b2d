//! A statement of the fake.

use http::StatusCode;
use serde_json::{Value, json};

use super::Ending;

pub(super) struct Statement {
    handle: String,
    text: String,
    several: bool,
    /// The number of polls until it ends.
    polls: u32,
    ending: Ending,
}

impl Statement {
    pub(super) fn new(handle: String, body: &Value, polls: u32, ending: Ending) -> Self {
        let text = body["statement"].as_str().unwrap_or_default().to_owned();
        let several = body["parameters"]["multi_statement_count"].is_string();
        Self { handle, text, several, polls, ending }
    }

    /// Advances towards its end by one poll.
    pub(super) fn advance(&mut self) {
        self.polls = self.polls.saturating_sub(1);
    }

    /// Advances to its end, as for a synchronous call.
    pub(super) fn finish(&mut self) {
        self.polls = 0;
    }

    fn is_done(&self) -> bool {
        self.polls == 0 && !matches!(self.ending, Ending::Stuck(_))
    }

    pub(super) fn cancel(&mut self) -> (StatusCode, Value) {
        if self.is_done() {
            let message = "Identified SQL statement is not currently executing.";
            return (StatusCode::UNPROCESSABLE_ENTITY, self.body("000605", "02000", message));
        }
        self.polls = 0;
        self.ending = Ending::Failure {
            status: 422,
            code: "000604".to_owned(),
            message: "SQL execution canceled".to_owned(),
        };
        (StatusCode::OK, self.body("000604", "57014", "successfully canceled"))
    }

    pub(super) fn answer(&self) -> (StatusCode, Value) {
        match &self.ending {
            Ending::Stuck(code) => (StatusCode::ACCEPTED, self.progress(code)),
            _ if self.polls > 0 => (StatusCode::ACCEPTED, self.progress("333334")),
            Ending::Success => (StatusCode::OK, self.result()),
            Ending::Failure { status, code, message } => {
                let status = StatusCode::from_u16(*status).unwrap_or_default();
                (status, self.body(code, "42000", message))
            }
        }
    }

    fn progress(&self, code: &str) -> Value {
        let mut answer = self.body(code, "00000", "Asynchronous execution in progress.");
        answer["statementStatusUrl"] = format!("/api/v2/statements/{}", self.handle).into();
        answer
    }

    fn result(&self) -> Value {
        let is_query = self.text.trim_start().to_uppercase().starts_with("SELECT");
        let column = if is_query { "TOTAL" } else { "number of rows inserted" };
        let mut answer = self.body("090001", "00000", "Statement executed successfully.");
        answer["createdOn"] = 1_790_000_000_000_u64.into();
        answer["resultSetMetaData"] = json!({
            "numRows": 1,
            "format": "jsonv2",
            "partitionInfo": [{"rowCount": 1, "uncompressedSize": 6}],
            "rowType": [
                {"name": column, "type": "fixed", "precision": 18, "scale": 0, "nullable": false},
            ],
        });
        answer["data"] = json!([["42"]]);
        if self.several {
            answer["data"] = json!([["Multiple statements executed successfully."]]);
            answer["statementHandles"] = json!([self.child(1), self.child(2)]);
        }
        answer
    }

    fn child(&self, number: u8) -> String {
        format!("{}{number:02}", &self.handle[..self.handle.len() - 2])
    }

    fn body(&self, code: &str, state: &str, message: &str) -> Value {
        json!({
            "code": code,
            "sqlState": state,
            "message": message,
            "statementHandle": self.handle,
        })
    }
}
