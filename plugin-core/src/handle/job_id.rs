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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_ids_stand_in_urls_and_have_one_form() {
        let sealed = [0xfb, 0xef, 0xff, 0x01];
        assert_eq!(to_job_id(&sealed), "--__AQ");
        assert_eq!(from_job_id("--__AQ").as_deref(), Some(&sealed[..]));
        // Padding, the standard alphabet, bits that no byte has, white space.
        for wrong in ["--__AQ==", "++//AQ", "--__AR", "--__A Q", "--__A"] {
            assert_eq!(from_job_id(wrong), None, "{wrong}");
        }
    }
}
