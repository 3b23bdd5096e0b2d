//! What the Data API's errors mean, beyond what those of all AWS services do.

use plugin_core::{Kind, aws::Refusal};

/// The kind of a refusal; `None` for AWS's general rules.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of_code(refusal.code, refusal.message)
}

/// Whether a cluster or workgroup takes no further statement, because the quota of active ones, or of sessions, is
/// reached, or it is paused: nothing is wrong with other calls.
pub(crate) fn is_full(refusal: &Refusal<'_>) -> bool {
    FULL.contains(&refusal.code)
        || refusal.code == "ValidationException" && is_asleep(refusal.message)
}

const FULL: [&str; 2] = ["ActiveSessionsExceededException", "ActiveStatementsExceededException"];

fn of_code(code: &str, message: &str) -> Option<Kind> {
    Some(match code {
        "ActiveStatementsExceededException"
        | "ActiveSessionsExceededException"
        | "ActiveWaitingRequestsExceededException" => Kind::ResourceExhausted,
        // The model calls them faults of the service: "an environmental error", "connection to a database failed".
        "DatabaseConnectionException"
        | "ExecuteStatementException"
        | "BatchExecuteStatementException"
        | "InternalServerException"
        | "QueryTimeoutException" => Kind::Unavailable,
        "ResourceNotFoundException" => Kind::NotFound,
        "ValidationException" if is_asleep(message) => Kind::Unavailable,
        "ValidationException" => Kind::InvalidArgument,
        _ => return None,
    })
}

/// Whether a cluster is paused or about to be resumed: the statement is right, and can run later.
fn is_asleep(message: &str) -> bool {
    let message = message.to_lowercase();
    ["paused", "pausing", "resuming"].iter().any(|state| message.contains(state))
}

#[cfg(test)]
mod tests;
