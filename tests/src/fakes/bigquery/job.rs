//! A job of the fake.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Ending;

pub(super) struct Job {
    project: String,
    id: String,
    pub(super) location: String,
    configuration: Value,
    pub(super) created_ms: u128,
    /// The number of polls until it ends.
    polls: u32,
    started: bool,
    ending: Ending,
}

impl Job {
    /// The job of an insert.
    ///
    /// # Errors
    /// The reason why Google would reject it.
    pub(super) fn new(
        project: &str,
        body: &Value,
        polls: u32,
        ending: Ending,
    ) -> Result<Self, String> {
        let reference = &body["jobReference"];
        let id = reference["jobId"].as_str().unwrap_or_default();
        let is_id = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if id.is_empty() || id.len() > 1024 || !id.chars().all(is_id) {
            return Err(format!("Invalid job ID {id:?}"));
        }
        if reference["projectId"] != project {
            return Err("The project of the job does not match that of the request".to_owned());
        }
        let query = &body["configuration"]["query"];
        if query["query"].as_str().is_none_or(|query| query.trim().is_empty()) {
            return Err("Required parameter is missing: query".to_owned());
        }
        check_parameters(query)?;
        Ok(Self {
            project: project.to_owned(),
            id: id.to_owned(),
            location: reference["location"].as_str().unwrap_or("US").to_owned(),
            configuration: body["configuration"].clone(),
            created_ms: now_ms(),
            polls,
            started: false,
            ending,
        })
    }

    /// Its id in the form of Google's messages.
    pub(super) fn key(&self) -> String {
        format!("{}:{}.{}", self.project, self.location, self.id)
    }

    pub(super) fn belongs_to(&self, project: &str) -> bool {
        self.project == project
    }

    pub(super) fn is(&self, project: &str, id: &str) -> bool {
        self.project == project && self.id == id
    }

    /// Advances towards its end by one poll.
    pub(super) fn advance(&mut self) {
        if self.started {
            self.polls = self.polls.saturating_sub(1);
        }
        self.started = true;
    }

    pub(super) fn cancel(&mut self) {
        if !self.is_done() {
            self.polls = 0;
            self.started = true;
            self.ending = Ending::Failure {
                reason: "stopped".to_owned(),
                message: "Job execution was cancelled: User requested cancellation".to_owned(),
            };
        }
    }

    fn is_done(&self) -> bool {
        self.started && self.polls == 0 && !matches!(self.ending, Ending::Stuck(_))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut job = json!({
            "kind": "bigquery#job",
            "id": self.key(),
            "jobReference": {"projectId": self.project, "jobId": self.id, "location": self.location},
            "configuration": self.configuration,
            "status": {"state": self.state()},
            "statistics": {"creationTime": self.created_ms.to_string(), "query": {"statementType": self.statement_type()}},
        });
        job["configuration"]["jobType"] = "QUERY".into();
        if let (true, Ending::Failure { reason, message }) = (self.is_done(), &self.ending) {
            let error = json!({"reason": reason, "message": message, "location": "query"});
            job["status"]["errorResult"] = error.clone();
            job["status"]["errors"] = json!([error]);
        }
        if self.is_done() && self.ending == Ending::Success {
            self.add_results(&mut job);
        }
        job
    }

    fn add_results(&self, job: &mut Value) {
        job["statistics"]["totalBytesProcessed"] = "1048576".into();
        job["statistics"]["totalSlotMs"] = "4321".into();
        job["statistics"]["query"]["totalBytesBilled"] = "10485760".into();
        job["statistics"]["query"]["cacheHit"] = false.into();
        if self.statement_type() == "DROP_TABLE" {
            job["statistics"]["query"]["ddlTargetTable"] = self.anonymous_table();
        }
        let has_destination = self.query().get("destinationTable").is_some();
        if self.statement_type() == "SELECT" && !has_destination {
            job["configuration"]["query"]["destinationTable"] = self.anonymous_table();
        }
    }

    fn anonymous_table(&self) -> Value {
        json!({
            "projectId": self.project,
            "datasetId": "_d0c0ffee",
            "tableId": format!("anon{}", &self.id[self.id.len().saturating_sub(16)..]),
        })
    }

    fn query(&self) -> &Value {
        &self.configuration["query"]
    }

    /// The child jobs of a script, newest first: optional last statements, the evaluation of an expression,
    /// a query, and a statement before it.
    pub(super) fn children(&self) -> Vec<Value> {
        if self.statement_type() != "SCRIPT" {
            return Vec::new();
        }
        let elsewhere = json!({"projectId": self.project, "datasetId": "_x", "tableId": "anonx"});
        let mut children = vec![
            self.child(2, "EXPRESSION", &json!({ "destinationTable": elsewhere })),
            self.child(1, "STATEMENT", &json!({ "destinationTable": self.anonymous_table() })),
            self.child(0, "STATEMENT", &json!({})),
        ];
        let statement = self.query()["query"].as_str().unwrap_or_default();
        if statement.contains("DROP TABLE") {
            let mut drop = self.child(3, "STATEMENT", &json!({}));
            drop["statistics"]["query"] =
                json!({"statementType": "DROP_TABLE", "ddlTargetTable": elsewhere});
            children.insert(0, drop);
        }
        if statement.contains("EXCEPTION WHEN ERROR") {
            let mut failed = self.child(4, "STATEMENT", &json!({ "destinationTable": elsewhere }));
            failed["status"]["errorResult"] =
                json!({"reason": "invalidQuery", "message": "Division by zero"});
            children.insert(0, failed);
        }
        children
    }

    fn child(&self, number: u32, kind: &str, query: &Value) -> Value {
        let id = format!("script_job_{number}_{}", self.id);
        json!({
            "kind": "bigquery#job",
            "id": format!("{}:{}.{id}", self.project, self.location),
            "jobReference": {"projectId": self.project, "jobId": id, "location": self.location},
            "state": "DONE",
            "status": {"state": "DONE"},
            "configuration": {"jobType": "QUERY", "query": query},
            "statistics": {"parentJobId": self.id, "scriptStatistics": {"evaluationKind": kind}},
        })
    }

    fn state(&self) -> &str {
        match &self.ending {
            Ending::Stuck(state) if self.started => state,
            _ if !self.started => "PENDING",
            _ if self.polls > 0 => "RUNNING",
            _ => "DONE",
        }
    }

    fn statement_type(&self) -> &'static str {
        let statement = self.query()["query"].as_str().unwrap_or_default().trim_start();
        let first = statement.split_whitespace().next().unwrap_or_default().to_uppercase();
        match first.as_str() {
            "SELECT" | "WITH" => "SELECT",
            "DELETE" => "DELETE",
            "INSERT" => "INSERT",
            "CREATE" => "CREATE_TABLE",
            "DROP" => "DROP_TABLE",
            _ => "SCRIPT",
        }
    }
}

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// Checks parameters like Google: each named parameter in the statement must be given.
fn check_parameters(query: &Value) -> Result<(), String> {
    let statement = query["query"].as_str().unwrap_or_default();
    let given = query["queryParameters"].as_array().into_iter().flatten();
    let given = given.filter_map(|parameter| parameter["name"].as_str()).collect::<Vec<_>>();
    if !given.is_empty() && query["parameterMode"] != "NAMED" {
        return Err("parameterMode must be NAMED for named parameters".to_owned());
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for part in statement.split('@').skip(1) {
        let name = part.split(|c| !is_word(c)).next().unwrap_or_default();
        if !name.is_empty() && !given.contains(&name) {
            return Err(format!("Query parameter '{name}' not found"));
        }
    }
    Ok(())
}
