//! A run of the fake.

use serde_json::{Value, json};

use super::Ending;

const JOB: i64 = 987_654_321;
/// The offset of a task run's id from that of its run.
const TASK: i64 = 1_000_000;

pub(super) struct Run {
    pub(super) id: i64,
    body: Value,
    /// The number of polls until it ends.
    polls: u32,
    started: bool,
    cancelled: bool,
    ending: Ending,
}

/// A state, in both its older and its newer form.
struct RunState {
    life_cycle: String,
    result: Option<String>,
    code: String,
    message: String,
}

impl Run {
    pub(super) fn new(id: i64, body: Value, polls: u32, ending: Ending) -> Self {
        Self { id, body, polls, started: false, cancelled: false, ending }
    }

    /// Whether `id` is the id of its task run.
    pub(super) fn has_task(&self, id: i64) -> bool {
        id == self.id + TASK
    }

    /// Advances towards its end by one poll.
    pub(super) fn advance(&mut self) {
        if self.started {
            self.polls = self.polls.saturating_sub(1);
        }
        self.started = true;
    }

    /// Advances to its end.
    pub(super) fn end(&mut self) {
        (self.started, self.polls) = (true, 0);
    }

    pub(super) fn cancel(&mut self) {
        self.cancelled = self.cancelled || !self.is_done();
    }

    pub(super) fn is_done(&self) -> bool {
        let ended = self.started && self.polls == 0 && !matches!(self.ending, Ending::Stuck(_));
        self.cancelled || ended
    }

    fn state(&self) -> RunState {
        let state = |life_cycle: &str, result: Option<&str>, code: &str, message: &str| RunState {
            life_cycle: life_cycle.to_owned(),
            result: result.map(str::to_owned),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        match &self.ending {
            _ if self.cancelled => {
                state("TERMINATED", Some("CANCELED"), "USER_CANCELED", "Run cancelled.")
            }
            _ if !self.started => state("PENDING", None, "", "Waiting for cluster"),
            Ending::Stuck(life_cycle) => state(life_cycle, None, "", ""),
            _ if self.polls > 0 => state("RUNNING", None, "", "In run"),
            Ending::Success(_) => state("TERMINATED", Some("SUCCESS"), "SUCCESS", ""),
            Ending::Failure { .. } => {
                let message = "Workload failed, see run output for details";
                state("TERMINATED", Some("FAILED"), "RUN_EXECUTION_ERROR", message)
            }
            Ending::Terminated { code, result } => {
                state("TERMINATED", Some(result), code, "ended as scripted")
            }
        }
    }

    /// The response of `runs/get`, with `url` for the links.
    pub(super) fn to_json(&self, url: &str) -> Value {
        let mut run = json!({
            "job_id": JOB,
            "run_id": self.id,
            "run_name": self.body["run_name"].as_str().unwrap_or("Untitled"),
            "run_page_url": format!("{url}/?o=7#job/{JOB}/run/{}", self.id),
            "run_type": "SUBMIT_RUN",
            "creator_user_name": "flyte@acme.example",
            "start_time": 1_790_000_000_000_i64,
            "tasks": [],
        });
        let state = self.state();
        state.write(&mut run);
        let is_failed_code = matches!(self.ending, Ending::Failure { .. })
            && state.result.as_deref() == Some("FAILED");
        if is_failed_code {
            // The older form of this state for a run with tasks.
            run["state"]["life_cycle_state"] = "INTERNAL_ERROR".into();
            run["state"]["state_message"] =
                format!("Task {} failed", self.body["tasks"][0]["task_key"]).into();
        }
        if self.is_done() {
            run["end_time"] = 1_790_000_210_000_i64.into();
        }
        run["tasks"] = self.tasks(&state);
        run
    }

    fn tasks(&self, state: &RunState) -> Value {
        let Some(last) = self.body["tasks"].as_array().and_then(|tasks| tasks.last()) else {
            return json!([]);
        };
        let mut task = last.clone();
        task["run_id"] = (self.id + TASK).into();
        if self.started {
            task["cluster_instance"] = json!({"cluster_id": "0923-164208-meows279", "spark_context_id": "4348585301701786933"});
        }
        state.write(&mut task);
        json!([task])
    }

    /// The response of `runs/get-output` for its task.
    pub(super) fn output(&self, url: &str) -> Value {
        let mut output = json!({ "metadata": self.to_json(url) });
        if !self.is_done() || self.cancelled {
            return output;
        }
        match &self.ending {
            Ending::Success(value) if self.body["tasks"][0].get("notebook_task").is_some() => {
                output["notebook_output"] = json!({ "result": value, "truncated": false });
            }
            Ending::Failure { error, trace } => {
                output["error"] = error.as_str().into();
                output["error_trace"] = trace.as_str().into();
            }
            _ => {}
        }
        output
    }
}

impl RunState {
    fn write(&self, run: &mut Value) {
        run["state"] = json!({
            "life_cycle_state": self.life_cycle,
            "state_message": self.message,
            "user_cancelled_or_timedout": self.result.as_deref() == Some("CANCELED"),
        });
        match &self.result {
            None => run["status"] = json!({ "state": self.life_cycle }),
            Some(result) => {
                run["state"]["result_state"] = result.as_str().into();
                self.write_end(run);
            }
        }
    }

    /// Writes the end in the newer form, unless there is only the older one.
    fn write_end(&self, run: &mut Value) {
        let ty = match self.code.as_str() {
            "SUCCESS" => "SUCCESS",
            "CLUSTER_ERROR" | "CLOUD_FAILURE" => "CLOUD_FAILURE",
            "INTERNAL_ERROR" | "DRIVER_ERROR" => "INTERNAL_ERROR",
            _ => "CLIENT_ERROR",
        };
        if !self.code.is_empty() {
            let details = json!({ "code": self.code, "type": ty, "message": self.message });
            run["status"] = json!({ "state": "TERMINATED", "termination_details": details });
        }
    }
}
