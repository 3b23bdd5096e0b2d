//! Strings from callers and vendors: cut to a length that logs, headers and Flyte can hold, and without what would steer
//! a terminal.

use std::borrow::Cow;

use anstream::adapter::strip_str;

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

/// `text` without what acts on a terminal instead of being read.
///
/// That is ANSI's escape sequences, which vendors colour their stack traces with, other control characters, and overrides of
/// the direction of text, which make it read as another. Line breaks and tabs stay.
///
/// ```
/// use server_core::text::printable;
///
/// assert_eq!(printable("\u{1b}[31mKeyError\u{1b}[0m: 'x'\r\n\0"), "KeyError: 'x'\n");
/// ```
pub fn printable<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    if is_printable(&text) {
        return text;
    }
    let text = strip_str(&text).to_string().replace("\r\n", "\n");
    let letters = text.chars().map(|letter| if letter == '\r' { '\n' } else { letter });
    letters.filter(|letter| !acts(*letter)).collect()
}

/// `text` on one line, with what acts on a terminal as a string literal has it: for what must be seen as it came.
///
/// ```
/// use server_core::text::escaped;
///
/// assert_eq!(escaped("a\u{1b}[2J\nb"), r"a\u{1b}[2J\nb");
/// ```
pub fn escaped<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    let is_shown = |letter: char| !acts(letter) && !matches!(letter, '\n' | '\t');
    if text.chars().all(is_shown) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match is_shown(letter) {
            true => shown.push(letter),
            false => shown.extend(letter.escape_default()),
        }
    }
    shown.into()
}

/// Whether `letter` acts on a terminal, or on the text beside it.
#[must_use]
pub fn acts(letter: char) -> bool {
    match letter {
        '\n' | '\t' => false,
        // Unicode's embeddings, overrides and isolates (UAX #9).
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        letter => letter.is_control(),
    }
}

/// Whether [`printable`] leaves `text` as it is.
#[must_use]
pub fn is_printable(text: &str) -> bool {
    // Most text is ASCII. Without an early end the compiler looks at many bytes at once.
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    text.bytes().fold(true, |all, byte| all & is_plain(byte)) || !text.chars().any(acts)
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

    #[test]
    fn text_from_elsewhere_does_not_steer_a_terminal() {
        for (text, expected) in [
            ("plain\n\tzeile 2: größer, שלום, 日本 😀", "plain\n\tzeile 2: größer, שלום, 日本 😀"),
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]8;;https://a\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("title\u{1b}]0;owned\u{7}", "title"),
            ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
            ("a\0b\u{8}c\u{7f}d\u{c}e", "abcde"),
            ("c1 \u{9b}31m and \u{85}", "c1 31m and "),
            ("user\u{202e}txt.exe\u{2066}", "usertxt.exe"),
        ] {
            assert_eq!(printable(text), expected, "{text:?}");
            let shown = escaped(text);
            assert!(!shown.chars().any(|it| it.is_control() || acts(it)), "{shown:?}");
        }
        assert!(matches!(printable("größer"), Cow::Borrowed(_)));
        assert!(matches!(escaped("größer"), Cow::Borrowed(_)));
    }
}
