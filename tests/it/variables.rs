//! Warnings of environment variables that look like settings.

use crate::program::{ANYWHERE, output};

#[tokio::test]
async fn variables_that_nothing_reads_are_warned_of() {
    let variables = [
        ("BIGQUERY_IMPERSONTE", "x"),
        ("PLUGIN_MAX_REQUEST", "5"),
        ("BIGQUERY_MAX_BODY_BYTES", "5"),
        ("BIGQUERY_EMPTY", ""),
        ("BIGQUERY_SERVICE_HOST", "10.0.0.1"),
        ("BIGQUERY_PORT", "tcp://10.0.0.1:8000"),
        ("BIGQUERY_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("BIGQUERY_SECRET_TOKEN", "canary"),
        ("PLUGIN_SECRET_PREFIX", "BIGQUERY_SECRET_"),
        ("PLUGIN_DRAIN_DELAY", "0s"),
    ];
    let args = [ANYWHERE[0], ANYWHERE[1], "--insecure-no-auth", "--endpoint=bigquery"];
    let (code, log) = output("bigquery", &args, &variables).await;
    assert_eq!(code, Some(1), "{log}");
    for expected in [
        "nothing reads BIGQUERY_IMPERSONTE; did you mean BIGQUERY_IMPERSONATE?",
        "nothing reads PLUGIN_MAX_REQUEST; did you mean PLUGIN_MAX_REQUESTS?",
        "nothing reads BIGQUERY_MAX_BODY_BYTES; did you mean PLUGIN_MAX_BODY_BYTES?",
    ] {
        assert!(log.contains(expected), "{expected}: {log}");
    }
    assert_eq!(log.matches("nothing reads").count(), 3, "{log}");
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test]
async fn a_bundle_knows_the_variables_of_all_its_plugins() {
    let variables = [
        ("BIGQUERY_IMPERSONATE", "x"),
        ("DATABRICKS_INSTANCES", "a.example.com"),
        ("SNOWFLAKE_ACOUNTS", "acme"),
        ("PLUGIN_BUNDLE_PLUGINS", "bigquery"),
    ];
    let args = [ANYWHERE[0], ANYWHERE[1], "--handle-keys=/nowhere"];
    let (code, log) = output("bundle", &args, &variables).await;
    assert_eq!(code, Some(1), "{log}");
    assert!(
        log.contains("nothing reads SNOWFLAKE_ACOUNTS; did you mean SNOWFLAKE_ACCOUNTS?"),
        "{log}"
    );
    assert_eq!(log.matches("nothing reads").count(), 1, "{log}");
}

#[tokio::test]
async fn propeller_proxy_warns_of_variables_that_it_does_not_read() {
    let variables = [("PROPELLER_PROXY_TOKENFILE", "x"), ("PLUGIN_LOG_LEVL", "info")];
    let args = ["--route=127.0.0.1:0=dns:///localhost:1", "--token-file=/nowhere"];
    let (code, log) = output("propeller-proxy", &args, &variables).await;
    assert_eq!(code, Some(1), "{log}");
    for expected in ["PROPELLER_PROXY_TOKEN_FILE?", "PLUGIN_LOG_LEVEL?"] {
        assert!(log.contains(&format!("did you mean {expected}")), "{expected}: {log}");
    }
}
