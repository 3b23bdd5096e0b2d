//! What a caller resolved for one request.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// The values of a request's connection (Flyte 2), by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectionValues {
    pub(crate) secrets: BTreeMap<String, SecretString>,
    pub(crate) configs: BTreeMap<String, String>,
}
