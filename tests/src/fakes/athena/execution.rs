//! A query of the fake.

use serde_json::{Value, json};

use super::{Failure, Options};
use crate::fakes::aws::{At, Course};

pub(super) struct Execution {
    id: String,
    /// The request, without its token.
    request: Value,
    course: Course<Failure>,
    location: Option<String>,
}

impl Execution {
    pub(super) fn new(id: String, request: Value, options: &Options) -> Self {
        let asked = request["ResultConfiguration"]["OutputLocation"].as_str();
        let location = asked.or(options.workgroup_location.as_deref());
        let location = location.filter(|_| !options.managed_results);
        let location = location.map(|at| format!("{}/{id}.csv", at.trim_end_matches('/')));
        let course = Course::new(options.states.clone(), options.ending.clone());
        Self { location, id, request, course }
    }

    pub(super) fn state(&self) -> &str {
        match self.course.at() {
            At::State(state) => state,
            At::Succeeded => "SUCCEEDED",
            At::Failed(failure) => &failure.state,
            At::Stopped => "CANCELLED",
        }
    }

    /// `GetQueryResults`, or why there are none.
    pub(super) fn results(&self) -> Result<Value, String> {
        let state = self.state();
        match self.course.at() {
            At::Succeeded => {}
            At::State(_) => {
                return Err(format!("Query has not yet finished. Current state: {state}"));
            }
            _ => {
                return Err(format!(
                    "Query did not finish successfully. Final query state: {state}"
                ));
            }
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
        self.course.stop();
    }

    /// `QueryExecution` as a poll finds it, which brings it one state further.
    pub(super) fn poll(&mut self) -> Value {
        let mut status = json!({ "State": self.state() });
        if self.course.has_ended() {
            status["CompletionDateTime"] = 1_772_346_616.5.into();
        }
        match self.course.at() {
            At::Failed(failure) => {
                status["StateChangeReason"] = failure.reason.as_str().into();
                if !failure.error.is_null() {
                    status["AthenaError"] = failure.error.clone();
                }
            }
            At::Stopped => status["StateChangeReason"] = "Query cancelled by user".into(),
            At::State(_) | At::Succeeded => {}
        }
        self.course.advance();
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
