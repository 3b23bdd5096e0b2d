//! What EMR Serverless's errors mean, beyond what those of all AWS services do.

use plugin_core::{Error, Kind, aws::Refusal};

/// The kind of a refusal; `None` for AWS's general rules.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of_code(refusal.code)
}

/// Whether the account's quota of resources is reached: no further job runs, while other calls are not limited.
pub(crate) fn is_full(refusal: &Refusal<'_>) -> bool {
    refusal.code == "ServiceQuotaExceededException"
}

fn of_code(code: &str) -> Option<Kind> {
    Some(match code {
        "ValidationException" => Kind::InvalidArgument,
        "ResourceNotFoundException" => Kind::NotFound,
        // The state of the application, or another request with the same token.
        "ConflictException" => Kind::FailedPrecondition,
        // Of vCPUs and applications at a time, for which Flyte can try again.
        "ServiceQuotaExceededException" => Kind::ResourceExhausted,
        "InternalServerException" => Kind::Unavailable,
        _ => return None,
    })
}

/// Whether AWS refused a submit, perhaps because of the application's state: the model has no error for that alone.
pub(crate) fn is_refused_submit(error: &Error) -> bool {
    error.is_upstream() && matches!(error.kind(), Kind::InvalidArgument | Kind::FailedPrecondition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_model_has_a_kind() {
        for (code, kind) in [
            ("ConflictException", Kind::FailedPrecondition),
            ("InternalServerException", Kind::Unavailable),
            ("ResourceNotFoundException", Kind::NotFound),
            ("ServiceQuotaExceededException", Kind::ResourceExhausted),
            ("ValidationException", Kind::InvalidArgument),
        ] {
            assert_eq!(of_code(code), Some(kind), "{code}");
        }
        assert_eq!(of_code("ThrottlingException"), None);
    }
}
