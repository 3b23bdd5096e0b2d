//! A vendor's answers in a file: the conformance suite's `recorded.json`.

use std::{collections::BTreeMap, fmt};

use plugin_core::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    serde_json::{self, Value as Json},
};
use serde::{
    Deserialize, Deserializer,
    de::{
        Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use crate::{
    errors::header_map,
    expression::Scope,
    located::Place,
    mistake::{Mistake, Mistakes, nearest},
};

/// The members that are no answers.
const OTHERS: [&str; 7] =
    ["task", "bad_custom", "bad_field", "args", "outputs", "secrets", "refused_message"];

/// The steps of the conformance suite. A file may have others, for `try` alone.
const STEPS: [&str; 12] = [
    "created",
    "repeated",
    "refused",
    "running",
    "succeeded",
    "failed",
    "unknown_state",
    "cancelled",
    "gone",
    "unauthorized",
    "throttled",
    "unavailable",
];

/// A recorded answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    #[serde(default = "ok", deserialize_with = "status")]
    pub(super) status: u16,
    #[serde(default, deserialize_with = "headers")]
    headers: HeaderMap,
    #[serde(default)]
    pub(super) body: Json,
}

fn ok() -> u16 {
    200
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let number = u64::deserialize(deserializer)?;
    let status = u16::try_from(number).ok().filter(|status| StatusCode::from_u16(*status).is_ok());
    status.ok_or_else(|| D::Error::custom("a status is a number from 100 to 999"))
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    let named = BTreeMap::<String, String>::deserialize(deserializer)?;
    let headers = named.iter().map(|(name, value)| {
        let parsed = name.parse::<HeaderName>().ok().zip(value.parse::<HeaderValue>().ok());
        parsed.ok_or_else(|| D::Error::custom(format!("{name:?} with {value:?} is no header")))
    });
    headers.collect()
}

/// The answers of a file, by step.
#[derive(Default)]
struct Answers(BTreeMap<String, Vec<Answer>>);

impl<'de> Deserialize<'de> for Answers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Steps;

        impl<'de> Visitor<'de> for Steps {
            type Value = Answers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("answers by step")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answers, A::Error> {
                let mut answers = Answers::default();
                while let Some(step) = map.next_key::<String>()? {
                    if OTHERS.contains(&step.as_str()) {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let near = nearest(&step, STEPS.into_iter().chain(OTHERS));
                    if let Some(near) = near.filter(|near| *near != step) {
                        let message = format!("unknown step `{step}`; did you mean `{near}`?");
                        return Err(A::Error::custom(message));
                    }
                    if answers.0.contains_key(&step) {
                        return Err(A::Error::custom(format!("the step `{step}` is here twice")));
                    }
                    let OneOrMore(list) = map.next_value()?;
                    answers.0.insert(step, list);
                }
                Ok(answers)
            }
        }

        deserializer.deserialize_map(Steps)
    }
}

/// An answer, or a list of answers.
struct OneOrMore(Vec<Answer>);

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Step;

        impl<'de> Visitor<'de> for Step {
            type Value = OneOrMore;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an answer, or a list of answers")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore, A::Error> {
                let answer = Answer::deserialize(MapAccessDeserializer::new(map))?;
                Ok(OneOrMore(vec![answer]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<OneOrMore, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMore)
            }
        }

        deserializer.deserialize_any(Step)
    }
}

impl Answer {
    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// `scope` with this answer.
    pub(super) fn seen_in(&self, scope: Scope) -> Scope {
        let headers = header_map(&self.headers);
        scope.with("body", &self.body).with("status", self.status).with("headers", headers)
    }
}

/// The answers in `text`, the file `name`, by step; its other members are left out.
///
/// # Errors
/// What is wrong with them, and where.
pub(super) fn answers(name: &str, text: &str) -> Result<BTreeMap<String, Vec<Answer>>, Mistakes> {
    let recorded = serde_json::from_str::<Answers>(text).map_err(|error| {
        let place = Place::at(error.line(), error.column(), text);
        let message = error.to_string();
        // The position is shown beside the line.
        let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
        Mistakes::one(name, text, Mistake::new(place, message))
    })?;
    Ok(recorded.0)
}
