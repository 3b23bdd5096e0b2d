//! Raw tasks for plugins that speak plain JSON: proto-JSON templates, plain inputs, outputs by their declared types.

use std::collections::BTreeMap;

use prost::Message as _;
use serde_json::{Map, Value as Json, json};
use server_core::{
    Error, Result,
    digest::{Fingerprint, sha256},
};

use super::{
    declared::{fit, kind_of, of_optional},
    json::to_proto_json,
    literal::{from_struct, literal},
    literal_type::{literal_type, output_kind},
    outputs::{check_depth, check_nulls, describe, forget_enums},
    path::Path,
    plain::from_plain_json,
    proto::flyteidl::{
        admin::CreateTaskRequest,
        core::{LiteralMap, Variable, VariableMap},
    },
    raw::RawTask,
    task::read_inputs,
};
use crate::task::{Status, Task, Type, Value};

impl RawTask {
    /// The task as an object with `template` and `task_execution_metadata` (proto-JSON with the proto's field names),
    /// `inputs` (plain JSON by name) and `output_prefix`. Without secrets.
    ///
    /// # Errors
    /// `InvalidArgument` that names an input that has no JSON form.
    pub fn to_json(&self) -> Result<Json> {
        let request = self.request()?;
        let template = request.template.unwrap_or_default();
        let interface = template.interface.clone().unwrap_or_default();
        let inputs = request.inputs.unwrap_or_default();
        let inputs = read_inputs(inputs, &interface.inputs.unwrap_or_default())?;
        let inputs = inputs.iter().map(|(name, input)| (name.to_owned(), input.value.to_json()));
        let mut shown = to_proto_json(&template)?;
        if let Some(custom) = template.custom {
            // Proto-JSON has doubles alone: `3.0` workers.
            shown["custom"] = from_struct(custom);
        }
        Ok(json!({
            "template": shown,
            "inputs": inputs.collect::<Map<_, _>>(),
            "output_prefix": request.output_prefix,
            "task_execution_metadata":
                to_proto_json(&request.task_execution_metadata.unwrap_or_default())?,
        }))
    }

    /// The types of the outputs that the task declares.
    ///
    /// # Errors
    /// `Internal` when the task cannot be decoded.
    pub fn output_types(&self) -> Result<OutputTypes> {
        let template = self.request()?.template.unwrap_or_default();
        let mut types = template.interface.unwrap_or_default().outputs.unwrap_or_default();
        types.variables.values_mut().for_each(|variable| variable.description.clear());
        Ok(OutputTypes(types))
    }

    /// Identifies what the task asks for: the same for a repeat, which may have the entries of its maps in another
    /// order. Secrets do not count; they may be renewed before a repeat.
    ///
    /// # Errors
    /// `Internal` when the task cannot be decoded.
    pub fn fingerprint(&self) -> Result<Fingerprint> {
        let CreateTaskRequest { template, inputs, .. } = self.request()?;
        // The encoding is deterministic: every map is ordered.
        let (template, inputs) = (template.unwrap_or_default(), inputs.unwrap_or_default());
        let template = sha256(&[&template.encode_to_vec()]);
        let inputs = sha256(&[&inputs.encode_to_vec()]);
        Ok(Fingerprint::from_bytes(sha256(&[&template, &inputs])))
    }

    fn request(&self) -> Result<CreateTaskRequest> {
        CreateTaskRequest::decode(self.to_create_request()).map_err(Error::internal)
    }
}

/// The types of the outputs that a task declares, small enough for a handle.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OutputTypes(VariableMap);

impl OutputTypes {
    /// The types that `task` declares.
    #[must_use]
    pub fn of<Custom>(task: &Task<Custom>) -> Self {
        let variables = task.outputs.iter().map(|(name, declared)| {
            let r#type = Some(literal_type(declared));
            (name.clone(), Variable { r#type, ..Variable::default() })
        });
        let mut variables = variables.collect::<BTreeMap<_, _>>();
        // This program has encoded them.
        let detailed = VariableMap::decode(task.detailed_outputs.clone()).unwrap_or_default();
        variables.extend(detailed.variables);
        Self(VariableMap { variables })
    }

    /// The names of the outputs, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.variables.keys().map(String::as_str)
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// As at most `most` bytes if the enums are what takes more: without their values, which are not checked then.
    #[must_use]
    pub fn encode_within(&self, most: usize) -> Vec<u8> {
        let encoded = self.encode();
        if encoded.len() <= most {
            return encoded;
        }
        let mut types = self.clone();
        let declared = types.0.variables.values_mut().filter_map(|it| it.r#type.as_mut());
        declared.for_each(forget_enums);
        types.encode()
    }

    /// The types that [`encode`](Self::encode) made bytes of.
    ///
    /// # Errors
    /// `Internal` for other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        VariableMap::decode(bytes).map(Self).map_err(Error::internal)
    }

    /// The first declared output that is not in `outputs`.
    #[must_use]
    pub fn missing<'t>(&'t self, outputs: &Map<String, Json>) -> Option<&'t str> {
        let mut names = self.0.variables.keys().map(String::as_str);
        names.find(|name| !outputs.contains_key(*name))
    }

    /// Plain JSON as values of the declared types; a value without a type, as what it looks like. A string is the URI of
    /// a file or table.
    ///
    /// # Errors
    /// `InvalidArgument` with the path of a value that has another type, or is nested too deeply for Flyte's messages.
    pub fn values(&self, outputs: Map<String, Json>) -> Result<Vec<(String, Value)>> {
        let values = outputs.into_iter().map(|(name, json)| {
            let value = self.value(&name, json)?;
            check_depth(&Path::Root("outputs").member(&name), &value)?;
            Ok((name, value))
        });
        values.collect()
    }

    fn value(&self, name: &str, json: Json) -> Result<Value> {
        let root = Path::Root("outputs");
        let path = root.member(name);
        let declared = self.0.variables.get(name).and_then(|variable| variable.r#type.as_ref());
        let declared = declared.map_or(Type::Unknown, output_kind);
        let is_optional = matches!(&declared, Type::Union(types) if types.contains(&Type::Null));
        match (json, of_optional(&declared)) {
            (Json::Null, _) if is_optional => Ok(Value::Null),
            (Json::Null, declared) if !matches!(declared, Type::Null | Type::Unknown) => {
                Err(Error::invalid(format!("{path}: is null, but the task declares a value")))
            }
            // Its numbers become doubles, which have to be exact.
            (json @ Json::Object(_), Type::Json) | (json, Type::Unknown) => {
                from_plain_json(&path, json)
            }
            (json, Type::Json) => Err(Error::invalid(format!(
                "{path}: is {}, but the task declares an object",
                kind_of(&json)
            ))),
            (Json::String(uri), Type::Schema) => Ok(Value::Schema { uri }),
            (json, declared) => {
                let value = fit(&path, Value::Json(with_uris(json, declared)), declared)?;
                check_nulls(&path, &value, declared)?;
                Ok(value)
            }
        }
    }

    /// `status` with `outputs`, as [`values`](Self::values) reads them. Each file and directory has its declared type,
    /// without which flytekit takes a directory for a file, and refuses it; a table has the declared format, unless it names
    /// its own.
    ///
    /// # Errors
    /// As [`values`](Self::values).
    pub fn add_to(&self, status: Status, outputs: Map<String, Json>) -> Result<Status> {
        let mut literals = BTreeMap::new();
        for (name, value) in self.values(outputs)? {
            let mut literal = literal(&value);
            let variable = self.0.variables.get(&name);
            if let Some(declared) = variable.and_then(|variable| variable.r#type.as_ref()) {
                describe(&mut literal, declared);
            }
            literals.insert(name, literal);
        }
        match literals.is_empty() {
            true => Ok(status),
            false => {
                let encoded = LiteralMap { literals }.encode_to_vec();
                Ok(status.encoded_outputs(encoded.into()))
            }
        }
    }
}

/// `json`, with each string that is a file or table by its type in the form that the type has in JSON.
fn with_uris(json: Json, declared: &Type) -> Json {
    match (json, of_optional(declared)) {
        (Json::String(uri), Type::Blob) => json!({ "path": uri }),
        (Json::String(uri), Type::StructuredDataset) => json!({ "uri": uri }),
        (Json::Array(items), Type::List(item)) => {
            items.into_iter().map(|each| with_uris(each, item)).collect()
        }
        (Json::Object(entries), Type::Map(item)) => {
            entries.into_iter().map(|(key, each)| (key, with_uris(each, item))).collect()
        }
        (json, _) => json,
    }
}

#[cfg(test)]
mod tests;
