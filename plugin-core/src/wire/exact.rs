//! Whole numbers that a double can carry: JSON and Flyte's structs have no others.

use server_core::Error;

/// The largest whole number that no other is rounded to when it becomes a double: 2^53 - 1.
pub(super) const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// The refusal of a whole number at `path` that a double would round.
pub(super) fn rounded(path: &str) -> Error {
    Error::invalid(format!(
        "{path}: Flyte carries numbers as doubles, which are exact up to {MAX_EXACT}; write a larger \
         one as a string"
    ))
}
