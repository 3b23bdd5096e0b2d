//! Files that are read up to a limit.

use std::io::{Read, Result};

/// All of `from`; `None` if it has more than `most` bytes.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read_at_most(from: impl Read, most: u64) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(most + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_long_as_the_limit_is_read() {
        let read = |text: &str| read_at_most(text.as_bytes(), 3).unwrap();
        assert_eq!(read(""), Some(Vec::new()));
        assert_eq!(read("abc"), Some(b"abc".to_vec()));
        assert_eq!(read("abcd"), None);
    }
}
