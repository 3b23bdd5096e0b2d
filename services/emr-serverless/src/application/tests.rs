use std::time::Duration;

use plugin_core::{serde_json, testing};

use super::*;

fn choose(listed: &[&str], custom: &str) -> Result<Named> {
    let applications = listed.iter().map(|&item| item.to_owned()).collect();
    let cx = testing::context(Duration::from_secs(1));
    Applications { applications }.choose(&cx, &serde_json::from_str(custom).unwrap())
}

#[test]
fn an_application_has_an_id_or_a_name() {
    for (listed, custom, application, is_id) in [
        (&[][..], r#"{"application_id": "00f1r2v3abcdef09"}"#, "00f1r2v3abcdef09", true),
        (&[], r#"{"application_id": "etl"}"#, "etl", false),
        (&[], r#"{"application_id": " etl-prod "}"#, "etl-prod", false),
        (&[], r#"{"application_name": "00f1r2v3abcdef09"}"#, "00f1r2v3abcdef09", false),
        (&[], r#"{"application_id": "a", "application_name": "b"}"#, "a", false),
        (&["etl", "00f1r2v3abcdef09"], "{}", "etl", false),
        (&["00f1r2v3abcdef09"], "{}", "00f1r2v3abcdef09", true),
        (&["a", "b"], r#"{"application_name": "b"}"#, "b", false),
    ] {
        let named = choose(listed, custom).unwrap();
        assert_eq!((named.application.as_str(), named.is_id), (application, is_id), "{custom}");
    }
}

#[test]
fn what_the_operator_does_not_list_is_refused() {
    for (listed, custom, message) in [
        (
            &["etl"][..],
            r#"{"application_id": "ml"}"#,
            "custom.application_id: \"ml\" is not allowed",
        ),
        (
            &["etl"],
            r#"{"application_name": "ETL"}"#,
            "custom.application_name: \"ETL\" is not allowed",
        ),
        (&[], "{}", "custom.application_id: missing"),
        (&[""], "{}", "custom.application_id: missing"),
        (&[], r#"{"application_name": "a b"}"#, "custom.application_name: \"a b\" must be"),
    ] {
        let error = choose(listed, custom).unwrap_err();
        assert!(error.message().starts_with(message), "{error}");
    }
}
