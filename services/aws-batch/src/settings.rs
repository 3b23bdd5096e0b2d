//! The operator's settings.

use plugin_core::{
    Context, Error, Result, Task,
    aws::{self, ExecutionRoles, given},
    clap,
};

use crate::custom::Custom;

/// Reasons of failed jobs after which another attempt may succeed, by a part of their text: the host was taken away, or
/// the container could not be started. "Automated job retries" in AWS Batch's user guide has the first; the second is what ECS
/// says of Fargate Spot; the others are types of ECS's errors of stopped tasks.
const RETRYABLE_REASONS: &str = "Host EC2,Your Spot Task was interrupted,ResourceInitializationError,DockerTimeoutError,\
                                 CannotStartContainerError,CannotInspectContainerError,Task failed to start";

/// The keys of a template's `config` that name a queue, as propeller's plugin has them.
const QUEUE_KEYS: [&str; 3] = ["dynamic_queue", "child_queue", "primary_queue"];

/// The operator's settings.
#[derive(Debug, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub(crate) operator: Operator,

    #[command(flatten)]
    pub(crate) aws: aws::Settings,
}

/// What an operator sets for tasks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Operator {
    /// Job queues that tasks may use, by name or ARN, as tasks write them; the first is that of tasks that name none.
    #[arg(
        long,
        env = "AWS_BATCH_JOB_QUEUES",
        value_name = "QUEUE",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) job_queues: Vec<String>,

    /// ARN of the role with which ECS pulls images and writes logs; Fargate needs one.
    #[arg(long, env = "AWS_BATCH_TASK_EXECUTION_ROLE", value_name = "ARN")]
    pub(crate) task_execution_role: Option<String>,

    /// Give jobs on Fargate public addresses, which they need in subnets without a NAT gateway.
    #[arg(long, env = "AWS_BATCH_ASSIGN_PUBLIC_IP")]
    pub(crate) assign_public_ip: bool,

    #[command(flatten)]
    pub(crate) verdicts: Verdicts,

    #[command(flatten)]
    pub(crate) job_roles: ExecutionRoles,
}

/// Which failures Flyte may retry.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Verdicts {
    /// Whether Flyte may retry a task whose container exits with an error.
    #[arg(long, env = "AWS_BATCH_FAILED_JOBS", value_enum, default_value_t = Verdict::Retryable)]
    pub(crate) failed_jobs: Verdict,

    /// Parts of the reasons of failed jobs after which Flyte may retry in any case; case does not matter.
    #[arg(
        long,
        env = "AWS_BATCH_RETRYABLE_REASONS",
        value_name = "TEXT",
        value_delimiter = ',',
        default_value = RETRYABLE_REASONS
    )]
    pub(crate) retryable_reasons: Vec<String>,
}

/// Whether Flyte may retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verdict {
    /// It may, as often as the task says.
    Retryable,
    /// It may not.
    Final,
}

impl Operator {
    /// # Errors
    /// `InvalidArgument` with the setting that is missing or wrong.
    pub(crate) fn check(&self) -> Result<()> {
        if self.queues().next().is_none() {
            return Err(Error::invalid(
                "--job-queues (AWS_BATCH_JOB_QUEUES): must name a job queue that tasks may use",
            ));
        }
        match &self.task_execution_role {
            Some(role) if !role.starts_with("arn:") || !role.contains(":role/") => {
                Err(Error::invalid(format!(
                    "--task-execution-role (AWS_BATCH_TASK_EXECUTION_ROLE): {role:?} is not the ARN of a role"
                )))
            }
            _ => Ok(()),
        }
    }

    fn queues(&self) -> impl Iterator<Item = &str> {
        self.job_queues.iter().map(|queue| queue.trim()).filter(|queue| !queue.is_empty())
    }

    /// The queue that `task` names, or the first.
    ///
    /// # Errors
    /// `InvalidArgument` for one that is not listed; `PermissionDenied` for what the caller may not use.
    pub(crate) fn queue(&self, cx: &Context, task: &Task<Custom>) -> Result<String> {
        let of_custom =
            given(&task.custom.job_queue).map(|queue| ("custom.jobQueue".to_owned(), queue));
        let of_config = || {
            let found = QUEUE_KEYS.iter().find_map(|key| Some((key, task.config.get(*key)?)));
            found.map(|(key, queue)| (format!("template.config.{key}"), queue.trim()))
        };
        let queue = match of_custom.or_else(of_config).filter(|(_, queue)| !queue.is_empty()) {
            Some((_, queue)) if self.queues().any(|listed| listed == queue) => queue,
            Some((field, queue)) => {
                return Err(Error::invalid(format!(
                    "{field}: {queue:?} is not allowed; the service's operator lists job queues in --job-queues \
                     (AWS_BATCH_JOB_QUEUES)"
                )));
            }
            None => self.queues().next().unwrap_or_default(),
        };
        cx.caller().check_target(queue)?;
        Ok(queue.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use plugin_core::aws::mentions;

    use super::*;

    #[test]
    fn an_images_name_is_no_reason_to_retry() {
        let texts = RETRYABLE_REASONS.split(',').map(str::to_owned).collect::<Vec<_>>();
        for (reason, is_retried) in [
            ("Host EC2 (instance i-0a1b) terminated.", true),
            ("Your Spot Task was interrupted.", true),
            ("CannotPullContainerError: pull access denied for spotify/etl", false),
        ] {
            assert_eq!(mentions(reason, &texts), is_retried, "{reason}");
        }
    }
}
