//! What AWS Batch's errors mean. Its model has two: one for each side.

use plugin_core::{Kind, aws::Refusal};

/// The kind of a refusal; `None` for AWS's general rules.
pub(crate) fn kind(refusal: &Refusal<'_>) -> Option<Kind> {
    of_code(refusal.code)
}

fn of_code(code: &str) -> Option<Kind> {
    match code {
        "ClientException" => Some(Kind::InvalidArgument),
        "ServerException" => Some(Kind::Unavailable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_model_has_a_kind() {
        for (code, kind) in [
            ("ClientException", Some(Kind::InvalidArgument)),
            ("ServerException", Some(Kind::Unavailable)),
            ("TooManyRequestsException", None),
        ] {
            assert_eq!(of_code(code), kind, "{code}");
        }
    }
}
