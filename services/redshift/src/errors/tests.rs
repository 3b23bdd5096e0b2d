//! Every error of the model has a kind.

use plugin_core::serde_json::{Value as Json, from_str};

use super::*;

#[test]
fn every_error_has_a_kind() {
    let table = [
        ("ActiveSessionsExceededException", Kind::ResourceExhausted),
        ("ActiveStatementsExceededException", Kind::ResourceExhausted),
        ("ActiveWaitingRequestsExceededException", Kind::ResourceExhausted),
        ("BatchExecuteStatementException", Kind::Unavailable),
        ("DatabaseConnectionException", Kind::Unavailable),
        ("ExecuteStatementException", Kind::Unavailable),
        ("InternalServerException", Kind::Unavailable),
        ("QueryTimeoutException", Kind::Unavailable),
        ("ResourceNotFoundException", Kind::NotFound),
        ("ValidationException", Kind::InvalidArgument),
    ];
    let model = include_str!("../../../../tests/aws-models/redshift-data.json");
    for (name, shape) in from_str::<Json>(model).unwrap()["shapes"].as_object().unwrap() {
        assert!(table.iter().any(|row| row.0 == name) || shape["exception"] != true, "{name}");
    }
    for (code, kind) in table {
        assert_eq!(of_code(code, "no"), Some(kind), "{code}");
    }
    assert_eq!(of_code("ThrottlingException", ""), None);
    let mut full = FULL.iter().map(|code| of_code(code, ""));
    assert!(full.all(|kind| kind == Some(Kind::ResourceExhausted)));
}

#[test]
fn a_paused_cluster_is_tried_again() {
    for message in ["The cluster is paused", "Cluster sales is Resuming."] {
        assert_eq!(of_code("ValidationException", message), Some(Kind::Unavailable), "{message}");
    }
}
