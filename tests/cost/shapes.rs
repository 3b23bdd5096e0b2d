//! Shapes of requests.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Map, Value as Json, json};

/// A kind of request, and its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    kind: Kind,
    size: usize,
    /// The size of its strings, or the number of its levels.
    detail: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Inputs,
    List,
    Map,
    Deep,
    Object,
    Mixed,
    LongString,
    Labels,
    Placeholders,
    Custom,
}

const KINDS: [Kind; 10] = [
    Kind::Inputs,
    Kind::List,
    Kind::Map,
    Kind::Deep,
    Kind::Object,
    Kind::Mixed,
    Kind::LongString,
    Kind::Labels,
    Kind::Placeholders,
    Kind::Custom,
];

fn integer(number: usize) -> Json {
    json!({"scalar": {"primitive": {"integer": number.to_string()}}})
}

fn string(length: usize) -> Json {
    json!({"scalar": {"primitive": {"string_value": "ä'\\".repeat(length)}}})
}

fn list(items: impl Iterator<Item = Json>) -> Json {
    json!({"collection": {"literals": items.collect::<Vec<_>>()}})
}

fn named<T>(size: usize, value: impl Fn(usize) -> T) -> Json
where
    Json: From<T>,
{
    (0..size).map(|n| (format!("key_{n}"), Json::from(value(n)))).collect::<Map<_, _>>().into()
}

impl Shape {
    /// The shape with the number `seed`: each kind in turn, its sizes at random.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let kind = KINDS[usize::try_from(seed).unwrap() % KINDS.len()];
        Self { kind, size: random.random_range(500..1000), detail: random.random_range(1..6) }
    }

    /// `task` in this shape, `times` as large.
    pub(crate) fn task(self, mut task: Json, times: usize) -> Json {
        let (size, detail) = (self.size * times, self.detail);
        let literals = &mut task["inputs"]["literals"];
        match self.kind {
            Kind::Inputs => *literals = named(size, |_| string(detail)),
            Kind::List => literals["x"] = list((0..size).map(integer)),
            Kind::Map => literals["x"] = json!({"map": {"literals": named(size, integer)}}),
            Kind::Deep => literals["x"] = list((0..size).map(|n| nested(detail, integer(n)))),
            Kind::Object => {
                let object = named(size, |n| json!([n, {"a": "x".repeat(detail)}]));
                literals["x"] = json!({"scalar": {"generic": object}});
            }
            Kind::Mixed => {
                let item = |n: usize| match n % 3 {
                    0 => integer(n),
                    1 => string(detail),
                    _ => nested(1 + n % (detail + 1), integer(n)),
                };
                literals["x"] = list((0..size).map(item));
            }
            Kind::LongString => literals["x"] = string(size * 100),
            Kind::Labels => {
                task["task_execution_metadata"]["labels"] = named(size, |n| n.to_string());
            }
            Kind::Placeholders => {
                literals["x"] = string(detail);
                let hole = "SELECT '{{ .inputs.x }}', {{ .inputs.x }}; ";
                task["template"]["sql"]["statement"] = hole.repeat(size).into();
            }
            Kind::Custom => {
                let object = named(size, |n| json!([n, "x".repeat(detail)]));
                task["template"]["custom"]["labels"] = object;
            }
        }
        task
    }
}

/// A list in a list, `levels` deep.
fn nested(levels: usize, inner: Json) -> Json {
    (0..levels).fold(inner, |inner, _| list(std::iter::once(inner)))
}
