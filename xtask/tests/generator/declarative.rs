//! Plugins that are YAML files.

use super::*;

const NEW: [&str; 5] =
    ["--kind=declarative", "--no-input", "--no-verify", "--format=json", "--task-type=acme_job:2"];
const FILE: &str = "plugins/acme/plugin.yaml";
const COPY: &str = "charts/acme/files/plugin.yaml";

fn with_acme(more: &[&str]) -> Repository {
    let repository = Repository::new();
    repository.xtask(&[&["new-plugin", "acme"][..], &NEW, more].concat()).ends(0);
    repository
}

#[test]
fn plugin_of_a_file_has_no_package_and_no_image() {
    let repository = with_acme(&[]);
    for file in ["README.md", "plugin.yaml", "task.json", "tests/recorded.json", "tests/run.sh"] {
        assert!(repository.at("plugins/acme").join(file).exists(), "{file}");
    }
    let files = repository.tree();
    assert!(!files.keys().any(|it| it.starts_with("plugins/acme/") && it.ends_with("Dockerfile")));
    assert!(!repository.at("services/acme").exists());
    assert!(repository.read(FILE).contains("task_types: [\"acme_job:2\"]"));
    assert!(repository.read("charts/acme/Chart.yaml").contains("outrigger/kind: declarative"));
    assert!(repository.read("charts/acme/values.yaml").contains("repository: declarative\n"));
    repository.check(0);
    repository.xtask(&["image", "acme"]).ends(2).prints("which the image of --declarative serves");
    let bake = repository.xtask(&["list", "--format=bake"]).ends(0).stdout;
    let bake: Json = serde_json::from_str(&bake).unwrap();
    assert!(bake["target"]["acme"].is_null(), "{bake}");
}

#[test]
fn a_file_can_answer_tasks_within_the_call() {
    let repository = with_acme(&["--mode=sync"]);
    let file = repository.read(FILE);
    assert!(file.contains("\nexecute:\n") && !file.contains("\ncreate:\n"), "{file}");
    assert_eq!(file, repository.read(COPY));
    assert!(repository.read("charts/acme/Chart.yaml").contains("outrigger/mode: sync"));
    let page = repository.read("docs/plugins/acme.md");
    assert!(page.contains("| REST | `POST /plugins/v1/acme_job/2` |"), "{page}");
    assert!(repository.read("plugins/acme/task.json").contains("\"text\""));
    repository.check(0);
}

#[test]
fn sync_keeps_the_charts_copy_in_step() {
    let repository = with_acme(&[]);
    assert_eq!(repository.read(FILE), repository.read(COPY));
    repository.replace(FILE, "/jobs", "/tasks");
    repository.check(3).prints("outdated");
    repository.xtask(&["sync", "acme", "--allow-dirty"]).ends(0);
    assert!(repository.read(COPY).contains("post: /tasks"));
    assert_eq!(repository.read(FILE), repository.read(COPY));
    repository.check(0);
    // The copy is not where a change belongs.
    repository.replace(COPY, "post: /tasks", "post: /other");
    repository.check(5);
}

#[test]
fn removal_leaves_nothing_of_a_plugin_of_a_file() {
    let repository = Repository::new();
    let before = repository.tree();
    repository.xtask(&[&["new-plugin", "acme"][..], &NEW].concat()).ends(0);
    repository.xtask(&["remove-plugin", "acme"]).ends(0);
    assert_eq!(repository.tree(), before);
}

#[test]
fn what_a_plugin_of_a_file_cannot_have_is_refused() {
    let repository = Repository::new();
    let new = |more: &str| {
        let args = ["new-plugin", "acme", "--kind=declarative", "--no-input", "--no-verify", more];
        repository.xtask(&args).ends(2)
    };
    new("--language=go").prints("--language: a plugin with --kind=declarative is a YAML file");
}
