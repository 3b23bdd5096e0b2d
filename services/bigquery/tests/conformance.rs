//! What every plugin must do, with BigQuery's answers.

plugin_core::conformance_tests!(bigquery::BigQuery, include_str!("recorded.json"));
