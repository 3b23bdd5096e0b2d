//! What every plugin must do, with Acme's answers.

plugin_core::conformance_tests!(acme_batch::AcmeBatch, include_str!("recorded.json"));
