//! Why jobs fail, and whether another attempt may succeed.
//!
//! AWS's model has reasons as texts alone. SageMaker's own pipelines retry by their beginnings ("Retry Policy for Pipeline
//! Steps" in the developer guide: `InternalServerError`, and EC2's want of capacity). The texts are those that people report:
//! `InternalServerError: We encountered an internal error.` (aws/sagemaker-python-sdk#2496), `CapacityError: Unable to provision
//! requested ML compute capacity.` (aws/sagemaker-pytorch-training-toolkit#171), and of endpoints, without a class, `Request
//! to service failed.` (philschmid/cdk-samples#6).

use plugin_core::{Phase, Status, aws::mentions};

/// Classes of failures, and parts of those without a class, after which another attempt may succeed: AWS's own, and
/// those for want of capacity.
pub(crate) const RETRYABLE: &str = "InternalServerError,CapacityError,Unable to provision requested ML compute capacity,Request to service failed";

/// The class with which a reason begins: `AlgorithmError: ExecuteUserScriptError: …`.
fn class(reason: &str) -> Option<&str> {
    let (class, _) = reason.split_once(':')?;
    let is_class = class.ends_with("Error") || class.ends_with("Exception");
    (is_class && class.len() <= 64 && class.bytes().all(|b| b.is_ascii_alphanumeric()))
        .then_some(class)
}

/// The status of what failed in the state `state` because of `reason`.
pub(crate) fn status(state: &str, reason: &str, retryable: &[String]) -> Status {
    let phase = match is_retryable(reason, retryable) {
        true => Phase::RetryableFailed,
        false => Phase::Failed,
    };
    let message = if reason.is_empty() { "it failed; AWS gave no reason" } else { reason };
    Status::new(phase).code(class(reason).unwrap_or(state)).message(message)
}

/// A class decides, where there is one: what follows it may be the words of the author's own code.
fn is_retryable(reason: &str, retryable: &[String]) -> bool {
    match class(reason) {
        Some(class) => retryable.iter().any(|known| class.eq_ignore_ascii_case(known.trim())),
        None => mentions(reason, retryable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_of_a_failure_decides_whether_flyte_may_retry() {
        let retryable = RETRYABLE.split(',').map(str::to_owned).collect::<Vec<_>>();
        for (reason, is_retried, code) in [
            (
                "InternalServerError: We encountered an internal error. Please try again.",
                true,
                "InternalServerError",
            ),
            (
                "CapacityError: Unable to provision requested ML compute capacity.",
                true,
                "CapacityError",
            ),
            (
                "Unable to provision requested ML compute capacity. Please retry using a different instance type.",
                true,
                "Failed",
            ),
            (
                "AlgorithmError: CapacityError: InternalServerError, exit code: 1",
                false,
                "AlgorithmError",
            ),
            ("UserError: see InternalServerError", false, "UserError"),
            (
                "ValidationException: Unable to provision requested ML compute capacity.",
                false,
                "ValidationException",
            ),
            ("ClientError: Data download failed:NoSuchKey", false, "ClientError"),
            ("", false, "Failed"),
            ("see https://docs.aws.amazon.com: no", false, "Failed"),
        ] {
            let status = status("Failed", reason, &retryable);
            assert_eq!(status.phase() == Phase::RetryableFailed, is_retried, "{reason}");
            assert!(format!("{status:?}").contains(&format!("Some({code:?})")), "{status:?}");
        }
        let own = ["AlgorithmError".to_owned()];
        assert_eq!(status("Failed", "AlgorithmError: x", &own).phase(), Phase::RetryableFailed);
    }
}
