//! The repository that the tools work on, and the name they are called by.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

static ROOT: OnceLock<PathBuf> = OnceLock::new();
static TOOL: OnceLock<&str> = OnceLock::new();

/// Works on the repository at `root`. Call it before anything else: the first call counts.
pub(crate) fn work_in(root: &Path) {
    let _ = ROOT.set(root.to_owned());
}

/// The repository to work on: by default the one that this was built from.
pub(crate) fn root() -> &'static Path {
    ROOT.get_or_init(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        manifest.parent().unwrap_or(manifest).to_owned()
    })
}

/// A path below `target/`, where everything lies that these tools make.
pub(crate) fn target(path: &str) -> PathBuf {
    root().join("target").join(path)
}

/// Calls this program `name` in messages. Call it before anything else: the first call counts.
pub(crate) fn name_tool(name: &'static str) {
    let _ = TOOL.set(name);
}

/// How people call this program.
pub(crate) fn tool() -> &'static str {
    TOOL.get().copied().unwrap_or("cargo xtask")
}
