//! Handles that no service issued.

use std::time::Duration;

/// How long a process sleeps that executes [`pickle`].
pub(super) const PICKLE_SLEEPS: Duration = Duration::from_secs(3);

/// Handles that no service can read, with their names.
pub(super) fn unreadable() -> [(&'static str, Vec<u8>); 5] {
    [
        ("an empty handle", Vec::new()),
        ("random bytes", (0..97).map(|_| rand::random()).collect()),
        ("JSON", br#"{"job_id": "1", "project": "p", "location": "l"}"#.to_vec()),
        ("text", b"../../etc/passwd".to_vec()),
        ("a long handle", vec![b'a'; 8 << 10]),
    ]
}

/// A pickle, as Flyte's own connectors read handles, that only sleeps.
pub(super) fn pickle() -> Vec<u8> {
    format!("ctime\nsleep\n(F{}.0\ntR.", PICKLE_SLEEPS.as_secs()).into_bytes()
}

/// `handle`, changed in ways that a caller can.
pub(super) fn altered(handle: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut flipped = handle.to_vec();
    if let Some(last) = flipped.last_mut() {
        *last ^= 1;
    }
    let mut first = handle.to_vec();
    if let Some(byte) = first.first_mut() {
        *byte ^= 1;
    }
    let longer = [handle, b"a"].concat();
    let shorter = handle[..handle.len() - handle.len().min(1)].to_vec();
    vec![
        ("the handle with another last bit", flipped),
        ("the handle with another first bit", first),
        ("the handle with a byte more", longer),
        ("the handle without its last byte", shorter),
    ]
}
