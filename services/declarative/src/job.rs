//! What finds a job again.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use plugin_core::{
    Error, OutputTypes, Result,
    aws::Place,
    serde_json::{Map, Value as Json},
};
use serde::{Deserialize, Serialize};

/// The most bytes of the declared outputs with the values of enums: a job's ids have to fit beside them.
const MAX_OUTPUT_TYPES: usize = 240;

/// What finds a job again. Names are short: handles are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The plugin's name.
    #[serde(rename = "p")]
    pub(crate) plugin: String,
    /// The file's ids.
    #[serde(rename = "j")]
    pub(crate) ids: Map<String, Json>,
    /// The declared outputs, encoded.
    #[serde(rename = "o", default, skip_serializing_if = "String::is_empty")]
    pub(crate) outputs: String,
    /// Where an API of AWS is called.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(crate) place: Option<Place>,
}

impl Job {
    pub(crate) fn new(plugin: &str, outputs: &OutputTypes, place: Option<Place>) -> Self {
        let outputs = BASE64_STANDARD_NO_PAD.encode(outputs.encode_within(MAX_OUTPUT_TYPES));
        Self { plugin: plugin.to_owned(), ids: Map::new(), outputs, place }
    }

    /// The outputs that the task declares.
    pub(crate) fn outputs(&self) -> Result<OutputTypes> {
        let bytes = BASE64_STANDARD_NO_PAD.decode(&self.outputs).map_err(Error::internal)?;
        OutputTypes::decode(&bytes)
    }
}
