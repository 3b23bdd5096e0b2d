//! The repository that the tools work on, and the name they are called by.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde::Deserialize;

/// The cargo that runs this program, so that both use one toolchain.
pub(crate) const CARGO: &str = match option_env!("CARGO") {
    Some(cargo) => cargo,
    None => "cargo",
};

static ROOT: OnceLock<PathBuf> = OnceLock::new();
static TARGET: OnceLock<PathBuf> = OnceLock::new();
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

/// A path below cargo's target directory, where everything lies that these tools make.
pub(crate) fn target(path: &str) -> PathBuf {
    TARGET.get_or_init(|| target_of(root())).join(path)
}

/// The target directory that cargo uses in `root`: `CARGO_TARGET_DIR`, cargo's configuration files and the
/// workspace decide.
fn target_of(root: &Path) -> PathBuf {
    let output = Command::new(CARGO)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root)
        .stderr(Stdio::null())
        .output();
    let metadata = output.ok().and_then(|output| serde_json::from_slice(&output.stdout).ok());
    // Without metadata there is no package yet, or cargo says what is wrong when it builds.
    metadata.map_or_else(|| root.join("target"), |Metadata { target_directory }| target_directory)
}

/// The part of <https://doc.rust-lang.org/cargo/commands/cargo-metadata.html> that is used.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

/// Calls this program `name` in messages. Call it before anything else: the first call counts.
pub(crate) fn name_tool(name: &'static str) {
    let _ = TOOL.set(name);
}

/// How people call this program.
pub(crate) fn tool() -> &'static str {
    TOOL.get().copied().unwrap_or("cargo xtask")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directory_is_the_one_that_cargo_uses() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let write = |path: &str, text: &str| {
            std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            std::fs::write(root.join(path), text).unwrap();
        };
        write("Cargo.toml", "[package]\nname = \"one\"\nversion = \"0.1.0\"\n");
        write("src/lib.rs", "");
        write(".cargo/config.toml", "[build]\ntarget-dir = \"elsewhere\"\n");
        let wanted = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("elsewhere"), |own| root.join(own));
        assert_eq!(target_of(&root), wanted);
    }

    #[test]
    fn target_directory_of_no_package_is_below_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(target_of(directory.path()), directory.path().join("target"));
    }
}
