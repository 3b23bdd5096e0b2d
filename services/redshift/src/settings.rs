//! The operator's settings.

use plugin_core::{aws, clap};

use crate::target::Allowed;

/// Errors of statements that another attempt may not meet, by a part of their text, because the Data API gives no codes:
/// Redshift has ended one of several transactions that were in each other's way.
const RETRYABLE_ERRORS: &str = "serializable isolation violation,deadlock detected";

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub(crate) aws: aws::Settings,

    #[command(flatten)]
    pub(crate) allowed: Allowed,

    /// Parts of the errors of failed statements after which Flyte may retry the task; case does not matter.
    #[arg(
        long,
        env = "REDSHIFT_RETRYABLE_ERRORS",
        value_name = "TEXT",
        value_delimiter = ',',
        default_value = RETRYABLE_ERRORS
    )]
    pub(crate) retryable_errors: Vec<String>,
}
