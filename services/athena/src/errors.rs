//! What Athena's errors mean, beyond what the errors of all AWS services do.
//!
//! The model has one type for all wrong requests, `InvalidRequestException`; its text alone tells them apart.

use plugin_core::{Error, Kind, aws::Refusal};

/// The code of the error for a request that differs from an earlier one with the same token.
pub(crate) const MISMATCH: &str = "IdempotentParameterMismatch";

/// The type of errors about a wrong request.
const INVALID: &str = "InvalidRequestException";

/// The kind of an error of Athena; `None` where AWS's general rules hold.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of(refusal.code, refusal.message)
}

fn of(code: &str, message: &str) -> Option<Kind> {
    match code {
        INVALID if is_unknown_query(message) => Some(Kind::NotFound),
        INVALID if is_mismatch(message) => Some(Kind::FailedPrecondition),
        MISMATCH => Some(Kind::FailedPrecondition),
        INVALID | "MetadataException" | "SessionAlreadyExistsException" => {
            Some(Kind::InvalidArgument)
        }
        // A workgroup or catalog, not a query: a job must not seem to be deleted.
        "ResourceNotFoundException" => Some(Kind::InvalidArgument),
        // Also the quota of active queries, CONCURRENT_QUERY_LIMIT_EXCEEDED: Flyte submits again.
        "TooManyRequestsException" => Some(Kind::ResourceExhausted),
        "InternalServerException" => Some(Kind::Unavailable),
        _ => None,
    }
}

/// `QueryExecution 2a9f… was not found`.
fn is_unknown_query(message: &str) -> bool {
    let text = message.to_lowercase();
    text.contains("queryexecution") && (text.contains("not found") || text.contains("not exist"))
}

fn is_mismatch(message: &str) -> bool {
    message.to_lowercase().contains("idempotent parameters do not match")
}

/// The error of a submit, in the author's terms.
pub(crate) fn of_submit(error: Error) -> Error {
    match error.is_upstream() && (error.code() == Some(MISMATCH) || is_mismatch(error.message())) {
        false => error,
        true => {
            let message = "another query was already submitted under this key; use a different key";
            let told = Error::new(Kind::FailedPrecondition, message).with_code(MISMATCH);
            told.with_source(error).upstream()
        }
    }
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
    fn every_error_of_the_model_has_a_kind() {
        let table = [
            ("InternalServerException", "", Some(Kind::Unavailable)),
            ("TooManyRequestsException", "", Some(Kind::ResourceExhausted)),
            ("MetadataException", "", Some(Kind::InvalidArgument)),
            ("ResourceNotFoundException", "", Some(Kind::InvalidArgument)),
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
