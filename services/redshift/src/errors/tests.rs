//! Every error of the model has a kind.

use super::*;

#[test]
fn every_error_has_a_kind() {
    for (code, kind) in [
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
    ] {
        assert_eq!(of_code(code, "no"), Some(kind), "{code}");
    }
    assert_eq!(of_code("ThrottlingException", ""), None);
}

#[test]
fn a_paused_cluster_is_tried_again() {
    for message in ["The cluster is paused", "Cluster sales is Resuming."] {
        assert_eq!(of_code("ValidationException", message), Some(Kind::Unavailable), "{message}");
    }
}
