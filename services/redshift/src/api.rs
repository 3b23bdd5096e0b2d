//! The parts of the Data API's responses that a task needs, and a table of its states.
//!
//! Names and states are those of botocore's model `redshift-data/2019-12-20`.

use std::collections::HashMap;

use plugin_core::{
    Phase, Status,
    aws::mentions,
    upstream::{lenient, lenient_list},
};
use serde::Deserialize;

/// The states of a statement that has not ended, in the order in which it passes them.
pub(crate) const ACTIVE: [&str; 3] = ["SUBMITTED", "PICKED", "STARTED"];

/// The response to a submit.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Started {
    pub(crate) id: Option<String>,
}

/// A statement, or several, as `DescribeStatement` describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Described {
    status: Option<String>,
    #[serde(deserialize_with = "lenient")]
    error: Option<String>,
    /// In nanoseconds.
    #[serde(deserialize_with = "lenient")]
    duration: Option<i64>,
    /// -1 is null.
    #[serde(deserialize_with = "lenient")]
    result_rows: Option<i64>,
    /// In bytes; -1 is null.
    #[serde(deserialize_with = "lenient")]
    result_size: Option<i64>,
    #[serde(deserialize_with = "lenient")]
    redshift_query_id: Option<i64>,
    /// No fact: their states count.
    sub_statements: Option<Vec<Self>>,
}

impl Described {
    /// Its status. `retryable` are parts of the errors that another attempt may not meet.
    pub(crate) fn status(&self, retryable: &[String]) -> Status {
        let status = self.phase(retryable);
        let known = |number: Option<i64>| number.filter(|number| *number >= 0);
        let millis = known(self.duration).map(|nanos| nanos / 1_000_000).filter(|ms| *ms > 0);
        status
            .info("redshift_query_id", known(self.redshift_query_id).filter(|id| *id > 0))
            .info("rows", known(self.result_rows))
            .info("result_bytes", known(self.result_size))
            .info("duration_ms", millis)
            .info(
                "statements",
                self.sub_statements.as_ref().map(Vec::len).filter(|count| *count > 0),
            )
    }

    fn phase(&self, retryable: &[String]) -> Status {
        let state = self.status.as_deref().unwrap_or_default();
        // Each of them is committed by itself if the author wants it so: the others have not failed.
        let failed = || self.subs().find(|(_, sub)| sub.status.as_deref() == Some("FAILED"));
        match state {
            "FINISHED" => match failed() {
                Some((number, sub)) => failed_with(Some(number), sub.error.as_deref(), retryable),
                None => Status::new(Phase::Succeeded),
            },
            "FAILED" => {
                let sub = failed();
                let number = sub.map(|(number, _)| number);
                let error = sub.and_then(|(_, sub)| sub.error.as_deref());
                failed_with(number, error.or(self.error.as_deref()), retryable)
            }
            "ABORTED" => {
                let reason = self.error.as_deref().filter(|error| !error.is_empty());
                Status::new(Phase::Failed)
                    .code("ABORTED")
                    .message(reason.unwrap_or("the statement was cancelled in Redshift"))
            }
            active => active_status(active).unwrap_or_else(|| Status::unknown_state(active)),
        }
    }

    fn subs(&self) -> impl Iterator<Item = (usize, &Self)> {
        (1..).zip(self.sub_statements.iter().flatten())
    }
}

/// The status of a failed statement, the `number`th of a batch.
fn failed_with(number: Option<usize>, error: Option<&str>, retryable: &[String]) -> Status {
    let error = error.filter(|error| !error.is_empty()).unwrap_or("Redshift gave no reason");
    let phase = if mentions(error, retryable) { Phase::RetryableFailed } else { Phase::Failed };
    let of = number.map_or_else(String::new, |number| format!("statement {number}: "));
    Status::new(phase).code("FAILED").message(format!("{of}{error}"))
}

/// The status of a statement that has not ended.
fn active_status(state: &str) -> Option<Status> {
    let phase = match state {
        "SUBMITTED" => Phase::Queued,
        "PICKED" => Phase::Initializing,
        "STARTED" => Phase::Running,
        _ => return None,
    };
    Some(Status::new(phase))
}

/// A page of statements.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    #[serde(default, deserialize_with = "lenient_list")]
    statements: Vec<Entry>,
    #[serde(default, deserialize_with = "lenient")]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    status: Option<String>,
}

/// The states of the statements that have not ended, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Active(HashMap<String, &'static str>);

impl Active {
    /// Adds a page of statements in `state`; returns the token of the next page.
    pub(crate) fn add(&mut self, state: &'static str, page: Listed) -> Option<String> {
        for entry in page.statements {
            if entry.status.as_deref().is_none_or(|status| status == state) {
                // Later states are listed later, and a statement only goes on.
                self.0.insert(entry.id, state);
            }
        }
        page.next_token.filter(|token| !token.is_empty())
    }

    /// The status of a statement; `None` if it is not known to be active.
    pub(crate) fn status(&self, id: &str) -> Option<Status> {
        active_status(self.0.get(id)?)
    }
}

#[cfg(test)]
mod tests;
