//! A handle as a string: REST's `job_id`, base64url without padding.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// The `job_id` of a sealed handle.
pub(crate) fn to_job_id(sealed: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sealed)
}

/// The sealed handle of a `job_id`; `None` if it is not base64url.
pub(crate) fn from_job_id(job_id: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(job_id).ok()
}
