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

/// Polls of all jobs.
#[derive(Serialize)]
pub(crate) struct Poll {
    /// Of the first job's poll, for REST.
    pub(crate) path: String,
    /// For gRPC, a file for each job.
    pub(crate) bodies: Vec<String>,
    /// For REST, a file with the path of each job's poll.
    pub(crate) paths: Option<String>,
    /// The size of the body that answers the first job's poll, and over gRPC every job's.
    pub(crate) bytes: usize,
}
