use plugin_core::{Kind, Phase, http::StatusCode, serde_json, serde_json::json};

use super::*;
use crate::api::{self, Job};

/// Google's messages about conflicts, with the reason that came with each, if one is known.
const MESSAGES: [(&str, &str); 10] = [
    (
        "invalidQuery",
        "Could not serialize access to table acme-analytics:shop.stock due to concurrent update",
    ),
    (
        "invalidQuery",
        "Transaction is aborted due to concurrent update against table acme-analytics:shop.stock. Transaction ID: 1",
    ),
    (
        "invalidQuery",
        "Query error: Transaction is aborted due to concurrent update against table acme:shop.stock. \
         Transaction ID: 61e30eea-0000-2dab-8e60-94eb2c1b1a92 at [24:9]",
    ),
    ("invalidQuery", "Concurrent jobs in the same session are not allowed"),
    (
        "resourcesExceeded",
        "Resources exceeded during query execution: Too many DML statements outstanding against table \
         acme-analytics:shop.stock, limit is 20.",
    ),
    (
        "jobRateLimitExceeded",
        "Too many DML statements outstanding against table acme-analytics:shop.stock, limit is 20.",
    ),
    ("timeout", "DML statement has been queued for too long"),
    (
        "badRequest",
        "UPDATE or DELETE statement over table acme.shop.stock would affect rows in the streaming buffer, \
         which is not supported",
    ),
    (
        "invalidQuery",
        "TRUNCATE DML statement over table acme.shop.stock would affect rows in the streaming buffer, \
         which is not supported",
    ),
    (
        "resourcesExceeded",
        "Resources exceeded during query execution: Google Sheets service overloaded for spreadsheet id: 1a2b",
    ),
];

/// Messages with the same reasons about statements that have to be changed.
const MISTAKES: [(&str, &str); 9] = [
    ("invalidQuery", "Syntax error: Unexpected keyword SELECT at [1:1]"),
    ("invalidQuery", "Unrecognized name: due to concurrent update at [1:8]"),
    ("invalidQuery", "due to concurrent update: Could not serialize access to table"),
    ("invalidQuery", "Could not serialize access to table"),
    // Also of a table that was replaced in the meantime; the message does not tell which.
    ("invalidQuery", "Invalid snapshot time 1600000000000 for table acme:shop.stock"),
    (
        "resourcesExceeded",
        "Resources exceeded during query execution: The query could not be executed in the allotted memory.",
    ),
    ("resourceInUse", "Dataset acme:shop is still in use"),
    (
        "quotaExceeded",
        "Quota exceeded: Your project exceeded quota for free query bytes scanned. For more information, see \
         https://cloud.google.com/bigquery/docs/troubleshoot-quotas",
    ),
    ("timeout", "Operation timed out after 6.0 hours. Consider reducing the amount of work"),
];

fn phase(reason: &str, message: &str) -> Phase {
    let job = json!({
        "jobReference": {"projectId": "p", "jobId": "j"},
        "status": {"state": "DONE", "errorResult": {"reason": reason, "message": message}},
    });
    serde_json::from_value::<Job>(job).unwrap().status().phase()
}

fn kind(status: u16, reason: &str, message: &str) -> Kind {
    let errors = json!([{"reason": reason, "message": message}]);
    let body = json!({"error": {"message": message, "errors": errors}}).to_string();
    api::failure(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap().kind
}

#[test]
fn conflicts_with_other_jobs_are_retryable() {
    for (reason, message) in MESSAGES {
        assert_eq!(phase(reason, message), Phase::RetryableFailed, "{message}");
    }
    for (reason, message) in MISTAKES {
        assert_eq!(phase(reason, message), Phase::Failed, "{message}");
    }
}

#[test]
fn inserts_refused_for_a_conflict_are_transient_errors() {
    for (reason, message) in MESSAGES {
        let kind = kind(400, reason, message);
        assert!(kind.is_transient(), "{message}: {kind:?}");
    }
    for (reason, message) in MISTAKES {
        // Google answers 403 for a quota, which says nothing about credentials.
        let (status, expected) = match reason {
            "quotaExceeded" => (403, Kind::FailedPrecondition),
            _ => (400, Kind::InvalidArgument),
        };
        assert_eq!(kind(status, reason, message), expected, "{message}");
    }
}

#[test]
fn jobs_and_inserts_with_a_transient_reason_are_judged_alike() {
    for reason in TRANSIENT_REASONS {
        assert_eq!(phase(reason, "m"), Phase::RetryableFailed, "{reason}");
        assert!(kind(400, reason, "m").is_transient(), "{reason}");
    }
}

#[test]
fn the_readme_has_the_same_verdicts() {
    let readme = include_str!("../../README.md");
    let rows = readme.lines().filter(|line| line.contains("| RETRYABLE_FAILED |"));
    let documented = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    let (mut reasons, mut messages) = (Vec::new(), Vec::new());
    for text in documented {
        if text.contains(' ') { messages.push(text) } else { reasons.push(text) }
    }
    reasons.sort();
    assert_eq!(reasons, TRANSIENT_REASONS);
    assert_eq!(messages, CONFLICTS.map(|parts| parts.join(" … ")));
}
