//! Numbers reach the vendor as they are, to the last bit, over every protocol.

use databricks::Databricks;
use plugin_core::{
    Context, Http, HttpBuilder, Phase, Result, Status, SyncPlugin, Task, TaskType, Value,
    testing::{Answer, Dialect, Upstream, spawn, spawn_sync},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tests::golden::{Flyte, Golden};

use crate::stage::Stage;

const CREATES: u64 = 50;
const DOUBLES: usize = 2000;

/// Doubles of every magnitude, and those that are hard to read.
fn doubles(seed: u64) -> Vec<f64> {
    let mut random = StdRng::seed_from_u64(seed);
    let hard = [917.032_102_528_636_3, 1.0, 0.1, f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 2e53];
    let drawn = std::iter::repeat_with(|| match random.random_range(0..3) {
        0 => random.random_range(-1000.0..1000.0),
        1 => random.random_range(-1e16_f64..1e16).trunc(),
        _ => f64::from_bits(random.random()),
    });
    let all = hard.into_iter().chain(drawn.filter(|number| number.is_finite()));
    all.take(DOUBLES).collect()
}

/// [`doubles`] that an object may contain: Flyte's have no integers, so large whole ones may have been rounded.
fn exact_doubles(seed: u64) -> Vec<f64> {
    let is_exact = |number: &f64| number.fract() != 0.0 || number.abs() < 2_f64.powi(53);
    doubles(seed).into_iter().filter(is_exact).collect()
}

fn task(create: u64, name: &str, literal: Json, ty: Json) -> Json {
    let mut task = Golden::read(Flyte::V1, "bq_scalars").unwrap().json;
    task["output_prefix"] = format!("s3://numbers/{name}/{create}").into();
    task["template"]["sql"]["statement"] = "SELECT @x".into();
    task["template"]["interface"]["inputs"] = json!({"variables": {"x": {"type": ty}}});
    task["inputs"] = json!({"literals": {"x": literal}});
    task
}

async fn parameters(dialect: Dialect, tasks: impl Iterator<Item = Json>) -> Vec<Json> {
    let stage = Stage::set().await;
    let client = stage.client(dialect).await;
    for task in tasks {
        client.create(&task).await.unwrap();
    }
    let value = "/configuration/query/queryParameters/0/parameterValue";
    stage.fake.inserted().iter().map(|body| body.pointer(value).unwrap().clone()).collect()
}

fn primitive(kind: &str, value: Json) -> Json {
    json!({"scalar": {"primitive": {kind: value}}})
}

#[tokio::test]
async fn doubles_are_the_same_over_every_protocol() {
    for dialect in Dialect::ALL {
        let tasks = (0..CREATES).map(|create| {
            let items = doubles(create).into_iter();
            let items = items.map(|number| primitive("float_value", number.into()));
            let list = json!({"collection": {"literals": items.collect::<Vec<_>>()}});
            task(create, "doubles", list, json!({"collection_type": {"simple": "FLOAT"}}))
        });
        let found = parameters(dialect, tasks).await;
        assert_eq!(found.len(), usize::try_from(CREATES).unwrap());
        for (create, list) in (0..).zip(found) {
            let items = list["arrayValues"].as_array().unwrap();
            assert_eq!(items.len(), DOUBLES);
            for (item, number) in items.iter().zip(doubles(create)) {
                let sent = item["value"].as_str().unwrap();
                let same = sent.parse::<f64>().unwrap().to_bits() == number.to_bits();
                assert!(same, "{dialect:?}: {number:?} was sent as {sent}");
            }
        }
    }
}

#[tokio::test]
async fn doubles_in_objects_are_the_same_over_every_protocol() {
    for dialect in Dialect::ALL {
        let numbers = doubles(7);
        let object = json!({"scalar": {"generic": {"list": numbers}}});
        let tasks = std::iter::once(task(0, "objects", object, json!({"simple": "STRUCT"})));
        let found = parameters(dialect, tasks).await;
        let sent: Json = serde_json::from_str(found[0]["value"].as_str().unwrap()).unwrap();
        for (item, number) in sent["list"].as_array().unwrap().iter().zip(numbers) {
            assert_eq!(item.as_f64(), Some(number), "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn integers_are_the_same_over_every_protocol() {
    let edges = [i64::MIN, i64::MIN + 1, -1, 0, 1, (1 << 53) + 1, i64::MAX - 1, i64::MAX];
    for dialect in Dialect::ALL {
        let tasks = (0..).zip(edges).map(|(create, number)| {
            let literal = primitive("integer", number.to_string().into());
            task(create, "integers", literal, json!({"simple": "INTEGER"}))
        });
        let found = parameters(dialect, tasks).await;
        let expected = edges.map(|number| json!({"value": number.to_string()}));
        assert_eq!(found, expected, "{dialect:?}");
    }
}

/// A plugin that sends the numbers in `custom` to its vendor, and returns those in the vendor's answer.
struct Courier {
    http: Http,
}

#[derive(Debug, clap::Args)]
struct Settings {}

#[derive(Deserialize, JsonSchema)]
struct Numbers {
    numbers: Vec<f64>,
}

impl SyncPlugin for Courier {
    const TASK_TYPES: &'static [TaskType] = &[TaskType::new("courier", 0)];
    type Settings = Settings;
    type Custom = Numbers;

    fn new(_: Settings, http: HttpBuilder) -> Result<Self> {
        Ok(Self { http: http.build("https://courier.example")? })
    }

    async fn execute(&self, cx: &Context, task: Task<Numbers>) -> Result<Status> {
        let request = self.http.post(&["numbers"]).json(&task.custom.numbers);
        let answer = request.send_json::<Vec<f64>>(cx).await?;
        let numbers = answer.into_iter().map(Value::Float).collect();
        Ok(Status::new(Phase::Succeeded).output("numbers", Some(Value::List(numbers))))
    }
}

fn assert_same<'a>(what: &str, found: impl IntoIterator<Item = &'a Json>, expected: &[f64]) {
    let found = found.into_iter().map(Json::as_f64).collect::<Vec<_>>();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, number) in found.into_iter().zip(expected) {
        assert_eq!(
            found.map(f64::to_bits),
            Some(number.to_bits()),
            "{what}: {number:?}, {found:?}"
        );
    }
}

#[tokio::test]
async fn doubles_in_custom_answers_and_outputs_are_the_same_over_every_protocol() {
    for dialect in Dialect::SYNC {
        let (sent, answered) = (exact_doubles(8), doubles(9));
        let upstream = Upstream::start().await;
        upstream.answer_with([Answer::new(200, json!(answered))]);
        let service = spawn_sync::<Courier>(&[&format!("--endpoint={}", upstream.url())]).await;
        let client = service.client(dialect, "propeller").await;
        let custom = json!({"numbers": sent});
        let task =
            json!({"template": {"type": "courier", "custom": custom}, "output_prefix": "s3://b/1"});
        let seen = client.execute(&task).await.unwrap();
        assert_eq!(seen.phase, "SUCCEEDED", "{dialect:?}: {}", seen.message);
        let received = upstream.received()[0].json();
        assert_same(&format!("{dialect:?}: custom"), received.as_array().unwrap(), &sent);
        let items = seen.outputs["literals"]["numbers"]["collection"]["literals"].as_array();
        let items = items.unwrap().iter().map(|item| &item["scalar"]["primitive"]["float_value"]);
        assert_same(&format!("{dialect:?}: outputs"), items, &answered);
    }
}

/// Such a task is passed on as JSON, whatever its plugin knows of it.
#[tokio::test]
async fn doubles_that_are_passed_on_in_custom_are_the_same_over_every_protocol() {
    let mut task = Golden::read(Flyte::V1, "dbx_new_cluster").unwrap().json;
    let numbers = exact_doubles(10);
    let conf = &mut task["template"]["custom"]["databricksConf"];
    conf["new_cluster"]["aws_attributes"] = json!({"numbers": numbers});
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("databricks_token"), "dapi-0123456789").unwrap();
    for dialect in Dialect::ALL {
        let upstream = Upstream::start().await;
        upstream.answer_with([Answer::new(200, json!({"run_id": 7}))]);
        let service = spawn::<Databricks>(&[
            "--instances=acme-prod.cloud.databricks.com",
            &format!("--endpoint={}", upstream.url()),
            &format!("--secrets-dir={}", dir.path().display()),
        ])
        .await;
        let client = service.client(dialect, "propeller").await;
        let handle = client.create(&task).await.unwrap();
        let sent = upstream.received();
        assert_eq!(sent.len(), 1, "{:?}", client.get(&task, &handle).await);
        let body = sent[0].json();
        let list = &body["tasks"][0]["new_cluster"]["aws_attributes"]["numbers"];
        assert_same(&format!("{dialect:?}"), list.as_array().unwrap(), &numbers);
    }
}

/// Ids of vendors are larger than the integers that a double holds.
#[tokio::test]
async fn ids_in_answers_of_vendors_are_the_same_over_every_protocol() {
    let task = Golden::read(Flyte::V1, "dbx_new_cluster").unwrap().json;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("databricks_token"), "dapi-0123456789").unwrap();
    for dialect in Dialect::ALL {
        for id in [1, (1 << 53) + 1, i64::MAX - 1] {
            let upstream = Upstream::start().await;
            let state = json!({"life_cycle_state": "RUNNING"});
            upstream.answer_with([
                Answer::new(200, json!({"run_id": id})),
                Answer::new(200, json!({"run_id": id, "job_id": id, "state": state})),
            ]);
            let service = spawn::<Databricks>(&[
                "--instances=acme-prod.cloud.databricks.com",
                "--poll-freshness=0s",
                &format!("--endpoint={}", upstream.url()),
                &format!("--secrets-dir={}", dir.path().display()),
            ])
            .await;
            let client = service.client(dialect, "propeller").await;
            let handle = client.create(&task).await.unwrap();
            let seen = client.get(&task, &handle).await.unwrap();
            let asked = &upstream.received()[1].target;
            assert!(asked.ends_with(&format!("run_id={id}")), "{dialect:?}: {asked}");
            assert_eq!(seen.custom_info["run_id"], id.to_string(), "{dialect:?}");
        }
    }
}
