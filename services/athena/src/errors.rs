//! What Athena's errors mean, beyond what the errors of all AWS services do.
//!
//! The model has one type for all wrong requests, `InvalidRequestException`; its text tells them apart.

use plugin_core::{Kind, upstream::Failure};

/// The code of the error for a request that differs from an earlier one with the same token.
pub(crate) const MISMATCH: &str = "IdempotentParameterMismatch";

/// The type of errors about a wrong request.
const INVALID: &str = "InvalidRequestException";

/// `failure`, which AWS's reader made of an error of Athena, in Athena's terms.
pub(crate) fn in_athenas_terms(failure: Failure) -> Failure {
    let text = failure.message.to_lowercase();
    match failure.code.as_deref() {
        Some(INVALID) if is_unknown_query(&text) => {
            Failure::new(Kind::NotFound, failure.message).code(failure.code)
        }
        Some(INVALID | MISMATCH)
            if failure.code.as_deref() == Some(MISMATCH)
                || text.contains("idempotent parameters do not match") =>
        {
            let message = "another query was already submitted under this key; use a different key";
            Failure::new(Kind::FailedPrecondition, message).code(MISMATCH.to_owned())
        }
        // Of the Glue catalog behind Athena; no call that this service makes has them, by the model.
        Some("MetadataException" | "SessionAlreadyExistsException") => {
            Failure::new(Kind::InvalidArgument, failure.message).code(failure.code)
        }
        // A workgroup or catalog, not a query: a job must not seem to be deleted.
        Some("ResourceNotFoundException") => {
            Failure::new(Kind::InvalidArgument, failure.message).code(failure.code)
        }
        _ => failure,
    }
}

/// `QueryExecution 2a9f… was not found`.
fn is_unknown_query(text: &str) -> bool {
    text.contains("queryexecution")
        && (text.contains("not found") || text.contains("does not exist"))
}

/// Whether Athena refused a query because neither it nor its workgroup has a location for the result.
pub(crate) fn lacks_location(error: &plugin_core::Error) -> bool {
    error.code() == Some(INVALID)
        && error.message().to_lowercase().contains("no output location provided")
}
