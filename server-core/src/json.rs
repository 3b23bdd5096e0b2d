//! JSON that is written in one pass into a buffer.

/// Appends `text` to `json` as a string.
///
/// ```
/// let mut json = Vec::new();
/// server_core::json::push_text(&mut json, "a \"quote\"");
/// assert_eq!(json, br#""a \"quote\"""#);
/// ```
pub fn push_text(json: &mut Vec<u8>, text: &str) {
    if is_plain(text) {
        json.push(b'"');
        json.extend_from_slice(text.as_bytes());
        json.push(b'"');
        return;
    }
    // Writing to a vector cannot fail.
    let _ = serde_json::to_writer(json, text);
}

/// Whether JSON has `text` as it is. Without an early end the compiler looks at many bytes at once.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & (byte >= b' ' && byte != b'"' && byte != b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_serde_json_writes_it() {
        for text in ["", "plain", "ä €", "a \"quote\"", "back\\slash", "\n\t\u{1}\u{7f}"] {
            let mut json = Vec::new();
            push_text(&mut json, text);
            assert_eq!(json, serde_json::to_vec(text).unwrap(), "{text:?}");
        }
    }
}
