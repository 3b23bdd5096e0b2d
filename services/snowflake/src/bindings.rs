//! Bind variables of the SQL API.

use plugin_core::Value;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::literal;

/// The size of a binding without its value.
const BINDING_BYTES: usize = r#""100000":{"type":"BOOLEAN","value":""},"#.len();

/// Bind variables, in order. As JSON they are an object by their numbers, from 1.
///
/// There may be one for each item of a list, and as JSON values they would take ten times the memory.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bindings {
    bindings: Vec<Binding>,
    bytes: usize,
}

#[derive(Debug, PartialEq, Serialize)]
struct Binding {
    r#type: &'static str,
    value: String,
}

impl Bindings {
    pub(crate) fn push(&mut self, value: &Value) {
        let (kind, text) = literal::binding(value);
        self.bytes += BINDING_BYTES + text.len();
        self.bindings.push(Binding { r#type: kind, value: text });
    }

    /// Their size as JSON.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }
}

impl Serialize for Bindings {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.bindings.len()))?;
        for (binding, number) in self.bindings.iter().zip(1_usize..) {
            map.serialize_entry(&number.to_string(), binding)?;
        }
        map.end()
    }
}
