//! What a request costs: allocations grow with its size and no faster, and what is refused costs next to
//! nothing. Counted for the whole process, so there is one test at a time.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "these are tests"
)]

#[path = "../it/raw.rs"]
mod raw;
mod shapes;
#[path = "../it/stage.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod stage;

use std::alloc::System;

use plugin_core::testing::{
    Dialect,
    proto::flyteidl::{
        admin::CreateTaskRequest,
        core::{Literal, LiteralCollection, LiteralMap, TaskTemplate, literal::Value},
    },
};
use prost::Message as _;
use serde_json::Value as Json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::golden::{Flyte, Golden};
use tonic::transport::Channel;

use self::{shapes::Shape, stage::Stage};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Twice the size may cost so many more allocations.
const MOST_ALLOCATIONS: f64 = 2.2;
/// And so many more bytes: buffers grow by doubling. Quadratic cost would be four times as much.
const MOST_BYTES: f64 = 3.2;
/// What else the process allocates meanwhile.
const NOISE: Cost = Cost { allocations: 2_000.0, bytes: 400_000.0 };
/// How many shapes are drawn.
const DRAWN: u64 = 20;

#[derive(Debug, Clone, Copy)]
struct Cost {
    allocations: f64,
    bytes: f64,
}

impl Cost {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn since(region: &Region<'_, System>) -> Self {
        let change = region.change();
        Self { allocations: change.allocations as f64, bytes: change.bytes_allocated as f64 }
    }

    fn is_within(self, small: Self) -> bool {
        self.allocations <= small.allocations * MOST_ALLOCATIONS + NOISE.allocations
            && self.bytes <= small.bytes * MOST_BYTES + NOISE.bytes
    }
}

fn task() -> Json {
    Golden::read(Flyte::V1, "bq_scalars").unwrap().json
}

/// The cost of creating `task`, and whether it was created.
async fn cost(stage: &Stage, dialect: Dialect, task: &Json) -> (Cost, bool) {
    let client = stage.client(dialect).await;
    let region = Region::new(ALLOCATOR);
    let created = client.create(task).await;
    (Cost::since(&region), created.is_ok())
}

async fn twice_the_size_costs_twice_as_much(stage: &Stage) {
    for seed in 0..DRAWN {
        let shape = Shape::drawn(seed);
        for dialect in Dialect::ALL {
            let (small, created) = cost(stage, dialect, &shape.task(task(), 1)).await;
            let (mut large, also) = cost(stage, dialect, &shape.task(task(), 2)).await;
            assert_eq!(created, also, "{shape:?} over {dialect:?}");
            if !large.is_within(small) {
                // On a busy machine more happens meanwhile, such as a second attempt; not twice.
                (large, _) = cost(stage, dialect, &shape.task(task(), 2)).await;
            }
            assert!(
                large.is_within(small),
                "{shape:?} over {dialect:?}: {small:?}, then {large:?}"
            );
        }
    }
}

/// A list of `items` integers, for the short form of REST.
fn plain(items: usize) -> Vec<u8> {
    let list = vec!["1"; items].join(",");
    format!(r#"{{"sql":"SELECT 1","custom":{{"ProjectID":"acme"}},"inputs":{{"x":[{list}]}}}}"#)
        .into()
}

/// A list of `items` empty literals, for gRPC.
fn encoded(items: usize) -> Vec<u8> {
    let list = LiteralCollection { literals: vec![Literal::default(); items] };
    let list = Literal { value: Some(Value::Collection(list)), ..Literal::default() };
    let inputs = LiteralMap { literals: [("x".to_owned(), list)].into() };
    let template =
        TaskTemplate { r#type: "bigquery_query_job_task".to_owned(), ..Default::default() };
    let (inputs, template) = (Some(inputs), Some(template));
    CreateTaskRequest { inputs, template, ..CreateTaskRequest::default() }.encode_to_vec()
}

async fn what_exceeds_a_bound_is_refused_at_little_cost(stage: &Stage) {
    let token = stage.service.token("propeller");
    let url = format!("http://{}/plugins/v1/bigquery_query_job_task/0", stage.service.api());
    let http = reqwest::Client::new();
    let request = http.put(url).bearer_auth(&token).body(plain(400_000)).build().unwrap();
    let region = Region::new(ALLOCATOR);
    let answer = http.execute(request).await.unwrap();
    let spent = Cost::since(&region);
    assert_eq!(answer.status(), 400);
    let problem: Json = answer.json().await.unwrap();
    let message =
        "inputs: more than 100000 values in the request, which is the limit (--max-values)";
    assert_eq!(problem["message"], message);
    assert!(spent.allocations < NOISE.allocations, "{spent:?}");

    let url = format!("http://{}", stage.service.api());
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let method = "/flyteidl.service.AsyncAgentService/CreateTask";
    let request = encoded(400_000);
    let region = Region::new(ALLOCATOR);
    let refused = raw::call(channel, method, request, Some(&token)).await.unwrap_err();
    let spent = Cost::since(&region);
    assert_eq!((refused.code(), refused.message()), (tonic::Code::InvalidArgument, message));
    assert!(spent.allocations < NOISE.allocations, "{spent:?}");
}

#[tokio::test]
async fn a_request_costs_no_more_than_its_size() {
    let stage = Stage::set().await;
    // What is made once.
    for dialect in Dialect::ALL {
        cost(&stage, dialect, &task()).await;
    }
    what_exceeds_a_bound_is_refused_at_little_cost(&stage).await;
    twice_the_size_costs_twice_as_much(&stage).await;
}
