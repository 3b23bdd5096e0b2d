//! Tests that `cargo generate` and `cargo xtask` render the same bytes.
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cargo_generate::{GenerateArgs, TemplatePath, Vcs};

fn template() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template")
}

/// Every file below `directory`, keyed by its relative path.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let below = path.strip_prefix(directory).unwrap().to_string_lossy().into_owned();
                found.insert(below, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// Runs cargo-generate on the template below `above`. It requires the variable USER.
fn generate(above: &Path, name: &str, answers: &[(&str, &str)], format: bool) -> PathBuf {
    // Ignore the user's own configuration.
    let config = above.join("config.toml");
    fs::write(&config, "").unwrap();
    let service = template().join("service");
    let generated = cargo_generate::generate(GenerateArgs {
        template_path: TemplatePath {
            path: Some(service.to_string_lossy().into_owned()),
            ..TemplatePath::default()
        },
        name: Some(name.to_owned()),
        destination: Some(above.to_owned()),
        silent: true,
        quiet: true,
        vcs: Some(Vcs::None),
        no_workspace: true,
        no_fmt: !format,
        define: answers.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        config: Some(config),
        ..GenerateArgs::default()
    });
    generated.unwrap()
}

fn generated(name: &str, answers: &[(&str, &str)]) -> BTreeMap<String, String> {
    let above = tempfile::tempdir().unwrap();
    files(&generate(above.path(), name, answers, false))
}

/// A key of plugin.toml, unless its value is empty.
fn line(key: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!("{key} = \"{value}\"\n") }
}

/// Where plugin-core comes from.
const CORES: [(&str, &str); 5] = [
    ("workspace", ""),
    ("path", "../outrigger"),
    ("git", "https://git.example.com/acme/outrigger"),
    ("git", "ssh:git.example.com"),
    ("registry", "acme"),
];

/// The service's files as xtask renders them.
fn rendered(name: &str, answers: &[(&str, &str)]) -> BTreeMap<String, String> {
    let answer = |wanted: &str| answers.iter().find(|(key, _)| *key == wanted).unwrap().1;
    let types = answer("task_type").split(',').filter(|each| !each.is_empty());
    let types = types.map(|each| format!("\"{each}\"")).collect::<Vec<_>>().join(", ");
    let types = if types.is_empty() { format!("\"{}\"", name.replace('-', "_")) } else { types };
    let plugin_toml = format!(
        "schema = 1\n[plugin]\nname = \"{name}\"\ntask-types = [{types}]\nmode = \"{}\"\ncore = \"{}\"\n{}{}\
         description = \"{}\"\nowner = \"{}\"\n",
        answer("mode"),
        answer("core"),
        line("core-source", answer("core_source")),
        line("core-revision", answer("core_revision")),
        answer("description"),
        answer("owner"),
    );
    let mut all = xtask::render(files(&template()), &plugin_toml).unwrap();
    let elsewhere = ["chart/", "docs/", "tasks/"];
    all.retain(|id, _| !elsewhere.iter().any(|directory| id.starts_with(directory)));
    all
}

/// Runs `cargo outrigger` in `directory`.
fn outrigger(directory: &Path, args: &[&str]) -> Output {
    let manifest = template().join("../cargo-outrigger/Cargo.toml");
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--manifest-path"])
        .arg(manifest)
        .args(["--", "outrigger", "--root"])
        .arg(directory)
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn sync_updates_a_plugin_created_by_cargo_generate() {
    let above = tempfile::tempdir().unwrap();
    let answers = [
        ("task_type", "one"),
        ("mode", "async"),
        ("description", "Runs it"),
        ("owner", ""),
        ("core_source", "../outrigger"),
    ];
    let directory = generate(above.path(), "my-warehouse", &answers, true);
    assert_eq!(outrigger(&directory, &["sync", "--check"]).status.code(), Some(3), "no chart yet");
    let synced = outrigger(&directory, &["sync"]);
    assert!(synced.status.success(), "{}", String::from_utf8_lossy(&synced.stdout));
    assert!(directory.join("charts/my-warehouse/Chart.yaml").exists());
    assert_eq!(outrigger(&directory, &["sync", "--check"]).status.code(), Some(0));

    // The next template version is merged in, and the author's changes are preserved.
    let next = above.path().join("template");
    let manifest = fs::read_to_string(template().join("manifest.toml")).unwrap();
    let line = manifest.lines().find(|line| line.starts_with("version = ")).unwrap();
    let version = line.trim_start_matches("version = ").parse::<u32>().unwrap() + 1;
    for (path, text) in files(&template()) {
        let text = match path.as_str() {
            "manifest.toml" => text.replace(line, &format!("version = {version}")),
            "service/src/lib.rs" => text.replace("/// The queue to run in.", "/// Which queue."),
            _ => text,
        };
        fs::create_dir_all(next.join(&path).parent().unwrap()).unwrap();
        fs::write(next.join(&path), text).unwrap();
    }
    let note =
        format!("version = {version}\nkind = \"change\"\nsummary = \"x\"\nrendering = \"\"\n");
    fs::write(next.join(format!("changes/{version:04}-x.toml")), note).unwrap();
    let lib = directory.join("src/lib.rs");
    let mine = fs::read_to_string(&lib).unwrap() + "// Mine.\n";
    fs::write(&lib, mine).unwrap();
    let synced = outrigger(&directory, &["sync", "--template", next.to_str().unwrap()]);
    assert!(synced.status.success(), "{}", String::from_utf8_lossy(&synced.stdout));
    let merged = fs::read_to_string(&lib).unwrap();
    assert!(merged.contains("/// Which queue.") && merged.ends_with("// Mine.\n"), "{merged}");
}

#[test]
fn cargo_generate_renders_the_same_bytes() {
    let long = format!("a{}", "-b2".repeat(13));
    let mut compared = 0;
    for name in ["redshift", "s3-batch", &long] {
        for (core, source) in CORES {
            for mode in ["async", "sync"] {
                for task_type in ["", "one", "one:3,two"] {
                    let answers = [
                        ("core", core),
                        ("core_source", source),
                        ("core_revision", if source.contains("//") { "main" } else { "" }),
                        ("mode", mode),
                        ("task_type", task_type),
                        ("description", "Runs the plugin's jobs, <fast> & well"),
                        ("owner", "@acme/data"),
                    ];
                    let (theirs, ours) = (generated(name, &answers), rendered(name, &answers));
                    assert_eq!(
                        theirs.keys().collect::<Vec<_>>(),
                        ours.keys().collect::<Vec<_>>(),
                        "{name} {answers:?}"
                    );
                    for (path, text) in &ours {
                        assert_eq!(&theirs[path], text, "{name} {answers:?} {path}");
                    }
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 90);
}
