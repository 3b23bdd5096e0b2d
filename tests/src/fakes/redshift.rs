//! A fake Redshift Data API that runs no statements.
//!
//! It speaks awsJson 1.1: a client token returns the existing statement, or an error if anything else of the request
//! differs; statements go through SUBMITTED, PICKED and STARTED to the configured [`Ending`] and can be cancelled while they
//! have not ended.

mod statement;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::statement::Statement;
use super::aws::{
    self, Answer, Call, Checker, Done, Earlier, Exception, Fake, Model, Service, Tokens,
};

/// A running fake.
pub type FakeRedshift = Fake<Redshift>;

/// How statements end; the failure is the error, of a batch that of its last statement.
pub type Ending = aws::Ending<String>;

impl Ending {
    /// A statement that does not compile.
    #[must_use]
    pub fn syntax_error() -> Self {
        Self::Failure("ERROR: syntax error at or near \"FRM\" Position: 10".to_owned())
    }

    /// A statement that met another transaction.
    #[must_use]
    pub fn conflict() -> Self {
        let message = "ERROR: 1023 DETAIL: Serializable isolation violation on table - 108263";
        Self::Failure(message.to_owned())
    }
}

/// The configuration of a fake.
#[derive(Debug)]
pub struct Options {
    /// The number of polls that find a statement unfinished.
    pub polls: usize,
    /// How statements end.
    pub ending: Ending,
}

impl Default for Options {
    fn default() -> Self {
        Self { polls: 2, ending: Ending::Success }
    }
}

/// The Redshift Data API.
pub struct Redshift {
    options: Options,
    statements: BTreeMap<String, Statement>,
    tokens: Tokens,
}

impl Service for Redshift {
    type Options = Options;
    type Failure = String;

    fn model() -> &'static Model {
        Model::redshift_data()
    }

    fn new(options: Options) -> Self {
        Self { options, statements: BTreeMap::new(), tokens: Tokens::default() }
    }

    fn answer(&mut self, call: &Call, checker: &Checker) -> Answer {
        if !call.input["WaitTimeSeconds"].is_null() {
            checker.breach("WaitTimeSeconds: a call must not wait for its job");
        }
        match call.operation.as_str() {
            "ExecuteStatement" | "BatchExecuteStatement" => self.submit(call, checker),
            "DescribeStatement" => {
                let statement = self.statement(call)?;
                let described = statement.described();
                statement.advance();
                Ok(Done::Output(described))
            }
            "CancelStatement" => cancel(self.statement(call)?),
            "GetStatementResult" => result(self.statement(call)?),
            "ListStatements" => Ok(self.list(&call.input)),
            other => Err(Exception::unknown(other)),
        }
    }

    fn states(&self) -> Vec<String> {
        self.statements.values().map(|one| one.state().to_owned()).collect()
    }

    fn ending(&mut self) -> &mut Ending {
        &mut self.options.ending
    }
}

impl Redshift {
    fn submit(&mut self, call: &Call, checker: &Checker) -> Answer {
        if let Err(message) = check_target(&call.input) {
            checker.breach(&*message);
            return Err(Exception::new("ValidationException", message));
        }
        let (input, token) = call.without("ClientToken");
        match self.tokens.earlier(&token, &input) {
            // AWS documents that the token makes a submit idempotent, and not what it answers to another one.
            Earlier::Other => Err(Exception::new(
                "ValidationException",
                "The client token was used with other parameters.",
            )),
            Earlier::Same(id) => {
                let started = self.statements.get(&id).map(Statement::started);
                Ok(Done::Repeated(started.unwrap_or_default()))
            }
            Earlier::None => {
                let id = format!("d9b6c0c9-0747-4bf4-b142-{:012x}", self.statements.len() + 1);
                self.tokens.remember(&token, &input, &id);
                let ending = self.options.ending.clone();
                let statement = Statement::new(id.clone(), input, self.options.polls, ending);
                let started = statement.started();
                self.statements.insert(id, statement);
                Ok(Done::Started(started))
            }
        }
    }

    fn statement(&mut self, call: &Call) -> Result<&mut Statement, Exception> {
        let id = call.text("Id");
        self.statements.get_mut(id).ok_or_else(|| not_found(id, "Query does not exist."))
    }

    fn list(&self, input: &Value) -> Done {
        let size = input["MaxResults"].as_u64().map_or(100, |size| size as usize);
        let after = input["NextToken"].as_str().unwrap_or_default();
        let status = input["Status"].as_str().unwrap_or("FINISHED");
        let matching = self.statements.values().filter(|one| {
            one.id() > after && one.is_at(input) && (status == "ALL" || one.state() == status)
        });
        let page = matching.take(size).collect::<Vec<_>>();
        let mut answer =
            json!({ "Statements": page.iter().map(|one| one.listed()).collect::<Value>() });
        if page.len() == size
            && let Some(last) = page.last()
        {
            answer["NextToken"] = last.id().into();
        }
        Done::Output(answer)
    }
}

/// What the model leaves to words: which combinations of members are valid.
fn check_target(input: &Value) -> Result<(), String> {
    let has = |field: &str| !input[field].is_null();
    if has("ClusterIdentifier") == has("WorkgroupName") {
        return Err("one of ClusterIdentifier and WorkgroupName must be set".to_owned());
    }
    if has("DbUser") && (has("WorkgroupName") || has("SecretArn")) {
        return Err("DbUser is for temporary credentials of a cluster".to_owned());
    }
    if !has("Database") {
        return Err("Database is missing".to_owned());
    }
    check_parameters(input)
}

/// Every parameter is referenced, and every reference has a parameter.
fn check_parameters(input: &Value) -> Result<(), String> {
    let batch = input["Sqls"].as_array().into_iter().flatten();
    let texts = batch.chain([&input["Sql"]]).filter_map(Value::as_str).collect::<Vec<_>>();
    for parameter in input["Parameters"].as_array().into_iter().flatten() {
        let name = format!(":{}", parameter["name"].as_str().unwrap_or_default());
        if !texts.iter().any(|text| text.contains(&name)) {
            return Err(format!("Parameters list contains unused parameters: {name}"));
        }
    }
    Ok(())
}

fn not_found(id: &str, message: &str) -> Exception {
    Exception::new("ResourceNotFoundException", message).with(json!({ "ResourceId": id }))
}

fn cancel(statement: &mut Statement) -> Answer {
    if statement.cancel() {
        return Ok(Done::Output(json!({ "Status": true })));
    }
    let message =
        format!("Could not cancel a query that is already in {} state.", statement.state());
    Err(Exception::new("ValidationException", message))
}

/// No statement of the fake has rows: those of a task are unloaded.
fn result(statement: &Statement) -> Answer {
    let message = "Query does not have result. Please check query status with DescribeStatement.";
    Err(not_found(statement.id(), message))
}
