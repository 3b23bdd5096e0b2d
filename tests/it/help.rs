//! `--help` says what each program is.

use crate::program::output;

/// Every program of the workspace that has a command line, and its first line of help, or a phrase of
/// it.
const PROGRAMS: [(&str, &[&str], &str); 14] = [
    ("bigquery", &[], "Serves the Flyte backend plugin bigquery over gRPC and REST"),
    ("databricks", &[], "Serves the Flyte backend plugin databricks over gRPC and REST"),
    ("snowflake", &[], "Serves the Flyte backend plugin snowflake over gRPC and REST"),
    ("sync-echo", &[], "Serves the Flyte backend plugin"),
    ("bundle", &[], "Serves several Flyte backend plugins over gRPC and REST"),
    ("bigquery", &["health-check"], "Asks a running service for its gRPC health status"),
    ("propeller-proxy", &[], "FlytePropeller's calls"),
    ("xtask", &[], "Outrigger"),
    ("cargo-outrigger", &[], "Outrigger plugins"),
    ("oci-image", &[], "OCI image"),
    ("demo-calls", &[], "BigQuery service"),
    ("fake-upstream", &[], "vendor's API"),
    ("mint-token", &[], "HS256 token"),
    ("proxy-latency", &[], "propeller-proxy adds"),
];

#[tokio::test]
async fn help_begins_with_what_the_program_is() {
    for (program, command, phrase) in PROGRAMS {
        let args = [command, &["--help"]].concat();
        let (code, help) = output(program, &args, &[]).await;
        assert_eq!(code, Some(0), "{program}: {help}");
        let first = help.lines().next().unwrap_or_default();
        assert!(first.contains(phrase), "{program} {command:?}: {first}");
    }
}
