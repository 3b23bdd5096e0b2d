//! Whether the ids of a job fit into its handle, found out before the job exists.

use serde::Serialize;
use server_core::{Error, Result};

use super::Context;

/// The limit on a [`Plugin::Meta`](crate::Plugin::Meta) as JSON, in bytes. One of this size fits into every
/// handle.
pub const MAX_META_BYTES: usize = 640;

impl Context {
    /// Checks that `meta`, a [`Plugin::Meta`](crate::Plugin::Meta), fits into the job's handle.
    ///
    /// Call it before the job is submitted, with the longest ids that the vendor may answer with, if `meta`
    /// contains strings from the task. A job whose handle turns out to be too large is stopped again.
    ///
    /// # Errors
    /// `InvalidArgument` when it does not fit.
    ///
    /// ```
    /// use plugin_core::{Context, Result, serde_json::json};
    ///
    /// fn check(cx: &Context, account: &str) -> Result<()> {
    ///     cx.check_meta(&json!({ "account": account, "id": "0".repeat(36) }))
    /// }
    /// ```
    pub fn check_meta(&self, meta: &impl Serialize) -> Result<()> {
        let size = serde_json::to_vec(meta).map_err(Error::internal)?.len();
        if size <= MAX_META_BYTES {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the names in the task's configuration are too long: what identifies its job has {size} bytes, \
             and {MAX_META_BYTES} fit into a handle"
        )))
    }
}
