//! The key that makes a create idempotent.

use std::fmt;

use server_core::digest::{Fingerprint, hex, sha256};

/// The key by which a repeated create finds the first one's job.
///
/// It is the SHA-256 of Flyte's `output_prefix`, which is unique per execution, node path and attempt
/// in both Flyte versions. For callers other than Flyte the hash also covers the caller's identity, so that
/// a caller cannot take over another's job by sending its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdempotencyKey([u8; 32]);

impl IdempotencyKey {
    /// The key of an attempt of Flyte: the SHA-256 of its name.
    pub(crate) fn of_attempt(attempt: &str) -> Self {
        Self(sha256(&[attempt.as_bytes()]))
    }

    /// A random key.
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key in lower-case hex, 64 digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first eight hex digits, which identify jobs in logs.
    pub(crate) fn short(&self) -> String {
        hex(&self.0[..4])
    }
}

impl From<Fingerprint> for IdempotencyKey {
    fn from(fingerprint: Fingerprint) -> Self {
        Self(fingerprint.to_bytes())
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_attempt_is_the_sha256_of_its_output_prefix() {
        assert_eq!(
            IdempotencyKey::of_attempt("s3://bucket/run/n0/0").hex(),
            "96e5f4a3181475cccf7c59707462cf512cbbe504f19ebbed8ab97c5c87c75012"
        );
    }
}
