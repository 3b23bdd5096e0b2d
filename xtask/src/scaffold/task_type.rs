//! Task types, as plugin.toml and the command line name them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::name;

/// A task type with its version, written `name` or `name:version`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "TaskTypeFields")]
pub(crate) struct TaskType {
    pub(crate) name: String,
    pub(crate) version: i32,
}

/// A task type as serialized for templates and JSON.
#[derive(Serialize)]
struct TaskTypeFields {
    name: String,
    version: i32,
}

impl From<TaskType> for TaskTypeFields {
    fn from(TaskType { name, version }: TaskType) -> Self {
        Self { name, version }
    }
}

impl FromStr for TaskType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = text.split_once(':').unwrap_or((text, "0"));
        name::check_task_type(name)?;
        let version = version.parse().ok().filter(|version| *version >= 0);
        let version = version.ok_or_else(|| {
            format!("'{text}': the version after the colon must be a non-negative integer")
        })?;
        Ok(Self { name: name.to_owned(), version })
    }
}

impl TryFrom<String> for TaskType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for TaskType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}
