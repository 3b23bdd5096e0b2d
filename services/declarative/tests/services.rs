//! Athena and BigQuery as files meet what the services in Rust meet, on the answers recorded for these; but for values of
//! inputs in statements, which the language does not bind.

use declarative::Declarative;
use plugin_core::{
    serde_json::{Value as Json, json},
    testing::{Recorded, Scenario, conformance},
};

/// What is `recorded` for a service, for a task with `custom` and a statement without values, at the file of `args`.
fn without_values(recorded: &str, custom: Json, args: &[&str]) -> Recorded {
    let mut recorded = Recorded::parse(recorded);
    let template = &mut recorded.task["template"];
    template["custom"] = custom;
    template["sql"]["statement"] = json!("SELECT * FROM orders");
    template["interface"]["inputs"] = json!({});
    recorded.task["inputs"] = json!({});
    recorded.args = args.iter().map(ToString::to_string).collect();
    recorded
}

fn athena() -> Recorded {
    let custom = json!({"workgroup": "etl", "database": "sales"});
    let args = ["--files=examples/athena.yaml", "--set=athena-file.region=eu-central-1"];
    without_values(include_str!("../../athena/tests/recorded.json"), custom, &args)
}

fn bigquery() -> Recorded {
    let custom = json!({"ProjectID": "acme-analytics", "Location": "EU", "Domain": "development"});
    let args = ["--files=examples/bigquery.yaml"];
    without_values(include_str!("../../bigquery/tests/recorded.json"), custom, &args)
}

macro_rules! scenarios {
    ($recorded:ident, $($name:ident: $scenario:ident,)*) => {$(
        #[tokio::test]
        async fn $name() {
            conformance::<Declarative>(Scenario::$scenario, super::$recorded()).await;
        }
    )*};
    ($($recorded:ident,)*) => {$(
        mod $recorded {
            use super::*;

            scenarios! {
                $recorded,
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
        }
    )*};
}

scenarios! { athena, bigquery, }
