//! What is printed for the load tool.

use serde::Serialize;

/// Checked calls, and how to repeat them.
#[derive(Serialize)]
pub(crate) struct Sample {
    /// Headers of every request.
    pub(crate) headers: Vec<String>,
    pub(crate) creates: Creates,
    pub(crate) poll: Poll,
}

/// Creates: one body for each job.
#[derive(Serialize)]
pub(crate) struct Creates {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// Files.
    pub(crate) bodies: Vec<String>,
    /// The size of an answer's body.
    pub(crate) bytes: usize,
}

/// A poll of the first job.
#[derive(Serialize)]
pub(crate) struct Poll {
    pub(crate) path: String,
    /// A file, for gRPC.
    pub(crate) body: Option<String>,
    /// For REST, a file with the path of each job's poll.
    pub(crate) paths: Option<String>,
    /// The size of an answer's body.
    pub(crate) bytes: usize,
}
