//! One run of the fake.

use serde_json::{Value, json};

use super::Ending;

const JOB: i64 = 987_654_321;
/// A run of a task has an id of its own.
const TASK: i64 = 1_000_000;

pub(super) struct Run {
    pub(super) id: i64,
    body: Value,
    /// How many polls are left until it ends.
    polls: u32,
    started: bool,
    cancelled: bool,
    ending: Ending,
}

/// Both forms of a state.
struct Stand {
    life_cycle: String,
    result: Option<String>,
    code: String,
    message: String,
}

impl Run {
    pub(super) fn new(id: i64, body: Value, polls: u32, ending: Ending) -> Self {
        Self { id, body, polls, started: false, cancelled: false, ending }
    }

    /// Whether `id` is that of its task.
    pub(super) fn has_task(&self, id: i64) -> bool {
        id == self.id + TASK
    }

    /// Lets some time pass.
    pub(super) fn advance(&mut self) {
        if self.started {
            self.polls = self.polls.saturating_sub(1);
        }
        self.started = true;
    }

    /// Lets the time pass until it ends.
    pub(super) fn end(&mut self) {
        (self.started, self.polls) = (true, 0);
    }

    pub(super) fn cancel(&mut self) {
        self.cancelled = self.cancelled || !self.is_done();
    }

    pub(super) fn is_done(&self) -> bool {
        let over = self.started && self.polls == 0 && !matches!(self.ending, Ending::Stuck(_));
        self.cancelled || over
    }

    fn stand(&self) -> Stand {
        let stand = |life_cycle: &str, result: Option<&str>, code: &str, message: &str| Stand {
            life_cycle: life_cycle.to_owned(),
            result: result.map(str::to_owned),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        match &self.ending {
            _ if self.cancelled => {
                stand("TERMINATED", Some("CANCELED"), "USER_CANCELED", "Run cancelled.")
            }
            _ if !self.started => stand("PENDING", None, "", "Waiting for cluster"),
            Ending::Stuck(state) => stand(state, None, "", ""),
            _ if self.polls > 0 => stand("RUNNING", None, "", "In run"),
            Ending::Success(_) => stand("TERMINATED", Some("SUCCESS"), "SUCCESS", ""),
            Ending::Failure { .. } => {
                let message = "Workload failed, see run output for details";
                stand("TERMINATED", Some("FAILED"), "RUN_EXECUTION_ERROR", message)
            }
            Ending::Terminated { code, result } => {
                stand("TERMINATED", Some(result), code, "ended as scripted")
            }
        }
    }

    /// What `runs/get` says, with a host for the links.
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
        let stand = self.stand();
        stand.write(&mut run);
        let is_failed_code = matches!(self.ending, Ending::Failure { .. })
            && stand.result.as_deref() == Some("FAILED");
        if is_failed_code {
            // A run of tasks says it like this in the older form.
            run["state"]["life_cycle_state"] = "INTERNAL_ERROR".into();
            run["state"]["state_message"] =
                format!("Task {} failed", self.body["tasks"][0]["task_key"]).into();
        }
        if self.is_done() {
            run["end_time"] = 1_790_000_210_000_i64.into();
        }
        run["tasks"] = self.tasks(&stand);
        run
    }

    fn tasks(&self, stand: &Stand) -> Value {
        let Some(last) = self.body["tasks"].as_array().and_then(|tasks| tasks.last()) else {
            return json!([]);
        };
        let mut task = last.clone();
        task["run_id"] = (self.id + TASK).into();
        if self.started {
            task["cluster_instance"] = json!({"cluster_id": "0923-164208-meows279", "spark_context_id": "4348585301701786933"});
        }
        stand.write(&mut task);
        json!([task])
    }

    /// What `runs/get-output` says of its task.
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

impl Stand {
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

    /// In the newer form, unless there is only the older one.
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
