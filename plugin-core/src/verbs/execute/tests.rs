use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::{
    erased::AnyPlugin,
    plugin::SyncPlugin,
    task::{Task, TaskType},
    upstream::HttpBuilder,
    verbs::tests::{incoming, shared},
    wire::from_proto_json_object,
};

/// Takes ten seconds for each task, and counts those it started, finished and cancelled.
#[derive(Default)]
struct Slow {
    started: AtomicUsize,
    finished: AtomicUsize,
    cancelled: AtomicUsize,
}

const TAKES: Duration = Duration::from_secs(10);

/// Counts a cancelled execution.
struct Running<'a>(&'a Slow);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.cancelled.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl SyncPlugin for &'static Slow {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("slow", 0)];
    type Settings = Settings;
    type Custom = Nothing;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Err(Error::internal("made by the test"))
    }

    async fn execute(&self, _: &Context, _: Task<Nothing>) -> Result<Status> {
        self.started.fetch_add(1, Ordering::Relaxed);
        let running = Running(self);
        sleep(TAKES).await;
        std::mem::forget(running);
        self.finished.fetch_add(1, Ordering::Relaxed);
        Ok(Status::new(Phase::Succeeded))
    }
}

impl Slow {
    fn counts(&self) -> [usize; 3] {
        [&self.started, &self.finished, &self.cancelled].map(|count| count.load(Ordering::Relaxed))
    }
}

fn stage() -> (&'static Slow, Arc<Verbs>) {
    let slow: &'static Slow = Box::leak(Box::default());
    let verbs = Verbs::new(&[("slow", AnyPlugin::Sync(Arc::new(slow)))], shared()).unwrap();
    (slow, Arc::new(verbs))
}

async fn execute(verbs: &Arc<Verbs>, time: Duration) -> Result<Phase> {
    execute_with(verbs, time, 1).await
}

async fn execute_with(verbs: &Arc<Verbs>, time: Duration, input: u64) -> Result<Phase> {
    let input = json!({"scalar": {"primitive": {"integer": input}}});
    let inputs = json!({"literals": {"x": input}});
    let task = json!({"template": {"type": "slow"}, "inputs": inputs, "output_prefix": "s3://b/1"});
    let request = from_proto_json_object(&task).unwrap();
    Ok(verbs.execute(&incoming(time), request.into(), None).await?.status.phase)
}

#[tokio::test(start_paused = true)]
async fn executions_are_cancelled_at_the_deadline() {
    let (slow, verbs) = stage();
    let started = Instant::now();
    let late = execute(&verbs, TAKES / 2).await.unwrap_err();
    assert_eq!(late.kind(), Kind::DeadlineExceeded);
    assert!(started.elapsed() < TAKES / 2, "time is left to respond");
    verbs.shared.tasks.close();
    verbs.shared.tasks.wait().await;
    assert_eq!(slow.counts(), [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn repeats_join_an_execution_whose_caller_disconnected() {
    let (slow, verbs) = stage();
    tokio::select! {
        answered = execute(&verbs, TAKES * 2) => panic!("{answered:?}"),
        () = sleep(TAKES / 2) => {}
    }
    let started = Instant::now();
    assert_eq!(execute(&verbs, TAKES * 2).await.unwrap(), Phase::Succeeded);
    assert!(started.elapsed() <= TAKES / 2 + Duration::from_millis(1));
    assert_eq!(slow.counts(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn executions_with_other_inputs_are_not_joined() {
    let (slow, verbs) = stage();
    let with = |input| execute_with(&verbs, TAKES * 2, input);
    let (first, other, repeat) = tokio::join!(with(1), with(2), with(1));
    assert!([first, other, repeat].iter().all(Result::is_ok));
    assert_eq!(slow.counts(), [2, 2, 0], "the repeat joined");
}

#[tokio::test(start_paused = true)]
async fn joining_callers_keep_their_own_deadline() {
    let (slow, verbs) = stage();
    let impatient = async {
        sleep(Duration::from_secs(1)).await;
        execute(&verbs, Duration::from_secs(2)).await
    };
    let (first, joined) = tokio::join!(execute(&verbs, TAKES * 2), impatient);
    assert_eq!(first.unwrap(), Phase::Succeeded, "the shorter deadline does not end it");
    assert_eq!(joined.unwrap_err().kind(), Kind::DeadlineExceeded);
    assert_eq!(slow.counts(), [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn finished_executions_run_again() {
    let (slow, verbs) = stage();
    for _ in 0..2 {
        assert_eq!(execute(&verbs, TAKES * 2).await.unwrap(), Phase::Succeeded);
    }
    assert_eq!(slow.counts(), [2, 2, 0]);
}

#[test]
fn wrong_verbs_are_refused_with_the_right_call() {
    let (_, verbs) = stage();
    let served = verbs.find("slow", Some(0)).unwrap();
    assert!(served.synchronous().is_ok());
    let refused = served.asynchronous().map(drop).unwrap_err();
    assert_eq!(refused.kind(), Kind::NotFound);
    assert!(refused.message().contains("SyncAgentService/ExecuteTaskSync"), "{refused}");
}

#[tokio::test]
async fn handles_of_sync_plugins_are_unreadable() {
    let (_, verbs) = stage();
    let refused = verbs.open(&incoming(TAKES), Verb::Get, b"any", Some("slow"));
    let refused = refused.map(drop).unwrap_err();
    assert_eq!(refused.code(), Some(crate::verbs::UNREADABLE_HANDLE));
    assert!(refused.message().contains("is synchronous and has no jobs"), "{refused}");
}

#[test]
fn a_state_that_is_unknown_is_named_in_the_failure() {
    let (_, verbs) = stage();
    let served = verbs.find("slow", Some(0)).unwrap();
    let failure = |status| verbs.terminal(&served.synchronous().unwrap(), status);
    let unknown = failure(Status::unknown_state("DONE"));
    assert_eq!((unknown.phase, &*unknown.message), (Phase::Failed, "in the unknown state DONE"));
    assert_eq!(unknown.code.as_deref(), Some(NOT_TERMINAL));
    let running = failure(Status::new(Phase::Running).message("half"));
    assert_eq!(running.message, "the plugin for slow returned the non-terminal phase RUNNING");
}
