//! What SageMaker's errors mean, beyond what those of all AWS services do.

use plugin_core::{
    Error, Kind,
    aws::{self, Refusal},
};

/// The account's limit of instances, jobs or endpoints.
const LIMIT: &str = "ResourceLimitExceeded";

/// The error of a create. At a limit of the account, Flyte can try again later.
pub(crate) fn of_create(error: Error) -> Error {
    match error.code() {
        Some(LIMIT) => error.with_kind(Kind::ResourceExhausted),
        _ => aws::of_submit(error),
    }
}

/// The kind of a refusal; `None` for AWS's general rules.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of(refusal.code, refusal.message)
}

fn of(code: &str, message: &str) -> Option<Kind> {
    Some(match code {
        // No throttle: calls need not slow down, and another one at once would fail, too. See `of_create`.
        LIMIT => Kind::FailedPrecondition,
        "ResourceInUse" => Kind::AlreadyExists,
        "ResourceNotFound" => Kind::NotFound,
        // Models, endpoint configurations and endpoints have no errors of their own: only the text tells.
        "ValidationException" => match () {
            () if message.contains("Cannot create already existing") => Kind::AlreadyExists,
            () if message.contains("Could not find") => Kind::NotFound,
            () if message.contains("resource not found") => Kind::NotFound,
            () => Kind::InvalidArgument,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_model_has_a_kind() {
        for (code, message, kind) in [
            ("ResourceInUse", "Job name must be unique", Kind::AlreadyExists),
            ("ResourceLimitExceeded", "The account-level service limit", Kind::FailedPrecondition),
            ("ResourceNotFound", "Requested resource not found.", Kind::NotFound),
            ("ValidationException", "Requested resource not found.", Kind::NotFound),
            ("ValidationException", "Could not find endpoint \"arn:aws:x\".", Kind::NotFound),
            (
                "ValidationException",
                "Cannot create already existing endpoint \"arn:aws:x\".",
                Kind::AlreadyExists,
            ),
            ("ValidationException", "1 validation error detected", Kind::InvalidArgument),
        ] {
            assert_eq!(of(code, message), Some(kind), "{code}: {message}");
        }
        assert_eq!(of("ThrottlingException", "Rate exceeded"), None);
    }
}
