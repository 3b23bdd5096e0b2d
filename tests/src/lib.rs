//! Fakes of the vendors' APIs, and code shared by the tests and the demo.

use std::path::Path;

pub mod discovery;
pub mod documents;
pub mod fakes;
pub mod golden;

/// The root of this repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
