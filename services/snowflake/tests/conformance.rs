//! What every plugin must do, with Snowflake's answers.

use plugin_core::{serde_json::json, testing::rsa_private_key};

plugin_core::conformance_tests!(snowflake::Snowflake, &recorded());
plugin_core::readme_test!(
    plugin_core::command::<snowflake::Snowflake>,
    include_str!("../README.md")
);

/// The answers, with a key to sign with.
fn recorded() -> String {
    let key = json!(rsa_private_key()).to_string();
    include_str!("recorded.json").replace("\"{{rsa_private_key}}\"", &key)
}
