//! Every state of the model has a phase.

use plugin_core::serde_json::{Value as Json, from_str, from_value, json};

use super::*;

fn status(description: Json) -> (Phase, String) {
    let retryable = ["serializable isolation violation".to_owned(), String::new()];
    let found: Described = from_value(description).unwrap();
    let status = found.status(&retryable);
    (status.phase(), format!("{status:?}"))
}

#[test]
fn every_state_has_a_phase() {
    let table = [
        ("SUBMITTED", Phase::Queued),
        ("PICKED", Phase::Initializing),
        ("STARTED", Phase::Running),
        ("FINISHED", Phase::Succeeded),
        ("FAILED", Phase::Failed),
        ("ABORTED", Phase::Failed),
        // A filter for lists, not a state.
        ("ALL", Phase::Running),
        ("HIBERNATING", Phase::Running),
    ];
    let model = include_str!("../../../../tests/aws-models/redshift-data.json");
    let shapes = from_str::<Json>(model).unwrap()["shapes"].take();
    for shape in ["StatusString", "StatementStatusString"] {
        for state in shapes[shape]["enum"].as_array().unwrap() {
            assert!(table.iter().any(|row| row.0 == state), "{state}");
        }
    }
    for (state, phase) in table {
        assert_eq!(status(json!({ "Status": state })).0, phase, "{state}");
    }
    let unknown = |state: &str| {
        let found: Described = from_value(json!({ "Status": state })).unwrap();
        found.status(&[]) == Status::unknown_state(state)
    };
    assert!(unknown("ALL") && unknown("HIBERNATING") && !unknown("STARTED"));
}

#[test]
fn failures_say_which_statement_failed_and_whether_to_retry() {
    for (description, phase, message) in [
        (
            json!({"Status": "FAILED", "Error": "ERROR: 1023 DETAIL: Serializable isolation violation on table 7"}),
            Phase::RetryableFailed,
            "Serializable isolation violation on table 7",
        ),
        (json!({"Status": "FAILED"}), Phase::Failed, "Redshift gave no reason"),
        (
            json!({"Status": "FAILED", "Error": "Query #2 failed", "SubStatements": [
                {"Id": "a:1", "Status": "FINISHED"}, {"Id": "a:2", "Status": "FAILED", "Error": "ERROR: no such table"},
            ]}),
            Phase::Failed,
            "statement 2: ERROR: no such table",
        ),
        // Each statement was committed by itself.
        (
            json!({"Status": "FINISHED", "SubStatements": [
                {"Id": "a:1", "Status": "FAILED", "Error": "ERROR: x"}, {"Id": "a:2", "Status": "FINISHED"},
            ]}),
            Phase::Failed,
            "statement 1: ERROR: x",
        ),
        (json!({"Status": "ABORTED"}), Phase::Failed, "cancelled in Redshift"),
    ] {
        let (found, shown) = status(description.clone());
        assert!(found == phase && shown.contains(message), "{description}: {shown}");
    }
}

#[test]
fn lists_tell_what_has_not_ended() {
    let page = |statements, token: &str| -> Listed {
        from_value(json!({ "Statements": statements, "NextToken": token })).unwrap()
    };
    let mut active = Active::default();
    let first =
        page(json!([{"Id": "a", "Status": "SUBMITTED"}, {"Id": "b", "Status": "FINISHED"}]), "2");
    assert_eq!(active.add("SUBMITTED", first).as_deref(), Some("2"));
    assert_eq!(active.add("STARTED", page(json!([{"Id": "a", "Status": "STARTED"}]), "")), None);
    assert_eq!(active.status("a").map(|status| status.phase()), Some(Phase::Running));
    assert_eq!((active.status("b"), active.status("c")), (None, None));
}

#[test]
fn facts_of_another_form_are_left_out() {
    let odd =
        [Json::Null, json!(-1), json!(1.5), json!("x"), json!([1]), json!({"a": 1}), json!(true)];
    for fact in ["Error", "Duration", "ResultRows", "ResultSize", "RedshiftQueryId"] {
        for value in &odd {
            let mut found = json!({"Status": "FINISHED", "ResultRows": 42, "ResultSize": 77});
            found[fact] = value.clone();
            let (phase, shown) = status(found.clone());
            assert_eq!(phase, Phase::Succeeded, "{found}");
            let other = if fact == "ResultSize" { "Number(42)" } else { "Number(77)" };
            assert!(shown.contains(other), "{found}: {shown}");
            let sub = json!({"Status": "FINISHED", "SubStatements": [found, {"Status": "FAILED"}]});
            assert_eq!(status(sub).0, Phase::Failed);
        }
    }
}

#[test]
fn only_a_state_of_another_form_makes_an_answer_unreadable() {
    assert_eq!(status(json!({"Status": null, "SubStatements": null})).0, Phase::Running);
    for odd in [json!({"Status": 1}), json!({"SubStatements": [{"Status": 1}]})] {
        assert!(from_value::<Described>(odd.clone()).is_err(), "{odd}");
    }
}

#[test]
fn an_unreadable_statement_does_not_hide_the_others_of_its_page() {
    let page =
        json!({"Statements": [null, {"Id": 1}, {"Id": "a", "Status": "STARTED"}], "NextToken": 7});
    let mut active = Active::default();
    assert_eq!(active.add("STARTED", from_value(page).unwrap()), None);
    assert!(active.status("a").is_some());
    assert_eq!(active.add("STARTED", from_value(json!({"Statements": null})).unwrap()), None);
}
