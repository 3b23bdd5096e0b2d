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

    /// `prefix` and the first `digits` hex digits of the key, for vendors that want shorter names: `("flyte-", 40)`
    /// makes 46 characters, `("", 26)` makes 26. Digits carry four bits each, and there are at most 64.
    ///
    /// Use [`hex`](Self::hex) where it fits. At 26 digits (104 bits) two of a billion keys are the same with a
    /// probability of less than one in 10¹³; with fewer than 20 a task may find another's job.
    ///
    /// ```
    /// fn name(cx: &plugin_core::Context) -> String {
    ///     cx.idempotency_key().shortened("flyte-", 40)
    /// }
    /// ```
    #[must_use]
    pub fn shortened(&self, prefix: &str, digits: usize) -> String {
        let hex = self.hex();
        format!("{prefix}{}", &hex[..digits.min(hex.len())])
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
    fn a_shortened_key_is_the_beginning_of_the_key() {
        let key = IdempotencyKey::of_attempt("s3://bucket/run/n0/0");
        assert_eq!(key.shortened("", 26), "96e5f4a3181475cccf7c597074");
        assert_eq!(key.shortened("flyte-", 40).len(), 46);
        assert_eq!(key.shortened("x", 1000), format!("x{}", key.hex()));
    }

    #[test]
    fn the_key_of_an_attempt_is_the_sha256_of_its_output_prefix() {
        assert_eq!(
            IdempotencyKey::of_attempt("s3://bucket/run/n0/0").hex(),
            "96e5f4a3181475cccf7c59707462cf512cbbe504f19ebbed8ab97c5c87c75012"
        );
    }
}
