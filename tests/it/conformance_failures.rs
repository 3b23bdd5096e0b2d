//! Failures of the conformance suites, shown with plugins that do everything wrong.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU32, Ordering},
};

use futures_util::{FutureExt as _, future::join_all};
use plugin_core::{
    Context, Error, Http, HttpBuilder, Phase, Plugin, Result, Status, SyncPlugin, Task, TaskType,
    testing::{Recorded, Scenario, SyncRecorded, SyncScenario, conformance, sync_conformance},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::dbt_shape;

/// Submits under a new name each time, and fails every job that it does not understand.
struct Careless {
    http: Http,
    submitted: AtomicU32,
}

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Custom {
    command: String,
}

#[derive(Serialize, Deserialize)]
struct Job {
    id: u32,
}

#[derive(Deserialize)]
struct Description {
    state: String,
}

impl Plugin for Careless {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("careless", 0)];
    type Settings = Settings;
    type Custom = Custom;
    type Meta = Job;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        Ok(Self { http: http.build("https://careless.example")?, submitted: AtomicU32::new(0) })
    }

    async fn create(&self, cx: &Context, task: Task<Custom>) -> Result<Job> {
        let name = self.submitted.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "name": name, "command": task.custom.command });
        self.http.post(&["jobs"]).json(&body).send_json(cx).await
    }

    async fn get(&self, cx: &Context, job: Job) -> Result<Status> {
        let found = self.http.get(&["jobs", &job.id.to_string()]).send_json(cx).await;
        let Ok(Description { state }) = found else {
            return Ok(Status::new(Phase::Failed).message("no answer"));
        };
        Ok(match state.as_str() {
            "RUNNING" => Status::new(Phase::Running),
            "DONE" => Status::new(Phase::Succeeded).link("Results", "https://careless.example"),
            state => Status::new(Phase::Failed).message(format!("the state is {state}")),
        })
    }

    async fn delete(&self, cx: &Context, job: Job) -> Result<()> {
        let deleted = self.http.delete(&["jobs", &job.id.to_string()]).send(cx).await;
        deleted.map(drop).map_err(|_| Error::unavailable("no answer"))
    }
}

impl SyncPlugin for Careless {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("careless", 0)];
    type Settings = Settings;
    type Custom = Custom;

    fn new(settings: Settings, http: HttpBuilder) -> Result<Self> {
        <Self as Plugin>::new(settings, http)
    }

    async fn execute(&self, cx: &Context, _: Task<Custom>) -> Result<Status> {
        let sent = self.http.post(&["run"]).send(cx).await;
        Ok(Status::new(if sent.is_ok() { Phase::Succeeded } else { Phase::Failed }))
    }
}

fn recorded() -> Json {
    json!({
        "task": {
            "template": {"type": "careless", "custom": {"command": "train"}},
            "output_prefix": "s3://my-bucket/metadata/f7a1b2c3/n0/data/0",
        },
        "bad_custom": {"command": 1},
        "bad_field": "custom.command",
        "created": {"body": {"id": 1}},
        "repeated": {"body": {"id": 1}},
        "refused": {"status": 422},
        "refused_message": "no such queue",
        "running": {"body": {"state": "RUNNING"}},
        "succeeded": {"body": {"state": "DONE"}},
        "failed": {"body": {"state": "FAILED"}},
        "unknown_state": {"body": {"state": "HIBERNATING"}},
        "cancelled": {},
        "gone": {"status": 404},
        "unauthorized": {"status": 401},
        "throttled": {"status": 429},
        "unavailable": {"status": 503},
    })
}

/// The message that `scenario` fails with.
async fn failure<P: Plugin>(scenario: Scenario, recorded: Json) -> String {
    let recorded = Recorded::parse(&recorded.to_string());
    message(conformance::<P>(scenario, recorded)).await
}

async fn message(test: impl Future<Output = ()>) -> String {
    let payload = AssertUnwindSafe(test).catch_unwind().await.unwrap_err();
    *payload.downcast::<String>().unwrap()
}

#[tokio::test]
async fn a_failure_has_protocol_scenario_observation_advice_and_requests() {
    let message = failure::<Careless>(Scenario::UnknownState, recorded()).await;
    for dialect in ["Flyte 1", "Flyte 2", "REST"] {
        let expected = format!(
            "{dialect}, unknown_state: a poll answered FAILED with the message \"the state is \
             HIBERNATING\", not RUNNING; a state that the plugin does not know must be \
             Status::unknown_state, so that a running job is not failed. Requests the upstream \
             received: GET /jobs/1"
        );
        assert!(message.contains(&expected), "{message}");
    }
}

#[tokio::test]
async fn failures_name_the_defect() {
    let defects = [
        (
            Scenario::SameKeyTwice,
            "the repeated create sent POST /jobs with the body \"{\\\"command\\\":\\\"train\\\",\\\"name\\\":1}\", \
             the first did not; send the same bytes for the same key",
        ),
        (
            Scenario::HappyPath,
            "the links were [] at first and [(\"Results\", \"https://careless.example\")] in the end",
        ),
        (
            Scenario::DeleteTwice,
            "a delete failed with the code 14 and the message \"no answer\"; return Kind::NotFound",
        ),
        (Scenario::RefusedJob, "does not contain `refused_message`, which is \"no such queue\""),
        (
            Scenario::RefreshAfter401,
            "a poll answered FAILED with the message \"no answer\", not RUNNING; return the vendor's",
        ),
        (Scenario::Outage, "Requests the upstream received: GET /jobs/1 ("),
    ];
    let failures = join_all(
        defects
            .map(async |(scenario, part)| (failure::<Careless>(scenario, recorded()).await, part)),
    );
    for (message, part) in failures.await {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn a_create_that_overlooks_its_job_submits_it_again() {
    let mut recorded = serde_json::from_str::<Json>(dbt_shape::RECORDED).unwrap();
    recorded["repeated"] = recorded["created"][0].clone();
    let message = failure::<dbt_shape::Dbt>(Scenario::SameKeyTwice, recorded).await;
    let part = "the repeated create sent POST /api/v2/accounts/16173/jobs/65767/run/ after the calls \
                of `repeated`; a repeated create must find the job of the first one and submit no other";
    assert!(message.contains(part), "{message}");
}

#[tokio::test]
async fn every_recorded_call_of_a_repeated_create_must_be_made() {
    let mut recorded = recorded();
    recorded["repeated"] = json!([{"body": {"id": 1}}, {"body": {"id": 1}}]);
    let message = failure::<Careless>(Scenario::SameKeyTwice, recorded).await;
    assert!(message.contains("of the 2 answers of `repeated` 1 were used"), "{message}");
}

#[tokio::test]
async fn failures_of_sync_plugins_name_the_defect() {
    let mut recorded = recorded();
    for name in ["created", "repeated", "running", "failed", "unknown_state", "cancelled", "gone"] {
        recorded.as_object_mut().unwrap().remove(name);
    }
    recorded["outputs"] = Json::Null;
    let recorded = SyncRecorded::parse(&recorded.to_string());
    let test = sync_conformance::<Careless>(SyncScenario::Outage, recorded);
    let message = message(test).await;
    for part in [
        "Flyte 1, outage: an execute answered FAILED without a message",
        "REST, outage: an execute",
        "return Kind::Unavailable for the answer `unavailable`",
        "Requests the upstream received: POST /run",
    ] {
        assert!(message.contains(part), "{message}");
    }
}
