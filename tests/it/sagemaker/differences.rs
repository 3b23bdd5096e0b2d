//! What the service does otherwise than flytekit's connector: a test for each row of the README's table.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tests::repository;

/// The connector's side of each row, and the test that shows the service's.
const ROWS: [(&str, &str); 20] = [
    (
        "`{idempotence_token}` is a hash of the configuration",
        "runs_with_the_same_configuration_are_two_jobs",
    ),
    (
        "a name that exists is a success, if the name has a token",
        "a_name_of_anothers_is_not_adopted",
    ),
    ("without a token a repeated create fails", "a_name_of_anothers_is_not_adopted"),
    (
        "the placeholders of names are rendered again for each poll, without the token",
        "a_job_goes_through_its_phases_with_links_to_console_and_logs",
    ),
    (
        "an endpoint over the quota is a success, and polled",
        "an_account_at_its_limit_has_no_job_and_flyte_submits_again",
    ),
    ("endpoints: 3 of 9 states, `KeyError` else", "every_state_of_the_model_has_a_phase"),
    (
        "a delete removes the endpoint, in service or not",
        "a_delete_leaves_an_endpoint_that_came_up_in_service",
    ),
    ("every failure is permanent", "a_failures_class_decides_whether_flyte_may_retry"),
    (
        "a cut token where a name has more than 63 characters",
        "a_token_is_cut_where_a_name_is_too_long",
    ),
    (
        "numbers in `HyperParameters` are an error of boto3",
        "members_without_a_value_are_left_out_and_maps_of_text_have_text",
    ),
    (
        "a list within a text is Python's `repr`; values are searched for placeholders again",
        "a_value_within_a_text_is_text_and_no_template",
    ),
    (
        "`boto` calls any method of any service with the pod's identity",
        "only_listed_methods_of_sagemaker_may_be_called",
    ),
    (
        "`boto` takes a model or endpoint configuration of that name for its own, whatever it is",
        "a_repeated_call_makes_one_model_and_only_the_same_definition_is_adopted",
    ),
    ("`boto` returns times as pickles", "a_description_is_passed_on_with_its_times_in_words"),
    ("`result` has `ResponseMetadata`", "a_result_has_the_members_that_flytekit_has"),
    (
        "boto3 sends `invoke_endpoint_async` again after a 5xx or a lost answer; without an `InferenceId` SageMaker makes \
         another for each",
        "an_invocation_whose_answer_is_lost_is_repeated_by_flyte_alone_with_the_same_id",
    ),
    ("any role and region", "what_the_operator_does_not_allow_is_refused_and_nobody_is_called"),
    ("`error.pb` is read from S3", "only_a_function_without_outputs_fails_its_job"),
    ("`FLYTE_FAIL_ON_ERROR` for all", "only_a_function_without_outputs_fails_its_job"),
    ("handles are pickles with the whole configuration", "handles_reveal_nothing"),
];

#[test]
fn the_readme_has_these_differences() {
    let readme = fs::read_to_string(repository().join("services/sagemaker/README.md")).unwrap();
    let (_, table) = readme.split_once("| flytekit's connector 1.16.31 |").unwrap();
    // After the header's other cells, and the line below it.
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let rows = rows.map(|row| row.split('|').nth(1).unwrap().trim()).collect::<Vec<_>>();
    assert_eq!(rows, ROWS.map(|(row, _)| row));
}

#[test]
fn each_difference_has_a_test() {
    let places = ["services/sagemaker/src", "tests/it", "plugin-core/src/handle"];
    let sources = places.map(|place| source(&repository().join(place))).concat();
    for (row, test) in ROWS {
        assert!(sources.contains(&format!("fn {test}()")), "{row}: no test is called {test}");
    }
}

/// All Rust below `folder`.
fn source(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => source(&path),
        false if path.extension().is_some_and(|end| end == "rs") => {
            fs::read_to_string(&path).unwrap()
        }
        false => String::new(),
    };
    entries.map(read).collect()
}
