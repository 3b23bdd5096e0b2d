//! Task types and the tasks that the command line names.

use std::{fmt, path::Path, str::FromStr};

use plugin_core::testing::{
    create_request,
    proto::flyteidl::{admin::CreateTaskRequest, core::TaskTemplate},
};
use serde_json::{Value as Json, json};

use crate::error::StartError;

/// A task type as the command line names it, with or without a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    pub(crate) name: String,
    pub(crate) version: Option<i32>,
}

impl FromStr for TypeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.rsplit_once(':') {
            None => (text, None),
            Some((name, version)) => {
                let version = version.parse().map_err(|_| {
                    format!("the version {version:?} is not a number; use NAME or NAME:VERSION")
                })?;
                (name, Some(version))
            }
        };
        match name {
            "" => Err("the name is missing; use NAME or NAME:VERSION".to_owned()),
            name => Ok(Self { name: name.to_owned(), version }),
        }
    }
}

/// A task type of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServedType {
    pub(crate) name: String,
    pub(crate) version: i32,
    pub(crate) is_sync: bool,
}

impl ServedType {
    /// Its path over REST.
    pub(crate) fn path(&self) -> String {
        type_path(&self.name, self.version)
    }
}

fn type_path(name: &str, version: i32) -> String {
    // A name that discovery lists may have any characters.
    let name = url::form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>();
    format!("/plugins/v1/{}/{version}", name.replace('+', "%20"))
}

impl TypeName {
    /// Whether it names `served`.
    pub(crate) fn is(&self, served: &ServedType) -> bool {
        self.name == served.name && self.version.is_none_or(|version| version == served.version)
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}:{version}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for ServedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.is_sync { "sync" } else { "async" };
        write!(f, "{}:{} ({mode})", self.name, self.version)
    }
}

/// A task, as REST and as gRPC send it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) json: Json,
    pub(crate) request: CreateTaskRequest,
}

/// The largest file of a task, in bytes.
const MAX_FILE: u64 = 8 << 20;

impl Task {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, StartError> {
        let invalid = |reason: String| StartError::File { path: path.to_owned(), reason };
        let size = std::fs::metadata(path).map_err(|error| invalid(error.to_string()))?.len();
        if size > MAX_FILE {
            return Err(invalid(format!("has more than {MAX_FILE} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
        let json = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        Self::of(json).map_err(invalid)
    }

    /// The task that `json` describes.
    pub(crate) fn of(json: Json) -> Result<Self, String> {
        let request = create_request(&json).map_err(|error| error.to_string())?;
        match &request.template {
            Some(template) if !template.r#type.is_empty() => Ok(Self { json, request }),
            _ => Err("template.type: missing; the file must be a CreateTaskRequest".to_owned()),
        }
    }

    /// A task of a type, without anything else.
    pub(crate) fn empty(name: &str, version: i32) -> Self {
        let template = TaskTemplate {
            r#type: name.to_owned(),
            task_type_version: version,
            ..TaskTemplate::default()
        };
        let request =
            CreateTaskRequest { template: Some(template), ..CreateTaskRequest::default() };
        let json = json!({"template": {"type": name, "task_type_version": version, "custom": {}}});
        Self { json, request }
    }

    /// The same task with other settings.
    pub(crate) fn with_custom(&self, custom: &Json) -> Result<Self, String> {
        let mut json = self.json.clone();
        json["template"]["custom"] = custom.clone();
        Self::of(json)
    }

    /// The path of its type over REST.
    pub(crate) fn type_path(&self) -> String {
        type_path(self.type_name(), self.version())
    }

    /// The name of its type.
    pub(crate) fn type_name(&self) -> &str {
        self.request.template.as_ref().map_or("", |template| &template.r#type)
    }

    /// The version of its type.
    pub(crate) fn version(&self) -> i32 {
        self.request.template.as_ref().map_or(0, |template| template.task_type_version)
    }

    /// The same task as another attempt: `attempt` is added to its prefix.
    pub(crate) fn attempt(&self, attempt: &str) -> Self {
        let mut task = self.clone();
        let own = self.request.output_prefix.trim_end_matches('/');
        let own = if own.is_empty() { "s3://plugin-conformance" } else { own };
        let prefix = format!("{own}/{attempt}");
        if let Some(fields) = task.json.as_object_mut() {
            fields.remove("outputPrefix");
            fields.insert("output_prefix".to_owned(), prefix.as_str().into());
        }
        task.request.output_prefix = prefix;
        task
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_a_name_and_maybe_a_version() {
        let read = |text: &str| text.parse::<TypeName>().map(|name| name.to_string());
        assert_eq!(read("shout").as_deref(), Ok("shout"));
        assert_eq!(read("shout:1").as_deref(), Ok("shout:1"));
        for wrong in ["", ":1", "shout:", "shout:x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_attempt_has_a_prefix_of_its_own_in_both_forms() {
        let json = json!({"template": {"type": "t"}, "outputPrefix": "s3://b/x/"});
        let task = Task::of(json).unwrap().attempt("1");
        assert_eq!(task.request.output_prefix, "s3://b/x/1");
        assert_eq!(task.json, json!({"template": {"type": "t"}, "output_prefix": "s3://b/x/1"}));
        assert!(Task::of(json!({})).unwrap_err().starts_with("template.type: missing"));
    }
}
