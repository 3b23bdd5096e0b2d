//! Athena as a file meets what services/athena meets, on the answers recorded for that; but for parameters of statements, which the
//! language does not have.

use declarative::Declarative;
use plugin_core::{
    serde_json::json,
    testing::{Recorded, Scenario, conformance},
};

/// What is recorded for services/athena, for a statement without parameters.
fn recorded() -> Recorded {
    let mut recorded = Recorded::parse(include_str!("../../athena/tests/recorded.json"));
    recorded.task["template"]["custom"] = json!({"workgroup": "etl", "database": "sales"});
    recorded.task["template"]["sql"]["statement"] = json!("SELECT * FROM orders");
    recorded.args = vec![
        "--files=examples/athena.yaml".to_owned(),
        "--set=athena-file.region=eu-central-1".to_owned(),
    ];
    recorded
}

macro_rules! scenarios {
    ($($name:ident: $scenario:ident,)*) => {$(
        #[tokio::test]
        async fn $name() {
            conformance::<Declarative>(Scenario::$scenario, recorded()).await;
        }
    )*};
}

scenarios! {
    happy_path: HappyPath,
    same_key_twice_is_one_job: SameKeyTwice,
    delete_twice: DeleteTwice,
    unknown_state_is_still_running: UnknownState,
    rejected_credentials_are_renewed: RefreshAfter401,
    retry_after_is_obeyed: RetryAfter429,
    slow_upstream_meets_the_deadline: SlowUpstream,
    create_outlives_its_caller: CallerDisconnectsDuringCreate,
    bad_custom_names_the_field: BadCustom,
    bad_handle_reaches_no_job: BadHandle,
    refused_job_is_a_failed_task: RefusedJob,
    outage_fails_no_poll: Outage,
    secrets_are_not_exposed: CanaryNowhere,
    protocols_agree: ProtocolsAgree,
}
