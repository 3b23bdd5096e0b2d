//! Strings from callers and vendors, cut to a length that logs, headers and Flyte can hold.

use std::borrow::Cow;

/// The limit on an error's message, in bytes.
///
/// Over gRPC it travels in a header, percent-encoded, which triples it at worst; gRPC's C core (Python, C++)
/// refuses headers of more than 8 KiB (`grpc.max_metadata_size`).
pub const MAX_ERROR_MESSAGE: usize = 2048;
/// The limit on a code or the name of a state, in bytes.
pub const MAX_CODE: usize = 128;
/// The limit on the causes of an error in the log, in bytes.
pub const MAX_CAUSE: usize = 4096;

/// What stands for the part that was cut.
const CUT: &str = " […] ";

/// `text` cut to `max` bytes, with an ellipsis at the end if anything was cut.
///
/// ```
/// use server_core::text::cut;
///
/// assert_eq!(cut("short", 10), "short");
/// assert_eq!(cut("rather long", 10), "rather …");
/// ```
pub fn cut<'a>(text: impl Into<Cow<'a, str>>, max: usize) -> Cow<'a, str> {
    let text = text.into();
    if text.len() <= max {
        return text;
    }
    let end = text.floor_char_boundary(max.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end]).into()
}

/// `text` cut to `max` bytes in its middle, as FlytePropeller cuts messages: the beginning of one says what
/// happened, the end of a stack trace why.
///
/// ```
/// use server_core::text::cut_middle;
///
/// assert_eq!(cut_middle("0123456789abcdefghij", 16), "0123 […] ghij");
/// ```
pub fn cut_middle<'a>(text: impl Into<Cow<'a, str>>, max: usize) -> Cow<'a, str> {
    let text = text.into();
    if text.len() <= max {
        return text;
    }
    let half = max.saturating_sub(CUT.len()) / 2;
    let end = text.floor_char_boundary(half);
    let start = text.ceil_char_boundary(text.len() - half);
    format!("{}{CUT}{}", &text[..end], &text[start..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_texts_are_whole_characters_and_short_enough() {
        let text = "ä€😀".repeat(100);
        for max in 0..text.len() {
            let (end, middle) = (cut(&*text, max), cut_middle(&*text, max));
            assert!(end.len() <= max.max('…'.len_utf8()), "{max}: {end}");
            assert!(middle.len() <= max.max(CUT.len()), "{max}: {middle}");
        }
        assert_eq!(cut(&*text, text.len()), text);
        assert_eq!(cut_middle(&*text, text.len()), text);
    }
}
