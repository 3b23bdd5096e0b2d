//! Fakes of the vendors' APIs, and code shared by the tests and the demo.

use std::path::{Path, PathBuf};

pub mod discovery;
pub mod documents;
pub mod fakes;
pub mod golden;

/// The root of this repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Cargo's target directory: `cargo xtask` says where it is, in the variable that cargo itself reads.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "cargo's setting, not one of ours")]
pub fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    repository().join(named)
}
