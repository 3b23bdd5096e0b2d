//! Plugins in other languages, behind the bridge.

use super::*;

const NEW: [&str; 3] = ["--no-input", "--no-verify", "--format=json"];

fn new_plugin(repository: &Repository, name: &str, more: &[&str]) -> Output {
    repository.xtask(&[&["new-plugin", name][..], &NEW, more].concat())
}

/// The paths of a plugin's own directory.
fn files(repository: &Repository, directory: &str) -> Vec<String> {
    let tree = repository.tree();
    let own = tree.keys().filter_map(|path| path.strip_prefix(directory));
    own.filter(|path| !path.starts_with(".scaffold/")).map(ToOwned::to_owned).collect()
}

#[test]
fn plugin_in_each_language_has_its_files_and_no_package() {
    for (language, code) in
        [("python", "plugin.py"), ("go", "plugin.go"), ("typescript", "plugin.ts")]
    {
        for mode in ["async", "sync"] {
            let repository = Repository::new();
            new_plugin(&repository, "shout", &["--language", language, "--mode", mode]).ends(0);
            let files = files(&repository, "plugins/shout/");
            for file in
                [code, "plugin.toml", "Dockerfile", "README.md", "tasks/package/flytekit.py"]
            {
                assert!(files.iter().any(|it| it == file), "{language}: {file} of {files:?}");
            }
            assert!(!files.iter().any(|it| it.ends_with("Cargo.toml") || it.ends_with(".rs")));
            assert!(repository.read("charts/shout/Chart.yaml").contains("outrigger/kind: bridge"));
            assert!(repository.read("docs/plugins/shout.md").contains("plugins/shout/README.md"));
            // Cargo would take a directory below services/ for a package.
            assert!(!repository.at("services/shout").exists());
            repository.check(0);
        }
    }
}

#[test]
fn removal_leaves_nothing_of_a_plugin_behind_the_bridge() {
    let repository = Repository::new();
    let before = repository.tree();
    new_plugin(&repository, "shout", &["--language=go"]).ends(0);
    repository.xtask(&["remove-plugin", "shout"]).ends(0);
    assert_eq!(repository.tree(), before);
}

#[test]
fn kind_and_language_have_to_fit() {
    let repository = Repository::new();
    new_plugin(&repository, "a-rust", &["--kind=rust", "--language=go"])
        .ends(2)
        .prints("--language: a plugin with --kind=rust is written in Rust");
    new_plugin(&repository, "a-java", &["--language=java"]).ends(2).prints("typescript");
    new_plugin(&repository, "by-default", &["--kind=bridge"]).ends(0);
    assert!(repository.read("plugins/by-default/plugin.toml").contains("language = \"python\""));
}

#[test]
fn plugin_in_the_directory_of_another_kind_is_refused() {
    let repository = Repository::with_redshift();
    repository.replace(
        "services/redshift/plugin.toml",
        "mode = ",
        "kind = \"bridge\"\nlanguage = \"go\"\nmode = ",
    );
    repository.check(1).prints("a plugin of this kind belongs in plugins/redshift");
}

#[test]
fn names_and_task_types_are_unique_among_all_kinds() {
    let repository = Repository::with_redshift();
    new_plugin(&repository, "redshift", &["--language=go"]).ends(2).prints("redshift");
    new_plugin(&repository, "other", &["--language=go", "--task-type=redshift"])
        .ends(2)
        .prints("'redshift' of 'other' is taken by 'redshift'");
}

#[test]
fn plugin_of_one_language_can_be_made_from_another() {
    let repository = Repository::new();
    new_plugin(&repository, "shout", &["--language=go"]).ends(0);
    let from = repository.at("plugins/shout/plugin.toml");
    let flags = ["--language=typescript", "--task-type=cry", "--from", from.to_str().unwrap()];
    new_plugin(&repository, "cry", &flags).ends(0);
    assert!(repository.at("plugins/cry/plugin.ts").exists());
    assert!(!repository.at("plugins/cry/plugin.go").exists());
    repository.check(0);
}

#[test]
fn task_classes_of_another_package_are_not_generated() {
    let repository = Repository::new();
    let package = ["--set", "plugin.task-package=flytekitplugins-shout"];
    new_plugin(&repository, "shout", &package).ends(0);
    assert!(!repository.at("services/shout/tasks").exists());
    repository.check(0);
}

#[test]
fn image_of_a_plugin_behind_the_bridge_is_built_by_its_dockerfile() {
    let repository = Repository::new();
    new_plugin(&repository, "shout", &["--language=go"]).ends(0);
    repository.xtask(&["image", "shout"]).ends(2).prints("docker build plugins/shout");
    let bake: Json =
        serde_json::from_str(&repository.xtask(&["list", "--format=bake"]).ends(0).stdout).unwrap();
    let target = &bake["target"]["shout"];
    assert_eq!(
        (&target["context"], &target["dockerfile"]),
        (&"plugins/shout".into(), &"Dockerfile".into())
    );
}
