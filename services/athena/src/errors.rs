//! What Athena's errors mean, beyond what the errors of all AWS services do.
//!
//! The model has one type for all wrong requests, `InvalidRequestException`; its text alone tells them apart.

use plugin_core::{Error, Kind, aws::Refusal};

/// The code of the error for a request that differs from an earlier one with the same token.
pub(crate) const MISMATCH: &str = "IdempotentParameterMismatch";

/// The code of the error for what the caller's policy does not allow.
const DENIED: &str = "AccessDeniedException";

/// The type of errors about a wrong request.
const INVALID: &str = "InvalidRequestException";

/// The kind of an error of Athena; `None` where AWS's general rules hold.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of(refusal.code, refusal.message)
}

fn of(code: &str, message: &str) -> Option<Kind> {
    match code {
        INVALID if is_unknown_query(message) => Some(Kind::NotFound),
        INVALID if tells_mismatch(message) => Some(Kind::FailedPrecondition),
        MISMATCH => Some(Kind::FailedPrecondition),
        INVALID | "MetadataException" | "SessionAlreadyExistsException" => {
            Some(Kind::InvalidArgument)
        }
        // A workgroup or catalog, not a query: a job must not seem to be deleted.
        code if code.contains("NotFound") => Some(Kind::InvalidArgument),
        // Also the quota of active queries: see `is_full`.
        "TooManyRequestsException" => Some(Kind::ResourceExhausted),
        "InternalServerException" => Some(Kind::Unavailable),
        _ => None,
    }
}

/// Whether Athena takes no further query, because its quota of active ones is reached; other calls are not limited. The
/// model's `ThrottleReason`, of which this is the only value.
pub(crate) fn is_full(refusal: &Refusal<'_>) -> bool {
    is_quota(refusal.code, refusal.member("Reason").as_deref())
}

fn is_quota(code: &str, reason: Option<&str>) -> bool {
    code == "TooManyRequestsException" && reason == Some("CONCURRENT_QUERY_LIMIT_EXCEEDED")
}

/// `QueryExecution 2a9f… was not found`.
fn is_unknown_query(message: &str) -> bool {
    let text = message.to_lowercase();
    text.contains("queryexecution") && (text.contains("not found") || text.contains("not exist"))
}

fn tells_mismatch(message: &str) -> bool {
    message.to_lowercase().contains("idempotent parameters do not match")
}

/// Whether Athena knows the request's token from a request that differs.
pub(crate) fn is_mismatch(error: &Error) -> bool {
    error.is_upstream() && (error.code() == Some(MISMATCH) || tells_mismatch(error.message()))
}

/// Whether Athena has refused the request itself: a repeat would be refused again.
pub(crate) fn is_verdict(error: &Error) -> bool {
    matches!(error.kind(), Kind::InvalidArgument | Kind::FailedPrecondition)
}

/// The error of a submit, in the author's terms. `authors_workgroup` tells whether the author chose the workgroup: one
/// that the service may not use is then the task's mistake, and no outage.
pub(crate) fn of_submit(error: Error, authors_workgroup: bool) -> Error {
    if is_mismatch(&error) {
        let message = "another query was already submitted under this key; use a different key";
        let told = Error::new(Kind::FailedPrecondition, message).with_code(MISMATCH);
        return told.with_source(error).upstream();
    }
    // Of the submit itself: refused keys and a role that cannot be assumed are of other kinds, and the service's trouble.
    let is_denied = error.is_upstream() && error.kind() == Kind::PermissionDenied;
    if authors_workgroup && is_denied && error.code() == Some(DENIED) {
        let message = format!("the service may not run queries in the task's workgroup: {error}");
        let told = Error::new(Kind::FailedPrecondition, message).with_code(DENIED);
        return told.with_source(error).upstream();
    }
    error
}

/// Whether Athena refused a query because neither it nor its workgroup has a location for the result.
pub(crate) fn lacks_location(error: &Error) -> bool {
    let text = error.message().to_lowercase();
    error.code() == Some(INVALID) && text.contains("no output location provided")
}

#[cfg(test)]
mod tests {
    use plugin_core::serde_json::{self, Value as Json};

    use super::*;

    #[test]
    fn a_quota_of_queries_is_no_throttle_of_calls() {
        let model = include_str!("../../../tests/aws-models/athena.json");
        let model = serde_json::from_str::<Json>(model).unwrap();
        let reasons = model["shapes"]["ThrottleReason"]["enum"].as_array().unwrap();
        assert_eq!(reasons, &["CONCURRENT_QUERY_LIMIT_EXCEEDED"]);
        for (code, reason, is_full) in [
            ("TooManyRequestsException", reasons[0].as_str(), true),
            ("TooManyRequestsException", None, false),
            ("TooManyRequestsException", Some("OTHER"), false),
            ("ThrottlingException", reasons[0].as_str(), false),
        ] {
            assert_eq!(is_quota(code, reason), is_full, "{code} {reason:?}");
        }
    }

    #[test]
    fn a_workgroup_that_the_author_may_not_choose_fails_the_task() {
        // What the core makes of a refusal.
        let refused = |kind, code: &'static str| {
            Error::new(kind, "not authorized").with_code(code).upstream().about_credentials()
        };
        let denied = || refused(Kind::PermissionDenied, DENIED);
        for (error, authors_workgroup, kind) in [
            (denied(), true, Kind::FailedPrecondition),
            (denied(), false, Kind::PermissionDenied),
            // The service's keys, its role, and the caller of the service.
            (refused(Kind::Unauthenticated, "ExpiredTokenException"), true, Kind::Unauthenticated),
            (refused(Kind::Unavailable, DENIED), true, Kind::Unavailable),
            (
                Error::new(Kind::PermissionDenied, "no").with_code("insufficient_scope"),
                true,
                Kind::PermissionDenied,
            ),
        ] {
            let shown = format!("{error:?}");
            assert_eq!(of_submit(error, authors_workgroup).kind(), kind, "{shown}");
        }
    }

    #[test]
    fn every_error_of_the_model_has_a_kind() {
        let table = [
            ("InternalServerException", "", Some(Kind::Unavailable)),
            ("TooManyRequestsException", "", Some(Kind::ResourceExhausted)),
            ("MetadataException", "", Some(Kind::InvalidArgument)),
            ("ResourceNotFoundException", "", Some(Kind::InvalidArgument)),
            ("EntityNotFoundException", "", Some(Kind::InvalidArgument)),
            ("SessionAlreadyExistsException", "", Some(Kind::InvalidArgument)),
            (INVALID, "line 1:8: mismatched input 'FRM'", Some(Kind::InvalidArgument)),
            (INVALID, "QueryExecution 0a1b was not found", Some(Kind::NotFound)),
            (INVALID, "Idempotent parameters do not match", Some(Kind::FailedPrecondition)),
            (INVALID, "WorkGroup etl is not found.", Some(Kind::InvalidArgument)),
            (MISMATCH, "", Some(Kind::FailedPrecondition)),
            // AWS's general rules.
            ("ThrottlingException", "", None),
            ("AccessDeniedException", "", None),
            ("ExpiredTokenException", "", None),
        ];
        let model = include_str!("../../../tests/aws-models/athena.json");
        let model = serde_json::from_str::<Json>(model).unwrap();
        for (name, shape) in model["shapes"].as_object().unwrap() {
            let is_known = table.iter().any(|row| row.0 == name && row.2.is_some());
            assert!(is_known || shape["exception"] != true, "{name}");
        }
        for (code, message, expected) in table {
            assert_eq!(of(code, message), expected, "{code} {message}");
        }
    }
}
