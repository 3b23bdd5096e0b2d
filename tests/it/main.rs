//! Integration tests: the services with fakes of their vendors, over real sockets.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    reason = "these are tests"
)]

mod athena;
mod aws;
mod aws_batch;
mod bridge;
mod bridge_metrics;
mod bridge_process;
mod bridge_rest;
mod bundle;
mod conformance_failures;
mod connections;
mod contract;
mod core;
mod databricks;
mod dbt_shape;
mod documents;
mod edges;
mod emr_serverless;
mod flyte_values;
mod golden;
mod help;
mod idempotency;
mod lifecycle;
mod numbers;
mod observability;
mod outrigger;
mod overload;
mod polls;
mod program;
mod propeller_proxy;
mod raw;
mod redshift;
mod replay;
mod rest;
mod results;
mod rotation;
mod sagemaker;
mod secrets;
mod snowflake;
mod snowflake_golden;
mod stage;
mod startup;
mod sync_mode;
mod tls;
mod tokens;
mod variables;
