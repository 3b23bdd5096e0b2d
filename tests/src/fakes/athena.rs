//! A fake Athena that runs no queries.
//!
//! It speaks awsJson 1.1 as `AmazonAthena`: a client request token returns the existing query, or an error if anything
//! else of the request differs; queries go through scripted states.

mod execution;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::execution::Execution;
use super::aws::{
    self, Answer, Call, Checker, Done, Earlier, Exception, Fake, Model, Service, Tokens,
};

/// A running fake.
pub type FakeAthena = Fake<Athena>;

/// How queries end.
pub type Ending = aws::Ending<Failure>;

/// How a query fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `FAILED` or `CANCELLED`.
    pub state: String,
    /// `StateChangeReason`.
    pub reason: String,
    /// `AthenaError`; null for none.
    pub error: Value,
}

impl Ending {
    /// A query that does not compile.
    #[must_use]
    pub fn syntax_error() -> Self {
        Self::failed("SYNTAX_ERROR: line 1:8: Column 'nope' cannot be resolved", 2, 1006, false)
    }

    /// A query that met an outage of Athena's.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::failed("Query exhausted resources at this scale factor", 1, 401, true)
    }

    /// A query that AWS cancelled.
    #[must_use]
    pub fn cancelled(reason: &str) -> Self {
        let (state, reason) = ("CANCELLED".to_owned(), reason.to_owned());
        Self::Failure(Failure { state, reason, error: Value::Null })
    }

    fn failed(reason: &str, category: u8, ty: u16, retryable: bool) -> Self {
        let error = json!({
            "ErrorCategory": category, "ErrorType": ty, "Retryable": retryable, "ErrorMessage": reason,
        });
        Self::Failure(Failure { state: "FAILED".to_owned(), reason: reason.to_owned(), error })
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The states that polls find before the query ends, one each.
    pub states: Vec<String>,
    /// How queries end.
    pub ending: Ending,
    /// Where the workgroup has results written; `None` if it does not say.
    pub workgroup_location: Option<String>,
    /// Whether results are kept in Athena's own storage.
    pub managed_results: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            states: vec!["QUEUED".to_owned(), "RUNNING".to_owned()],
            ending: Ending::Success,
            workgroup_location: Some("s3://acme-athena/results/".to_owned()),
            managed_results: false,
        }
    }
}

/// Athena.
pub struct Athena {
    options: Options,
    executions: BTreeMap<String, Execution>,
    tokens: Tokens,
    /// The queries that `BatchGetQueryExecution` does not process.
    unprocessed: Vec<String>,
}

impl FakeAthena {
    /// Lets `BatchGetQueryExecution` not process any of the queries so far.
    pub fn process_none(&self) {
        self.service(|athena| athena.unprocessed = athena.executions.keys().cloned().collect());
    }
}

impl Service for Athena {
    type Options = Options;
    type Failure = Failure;

    fn model() -> &'static Model {
        Model::athena()
    }

    fn regions() -> &'static [&'static str] {
        &["eu-central-1", "us-gov-west-1", "cn-north-1"]
    }

    fn new(options: Options) -> Self {
        let (tokens, unprocessed) = (Tokens::default(), Vec::new());
        Self { options, executions: BTreeMap::new(), tokens, unprocessed }
    }

    fn answer(&mut self, call: &Call, _: &Checker) -> Answer {
        match call.operation.as_str() {
            "StartQueryExecution" => self.start(call),
            "GetQueryExecution" => self.get(call),
            "BatchGetQueryExecution" => Ok(self.get_many(&call.input)),
            "StopQueryExecution" => {
                self.execution(call)?.stop();
                Ok(Done::Output(json!({})))
            }
            "GetQueryResults" => self.execution(call)?.results().map(Done::Output).map_err(invalid),
            other => Err(Exception::unknown(other)),
        }
    }

    fn states(&self) -> Vec<String> {
        self.executions.values().map(|one| one.state().to_owned()).collect()
    }

    fn ending(&mut self) -> &mut Ending {
        &mut self.options.ending
    }
}

impl Athena {
    fn start(&mut self, call: &Call) -> Answer {
        let (body, token) = call.without("ClientRequestToken");
        let started = |id: String| json!({ "QueryExecutionId": id });
        match self.tokens.earlier(&token, &body) {
            Earlier::Other => Err(invalid("Idempotent parameters do not match")),
            Earlier::Same(id) => Ok(Done::Repeated(started(id))),
            Earlier::None => {
                self.check_location(&body)?;
                let id = format!("0a1b2c3d-0000-4000-8000-{:012x}", self.executions.len() + 1);
                self.tokens.remember(&token, &body, &id);
                let execution = Execution::new(id.clone(), body, &self.options);
                self.executions.insert(id.clone(), execution);
                Ok(Done::Started(started(id)))
            }
        }
    }

    fn check_location(&self, body: &Value) -> Result<(), Exception> {
        let has_own = body["ResultConfiguration"]["OutputLocation"].is_string();
        match (has_own, self.options.managed_results) {
            (true, true) => {
                Err(invalid("ResultConfiguration cannot be set with managed query results"))
            }
            (false, false) if self.options.workgroup_location.is_none() => Err(invalid(
                "No output location provided. An output location is required either through the Workgroup result \
                 configuration setting or as an API input.",
            )),
            _ => Ok(()),
        }
    }

    fn get(&mut self, call: &Call) -> Answer {
        Ok(Done::Output(json!({ "QueryExecution": self.execution(call)?.poll() })))
    }

    fn get_many(&mut self, body: &Value) -> Done {
        let ids =
            body["QueryExecutionIds"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let (mut found, mut unprocessed) = (Vec::new(), Vec::new());
        for id in ids {
            let skipped = self.unprocessed.iter().any(|skipped| skipped == id);
            match self.executions.get_mut(id).filter(|_| !skipped) {
                Some(execution) => found.push(execution.poll()),
                None => unprocessed.push(json!({
                    "QueryExecutionId": id, "ErrorCode": "INTERNAL_FAILURE", "ErrorMessage": "not processed",
                })),
            }
        }
        Done::Output(
            json!({ "QueryExecutions": found, "UnprocessedQueryExecutionIds": unprocessed }),
        )
    }

    fn execution(&mut self, call: &Call) -> Result<&mut Execution, Exception> {
        let id = call.text("QueryExecutionId");
        let found = self.executions.get_mut(id);
        found.ok_or_else(|| invalid(format!("QueryExecution {id} was not found")))
    }
}

fn invalid(message: impl Into<String>) -> Exception {
    let members = json!({ "AthenaErrorCode": "INVALID_INPUT" });
    Exception::new("InvalidRequestException", message).with(members)
}
