//! What an error of a connector says about a task.
//!
//! flytekit's connectors answer every exception with INTERNAL and its traceback, so that this code alone says
//! nothing: a task may be wrong, or a network down.

use std::{error::Error as StdError, iter};

use plugin_core::{
    Error, Kind,
    upstream::{Operation, RESPONSE_TOO_LARGE},
};
use tonic::{Code, ConnectError, Status};

use crate::dialect::CONNECTOR_ERROR;

/// The most of a traceback that is logged, in bytes.
const MAX_LOGGED: usize = 16 << 10;

/// The error of a call that `status` ended.
pub(crate) fn error_of(operation: Operation, status: &Status) -> Error {
    unanswered(status).unwrap_or_else(|| of(status, kind(operation, status)))
}

/// What `status` says about the job or the task of a call.
pub(crate) fn kind(operation: Operation, status: &Status) -> Kind {
    if !is_answer(status) {
        return Kind::Unavailable;
    }
    match operation {
        Operation::Create | Operation::Execute => kind_of_task(status),
        Operation::Discover | Operation::Get | Operation::Delete => kind_of_job(status),
    }
}

/// Whether a connector said so: what the client makes of a lost connection has a source.
pub(crate) fn is_answer(status: &Status) -> bool {
    status.source().is_none()
}

/// Whether `status` says that a create had no effect. Neither does an answer that cannot be read, nor one that says that
/// there was no time: a connector may have gone on.
pub(crate) fn says_outcome(status: &Status) -> bool {
    use Code::{Cancelled, DataLoss, DeadlineExceeded, OutOfRange};
    let is_open = matches!(status.code(), Cancelled | DataLoss | DeadlineExceeded | OutOfRange);
    is_answer(status) && !is_open
}

/// Whether nothing was sent, because nobody listens.
pub(crate) fn is_unsent(status: &Status) -> bool {
    iter::successors(status.source(), |&cause| cause.source())
        .any(<dyn StdError>::is::<ConnectError>)
}

/// Whether a connector raised an exception, or answered something else, which the client calls `DataLoss`.
pub(crate) fn is_exception(status: &Status) -> bool {
    is_answer(status) && matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss)
}

/// Definitive only if the connector says so.
fn kind_of_task(status: &Status) -> Kind {
    match status.code() {
        Code::InvalidArgument => Kind::InvalidArgument,
        Code::FailedPrecondition | Code::PermissionDenied => Kind::FailedPrecondition,
        // gRPC's words for a request that no repeat makes smaller.
        Code::ResourceExhausted if status.message().contains("larger than max") => {
            Kind::FailedPrecondition
        }
        code => transient(code).unwrap_or(Kind::Unavailable),
    }
}

/// An exception is no verdict on the job, but it must not go on for ever: the time of such errors adds up.
fn kind_of_job(status: &Status) -> Kind {
    match status.code() {
        // Connectors say it of a task type that they lack, and of no job.
        Code::NotFound if status.message().contains("for task type") => Kind::Unavailable,
        Code::NotFound => Kind::NotFound,
        code => transient(code).unwrap_or(Kind::FailedPrecondition),
    }
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
    let end = status.message().floor_char_boundary(MAX_LOGGED);
    tracing::debug!(code = ?status.code(), details = &status.message()[..end], "a connector failed");
    let is_exception = is_exception(status);
    let message = match (&*exception(status.message()), is_exception) {
        ("", true) => "the connector failed without a message".to_owned(),
        ("", false) => format!("the connector answered {:?}", status.code()),
        (line, true) => format!("the connector failed: {line}"),
        (line, false) => line.to_owned(),
    };
    let error = Error::new(kind, message).upstream();
    match status.code() {
        _ if is_exception => error.with_code(CONNECTOR_ERROR),
        // Ours, for an answer over the limit.
        Code::OutOfRange => error.with_code(RESPONSE_TOO_LARGE),
        _ => error,
    }
}

/// The error of a call that got no answer; `None` if `status` is an answer.
fn unanswered(status: &Status) -> Option<Error> {
    let cause = status.source()?.to_string();
    let error = Error::unavailable("the connectors do not answer").upstream();
    Some(error.with_source(format!("{}: {cause}", status.message())))
}

/// The exception in `details`, on one line: what flytekit writes below its traceback, the last line of any other
/// traceback, or all of a text without one. No traceback that the exception itself quotes.
pub(crate) fn exception(details: &str) -> String {
    const MESSAGE: &str = "\nMessage:\n";
    const TRACEBACK: &str = "Traceback";
    let without = |text: &str| joined(text.split(TRACEBACK).next().unwrap_or_default());
    let last = || details.lines().map(str::trim).rfind(|line| is_text(line)).unwrap_or_default();
    let text = match details.find(MESSAGE) {
        Some(at) => without(&details[at + MESSAGE.len()..]),
        None if details.contains(TRACEBACK) => last().to_owned(),
        None => {
            joined(details.split_once(" task with error:\n").map_or(details, |(_, after)| after))
        }
    };
    if text.is_empty() { last().to_owned() } else { text }
}

fn is_text(line: &str) -> bool {
    !matches!(line, "" | ".")
}

fn joined(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| is_text(line));
    lines.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEBACK: &str = "failed to get batch task with error:\n Traceback (most recent call last):\n  \
                             File \"c.py\", line 3, in get\n    token = 'hunter2'\nValueError: no such job\n\n";

    #[test]
    fn the_caller_sees_the_exception_and_no_traceback() {
        let error = error_of(Operation::Create, &Status::internal(TRACEBACK));
        assert_eq!(error.message(), "the connector failed: ValueError: no such job");
        assert_eq!(error.code(), Some(CONNECTOR_ERROR));
        let flytekit = "failed to create a task with error:\n Traceback (most recent call last):\n\n   token = 'x'\n\n\
                        Message:\n\n    400 Missing: query\n\nLocation: US\n.";
        assert_eq!(exception(flytekit), "400 Missing: query Location: US");
        let quoting = flytekit
            .replace("Location: US", "Traceback (most recent call last):\n  x = 'y'\nKeyError: 1");
        assert_eq!(exception(&quoting), "400 Missing: query");
        let flyte2 = "failed to get a task with error:\n no such job\nin eu";
        assert_eq!(exception(flyte2), "no such job in eu");
        assert_eq!(
            exception("Traceback (most recent call last):\n  x\nKeyError: 1\n."),
            "KeyError: 1"
        );
        assert_eq!(
            error_of(Operation::Get, &Status::internal(" \n")).message(),
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
                (kind(Operation::Create, &status), kind(Operation::Get, &status)),
                (create, job),
                "{code:?}"
            );
        }
    }
}
