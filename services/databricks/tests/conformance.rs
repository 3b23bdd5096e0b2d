//! What every plugin must do, with Databricks' answers.

plugin_core::conformance_tests!(databricks::Databricks, include_str!("recorded.json"));
