//! Durations in settings and headers.

use std::time::Duration;

use jiff::SignedDuration;

/// Parses a duration such as `90s`, `2m` or `1h 30m`.
///
/// # Errors
/// A message with examples, if `text` is not a duration or is negative.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = |_| format!("{text:?} is not a duration such as 90s, 2m or 1h30m");
    let duration: SignedDuration = text.parse().map_err(invalid)?;
    Duration::try_from(duration).map_err(invalid)
}

/// [`parse_duration`] for a setting that must not be zero.
///
/// # Errors
/// As for [`parse_duration`], and for a duration of zero.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("must be greater than zero".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_a_unit_and_no_sign() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(parse_duration("90").is_err());
        assert!(parse_duration("-1s").is_err());
    }

    #[test]
    fn a_timeout_must_not_be_zero() {
        assert_eq!(parse_timeout("1ms"), Ok(Duration::from_millis(1)));
        assert!(parse_timeout("0s").is_err());
    }
}
