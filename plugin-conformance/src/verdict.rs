//! What a check of a rule finds.

/// Why a rule is not said to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It does not.
    Fail(String),
    /// It could not be checked.
    Skip(String),
}

/// What a check finds: nothing, or a problem.
pub(crate) type Checked<T = ()> = Result<T, Problem>;

/// A problem of a rule that does not hold.
pub(crate) fn failed(what: impl Into<String>) -> Problem {
    Problem::Fail(what.into())
}

/// A problem of a rule that cannot be checked.
pub(crate) fn skipped(why: impl Into<String>) -> Problem {
    Problem::Skip(why.into())
}

/// The rule does not hold unless `holds`; `what` says why.
pub(crate) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(failed(what())) }
}
