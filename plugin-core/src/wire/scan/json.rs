//! Counts the values of JSON.

use memchr::memchr2;
use server_core::Result;

use crate::wire::bounds::{Bound, Bounds};

/// How many values the JSON object `body` has, at every level. Of malformed JSON it counts what there is.
///
/// # Errors
/// `InvalidArgument` with the top-level field in which there are more values or levels than `bounds` allows.
pub(crate) fn values_in_json(body: &[u8], bounds: &Bounds) -> Result<usize> {
    let (mut at, mut depth, mut values) = (0, 0, 1);
    // The last string at the top level, which is a field when something opens after it.
    let mut field = 0..0;
    let exceeded = |bound, field: std::ops::Range<usize>| {
        let field = std::str::from_utf8(&body[field]).ok().filter(|name| is_name(name));
        Err(bounds.exceeded(bound, field.unwrap_or("body")))
    };
    while let Some(&byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let start = at;
                at = end_of_string(body, at);
                if depth == 1 {
                    field = start..at.saturating_sub(1).max(start);
                }
            }
            b'{' | b'[' => {
                depth += 1;
                values += 1;
                if depth > bounds.max_depth as usize {
                    return exceeded(Bound::Depth, field);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if values > bounds.max_values as usize {
            return exceeded(Bound::Values, field);
        }
    }
    Ok(values)
}

/// The byte after the string whose first character is at `at`.
fn end_of_string(body: &[u8], mut at: usize) -> usize {
    loop {
        let Some(found) = memchr2(b'"', b'\\', body.get(at..).unwrap_or_default()) else {
            return body.len();
        };
        at += found + 1;
        if body[at - 1] == b'"' {
            return at;
        }
        // The escaped character.
        at += 1;
    }
}

fn is_name(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::bounds::tests::bounds;

    #[test]
    fn values_of_json_are_counted_outside_of_strings() {
        let count = |json: &str| values_in_json(json.as_bytes(), &bounds(&[])).unwrap();
        assert_eq!(count("{}"), 2);
        assert_eq!(count(r#"{"a": [1, 2, 3], "b": "[,,,{\"}"}"#), 6);
        assert_eq!(count(r#"{"a": "\\"}"#), 2);
        assert_eq!(count(r#"{"a": "[,"#), 2);
    }

    #[test]
    fn too_many_values_and_levels_are_refused_by_field() {
        let bounds = bounds(&["--max-values=9", "--max-depth=4"]);
        let message = |json: &str| values_in_json(json.as_bytes(), &bounds).unwrap_err();
        assert_eq!(
            message(r#"{"custom": {}, "inputs": {"x": [1,2,3,4,5,6,7,8]}}"#).to_string(),
            "inputs: more than 9 values in the request, which is the limit (--max-values)"
        );
        assert_eq!(
            message(r#"{"custom": {"x": [[[]]]}}"#).to_string(),
            "custom: more than 4 levels of nesting, which is the limit (--max-depth)"
        );
        assert!(message("[[[[[").to_string().starts_with("body: more than 4 levels"));
    }
}
