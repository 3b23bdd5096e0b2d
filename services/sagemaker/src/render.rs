//! Replaces the placeholders of flytekit's SageMaker tasks: `{inputs.x}`, `{images.x}` and `{idempotence_token}`.
//!
//! A string that is one placeholder becomes the value, with its type. Within a longer string a value becomes text.
//! Values are never searched for placeholders, and other braces, such as those of regular expressions, stay.

use std::collections::BTreeMap;

use plugin_core::{
    Error, Result, Value,
    serde_json::{Map, Number, Value as Json},
    task::Inputs,
};

/// The fewest digits to which a token is cut. Tags tell whose a name is, so they need not be unique.
const FEWEST_DIGITS: usize = 8;
/// Members whose values are strings; numbers and truths become text in them.
const MAPS_OF_TEXT: [&str; 3] = ["HyperParameters", "StaticHyperParameters", "Environment"];
/// Deeper values are refused.
const DEEPEST: usize = 32;

/// What placeholders stand for.
pub(crate) struct Values<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) images: &'a BTreeMap<String, String>,
    /// `{idempotence_token}`.
    pub(crate) token: &'a str,
    /// The member with the name of what is made, and its most characters.
    pub(crate) longest: (&'a str, usize),
}

/// Members with names of at most 63 characters, in which a token is cut, by AWS's model. Names of other members are longer, or
/// nobody needs to tell them apart by a token.
const SHORT_NAMES: [&str; 8] = [
    "EndpointConfigName",
    "EndpointName",
    "InferenceSpecificationName",
    "ModelName",
    "ProcessingJobName",
    "TrainingJobName",
    "TransformJobName",
    "VariantName",
];
const LONGEST_SHORT_NAME: usize = 63;

enum Placeholder<'a> {
    Input(&'a str),
    Image(&'a str),
    Token,
}

impl Values<'_> {
    /// `config`, which `field` names in errors, with all placeholders replaced. Members without a value are left out.
    ///
    /// # Errors
    /// `InvalidArgument` with the field.
    pub(crate) fn render(
        &self,
        field: &str,
        config: &Map<String, Json>,
    ) -> Result<Map<String, Json>> {
        self.object(field, config, false, 0)
    }

    fn object(
        &self,
        field: &str,
        object: &Map<String, Json>,
        is_text: bool,
        depth: usize,
    ) -> Result<Map<String, Json>> {
        let mut rendered = Map::new();
        for (key, value) in object {
            let field = format!("{field}.{key}");
            let is_map = MAPS_OF_TEXT.contains(&key.as_str());
            let value = match value {
                // Keys of the author's own say nothing about their values.
                Json::String(text) => self.text(&field, if is_text { "" } else { key }, text)?,
                Json::Object(inner) => {
                    self.object(&field, inner, is_map, depth_of(&field, depth)?)?.into()
                }
                other => self.value(&field, other, depth)?,
            };
            let value = match value {
                Json::Object(inner) if is_map => as_texts(inner).into(),
                value if is_text => as_text(value),
                value => value,
            };
            // AWS takes a member without a value for none; boto3 refuses it.
            if !value.is_null() {
                rendered.insert(key.clone(), value);
            }
        }
        Ok(rendered)
    }

    fn value(&self, field: &str, value: &Json, depth: usize) -> Result<Json> {
        match value {
            Json::String(text) => self.text(field, "", text),
            Json::Array(items) => {
                let depth = depth_of(field, depth)?;
                let items = items.iter().enumerate();
                items.map(|(at, item)| self.value(&format!("{field}[{at}]"), item, depth)).collect()
            }
            Json::Object(object) => {
                Ok(self.object(field, object, false, depth_of(field, depth)?)?.into())
            }
            Json::Number(number) => Ok(Json::Number(whole(number))),
            Json::Null | Json::Bool(_) => Ok(value.clone()),
        }
    }

    fn text(&self, field: &str, member: &str, text: &str) -> Result<Json> {
        if let Some((placeholder, "")) = leading(text) {
            let value = self.of(field, &placeholder)?;
            return match value {
                Json::String(token) if placeholder.is_token() => {
                    self.token(field, member, token, 0).map(Json::from)
                }
                value => Ok(value),
            };
        }
        let parts = self.parts(field, text)?;
        // A token is cut to what the rest of the name leaves.
        let others = parts.iter().filter(|part| !part.is_token);
        let others = others.map(|part| part.text.chars().count()).sum();
        let parts = parts.into_iter().map(|part| match part.is_token {
            true => self.token(field, member, part.text, others),
            false => Ok(part.text),
        });
        parts.collect::<Result<String>>().map(Json::from)
    }

    /// `text`, with the values of its placeholders.
    fn parts(&self, field: &str, text: &str) -> Result<Vec<Part>> {
        let (mut parts, mut rest) = (Vec::new(), text);
        let plain = |text: &str| Part { text: text.to_owned(), is_token: false };
        while let Some(at) = rest.find('{') {
            parts.push(plain(&rest[..at]));
            rest = &rest[at..];
            match leading(rest) {
                Some((placeholder, after)) => {
                    let text = inserted(field, self.of(field, &placeholder)?)?;
                    parts.push(Part { text, is_token: placeholder.is_token() });
                    rest = after;
                }
                None => {
                    parts.push(plain("{"));
                    rest = &rest[1..];
                }
            }
        }
        parts.push(plain(rest));
        Ok(parts)
    }

    /// The value of `placeholder`.
    fn of(&self, field: &str, placeholder: &Placeholder<'_>) -> Result<Json> {
        match placeholder {
            Placeholder::Token => Ok(self.token.into()),
            Placeholder::Image(name) => match self.images.get(*name) {
                Some(image) => Ok(image.as_str().into()),
                None => Err(Error::invalid(format!(
                    "{field}: {{images.{name}}}: custom.images has no {name:?}"
                ))),
            },
            Placeholder::Input(path) => self.input(field, path),
        }
    }

    fn input(&self, field: &str, path: &str) -> Result<Json> {
        let mut parts = path.split('.');
        let name = parts.next().unwrap_or_default();
        let input = self.inputs.get(name).map_err(|error| error.about(field))?;
        let value = plain(&input.value).ok_or_else(|| {
            Error::invalid(format!("{field}: {{inputs.{path}}}: JSON has no such number"))
        })?;
        let value = parts.try_fold(value, |value, part| value.get(part).cloned());
        value.ok_or_else(|| {
            Error::invalid(format!("{field}: {{inputs.{path}}}: the input has no such member"))
        })
    }

    /// `token`, cut to fit into a name with `others` other characters.
    fn token(&self, field: &str, member: &str, token: String, others: usize) -> Result<String> {
        let (own, longest) = self.longest;
        let most = match member {
            _ if member == own => longest,
            _ if SHORT_NAMES.contains(&member) => LONGEST_SHORT_NAME,
            _ => return Ok(token),
        };
        let room = most.saturating_sub(others);
        if room < FEWEST_DIGITS.min(token.len()) {
            return Err(Error::invalid(format!(
                "{field}: too long: SageMaker takes {most} characters, of which {FEWEST_DIGITS} are for the token"
            )));
        }
        Ok(token.chars().take(room).collect())
    }
}

/// A part of a text.
struct Part {
    text: String,
    /// Whether it may be cut.
    is_token: bool,
}

impl Placeholder<'_> {
    /// flytekit passes the token of one task on to the next, and shortens both alike.
    fn is_token(&self) -> bool {
        matches!(self, Self::Token | Self::Input("idempotence_token"))
    }
}

fn depth_of(field: &str, depth: usize) -> Result<usize> {
    match depth < DEEPEST {
        true => Ok(depth + 1),
        false => Err(Error::invalid(format!("{field}: nested too deep"))),
    }
}

/// The placeholder with which `text` begins, and what follows it.
fn leading(text: &str) -> Option<(Placeholder<'_>, &str)> {
    let inner = text.strip_prefix('{')?;
    let (name, after) = inner.split_once('}')?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let placeholder = match name.split_once('.') {
        None if name == "idempotence_token" => Placeholder::Token,
        Some(("inputs", path)) if is_name(path) => Placeholder::Input(path),
        Some(("images", name)) if is_name(name) => Placeholder::Image(name),
        _ => return None,
    };
    Some((placeholder, after))
}

/// An input as flytekit has it in requests: durations are seconds, and whole floats integers. `None` for what is, or has, a
/// number that JSON lacks, such as infinity.
fn plain(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Duration(span) => whole(&Number::from_f64(span.as_secs_f64())?).into(),
        Value::Float(number) => whole(&Number::from_f64(*number)?).into(),
        Value::List(items) => Json::Array(items.iter().map(plain).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| Some((key.clone(), plain(value)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        other => other.to_json(),
    })
}

/// A whole number as an integer: AWS takes no `3.0` for one.
#[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
fn whole(number: &Number) -> Number {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            Number::from(float as i64)
        }
        _ => number.clone(),
    }
}

/// A value within a longer text, as Python writes it.
fn inserted(field: &str, value: Json) -> Result<String> {
    Ok(match value {
        Json::String(text) => text,
        Json::Number(number) => number.to_string(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        Json::Array(_) | Json::Object(_) => {
            return Err(Error::invalid(format!(
                "{field}: a list or a dict cannot be a part of a string; let its placeholder be the whole value"
            )));
        }
    })
}

fn as_texts(object: Map<String, Json>) -> Map<String, Json> {
    object.into_iter().map(|(key, value)| (key, as_text(value))).collect()
}

fn as_text(value: Json) -> Json {
    match value {
        Json::Number(_) | Json::Bool(_) => value.to_string().into(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
