//! The names of what every plugin must do, and a test of each.

/// One thing that every plugin must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Create, poll, succeed, delete.
    HappyPath,
    /// A repeated create sends the vendor the same bytes and leads to the same job.
    SameKeyTwice,
    /// Deleting a job that is gone is a success.
    DeleteTwice,
    /// A state nobody knows is a running job.
    UnknownState,
    /// Credentials are renewed once when the vendor refuses them.
    RefreshAfter401,
    /// Retry-After is obeyed.
    RetryAfter429,
    /// A slow vendor costs nobody a deadline.
    SlowUpstream,
    /// A create outlives its caller.
    CallerDisconnectsDuringCreate,
    /// A wrong `custom` is answered with the field, and nothing is submitted.
    BadCustom,
    /// A handle that is none, or another's, leads nowhere.
    BadHandle,
    /// What the vendor refuses for good is the task's failure, not a retry.
    RefusedJob,
    /// An outage of the vendor fails no poll.
    Outage,
    /// No secret shows up anywhere.
    CanaryNowhere,
    /// REST, Flyte 1 and Flyte 2 are told the same.
    ProtocolsAgree,
}

/// Makes a test of each [`Scenario`] for a plugin.
///
/// ```text
/// plugin_core::conformance_tests!(bigquery::BigQuery, include_str!("recorded.json"));
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($plugin:ty, $recorded:expr) => {
        $crate::conformance_tests!(
            $plugin, $recorded,
            happy_path: HappyPath,
            same_key_twice_is_one_job: SameKeyTwice,
            delete_twice: DeleteTwice,
            unknown_state_is_still_running: UnknownState,
            refused_credentials_are_renewed: RefreshAfter401,
            retry_after_is_obeyed: RetryAfter429,
            slow_upstream_meets_the_deadline: SlowUpstream,
            create_outlives_its_caller: CallerDisconnectsDuringCreate,
            bad_custom_names_the_field: BadCustom,
            bad_handle_leads_nowhere: BadHandle,
            refused_job_is_a_failed_task: RefusedJob,
            outage_fails_no_poll: Outage,
            secrets_show_up_nowhere: CanaryNowhere,
            protocols_agree: ProtocolsAgree,
        );
    };
    ($plugin:ty, $recorded:expr, $($name:ident: $scenario:ident,)*) => {$(
        #[::tokio::test]
        async fn $name() {
            let recorded = $crate::testing::Recorded::parse($recorded);
            let scenario = $crate::testing::Scenario::$scenario;
            $crate::testing::conformance::<$plugin>(scenario, recorded).await;
        }
    )*};
}

/// One thing that every sync plugin must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncScenario {
    /// A task is answered with its outputs.
    HappyPath,
    /// A wrong `custom` is answered with the field, and the vendor is not asked.
    BadCustom,
    /// What the vendor refuses for good is the task's failure, in its words.
    RefusedTask,
    /// Credentials are renewed once when the vendor refuses them; then the task has failed.
    RefusedCredentials,
    /// Retry-After is obeyed, or left to the caller.
    RetryAfter429,
    /// An outage of the vendor is an error: Flyte tries again.
    Outage,
    /// A slow vendor costs nobody a deadline, and what is late is dropped.
    SlowUpstream,
    /// A caller that went away and comes back gets the answer that was under way.
    CallerDisconnects,
    /// The same task twice at once is one call to the vendor.
    SameKeyAtOnce,
    /// No secret shows up anywhere.
    CanaryNowhere,
    /// REST and gRPC are told the same.
    ProtocolsAgree,
}

/// Makes a test of each [`SyncScenario`] for a sync plugin.
///
/// ```text
/// plugin_core::sync_conformance_tests!(translate::Translate, include_str!("recorded.json"));
/// ```
#[macro_export]
macro_rules! sync_conformance_tests {
    ($plugin:ty, $recorded:expr) => {
        $crate::sync_conformance_tests!(
            $plugin, $recorded,
            happy_path: HappyPath,
            bad_custom_names_the_field: BadCustom,
            refused_task_is_a_failed_task: RefusedTask,
            refused_credentials_are_renewed_once: RefusedCredentials,
            retry_after_is_obeyed: RetryAfter429,
            outage_is_tried_again: Outage,
            slow_upstream_meets_the_deadline: SlowUpstream,
            answer_outlives_its_caller: CallerDisconnects,
            same_key_at_once_is_one_call: SameKeyAtOnce,
            secrets_show_up_nowhere: CanaryNowhere,
            protocols_agree: ProtocolsAgree,
        );
    };
    ($plugin:ty, $recorded:expr, $($name:ident: $scenario:ident,)*) => {$(
        #[::tokio::test]
        async fn $name() {
            let recorded = $crate::testing::SyncRecorded::parse($recorded);
            let scenario = $crate::testing::SyncScenario::$scenario;
            $crate::testing::sync_conformance::<$plugin>(scenario, recorded).await;
        }
    )*};
}
