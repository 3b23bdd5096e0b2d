//! Fakes of the vendors' APIs, and what the tests and the demo share.

use std::path::Path;

pub mod discovery;
pub mod documents;
pub mod fakes;
pub mod golden;

/// Where this repository is checked out.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
