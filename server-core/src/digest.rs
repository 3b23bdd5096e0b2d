//! Digests: SHA-256, and a faster hash for what stays in this process.

use std::{fmt, hash::Hash};

use aws_lc_rs::digest;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

/// The SHA-256 of a list of strings: a key for a map or cache that does not reveal them, so that they may
/// be secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of `parts`. The hash covers the length of each, so that `["ab", "c"]` and
    /// `["a", "bc"]` differ.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let lengths = parts.iter().map(|part| part.len().to_be_bytes()).collect::<Vec<_>>();
        let framed =
            lengths.iter().zip(parts).flat_map(|(len, part)| [len.as_slice(), part.as_bytes()]);
        Self(sha256(&framed.collect::<Vec<_>>()))
    }

    /// The fingerprint with the digest `bytes`.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    // The library's hash of several parts allocates, and costs more than that of a hundred bytes.
    let mut short = [0; SHORT];
    let whole = match parts {
        [one] => Some(*one),
        parts => joined(parts, &mut short),
    };
    let digest = match whole {
        Some(whole) => digest::digest(&digest::SHA256, whole),
        None => {
            let mut context = digest::Context::new(&digest::SHA256);
            parts.iter().for_each(|part| context.update(part));
            context.finish()
        }
    };
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The bytes that are joined before they are hashed, at most.
const SHORT: usize = 512;

/// The concatenation of `parts`, if there is room for it.
fn joined<'b>(parts: &[&[u8]], buffer: &'b mut [u8; SHORT]) -> Option<&'b [u8]> {
    let mut end = 0;
    for part in parts {
        buffer.get_mut(end..end + part.len())?.copy_from_slice(part);
        end += part.len();
    }
    buffer.get(..end)
}

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = String::with_capacity(2 * bytes.len());
    // Formatted one by one, they would take ten times as long: each create and poll has some.
    for nibble in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
        digits.push(char::from(DIGITS[usize::from(nibble)]));
    }
    digits
}

/// Hashes for maps and caches of this process whose keys must not be kept or be chosen by others.
///
/// SipHash-1-3 of 128 bits, with a key that nobody outside of this process knows, so that no two values can be made up to have
/// the same hash. It takes a tenth of the time of SHA-256.
#[derive(Clone)]
pub struct KeyedHash(SipHasher13);

impl Default for KeyedHash {
    /// With a key of its own.
    fn default() -> Self {
        Self(SipHasher13::new_with_key(&rand::random()))
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedHash").finish_non_exhaustive()
    }
}

impl KeyedHash {
    /// The hash of `value`.
    pub fn of(&self, value: &(impl Hash + ?Sized)) -> u128 {
        let mut hasher = self.0;
        value.hash(&mut hasher);
        hasher.finish128().into()
    }

    /// The hash of `value` as a fingerprint, which differs from one process to the next.
    pub fn fingerprint(&self, value: &(impl Hash + ?Sized)) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.of(value).to_be_bytes());
        Fingerprint(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_splits_have_different_fingerprints() {
        let of = Fingerprint::of;
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a\0b", "c"]), of(&["a", "b\0c"]));
    }

    #[test]
    fn keyed_hashes_depend_on_the_value_and_the_process() {
        let hash = KeyedHash::default();
        assert_eq!(hash.of("a"), hash.of("a"));
        assert_ne!(hash.of("a"), hash.of("b"));
        assert_ne!(hash.of("a"), KeyedHash::default().of("a"));
        let both = hash.of("a");
        assert_ne!((both >> 64) as u64, both as u64);
        assert_eq!(format!("{hash:?}"), "KeyedHash { .. }", "the key is not shown");
    }

    #[test]
    fn the_digest_does_not_depend_on_the_parts() {
        let text = (0..=u8::MAX).cycle().take(3 * SHORT).collect::<Vec<_>>();
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 3 * SHORT] {
            let (text, half) = (&text[..length], length / 2);
            let whole = sha256(&[text]);
            assert_eq!(sha256(&[&text[..half], &text[half..]]), whole, "{length}");
            assert_eq!(sha256(&[text, b""]), whole, "{length}");
        }
        assert_eq!(sha256(&[]), sha256(&[b""]));
    }

    #[test]
    fn the_digest_equals_that_of_sha256sum() {
        assert_eq!(
            hex(&sha256(&[b"s3://bucket", b"/run/n0/0"])),
            "96e5f4a3181475cccf7c59707462cf512cbbe504f19ebbed8ab97c5c87c75012"
        );
    }
}
