//! A query of the fake.

use serde_json::{Value, json};

use super::{Ending, Options};

pub(super) struct Execution {
    id: String,
    /// The request, without its token.
    pub(super) request: Value,
    /// The states of the next polls.
    states: std::vec::IntoIter<String>,
    ending: Ending,
    location: Option<String>,
}

impl Execution {
    pub(super) fn new(id: String, request: Value, options: &Options, ending: Ending) -> Self {
        let asked = request["ResultConfiguration"]["OutputLocation"].as_str();
        let location = asked.or(options.workgroup_location.as_deref());
        let location = location.filter(|_| !options.managed_results);
        let location = location.map(|at| format!("{}/{id}.csv", at.trim_end_matches('/')));
        Self { location, id, request, states: options.states.clone().into_iter(), ending }
    }

    fn is_done(&self) -> bool {
        self.states.as_slice().is_empty() && !matches!(self.ending, Ending::Stuck(_))
    }

    /// `GetQueryResults`, or why there are none.
    pub(super) fn results(&self) -> Result<Value, String> {
        if !self.is_done() {
            return Err("Query has not yet finished. Current state: RUNNING".to_owned());
        }
        if let Ending::Failure { state, .. } = &self.ending {
            return Err(format!("Query did not finish successfully. Final query state: {state}"));
        }
        // The first row of a SELECT's result has the names of its columns.
        let row = |text: &str| json!({ "Data": [{ "VarCharValue": text }] });
        let column = json!({
            "CatalogName": "hive", "Name": "_col0", "Type": "integer", "Nullable": "UNKNOWN",
        });
        Ok(json!({
            "UpdateCount": 0,
            "ResultSet": {
                "Rows": [row("_col0"), row("42")],
                "ResultSetMetadata": { "ColumnInfo": [column] },
            },
        }))
    }

    /// Stops it, unless it has ended.
    pub(super) fn stop(&mut self) {
        if !self.is_done() {
            self.states = Vec::new().into_iter();
            self.ending = Ending::Failure {
                state: "CANCELLED".to_owned(),
                reason: "Query cancelled by user".to_owned(),
                error: Value::Null,
            };
        }
    }

    /// `QueryExecution` as a poll finds it, which brings it one state further.
    pub(super) fn poll(&mut self) -> Value {
        let status = match (self.states.next(), &self.ending) {
            (Some(state), _) => json!({ "State": state }),
            (None, Ending::Stuck(state)) => json!({ "State": state }),
            (None, Ending::Success) => {
                json!({ "State": "SUCCEEDED", "CompletionDateTime": 1_772_346_616.5 })
            }
            (None, Ending::Failure { state, reason, error }) => {
                let mut status = json!({ "State": state, "StateChangeReason": reason, "CompletionDateTime": 1_772_346_616.5 });
                if !error.is_null() {
                    status["AthenaError"] = error.clone();
                }
                status
            }
        };
        self.describe(status)
    }

    fn describe(&self, mut status: Value) -> Value {
        status["SubmissionDateTime"] = 1_772_346_615.25.into();
        let mut found = json!({
            "QueryExecutionId": self.id,
            "Query": self.request["QueryString"],
            "StatementType": "DML",
            "SubstatementType": "SELECT",
            "WorkGroup": self.request["WorkGroup"].as_str().unwrap_or("primary"),
            "EngineVersion": {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"},
            "ManagedQueryResultsConfiguration": {"Enabled": self.location.is_none()},
            "Status": status,
            "Statistics": {
                "DataScannedInBytes": 10_485_760, "EngineExecutionTimeInMillis": 900, "TotalExecutionTimeInMillis": 1200,
                "QueryQueueTimeInMillis": 100, "QueryPlanningTimeInMillis": 80, "ServiceProcessingTimeInMillis": 30,
                "ResultReuseInformation": {"ReusedPreviousResult": false},
            },
        });
        for key in ["QueryExecutionContext", "ExecutionParameters", "ResultReuseConfiguration"] {
            if let Some(value) = self.request.get(key) {
                found[key] = value.clone();
            }
        }
        if let Some(location) = &self.location {
            found["ResultConfiguration"] = json!({ "OutputLocation": location });
        }
        found
    }
}
