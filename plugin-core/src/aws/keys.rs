//! Keys that sign requests.

use std::fmt;

use secrecy::SecretString;

/// Keys that sign requests.
pub(super) struct Keys {
    /// The id of the access key, which is no secret.
    pub(super) id: String,
    pub(super) secret: SecretString,
    /// The token of temporary keys.
    pub(super) session: Option<SecretString>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}
