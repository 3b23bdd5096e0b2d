//! The repository's own files for GitHub and for containers agree with each other.

use std::{fs, path::PathBuf};

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn dev_container_is_set_up_as_ci_is() {
    let text = read(".devcontainer/devcontainer.json");
    let json = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
    let json = serde_json::from_str::<serde_json::Value>(&json).unwrap();
    assert_eq!(json["onCreateCommand"], ".ci/run --install");
    let ci = read(".ci/run");
    assert!(ci.contains("--install"));
    // Where .ci/run puts what Debian has not.
    let path = json["remoteEnv"]["PATH"].as_str().unwrap();
    for directory in ["target/go/venv/bin", "target/node/venv/bin"] {
        assert!(ci.contains(directory) && path.contains(directory), "{directory}");
    }
}
