//! What SageMaker's errors mean, beyond what those of all AWS services do.

use plugin_core::{Kind, aws::Refusal};

/// The kind of a refusal; `None` for AWS's general rules.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of(refusal.code, refusal.message)
}

fn of(code: &str, message: &str) -> Option<Kind> {
    Some(match code {
        // Of the account, for which Flyte can try again.
        "ResourceLimitExceeded" => Kind::ResourceExhausted,
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
            ("ResourceLimitExceeded", "The account-level service limit", Kind::ResourceExhausted),
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
