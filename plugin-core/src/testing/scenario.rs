//! The scenarios of the conformance suites, and the macros that make a test of each.

use std::fmt;

/// A requirement that every plugin must meet. Its `Display` is the name in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// A job is created, polled until it succeeds, and deleted.
    HappyPath,
    /// A repeated create leads to the same job: it finds it, or sends the same bytes under the same key.
    SameKeyTwice,
    /// Deleting a job that the vendor no longer has succeeds.
    DeleteTwice,
    /// A job in a state that the plugin does not know is running.
    UnknownState,
    /// Credentials are renewed once when the vendor rejects them.
    RefreshAfter401,
    /// Retry-After is obeyed.
    RetryAfter429,
    /// A slow vendor makes no call exceed its deadline.
    SlowUpstream,
    /// A create outlives its caller.
    CallerDisconnectsDuringCreate,
    /// The error about a wrong `custom` names the field, and nothing is submitted.
    BadCustom,
    /// A handle that is not valid, or another caller's, reaches no job.
    BadHandle,
    /// A job that the vendor refuses for good is a failed task, which is not retried.
    RefusedJob,
    /// An outage of the vendor fails no poll.
    Outage,
    /// Secrets appear in no response, handle, metric or log.
    CanaryNowhere,
    /// Flyte 1, Flyte 2 and REST report the same.
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

/// A requirement that every sync plugin must meet. Its `Display` is the name in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncScenario {
    /// A task is answered with its outputs.
    HappyPath,
    /// The error about a wrong `custom` names the field, and the vendor is not called.
    BadCustom,
    /// A task that the vendor refuses for good has failed, with the vendor's message.
    RefusedTask,
    /// Credentials are renewed once when the vendor rejects them; then the task has failed.
    RefusedCredentials,
    /// Retry-After is obeyed, or left to the caller.
    RetryAfter429,
    /// An outage of the vendor is an error that Flyte retries.
    Outage,
    /// A slow vendor makes no call exceed its deadline, and a late answer is dropped.
    SlowUpstream,
    /// A caller that disconnects and repeats its call gets the outcome of the call in progress.
    CallerDisconnects,
    /// The same task twice at once is one call to the vendor.
    SameKeyAtOnce,
    /// Secrets appear in no response, metric or log.
    CanaryNowhere,
    /// Flyte 1 and REST report the same.
    ProtocolsAgree,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&snake_case(&format!("{self:?}")))
    }
}

impl fmt::Display for SyncScenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&snake_case(&format!("{self:?}")))
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        let in_number = snake.ends_with(|last: char| last.is_ascii_digit());
        let starts_word = letter.is_uppercase() || (letter.is_ascii_digit() && !in_number);
        if starts_word && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// Makes a test of each [`SyncScenario`] for a sync plugin.
///
/// ```text
/// plugin_core::sync_conformance_tests!(translate::Translate, include_str!("recorded.json"));
/// ```
///
/// `tasks of` before the plugin stands for one that has [`SyncTasks`](crate::SyncTasks).
#[macro_export]
macro_rules! sync_conformance_tests {
    (tasks of $plugin:ty, $recorded:expr) => {
        $crate::sync_conformance_tests!(in sync_tasks_conformance, $plugin, $recorded);
    };
    (in $play:ident, $plugin:ty, $recorded:expr) => {
        $crate::sync_conformance_tests!(
            in $play, $plugin, $recorded,
            happy_path: HappyPath,
            bad_custom_names_the_field: BadCustom,
            refused_task_is_a_failed_task: RefusedTask,
            rejected_credentials_are_renewed_once: RefusedCredentials,
            retry_after_is_obeyed: RetryAfter429,
            outage_is_retried: Outage,
            slow_upstream_meets_the_deadline: SlowUpstream,
            execute_outlives_its_caller: CallerDisconnects,
            same_key_at_once_is_one_call: SameKeyAtOnce,
            secrets_are_not_exposed: CanaryNowhere,
            protocols_agree: ProtocolsAgree,
        );
    };
    (in $play:ident, $plugin:ty, $recorded:expr, $($name:ident: $scenario:ident,)*) => {$(
        #[::tokio::test]
        async fn $name() {
            let recorded = $crate::testing::SyncRecorded::parse($recorded);
            let scenario = $crate::testing::SyncScenario::$scenario;
            $crate::testing::$play::<$plugin>(scenario, recorded).await;
        }
    )*};
    ($plugin:ty, $recorded:expr) => {
        $crate::sync_conformance_tests!(in sync_conformance, $plugin, $recorded);
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_have_names_in_snake_case() {
        assert_eq!(Scenario::UnknownState.to_string(), "unknown_state");
        assert_eq!(Scenario::RefreshAfter401.to_string(), "refresh_after_401");
        assert_eq!(SyncScenario::SameKeyAtOnce.to_string(), "same_key_at_once");
    }
}
