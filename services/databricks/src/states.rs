//! From a run's state to Flyte's phase.

use plugin_core::{
    Phase, Status, clap,
    jiff::{SignedDuration, Timestamp},
};

use crate::api::{CONSOLE, Run};

/// How long a run that ended with an unknown result counts as running.
const SETTLES: SignedDuration = SignedDuration::from_mins(10);

/// The operator's settings for tasks whose run failed.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Verdicts {
    /// Whether Flyte may retry a task whose code failed. Failures of Databricks and of the cloud are
    /// always retryable; requests that Databricks cannot run never are.
    #[arg(long, env = "DATABRICKS_FAILED_RUNS", value_enum, default_value_t = Verdict::Retryable)]
    failed_runs: Verdict,

    /// Whether Flyte may retry a task whose run exceeded its `timeout_seconds`.
    #[arg(long, env = "DATABRICKS_TIMED_OUT_RUNS", value_enum, default_value_t = Verdict::Final)]
    timed_out_runs: Verdict,
}

/// Whether a failure is retried, while the task has retries left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Verdict {
    /// It is retried.
    Retryable,
    /// It is not retried.
    Final,
}

impl Verdict {
    fn phase(self) -> Phase {
        match self {
            Self::Retryable => Phase::RetryableFailed,
            Self::Final => Phase::Failed,
        }
    }
}

impl Run {
    /// The run's status, with links and info. `page` is the link for a run that has none of its own.
    pub(crate) fn status(&self, verdicts: &Verdicts, page: String) -> Status {
        let status = match self.phase(verdicts) {
            Some(phase) => Status::new(phase).code(self.code(phase)).message(self.message()),
            None => self.unknown(),
        };
        self.describe(status, page)
    }

    /// `None` for a state that this version does not know.
    fn phase(&self, verdicts: &Verdicts) -> Option<Phase> {
        let state = self.status.as_ref().and_then(|status| status.state.as_deref());
        match state.or_else(|| self.life_cycle())? {
            "QUEUED" => Some(Phase::Queued),
            "PENDING" => Some(Phase::Initializing),
            "BLOCKED" | "WAITING" | "WAITING_FOR_RETRY" | "RUNNING" | "TERMINATING" => {
                Some(Phase::Running)
            }
            "TERMINATED" | "SKIPPED" | "INTERNAL_ERROR" => self.end(verdicts),
            _ => None,
        }
    }

    /// The phase of a run that ended. A run of several tasks reports only that one failed: the task
    /// itself has the details.
    fn end(&self, verdicts: &Verdicts) -> Option<Phase> {
        let of_run = self.own_end(verdicts);
        let is_vague = matches!(self.termination_code(), None | Some("RUN_EXECUTION_ERROR"));
        let failed = of_run.is_some_and(is_failure) && self.result() != Some("TIMEDOUT");
        match self.failed_task(verdicts) {
            Some(task) if failed && is_vague => task.own_end(verdicts),
            _ => of_run,
        }
    }

    fn own_end(&self, verdicts: &Verdicts) -> Option<Phase> {
        // Its code is CANCELED, like that of a cancelled run.
        if self.result() == Some("TIMEDOUT") {
            return Some(verdicts.timed_out_runs.phase());
        }
        let by_code = self.termination_code().and_then(|code| by_code(code, verdicts));
        let by_type = || by_type(self.termination()?.ty.as_deref()?);
        let by_state = || by_state(self.life_cycle()?, self.result(), verdicts);
        by_code.or_else(by_type).or_else(by_state)
    }

    /// The last task that failed on its own account.
    fn failed_task(&self, verdicts: &Verdicts) -> Option<&Self> {
        let mut tasks = self.last_attempts().into_iter().rev();
        tasks.find(|task| {
            let never_ran = matches!(
                task.result(),
                Some("UPSTREAM_FAILED" | "UPSTREAM_CANCELED" | "EXCLUDED" | "DISABLED")
            ) || task.termination_code() == Some("SKIPPED");
            !never_ran && task.own_end(verdicts).is_some_and(is_failure)
        })
    }

    /// The run of the task whose output explains the failure.
    pub(crate) fn failed_task_id(&self) -> Option<i64> {
        let any = Verdicts { failed_runs: Verdict::Final, timed_out_runs: Verdict::Final };
        self.failed_task(&any).map_or_else(|| self.last_task_id(), |task| task.run_id)
    }

    /// The run of the last task with a notebook.
    pub(crate) fn notebook_task_id(&self) -> Option<i64> {
        let mut tasks = self.last_attempts().into_iter().rev();
        let notebook = tasks.find(|task| task.notebook_task.is_some());
        notebook.map_or_else(|| self.last_task_id(), |task| task.run_id)
    }

    /// The run of the last task.
    fn last_task_id(&self) -> Option<i64> {
        self.last_attempts().last()?.run_id
    }

    /// The last attempt of each task: a task that Databricks retried is listed once for each attempt.
    fn last_attempts(&self) -> Vec<&Self> {
        let mut last = Vec::<&Self>::new();
        for task in self.tasks.iter().flatten() {
            let key = task.task_key.as_ref();
            match last.iter_mut().find(|other| key.is_some() && other.task_key.as_ref() == key) {
                Some(other) if other.attempt_number > task.attempt_number => {}
                Some(other) => *other = task,
                None => last.push(task),
            }
        }
        last
    }

    fn life_cycle(&self) -> Option<&str> {
        self.state.as_ref()?.life_cycle_state.as_deref()
    }

    fn result(&self) -> Option<&str> {
        self.state.as_ref()?.result_state.as_deref()
    }

    fn termination(&self) -> Option<&crate::api::Details> {
        self.status.as_ref()?.termination_details.as_ref()
    }

    fn termination_code(&self) -> Option<&str> {
        self.termination()?.code.as_deref()
    }

    fn code(&self, phase: Phase) -> &str {
        if !is_failure(phase) {
            return "";
        }
        let code = self.termination_code().or_else(|| self.result()).or_else(|| self.life_cycle());
        code.unwrap_or_default()
    }

    /// Databricks' message about the run.
    fn message(&self) -> &str {
        let queue = self.status.as_ref().and_then(|status| status.queue_details.as_ref());
        let state = self.state.as_ref();
        let messages = [
            self.termination().and_then(|details| details.message.as_deref()),
            state.and_then(|state| state.state_message.as_deref()),
            queue.and_then(|details| details.message.as_deref()),
            state.and_then(|state| state.queue_reason.as_deref()),
        ];
        messages.into_iter().flatten().find(|message| !message.is_empty()).unwrap_or_default()
    }

    /// A run in an unknown state counts as running, unless it ended some time ago.
    fn unknown(&self) -> Status {
        let state = self.status.as_ref().and_then(|status| status.state.as_deref());
        let states = [state.or_else(|| self.life_cycle()), self.result(), self.termination_code()];
        let name = states.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = if name.is_empty() { "(none)".to_owned() } else { name };
        let ended = self.end_time.filter(|&at| at > 0);
        let ended = ended.and_then(|at| Timestamp::from_millisecond(at).ok());
        if ended.is_some_and(|at| Timestamp::now().duration_since(at) > SETTLES) {
            let message = format!("the run ended in an unknown state: {name}");
            return Status::new(Phase::Failed).code("UNKNOWN").message(message);
        }
        Status::unknown_state(name)
    }

    fn describe(&self, status: Status, page: String) -> Status {
        let page =
            self.run_page_url.clone().filter(|url| url.starts_with("https://")).unwrap_or(page);
        let tasks = self.last_attempts().into_iter().rev();
        let cluster = tasks.chain([self]).find_map(|run| run.cluster_instance.as_ref());
        let cluster_id = cluster.and_then(|cluster| cluster.cluster_id.as_deref());
        let context_id = cluster.and_then(|cluster| cluster.spark_context_id.as_deref());
        let id = |id: Option<i64>| id.map(|id| id.to_string());
        let mut status = status.link(CONSOLE, page.as_str());
        if let Some(cluster) = cluster_id {
            status = status.link("Driver Logs", cluster_page(&page, cluster, "driver-logs"));
        }
        if let (Some(cluster), Some(context)) = (cluster_id, context_id) {
            status = status.link("Spark UI", cluster_page(&page, cluster, context));
        }
        status
            .info("run_id", id(self.run_id))
            .info("job_id", id(self.job_id))
            .info("cluster_id", cluster_id)
            .info("creator", self.creator_user_name.as_deref())
            .info("setup_ms", self.setup_duration)
            .info("execution_ms", self.execution_duration)
            .info(
                "state",
                self.status.as_ref().and_then(|s| s.state.as_deref()).or_else(|| self.life_cycle()),
            )
            .info("result", self.result())
            .info("termination_code", self.termination_code())
    }
}

/// A page of a cluster, in the workspace whose run's page is `page`.
fn cluster_page(page: &str, cluster: &str, part: &str) -> String {
    let workspace = match page.split_once('#') {
        Some((workspace, _)) => workspace.to_owned(),
        None => page.split('/').take(3).collect::<Vec<_>>().join("/") + "/",
    };
    format!("{workspace}#setting/sparkui/{cluster}/{part}")
}

fn is_failure(phase: Phase) -> bool {
    matches!(phase, Phase::Failed | Phase::RetryableFailed)
}

/// By the termination code of the newer form. The meanings: `TerminationCodeCode` in
/// <https://github.com/databricks/databricks-sdk-go/blob/main/service/jobs/model.go>; the README says why.
fn by_code(code: &str, verdicts: &Verdicts) -> Option<Phase> {
    match code {
        "SUCCESS" | "SUCCESS_WITH_FAILURES" => Some(Phase::Succeeded),
        "USER_CANCELED" | "CANCELED" => Some(Phase::Failed),
        // Caused by the request, or by a limit that outlasts any retry.
        "BUDGET_POLICY_LIMIT_EXCEEDED"
        | "DISABLED"
        | "FEATURE_DISABLED"
        | "INVALID_CLUSTER_REQUEST"
        | "INVALID_RUN_CONFIGURATION"
        | "RESOURCE_NOT_FOUND"
        | "SKIPPED"
        | "UNAUTHORIZED_ERROR" => Some(Phase::Failed),
        // Caused by the platform or by load.
        "BREAKING_CHANGE"
        | "CLOUD_FAILURE"
        | "CLUSTER_ERROR"
        | "CLUSTER_REQUEST_LIMIT_EXCEEDED"
        | "CLUSTER_TERMINATED_BY_USER"
        | "DRIVER_ERROR"
        | "INTERNAL_ERROR"
        | "MAX_CONCURRENT_RUNS_EXCEEDED"
        | "MAX_JOB_QUEUE_SIZE_EXCEEDED"
        | "MAX_SPARK_CONTEXTS_EXCEEDED"
        | "REPOSITORY_CHECKOUT_FAILED"
        | "STORAGE_ACCESS_ERROR"
        | "WORKSPACE_RUN_LIMIT_EXCEEDED" => Some(Phase::RetryableFailed),
        "LIBRARY_INSTALLATION_ERROR" | "RUN_EXECUTION_ERROR" => Some(verdicts.failed_runs.phase()),
        _ => None,
    }
}

/// By the termination type, for codes that are newer than this table.
fn by_type(ty: &str) -> Option<Phase> {
    match ty {
        "SUCCESS" => Some(Phase::Succeeded),
        "INTERNAL_ERROR" | "CLOUD_FAILURE" => Some(Phase::RetryableFailed),
        // "An error caused by user input or the job configuration" (`TerminationTypeType` of the SDKs).
        "CLIENT_ERROR" => Some(Phase::Failed),
        _ => None,
    }
}

/// By the older form of the state.
fn by_state(life_cycle: &str, result: Option<&str>, verdicts: &Verdicts) -> Option<Phase> {
    match (life_cycle, result) {
        ("INTERNAL_ERROR", _) => Some(Phase::RetryableFailed),
        (_, Some("SUCCESS" | "SUCCESS_WITH_FAILURES")) => Some(Phase::Succeeded),
        (_, Some("FAILED")) => Some(verdicts.failed_runs.phase()),
        (_, Some("TIMEDOUT")) => Some(verdicts.timed_out_runs.phase()),
        (_, Some("CANCELED")) => Some(Phase::Failed),
        (_, Some("MAXIMUM_CONCURRENT_RUNS_REACHED")) => Some(Phase::RetryableFailed),
        (_, Some("DISABLED" | "EXCLUDED" | "UPSTREAM_CANCELED" | "UPSTREAM_FAILED"))
        | ("SKIPPED", _) => Some(Phase::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
