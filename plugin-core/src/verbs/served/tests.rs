use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use server_core::{Error, Kind, Result, digest::Fingerprint};
use tokio::time::sleep;

use crate::{
    context::{Context, Verb},
    erased::AnyPlugin,
    plugin::{JointPolls, JointStatus, Options, Plugin, Polled},
    task::{Phase, Status, Task, TaskType},
    upstream::HttpBuilder,
    verbs::{
        ConnectionValues, Opened, Verbs,
        tests::{incoming, shared},
    },
    wire::from_proto_json_object,
};

const TIME: Duration = Duration::from_secs(20);

/// One of two vendors, whose jobs have ended or run forever. It records the sizes of joint polls.
#[derive(Default)]
struct Vendor<const ENDS: bool> {
    lists: Mutex<Vec<usize>>,
}

#[derive(clap::Args)]
struct Settings {}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Nothing {}

impl<const ENDS: bool> Vendor<ENDS> {
    const PHASE: Phase = if ENDS { Phase::Succeeded } else { Phase::Running };

    fn named(name: &'static str) -> (&'static str, AnyPlugin, &'static Self) {
        let vendor: &'static Self = Box::leak(Box::default());
        (name, AnyPlugin::Async(Arc::new(vendor)), vendor)
    }

    fn lists(&self) -> Vec<usize> {
        self.lists.lock().unwrap().clone()
    }
}

impl<const ENDS: bool> Plugin for &'static Vendor<ENDS> {
    const TASK_TYPES: &'static [TaskType] =
        if ENDS { &[TaskType::new("ends", 0)] } else { &[TaskType::new("runs", 0)] };
    type Settings = Settings;
    type Custom = Nothing;
    type Meta = Nothing;

    fn new(_: Settings, _: HttpBuilder) -> Result<Self> {
        Err(Error::internal("made by the test"))
    }

    async fn create(&self, _: &Context, _: Task<Nothing>) -> Result<Nothing> {
        sleep(Duration::from_secs(1)).await;
        Ok(Nothing {})
    }

    async fn get(&self, _: &Context, _: Nothing) -> Result<Status> {
        sleep(Duration::from_secs(1)).await;
        Ok(Status::new(Vendor::<ENDS>::PHASE))
    }

    async fn delete(&self, _: &Context, _: Nothing) -> Result<()> {
        Ok(())
    }

    fn options(&self) -> Options<Self> {
        Options::default().joint_polls()
    }
}

impl<const ENDS: bool> JointPolls for &'static Vendor<ENDS> {
    async fn group(&self, _: &Context, _: &Nothing) -> Result<Option<Fingerprint>> {
        Ok(Some(Fingerprint::of(&["the same"])))
    }

    async fn get_many(&self, _: &Context, jobs: &[Polled<Nothing>]) -> Result<Vec<JointStatus>> {
        self.lists.lock().unwrap().push(jobs.len());
        Ok(vec![JointStatus::Status(Status::new(Vendor::<ENDS>::PHASE)); jobs.len()])
    }
}

/// Creates a task of `task_type`, with the same `output_prefix` as that of another type with this number.
async fn create(verbs: &Arc<Verbs>, task_type: &str, number: usize) -> Vec<u8> {
    let prefix = format!("s3://b/{number}");
    let task = serde_json::json!({"template": {"type": task_type}, "output_prefix": prefix});
    let request = from_proto_json_object(&task).unwrap();
    verbs.create(&incoming(TIME), request.into(), None).await.unwrap().handle
}

fn open(verbs: &Verbs, handle: &[u8], task_type: Option<&str>) -> Result<Opened> {
    verbs.open(&incoming(TIME), Verb::Get, handle, task_type)
}

async fn poll(verbs: &Arc<Verbs>, handle: &[u8]) -> Phase {
    let opened = open(verbs, handle, None).unwrap();
    verbs.get(&incoming(TIME), &opened, ConnectionValues::default()).await.phase
}

#[tokio::test(start_paused = true)]
async fn plugins_do_not_share_jobs_with_the_same_key() {
    let (ends, runs) = (Vendor::<true>::named("a"), Vendor::<false>::named("b"));
    let verbs = Arc::new(Verbs::new(&[(ends.0, ends.1), (runs.0, runs.1)], shared()).unwrap());
    let (ended, running) = tokio::join!(create(&verbs, "ends", 1), create(&verbs, "runs", 1));
    for _ in 0..2 {
        assert_eq!(
            poll(&verbs, &ended).await,
            Phase::Succeeded,
            "plugins do not share last known statuses"
        );
        assert_eq!(poll(&verbs, &running).await, Phase::Running);
    }
    let other = open(&verbs, &ended, Some("runs")).map(drop).unwrap_err();
    assert_eq!(other.message(), "the job's handle is for a ends task, not runs");
}

#[tokio::test(start_paused = true)]
async fn polls_of_different_plugins_are_not_joined() {
    let (ends, runs) = (Vendor::<true>::named("a"), Vendor::<false>::named("b"));
    let verbs = Arc::new(Verbs::new(&[(ends.0, ends.1), (runs.0, runs.1)], shared()).unwrap());
    let (mut ended, mut running) = (Vec::new(), Vec::new());
    for number in 0..10 {
        ended.push(create(&verbs, "ends", number).await);
        running.push(create(&verbs, "runs", number).await);
    }
    let polls = running.iter().zip(&ended);
    let polls = polls.flat_map(|(running, ended)| [poll(&verbs, running), poll(&verbs, ended)]);
    let phases = futures_util::future::join_all(polls).await;
    assert_eq!(phases, [Phase::Running, Phase::Succeeded].repeat(10));
    for lists in [ends.2.lists(), runs.2.lists()] {
        assert!(!lists.is_empty() && lists.iter().all(|jobs| *jobs <= 10), "{lists:?}");
    }
}

#[test]
fn duplicate_task_types_are_refused_with_both_plugins() {
    let (one, other) = (Vendor::<true>::named("one"), Vendor::<true>::named("other"));
    let refused = Verbs::new(&[(one.0, one.1), (other.0, other.1)], shared()).map(drop);
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), Kind::InvalidArgument);
    assert_eq!(refused.message(), "the task type ends is served by both one and other");
}
