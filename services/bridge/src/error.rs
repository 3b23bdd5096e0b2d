//! What an error of a connector says about a task.
//!
//! flytekit's connectors answer every exception with INTERNAL and its traceback, so that this code alone says
//! nothing: a task may be wrong, or a network down.

use plugin_core::{Error, Kind};
use tonic::{Code, Status};

/// The code of an exception in a connector.
pub(crate) const CONNECTOR_ERROR: &str = "CONNECTOR_ERROR";

/// The most of a traceback that is logged, in bytes.
const MAX_LOGGED: usize = 16 << 10;

/// The error of a create: definitive only if the connector says so.
pub(crate) fn of_create(status: &Status) -> Error {
    let kind = match status.code() {
        Code::InvalidArgument => Kind::InvalidArgument,
        Code::FailedPrecondition | Code::PermissionDenied => Kind::FailedPrecondition,
        code => transient(code).unwrap_or(Kind::Unavailable),
    };
    of(status, kind)
}

/// The error of a poll or delete. An exception is no verdict on the job, but it must not go on for ever: the time of
/// such errors adds up.
pub(crate) fn of_job(status: &Status) -> Error {
    let kind = match status.code() {
        Code::NotFound => Kind::NotFound,
        code => transient(code).unwrap_or(Kind::FailedPrecondition),
    };
    of(status, kind)
}

fn transient(code: Code) -> Option<Kind> {
    match code {
        Code::Unavailable | Code::Cancelled | Code::Aborted => Some(Kind::Unavailable),
        Code::DeadlineExceeded => Some(Kind::DeadlineExceeded),
        Code::ResourceExhausted => Some(Kind::ResourceExhausted),
        _ => None,
    }
}

/// The traceback is logged here and nowhere else: locals in it may be secret.
fn of(status: &Status, kind: Kind) -> Error {
    let mut end = status.message().len().min(MAX_LOGGED);
    while !status.message().is_char_boundary(end) {
        end -= 1;
    }
    tracing::debug!(code = ?status.code(), details = &status.message()[..end], "a connector failed");
    let message = match last_line(status.message()) {
        "" => "the connector failed without a message".to_owned(),
        line => format!("the connector failed: {line}"),
    };
    let error = Error::new(kind, message).upstream();
    match status.code() {
        Code::Internal | Code::Unknown => error.with_code(CONNECTOR_ERROR),
        _ => error,
    }
}

/// The last line of a traceback: the exception.
pub(crate) fn last_line(details: &str) -> &str {
    details.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEBACK: &str = "failed to get batch task with error:\n Traceback (most recent call last):\n  \
                             File \"c.py\", line 3, in get\n    token = 'hunter2'\nValueError: no such job\n\n";

    #[test]
    fn the_caller_sees_the_exception_and_no_traceback() {
        let error = of_create(&Status::internal(TRACEBACK));
        assert_eq!(error.message(), "the connector failed: ValueError: no such job");
        assert_eq!(error.code(), Some(CONNECTOR_ERROR));
        assert_eq!(
            of_job(&Status::internal(" \n")).message(),
            "the connector failed without a message"
        );
    }

    #[test]
    fn only_a_clear_word_is_definitive() {
        for (code, create, job) in [
            (Code::InvalidArgument, Kind::InvalidArgument, Kind::FailedPrecondition),
            (Code::FailedPrecondition, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (Code::PermissionDenied, Kind::FailedPrecondition, Kind::FailedPrecondition),
            (Code::NotFound, Kind::Unavailable, Kind::NotFound),
            (Code::Internal, Kind::Unavailable, Kind::FailedPrecondition),
            (Code::Unknown, Kind::Unavailable, Kind::FailedPrecondition),
            (Code::Unimplemented, Kind::Unavailable, Kind::FailedPrecondition),
            (Code::Unavailable, Kind::Unavailable, Kind::Unavailable),
            (Code::DeadlineExceeded, Kind::DeadlineExceeded, Kind::DeadlineExceeded),
            (Code::ResourceExhausted, Kind::ResourceExhausted, Kind::ResourceExhausted),
        ] {
            let status = Status::new(code, "why");
            assert_eq!(
                (of_create(&status).kind(), of_job(&status).kind()),
                (create, job),
                "{code:?}"
            );
        }
    }
}
