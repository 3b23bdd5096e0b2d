//! The content of a string, without the string's own escapes.

use std::ops::Range;

use super::lexer::Quoted;

/// Stands for a placeholder in decoded text.
pub(super) const MARK: char = '\u{FFFC}';

/// A string's content.
pub(super) struct Decoded {
    pub(super) text: String,
    /// The bytes at which the marks of placeholders begin.
    pub(super) marks: Vec<usize>,
}

/// The content of the string at `range` of `text`, with a mark for each of `holes`.
pub(super) fn decoded(
    text: &str,
    range: &Range<usize>,
    quoted: Quoted,
    holes: &[Range<usize>],
) -> Decoded {
    let content = quoted.content(range);
    let mut decoded = Decoded { text: String::with_capacity(content.len()), marks: Vec::new() };
    let (mut at, mut holes) = (content.start, holes.iter().peekable());
    while at < content.end {
        if let Some(hole) = holes.next_if(|hole| hole.start == at) {
            decoded.marks.push(decoded.text.len());
            decoded.text.push(MARK);
            at = hole.end;
            continue;
        }
        let (c, length) = character(&text[at..content.end], quoted);
        decoded.text.extend(c);
        at += length.max(1);
    }
    decoded
}

/// The first character of `rest` without its escape, and the bytes that it takes.
fn character(rest: &str, quoted: Quoted) -> (Option<char>, usize) {
    let close = quoted.quote.close;
    if rest.starts_with('\\') && quoted.quote.escapes.has_backslash() && !quoted.raw {
        let (c, length) = escaped(&rest[1..]);
        return (c, 1 + length);
    }
    if quoted.quote.escapes.has_doubled() && rest.starts_with(close) {
        return (close.chars().next(), 2 * close.len());
    }
    let first = rest.chars().next();
    (first, first.map_or(0, char::len_utf8))
}

/// The character that `rest` means after a backslash.
fn escaped(rest: &str) -> (Option<char>, usize) {
    let Some(first) = rest.chars().next() else { return (None, 0) };
    let coded = |skip: usize, digits: usize, radix: u32| {
        let code = rest.get(skip..skip + digits)?;
        let code = code.chars().all(|c| c.is_digit(radix)).then_some(code)?;
        let c = char::from_u32(u32::from_str_radix(code, radix).ok()?)?;
        Some((Some(c), skip + digits))
    };
    let coded = match first {
        'x' | 'X' => coded(1, 2, 16),
        'u' => coded(1, 4, 16),
        'U' => coded(1, 8, 16),
        '0'..='3' => coded(0, 3, 8),
        _ => None,
    };
    let plain = match first {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        other => other,
    };
    coded.unwrap_or((Some(plain), first.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Escapes, Holds, Quote};

    const QUOTE: Quote =
        Quote { open: "'", close: "'", holds: Holds::Text, escapes: Escapes::BackslashOrDoubled };

    #[test]
    fn escapes_are_undone_and_placeholders_marked() {
        let quoted = Quoted { quote: &QUOTE, raw: false, opening: 1, closed: true };
        for (text, expected) in [
            (r"'a\\b'", r"a\b".to_owned()),
            (r"'it''s \''", "it's '".to_owned()),
            (r"'\x27\u0027\U00000027\047'", "''''".to_owned()),
            (r"'\n\r\t\q\xZZ\400'", "\n\r\tqxZZ400".to_owned()),
        ] {
            assert_eq!(decoded(text, &(0..text.len()), quoted, &[]).text, expected, "{text}");
        }
        let holes = [3..5, 5..7];
        let decoded = decoded(r"'\n{}{}b'", &(0..9), quoted, &holes);
        assert_eq!(decoded.text, format!("\n{MARK}{MARK}b"));
        assert_eq!(decoded.marks, [1, 1 + MARK.len_utf8()]);
    }
}
