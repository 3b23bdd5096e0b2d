//! The repository's own files for GitHub and for containers agree with each other.

use std::{fs, path::PathBuf};

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn forms_use_labels_that_exist() {
    let labels = read(".github/labels.yml");
    let labels =
        labels.lines().filter_map(|line| line.strip_prefix("- name: ")).collect::<Vec<_>>();
    for form in ["bug", "feature", "plugin"] {
        let text = read(&format!(".github/ISSUE_TEMPLATE/{form}.yml"));
        let used = text.lines().find_map(|line| line.strip_prefix("labels: [")?.strip_suffix(']'));
        assert!(used.is_some_and(|used| labels.contains(&used)), "{form}: {used:?} of {labels:?}");
    }
}

#[test]
fn every_label_is_explained() {
    let text = read(".github/labels.yml");
    for label in text.split("- name: ").skip(1) {
        let lines = label.lines().map(str::trim).collect::<Vec<_>>();
        assert!(
            lines[1].strip_prefix("description: ").is_some_and(|text| text.len() > 20),
            "{label}"
        );
        let color = lines[2].strip_prefix("color: ").unwrap_or_default();
        assert!(color.len() == 6 && color.chars().all(|c| c.is_ascii_hexdigit()), "{label}");
    }
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
