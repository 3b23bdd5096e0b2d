//! Why nothing could be checked.

use std::path::PathBuf;

/// Why the check could not begin, or its report not be written.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file that the command line names is not usable.
    #[error("{}: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A flag has a value that means nothing for this service.
    #[error("{flag}: {reason}")]
    Flag {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The service does not answer.
    #[error("{url}: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// What was tried, and how it failed.
        reason: String,
    },
}
