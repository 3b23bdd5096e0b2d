//! Which failures pass: the same statement may succeed later, without a change.
//!
//! By the reason, where it is definite, else by the fixed parts of Google's message: the reason
//! `invalidQuery` stands for a typing error and for a conflict with another job. The README has the same
//! table, with why; a test compares them.

/// Reasons with which the same statement may succeed later. Two pages name the reasons, Google's Python
/// client (`google/cloud/bigquery/retry.py`) has the list of those that it runs again.
///
/// <https://cloud.google.com/bigquery/docs/error-messages>,
/// <https://cloud.google.com/bigquery/docs/troubleshoot-quotas>
pub(crate) const TRANSIENT_REASONS: [&str; 9] = [
    "backendError",
    "badGateway",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "quotaExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
];

/// The fixed parts of messages about others that use the same table, session or service, whatever the reason:
/// Google's pages name these messages without it.
pub(crate) const CONFLICTS: [&[&str]; 7] = [
    // https://cloud.google.com/bigquery/docs/troubleshoot-queries, "Conflicting DML statements"
    &["Could not serialize access to table", "due to concurrent update"],
    // The same page, "Transaction aborted due to concurrent update"
    &["Transaction is aborted due to concurrent update"],
    // The same page, "Conflicting concurrent queries"
    &["Concurrent jobs in the same session are not allowed"],
    // The same page, "Too many DML statements"
    &["Too many DML statements outstanding against"],
    // https://cloud.google.com/bigquery/docs/data-manipulation-language, "UPDATE, DELETE, MERGE DML concurrency"
    &["DML statement has been queued for too long"],
    // https://cloud.google.com/bigquery/docs/error-messages, badRequest: "Wait a few minutes and try again"
    &["would affect rows in the streaming buffer"],
    // https://cloud.google.com/bigquery/docs/external-data-drive, "Troubleshooting": "can be fixed by rerunning"
    &["Google Sheets service overloaded"],
];

/// The part of a message about a quota of a month, which only an upgrade of the project raises.
pub(crate) const MONTHLY: &str = "exceeded quota for free query bytes scanned";

/// Whether a job with this error result may succeed if it is run again.
pub(crate) fn is_transient(reason: &str, message: &str) -> bool {
    (TRANSIENT_REASONS.contains(&reason) && !message.contains(MONTHLY)) || is_conflict(message)
}

/// Whether `message` is about a conflict with others.
///
/// A message that quotes such words from the author's own statement is taken for one, too; that costs no
/// more than the retries that the author allowed.
pub(crate) fn is_conflict(message: &str) -> bool {
    CONFLICTS.iter().any(|parts| has_in_order(message, parts))
}

fn has_in_order(message: &str, parts: &[&str]) -> bool {
    let rest = parts.iter().try_fold(message, |rest, part| Some(rest.split_once(part)?.1));
    rest.is_some()
}

#[cfg(test)]
mod tests;
