//! Flyte's environment variables, as parameters of spark-submit.

use std::collections::BTreeMap;

/// `variables` as `--conf`s of driver and executors. EMR Serverless splits parameters at spaces and knows no quoting that
/// holds for all values, so a variable with a space, a quote or `=` in its value is left out, as by Flyte's connector; their
/// names are logged.
pub(crate) fn parameters(variables: &BTreeMap<String, String>) -> Vec<String> {
    let (safe, unsafe_) =
        variables.iter().partition::<Vec<_>, _>(|(name, value)| is_safe(name, value));
    if !unsafe_.is_empty() {
        let names = unsafe_.iter().map(|(name, _)| name.as_str()).take(20).collect::<Vec<_>>();
        tracing::warn!(
            variables = names.join(", "),
            "environment variables not passed to Spark: their values have spaces, quotes or ="
        );
    }
    let confs = safe.into_iter().flat_map(|(name, value)| {
        [
            format!("--conf spark.emr-serverless.driverEnv.{name}={value}"),
            format!("--conf spark.executorEnv.{name}={value}"),
        ]
    });
    confs.collect()
}

fn is_safe(name: &str, value: &str) -> bool {
    let in_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    let breaks = |c: char| c.is_whitespace() || c.is_control() || "='\"\\".contains(c);
    !name.is_empty() && name.bytes().all(in_name) && !value.contains(breaks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_spark_submit_would_split_is_left_out() {
        let variables =
            [("A", "1"), ("B", "a b"), ("C", "x=y"), ("D d", "1"), ("E", "it's"), ("F", "a\\b")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            parameters(&variables.into_iter().collect()),
            ["--conf spark.emr-serverless.driverEnv.A=1", "--conf spark.executorEnv.A=1"]
        );
    }
}
