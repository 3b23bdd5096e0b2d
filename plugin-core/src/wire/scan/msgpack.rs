//! Counts the values of `MessagePack`.

use crate::wire::bounds::{Bound, MAX_DEPTH};

/// How many values `bytes` have, at every level. Of malformed `MessagePack` it counts what there is.
///
/// # Errors
/// [`Bound::Depth`] for more than `max_depth` levels; [`Bound::Values`] for more than `max_values` values.
/// <https://github.com/msgpack/msgpack/blob/master/spec.md#formats>
pub(in crate::wire) fn values_in_msgpack(
    mut bytes: &[u8],
    max_depth: usize,
    max_values: usize,
) -> Result<usize, Bound> {
    let mut values = 0;
    // What is missing of each open list and map.
    let mut open = [0_usize; MAX_DEPTH + 1];
    let mut depth = 0;
    loop {
        let Some(children) = value(&mut bytes) else { return Ok(values) };
        values += 1;
        if values > max_values {
            return Err(Bound::Values);
        }
        if children > 0 {
            depth += 1;
            if depth > max_depth.min(MAX_DEPTH) {
                return Err(Bound::Depth);
            }
            open[depth] = children;
            continue;
        }
        while depth > 0 {
            open[depth] -= 1;
            if open[depth] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(values);
        }
    }
}

/// Skips one value, or the head of a list or map; returns how many values are in it.
fn value(bytes: &mut &[u8]) -> Option<usize> {
    let marker = take(bytes, 1)?;
    let (skip, children) = match marker {
        0x80..=0x8f => (0, 2 * (marker & 0x0f)),
        0x90..=0x9f => (0, marker & 0x0f),
        0xa0..=0xbf => (marker & 0x1f, 0),
        0xc4 | 0xd9 => (take(bytes, 1)?, 0),
        0xc5 | 0xda => (take(bytes, 2)?, 0),
        0xc6 | 0xdb => (take(bytes, 4)?, 0),
        // Extensions: one more byte is their type.
        0xc7 => (take(bytes, 1)? + 1, 0),
        0xc8 => (take(bytes, 2)? + 1, 0),
        0xc9 => (take(bytes, 4)? + 1, 0),
        0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xdc => (0, take(bytes, 2)?),
        0xdd => (0, take(bytes, 4)?),
        0xde => (0, 2 * take(bytes, 2)?),
        0xdf => (0, 2 * take(bytes, 4)?),
        0xc1 => return None,
        _ => (0, 0),
    };
    *bytes = bytes.get(usize::try_from(skip).ok()?..)?;
    usize::try_from(children).ok()
}

/// The next `size` bytes as a number.
fn take(bytes: &mut &[u8], size: usize) -> Option<u64> {
    let (number, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn packed(json: &Json) -> Vec<u8> {
        rmp_serde::to_vec_named(json).unwrap()
    }

    #[test]
    fn values_of_messagepack_are_counted() {
        let long = "x".repeat(70_000);
        for (json, count) in [
            (json!(1), 1),
            (json!([]), 1),
            (json!([1, 300, -1, -300, 70_000, u64::MAX, i64::MIN, 0.5, true, null, "x"]), 12),
            (json!({"a": {"b": [1]}, "c": "x".repeat(40), "d": "x".repeat(300), "e": long}), 12),
            (json!((0..20).collect::<Vec<_>>()), 21),
            (json!((0..70_000).collect::<Vec<_>>()), 70_001),
        ] {
            let count_of = values_in_msgpack(&packed(&json), 100, 1_000_000);
            assert_eq!(count_of, Ok(count), "{json:.60}");
        }
        assert_eq!(values_in_msgpack(&[0xc7, 1, 0, 0], 1, 1), Ok(1));
        assert_eq!(values_in_msgpack(&[0xc7, 200, 0], 1, 1), Ok(0), "cut off");
    }

    #[test]
    fn depth_and_size_are_bounded_before_anything_is_built() {
        let deep = |levels| [vec![0x91; levels], vec![0]].concat();
        assert_eq!(values_in_msgpack(&deep(100), 100, 1000), Ok(101));
        assert_eq!(values_in_msgpack(&deep(101), 100, 1000), Err(Bound::Depth));
        assert_eq!(values_in_msgpack(&deep(1_000_000), 1000, usize::MAX), Err(Bound::Depth));
        assert_eq!(values_in_msgpack(&[0xdd, 255, 255, 255, 255, 0, 0], 9, 2), Err(Bound::Values));
    }
}
