//! Integers that are exact as doubles, the only numbers of Flyte's structs.

use server_core::Error;

use super::path::Path;

/// 2^53 - 1: the largest integer that no other integer rounds to as a double.
pub(super) const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

/// The error for an integer at `path` that a double would round.
pub(super) fn rounded(path: &Path<'_>) -> Error {
    Error::invalid(format!(
        "{path}: Flyte carries numbers as doubles, which are exact up to {MAX_EXACT}; pass a larger \
         one as a string"
    ))
}
