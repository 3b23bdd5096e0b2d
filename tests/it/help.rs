//! `--help` says what each program is.

use crate::program::output;

/// Every program of the workspace that has a command line, its arguments, and its first line of help.
const PROGRAMS: [(&str, &[&str], &str); 32] = [
    ("athena", &[], "Serves the Flyte backend plugin athena over gRPC and REST"),
    ("aws-batch", &[], "Serves the Flyte backend plugin aws-batch over gRPC and REST"),
    ("bigquery", &[], "Serves the Flyte backend plugin bigquery over gRPC and REST"),
    ("databricks", &[], "Serves the Flyte backend plugin databricks over gRPC and REST"),
    ("emr-serverless", &[], "Serves the Flyte backend plugin emr-serverless over gRPC and REST"),
    ("redshift", &[], "Serves the Flyte backend plugin redshift over gRPC and REST"),
    ("sagemaker", &[], "Serves the Flyte backend plugin sagemaker over gRPC and REST"),
    ("snowflake", &[], "Serves the Flyte backend plugin snowflake over gRPC and REST"),
    ("sync-echo", &[], "Serves the Flyte backend plugin tests over gRPC and REST"),
    ("bridge", &[], "Serves the Flyte backend plugin bridge over gRPC and REST"),
    ("declarative", &[], "Serves the Flyte backend plugin declarative over gRPC and REST"),
    (
        "declarative",
        &["check"],
        "Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files",
    ),
    (
        "declarative",
        &["try"],
        "Prints the requests that a plugin's file makes of a task, and what answers mean",
    ),
    ("bundle", &[], "Serves several Flyte backend plugins over gRPC and REST"),
    (
        "bigquery",
        &["health-check"],
        "Asks a running service for its gRPC health status: prints SERVING and exits with 0, or prints the reason and exits with 1",
    ),
    (
        "propeller-proxy",
        &[],
        "A sidecar proxy for FlytePropeller that adds a token to its calls and balances them over replicas.",
    ),
    (
        "xtask",
        &[],
        "Development tools for Outrigger: create, sync, check, package and demo plugins",
    ),
    (
        "cargo-outrigger",
        &[],
        "Creates Outrigger plugins in separate repositories and keeps them in sync with the template",
    ),
    (
        "oci-image",
        &[],
        "Packs a static program into an OCI image archive, or joins archives for several platforms in one",
    ),
    (
        "demo-calls",
        &[],
        "Client of `cargo xtask demo`: calls a running BigQuery service over every protocol",
    ),
    ("fake-upstream", &[], "A fake of a vendor's API with scripted behaviour"),
    (
        "outrigger",
        &[],
        "For people who run and write Flyte backend plugins: values for Flyte, new plugins, checks, tokens and health",
    ),
    (
        "outrigger",
        &["flyte-values"],
        "Prints Helm values for Flyte that route task types to the plugins' services.",
    ),
    ("outrigger", &["new"], "Creates a plugin that runs and passes its tests."),
    (
        "outrigger",
        &["check"],
        "Checks a running service, or a plugin in another language, against the contract of plugins.",
    ),
    (
        "outrigger",
        &["plugin", "check"],
        "Checks files of plugins: prints each mistake with its line and exits with 1, or what is in the files",
    ),
    ("outrigger", &["plugin", "schema"], "Prints the JSON Schema of plugins' files, for editors"),
    ("outrigger", &["token", "mint"], "Makes a token, signed with a key in a file."),
    (
        "outrigger",
        &["token", "show"],
        "Shows what a token says, without its signature: its issuer, audience, subject, dates and other claims.",
    ),
    (
        "outrigger",
        &["health-check"],
        "Asks running services for their health: gRPC health on an API port, or a GET of the path if the URL has one.",
    ),
    (
        "plugin-conformance",
        &[],
        "Checks a running plugin service against the plugin contract (docs/plugin-contract.md), over REST and the gRPC of Flyte 1 and Flyte 2.",
    ),
    ("proxy-latency", &[], "Benchmark of the latency that propeller-proxy adds to a call."),
];

#[tokio::test]
async fn help_begins_with_the_purpose_of_the_program() {
    for (program, command, expected) in PROGRAMS {
        let args = [command, &["--help"]].concat();
        let (code, help) = output(program, &args, &[]).await;
        assert_eq!(code, Some(0), "{program}: {help}");
        let first = help.lines().next().unwrap_or_default();
        assert_eq!(first, expected, "{program} {command:?}");
    }
}
