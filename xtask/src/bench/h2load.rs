//! What h2load prints: <https://nghttp2.org/documentation/h2load.1.html>.

use anyhow::{Context as _, Result};

/// The summary of a load.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) seconds: f64,
    pub(super) succeeded: u64,
    pub(super) status_2xx: u64,
    /// Bytes of all answers' bodies.
    pub(super) data: u64,
}

impl Summary {
    /// Reads what h2load printed.
    ///
    /// # Errors
    /// When a figure is not there.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let line = |start: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(start));
            found.with_context(|| format!("h2load printed no line {start:?}: {text}"))
        };
        Ok(Self {
            seconds: seconds(line("finished in ")?)?,
            succeeded: before(line("requests: ")?, " succeeded")?,
            status_2xx: before(line("status codes: ")?, " 2xx")?,
            data: before(line("traffic: ")?, ") data")?,
        })
    }

    /// Loads that ran at the same time, as one.
    pub(super) fn join(self, other: &Self) -> Self {
        Self {
            seconds: self.seconds.max(other.seconds),
            succeeded: self.succeeded + other.succeeded,
            status_2xx: self.status_2xx + other.status_2xx,
            data: self.data + other.data,
        }
    }
}

/// The number right before `word`.
fn before(line: &str, word: &str) -> Result<u64> {
    let text = line.split(word).next().unwrap_or_default();
    let number = text.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    number.parse().with_context(|| format!("no number before {word:?} in {line:?}"))
}

/// The time at the start of `finished in 1.25s, …`, in which h2load uses `us`, `ms`, `s` and minutes with a colon.
fn seconds(line: &str) -> Result<f64> {
    let time = line.split(',').next().unwrap_or_default();
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let split = units.iter().find_map(|(unit, factor)| Some((time.strip_suffix(unit)?, factor)));
    let (number, factor) = split.with_context(|| format!("{time:?} is no time"))?;
    let (minutes, number) = number.split_once(':').unwrap_or(("0", number));
    let number = minutes.parse::<f64>()? * 60.0 + number.parse::<f64>()?;
    Ok(number * factor)
}

/// The times in a file of `--log-file`, in milliseconds: its third column, in microseconds.
///
/// # Errors
/// When a line has none.
pub(super) fn times(log: &str) -> Result<Vec<f64>> {
    let time = |line: &str| {
        let micros = line.split('\t').nth(2).and_then(|column| column.parse::<f64>().ok());
        Ok(micros.with_context(|| format!("{line:?} has no time"))? / 1000.0)
    };
    log.lines().map(time).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
starting benchmark...
Application protocol: h2c

finished in 1.25s, 8000.00 req/s, 1.10MB/s
requests: 10000 total, 10000 started, 10000 done, 9998 succeeded, 2 failed, 1 errored, 1 timeout
status codes: 9997 2xx, 0 3xx, 1 4xx, 0 5xx
traffic: 1.10MB (1154321) total, 253.91KB (260000) headers (space savings 81.16%), 606.45KB (621001) data
                     min         max         mean         sd        +/- sd
time for request:      210us     10.57ms      1.26ms       613us    85.22%
";

    #[test]
    fn a_summary_has_the_time_the_counts_and_the_bytes_of_bodies() {
        let summary = Summary::parse(PRINTED).unwrap();
        let wanted = Summary { seconds: 1.25, succeeded: 9998, status_2xx: 9997, data: 621_001 };
        assert_eq!(summary, wanted);
        let error = Summary::parse("h2load: cannot connect").unwrap_err().to_string();
        assert!(error.contains("no line \"finished in \""), "{error}");
    }

    #[test]
    fn loads_at_the_same_time_are_added_up_and_take_as_long_as_the_longest() {
        let one = Summary { seconds: 2.0, succeeded: 1, status_2xx: 1, data: 10 };
        let two = Summary { seconds: 1.0, succeeded: 2, status_2xx: 2, data: 20 };
        let both = Summary { seconds: 2.0, succeeded: 3, status_2xx: 3, data: 30 };
        assert_eq!(one.join(&two), both);
    }

    #[test]
    fn times_are_read_in_all_units() {
        let of = |text| seconds(text).unwrap();
        assert!((of("250us, 1 req/s") - 0.00025).abs() < 1e-12);
        assert!((of("12.50ms, 1 req/s") - 0.0125).abs() < 1e-12);
        assert!((of("1:02.50s, 1 req/s") - 62.5).abs() < 1e-12);
        assert!(seconds("soon").is_err());
    }

    #[test]
    fn a_log_has_microseconds_in_its_third_column() {
        let log = "1700000000000000\t200\t1500\n1700000000000001\t200\t250\n";
        assert_eq!(times(log).unwrap(), [1.5, 0.25]);
        assert!(times("1700000000000000\t200\n").is_err());
    }
}
