//! End-to-end tests of the generator: the program runs on a repository with a template and no plugins.
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod bridge;
mod declarative;
#[cfg(unix)]
mod links;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value as Json;
use tempfile::TempDir;

/// A temporary repository with the real template.
struct Repository {
    directory: TempDir,
}

/// The output of a run of the program.
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Output {
    #[track_caller]
    fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn prints(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "{}{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl Repository {
    fn new() -> Self {
        let repository = Self { directory: tempfile::tempdir().unwrap() };
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        copy(&original.join("template"), &repository.at("template"));
        fs::copy(original.join("rustfmt.toml"), repository.at("rustfmt.toml")).unwrap();
        repository.write(
            "Cargo.toml",
            "[workspace]\nmembers = [\"services/*\"]\n[workspace.package]\nversion = \"0.1.0\"\n",
        );
        repository.write(".gitignore", "/target/\n");
        repository.reset_version();
        repository.git(&["init", "-q"]);
        repository.commit();
        repository
    }

    /// Resets the template's version to 1.
    fn reset_version(&self) {
        let manifest = self.read("template/manifest.toml");
        let line = manifest.lines().find(|line| line.starts_with("version = ")).unwrap();
        self.write("template/manifest.toml", &manifest.replace(line, "version = 1"));
        let notes = fs::read_dir(self.at("template/changes")).unwrap();
        let later = notes
            .map(|note| note.unwrap().path())
            .filter(|path| !path.ends_with("0001-first.toml"));
        later.for_each(|path| fs::remove_file(path).unwrap());
    }

    /// A repository with a committed plugin `redshift`.
    fn with_redshift() -> Self {
        let repository = Self::new();
        repository.new_plugin("redshift");
        repository.commit();
        repository
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[track_caller]
    fn replace(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{path} has no {from}:\n{text}");
        self.write(path, &text.replacen(from, to, 1));
    }

    fn git(&self, args: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let output = Command::new("git")
            .current_dir(self.directory.path())
            .args(identity)
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    }

    fn xtask(&self, args: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("--root")
            .arg(self.directory.path())
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Output {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn new_plugin(&self, name: &str) {
        self.xtask(&["new-plugin", name, "--no-input", "--no-verify"]).ends(0);
    }

    #[track_caller]
    fn check(&self, code: i32) -> Output {
        self.xtask(&["sync", "--all", "--check"]).ends(code)
    }

    /// Creates a new version of the template in which `from` is replaced by `to` in `path`.
    fn bump(&self, path: &str, from: &str, to: &str) {
        self.replace(&format!("template/{path}"), from, to);
        let manifest = self.read("template/manifest.toml");
        let line = manifest.lines().find(|line| line.starts_with("version = ")).unwrap();
        let next = line.trim_start_matches("version = ").parse::<u32>().unwrap() + 1;
        self.write("template/manifest.toml", &manifest.replace(line, &format!("version = {next}")));
        let note = format!(
            "version = {next}\nkind = \"change\"\nsummary = \"rewords it\"\nmigration = \"read it\"\nrendering = \"\"\n"
        );
        self.write(&format!("template/changes/{next:04}-x.toml"), &note);
    }

    /// The contents of every file below the root, except in `.git` and `target`.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        collect(self.directory.path(), self.directory.path(), &mut found);
        found
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn collect(root: &Path, directory: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let below = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        if below == ".git" || below == "target" {
            continue;
        }
        if path.is_dir() {
            found.insert(below, String::new());
            collect(root, &path, found);
        } else {
            found.insert(below, fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn new_plugin_only_adds_files_and_removal_leaves_none() {
    let repository = Repository::new();
    let before = repository.tree();
    repository.new_plugin("red-shift");
    assert!(repository.git(&["status", "--porcelain"]).lines().all(|line| line.starts_with("?? ")));
    assert!(repository.read("services/red-shift/src/lib.rs").contains("impl Plugin for RedShift"));
    assert_eq!(repository.read("services/red-shift/src/main.rs").matches('\n').count(), 4);
    for file in ["Dockerfile", "README.md", "tests/conformance.rs", ".scaffold/manifest.toml"] {
        assert!(repository.at("services/red-shift").join(file).exists(), "{file}");
    }
    assert!(repository.at("charts/red-shift/Chart.yaml").exists());
    assert!(repository.at("docs/plugins/red-shift.md").exists());
    repository.check(0);
    repository.xtask(&["remove-plugin", "red-shift", "--dry-run"]).ends(0);
    repository.xtask(&["remove-plugin", "red-shift"]).ends(0);
    assert_eq!(repository.tree(), before);
}

#[test]
fn invalid_names_are_rejected_with_the_rule_and_an_alternative() {
    let repository = Repository::new();
    repository.new_plugin("bigquery");
    let before = repository.tree();
    let long = "a".repeat(41);
    let table = [
        ("BigQuery", "lower-case letters", "big-query-jobs"),
        ("self", "Rust reserves", "self-jobs"),
        ("9lives", "start with a letter", "lives"),
        ("con", "Windows reserves", "con-jobs"),
        ("gen", "Rust reserves", "gen-jobs"),
        ("big-query", "'bigquery' only in dashes", "big-query-jobs"),
        ("bigquery", "a plugin of that name", "bigquery-jobs"),
        (&long, "at most 40 characters", &"a".repeat(40)),
    ];
    for (name, rule, nearest) in table {
        let ran = repository.xtask(&["new-plugin", name, "--no-input", "--no-verify"]);
        ran.ends(2).prints(rule).prints(&format!("Try: {nearest}"));
    }
    let taken = ["new-plugin", "other", "--task-type", "bigquery:1", "--no-input", "--no-verify"];
    repository.xtask(&taken).ends(2).prints("is taken by 'bigquery'").prints("Try: bigquery_2");
    let odd = ["new-plugin", "other", "--task-type", "a b", "--no-input", "--no-verify"];
    repository.xtask(&odd).ends(2).prints("is not a valid task type");
    repository.xtask(&["new-plugin", "--no-input"]).ends(2).prints("new-plugin NAME");
    assert_eq!(repository.tree(), before);
}

#[test]
fn every_prompt_has_a_flag() {
    let repository = Repository::new();
    repository
        .xtask(&[
            "new-plugin",
            "spectrum",
            "--no-input",
            "--no-verify",
            "--mode",
            "sync",
            "--task-type",
            "spectrum_a",
            "--task-type",
            "spectrum_b:2",
            "--description",
            "Asks the spectrum",
            "--owner",
            "@acme/data",
            "--set",
            "image.repository=registry.example/acme/spectrum",
            "--set",
            "ports.api=8100",
        ])
        .ends(0);
    let types = repository.read("services/spectrum/src/task_types.rs");
    assert!(types.contains("(\"spectrum_a\", 0)") && types.contains("(\"spectrum_b\", 2)"));
    assert!(
        repository.read("services/spectrum/src/main.rs").contains("run_sync::<spectrum::Spectrum>")
    );
    assert!(repository.read("services/spectrum/Dockerfile").contains("EXPOSE 8100 9090"));
    assert!(repository.read("docs/plugins/spectrum.md").contains("registry.example/acme/spectrum"));
    assert!(repository.read("services/spectrum/Cargo.toml").contains("Asks the spectrum"));
    repository.check(0);

    let file = repository.at("services/spectrum/plugin.toml");
    let from =
        ["new-plugin", "other", "--no-input", "--no-verify", "--task-type", "other", "--from"];
    repository.xtask(&[&from[..], &[file.to_str().unwrap()]].concat()).ends(0);
    assert!(repository.read("services/other/plugin.toml").contains("@acme/data"));
    assert!(repository.read("services/other/src/main.rs").contains("run_sync::<other::Other>"));
    repository.check(0);

    let wrong = ["new-plugin", "third", "--no-input", "--no-verify", "--set"];
    repository.xtask(&[&wrong[..], &["chart.value.x=1"]].concat()).ends(2).prints("value");
    repository.xtask(&[&wrong[..], &["nothing"]].concat()).ends(2).prints("PATH=VALUE");
}

#[test]
fn dry_run_writes_nothing() {
    let repository = Repository::new();
    let before = repository.tree();
    let args = ["new-plugin", "redshift", "--no-input", "--dry-run", "--diff"];
    repository
        .xtask(&args)
        .ends(0)
        .prints("create  services/redshift/src/lib.rs")
        .prints("+impl Plugin for Redshift");
    assert_eq!(repository.tree(), before);
}

#[test]
fn failed_new_plugin_leaves_nothing_behind() {
    let repository = Repository::new();
    // A file where the chart's directory would be created.
    repository.write("charts", "a file\n");
    let before = repository.tree();
    let args = ["new-plugin", "redshift", "--no-input", "--no-verify"];
    repository.xtask(&args).ends(1).prints("nothing was changed");
    assert_eq!(repository.tree(), before);
}

#[test]
fn new_plugin_does_not_overwrite_files() {
    let repository = Repository::new();
    repository.write("docs/plugins/redshift.md", "mine\n");
    let before = repository.tree();
    let args = ["new-plugin", "redshift", "--no-input", "--no-verify"];
    repository.xtask(&args).ends(5).prints("docs/plugins/redshift.md already exists");
    assert_eq!(repository.tree(), before);
}

#[test]
fn sync_updates_fifty_plugins_to_a_new_template_version() {
    let repository = Repository::new();
    for number in 1..=50 {
        repository.new_plugin(&format!("plugin-{number}x"));
    }
    repository.commit();
    repository.check(0).prints("50 plugins");
    repository.bump("service/Dockerfile", "FROM scratch", "# Nothing else in it.\nFROM scratch");
    repository.check(3).prints("services/plugin-7x/Dockerfile").prints("50 to write");
    repository.xtask(&["sync", "--all", "--dry-run"]).ends(0).prints("50 to write");
    repository
        .xtask(&["sync", "--all"])
        .ends(0)
        .prints("50 written")
        .prints("template version 2")
        .prints("to do: read it");
    repository.check(0);
    let changed = repository.git(&["status", "--porcelain", "services", "charts", "docs"]);
    assert_eq!(changed.lines().count(), 100, "a Dockerfile and a record each\n{changed}");
    repository.xtask(&["sync", "--all"]).ends(0);
    assert_eq!(repository.git(&["status", "--porcelain", "services", "charts", "docs"]), changed);
}

#[test]
fn edited_generated_file_is_refused_until_ejected() {
    let repository = Repository::with_redshift();
    let file = "services/redshift/Dockerfile";
    repository.replace(file, "FROM scratch", "FROM gcr.io/distroless/static");
    let edited = repository.read(file);
    repository.check(5).prints("--eject Dockerfile");
    repository.xtask(&["sync", "redshift"]).ends(5);
    assert_eq!(repository.read(file), edited);

    let eject = ["sync", "redshift", "--eject", "Dockerfile"];
    repository.xtask(&eject).ends(2).prints("--reason");
    repository
        .xtask(&[&eject[..], &["--reason", "needs a shell"]].concat())
        .ends(0)
        .prints("updated    redshift  .scaffold");
    repository.check(0);
    assert_eq!(repository.read(file), edited);
    repository.xtask(&["status"]).ends(0).prints("ejected Dockerfile: needs a shell");
    repository
        .xtask(&[&eject[..], &["--reason", "again"]].concat())
        .ends(5)
        .prints("already ejected");

    repository.xtask(&["sync", "redshift", "--adopt", "Dockerfile"]).ends(5).prints("uncommitted");
    repository.commit();
    repository.xtask(&["sync", "redshift", "--adopt", file]).ends(0);
    assert!(repository.read(file).contains("FROM scratch"));
    repository.check(0);
    repository
        .xtask(&["sync", "redshift", "--adopt", "nothing"])
        .ends(2)
        .prints("has no file 'nothing'");

    repository.replace(file, "FROM scratch", "FROM alpine");
    repository.xtask(&["sync", "redshift", "--force"]).ends(0);
    assert!(repository.read(file).contains("FROM scratch"));
}

#[test]
fn author_and_template_changes_are_merged() {
    let repository = Repository::with_redshift();
    let file = "services/redshift/src/lib.rs";
    repository.replace(file, "/// The queue to run in.", "/// Which queue.");
    repository.check(0);
    repository.bump("service/src/lib.rs", "/// What an operator sets:", "/// What operators set:");
    repository.check(0).prints("behind").prints("merge cleanly");
    repository.xtask(&["sync", "--all"]).ends(5).prints("uncommitted");
    assert!(!repository.read(file).contains("What operators set"));
    repository.commit();
    repository.xtask(&["sync", "--all"]).ends(0);
    let merged = repository.read(file);
    assert!(merged.contains("/// Which queue.") && merged.contains("/// What operators set:"));
    repository.check(0);
}

#[test]
fn an_author_may_have_made_the_templates_change_without_committing_it() {
    let repository = Repository::with_redshift();
    let file = "services/redshift/src/lib.rs";
    repository.replace(file, "/// The queue to run in.", "/// Which queue.");
    repository.commit();
    let (old, new) = ("/// What an operator sets:", "/// What operators set:");
    repository.bump("service/src/lib.rs", old, new);
    repository.replace(file, old, new);
    repository.xtask(&["sync", "--all"]).ends(0);
    let text = repository.read(file);
    assert!(text.contains("/// Which queue.") && text.contains(new));
    repository.check(0);
}

#[test]
fn conflicting_changes_are_a_conflict_until_resolved() {
    let repository = Repository::with_redshift();
    let file = "services/redshift/src/lib.rs";
    repository.replace(file, "/// The queue to run in.", "/// Mine.");
    repository.commit();
    repository.bump("service/src/lib.rs", "/// The queue to run in.", "/// Theirs.");
    repository.xtask(&["sync", "--all"]).ends(4).prints("1 in conflict");
    let conflicted = repository.read(file);
    for text in ["<<<<<<< yours", "/// Mine.", "/// Theirs.", ">>>>>>> template version 2"] {
        assert!(conflicted.contains(text), "{text}");
    }
    let checked = repository.xtask(&["sync", "--all", "--check", "--format", "github"]).ends(4);
    let line = conflicted.lines().position(|line| line.starts_with("<<<<<<<")).unwrap() + 1;
    checked.prints(&format!("::error file={file},line={line}::conflict"));
    repository.xtask(&["sync", "--all", "--force", "--allow-dirty"]).ends(4);
    assert_eq!(repository.read(file), conflicted);

    let (head, rest) = conflicted.split_once("<<<<<<< yours\n").unwrap();
    let (_, tail) = rest.split_once(">>>>>>> template version 2\n").unwrap();
    repository.write(file, &format!("{head}    /// Both.\n{tail}"));
    repository.check(0);
    repository.xtask(&["sync", "--all"]).ends(0);
    assert!(repository.read(file).contains("/// Both."));
}

#[test]
fn deleted_files_stay_deleted_until_restored() {
    let repository = Repository::with_redshift();
    for file in ["services/redshift/examples/upstream.rs", "services/redshift/Dockerfile"] {
        fs::remove_file(repository.at(file)).unwrap();
    }
    repository.check(0);
    repository.bump("service/Dockerfile", "FROM scratch", "# x\nFROM scratch");
    repository.xtask(&["sync", "--all"]).ends(0);
    repository.check(0);
    assert!(!repository.at("services/redshift/examples/upstream.rs").exists());
    assert!(!repository.at("services/redshift/Dockerfile").exists());
    repository.xtask(&["status"]).ends(0).prints("removed Dockerfile");
    repository.xtask(&["sync", "--all", "--restore"]).ends(0);
    assert!(repository.read("services/redshift/Dockerfile").contains("# x"));
    repository.check(0);
}

#[test]
fn files_dropped_from_the_template_are_deleted_unless_changed() {
    let repository = Repository::new();
    repository.new_plugin("touched");
    repository.new_plugin("untouched");
    repository.replace("services/touched/examples/upstream.rs", "//! A", "//! Mine: a");
    repository.commit();
    fs::remove_file(repository.at("template/service/examples/upstream.rs")).unwrap();
    repository.bump("service/Dockerfile", "FROM scratch", "# x\nFROM scratch");
    repository.check(3).prints("orphan").prints("dropped");
    repository.xtask(&["sync", "--all"]).ends(0);
    repository.check(0);
    assert!(repository.read("services/touched/examples/upstream.rs").contains("Mine"));
    assert!(!repository.at("services/untouched/examples").exists());
    assert!(!repository.at("services/untouched/.scaffold/base/examples").exists());
}

#[test]
fn changes_to_plugin_toml_are_rendered() {
    let repository = Repository::with_redshift();
    repository.replace("services/redshift/plugin.toml", "\"redshift:0\"", "\"redshift:3\"");
    repository.replace("services/redshift/plugin.toml", "Runs Flyte's redshift tasks", "Runs SQL");
    repository.check(3).prints("src/task_types.rs").prints("services/redshift/Cargo.toml");
    // The description is also in lib.rs, which has uncommitted changes.
    repository.xtask(&["sync", "redshift", "--allow-dirty"]).ends(0);
    assert!(repository.read("services/redshift/src/task_types.rs").contains("(\"redshift\", 3)"));
    assert!(repository.read("services/redshift/Cargo.toml").contains("\"Runs SQL\""));
    repository.check(0);
    repository.replace("services/redshift/plugin.toml", "mode =", "mood =");
    repository
        .xtask(&["sync", "redshift"])
        .ends(1)
        .prints("services/redshift/plugin.toml")
        .prints("mood");
}

#[test]
fn only_managed_keys_of_a_manifest_are_reset() {
    let repository = Repository::with_redshift();
    let file = "services/redshift/Cargo.toml";
    repository.replace(file, "[dependencies]\n", "[dependencies]\n# Why.\naxum.workspace = true\n");
    repository.check(0);
    repository.replace(file, "publish = false", "publish = true");
    repository.check(3).prints(file);
    repository.xtask(&["sync", "--all"]).ends(0);
    let text = repository.read(file);
    assert!(
        text.contains("publish = false") && text.contains("# Why.\naxum.workspace = true"),
        "{text}"
    );
}

#[test]
fn plugin_with_manual_changes_is_removed_only_with_force() {
    let repository = Repository::with_redshift();
    repository.replace("services/redshift/src/lib.rs", "queue", "line");
    repository.write("services/redshift/src/mine.rs", "//! Mine.\n");
    let before = repository.tree();
    let refused = repository.xtask(&["remove-plugin", "redshift"]).ends(5);
    refused.prints("services/redshift/src/lib.rs").prints("services/redshift/src/mine.rs");
    assert_eq!(repository.tree(), before);
    repository.xtask(&["remove-plugin", "redshift", "--force"]).ends(0);
    assert!(
        !repository.at("services/redshift").exists() && !repository.at("charts/redshift").exists()
    );
    repository.xtask(&["remove-plugin", "redshift"]).ends(2).prints("unknown plugin 'redshift'");
}

#[test]
fn every_command_has_machine_readable_output() {
    let repository = Repository::with_redshift();
    let json = |args: &[&str]| {
        let ran = repository.xtask(&[args, &["--format", "json"]].concat()).ends(0);
        serde_json::from_str::<Json>(&ran.stdout).unwrap()
    };
    assert_eq!(json(&["sync", "--all", "--check"])["plugins"][0]["name"], "redshift");
    assert_eq!(json(&["status"])[0]["state"], "in step");
    let listed = json(&["list"]);
    assert_eq!(listed[0]["task_types"][0]["name"], "redshift");
    assert_eq!(listed[0]["chart"], "charts/redshift");
    assert_eq!(listed[0]["dockerfile"], "services/redshift/Dockerfile");
    let bake = repository.xtask(&["list", "--format", "bake"]).ends(0);
    let bake = serde_json::from_str::<Json>(&bake.stdout).unwrap();
    assert_eq!(bake["group"]["default"]["targets"][0], "redshift");
    assert_eq!(bake["target"]["redshift"]["dockerfile"], "services/redshift/Dockerfile");
    let matrix = repository.xtask(&["list", "--format", "github"]).ends(0);
    assert_eq!(matrix.stdout.lines().count(), 1);
    assert_eq!(
        serde_json::from_str::<Json>(&matrix.stdout).unwrap()["include"][0]["name"],
        "redshift"
    );
}

#[test]
fn sync_requires_known_names_or_all() {
    let repository = Repository::with_redshift();
    repository.xtask(&["sync"]).ends(2).prints("--all");
    repository.xtask(&["sync", "nobody"]).ends(2).prints("unknown plugin 'nobody'");
}

#[test]
fn line_endings_are_ignored() {
    let repository = Repository::with_redshift();
    for file in ["services/redshift/Dockerfile", "services/redshift/src/lib.rs"] {
        let text = repository.read(file).replace('\n', "\r\n");
        repository.write(file, &text);
    }
    repository.check(0);
}

#[test]
fn sync_rejects_two_plugins_with_the_same_task_type() {
    let repository = Repository::with_redshift();
    repository.new_plugin("other");
    repository.replace("services/other/plugin.toml", "\"other:0\"", "\"redshift:1\"");
    repository.xtask(&["sync", "--all", "--check"]).ends(5).prints("'redshift'").prints("taken by");
}

#[test]
fn edited_merge_base_does_not_lose_changes() {
    let repository = Repository::with_redshift();
    for file in ["src/lib.rs", ".scaffold/base/src/lib.rs"] {
        repository.replace(&format!("services/redshift/{file}"), "\"standard\"", "\"premium\"");
    }
    repository.xtask(&["sync", "--all", "--allow-dirty"]).ends(0);
    assert!(repository.read("services/redshift/src/lib.rs").contains("\"premium\""));
    assert!(
        repository.read("services/redshift/.scaffold/base/src/lib.rs").contains("\"standard\"")
    );
    repository.check(0);
}

#[test]
fn name_cannot_be_overridden() {
    let repository = Repository::with_redshift();
    let before = repository.tree();
    let make = ["new-plugin", "good", "--no-input", "--no-verify"];
    for path in ["plugin.name=../../evil", "plugin.name=Big_Query"] {
        repository.xtask(&[&make[..], &["--set", path]].concat()).ends(2).prints("first argument");
    }
    assert_eq!(repository.tree(), before);
    repository.xtask(&["new-plugin", "job", "--no-input"]).ends(2).prints("Rust type would be Job");
    repository.replace("services/redshift/plugin.toml", "name = \"redshift\"", "name = \"../x\"");
    repository.check(1).prints("plugin.name: '../x'");
}

#[test]
fn plugin_created_from_another_is_complete() {
    let repository = Repository::with_redshift();
    let eject = ["sync", "redshift", "--eject", "src/lib.rs", "--reason", "mine"];
    repository.xtask(&eject).ends(0);
    repository.replace(
        "services/redshift/plugin.toml",
        "[chart.values]",
        "[image]\nrepository = \"r/x\"\n[chart.values]\nreplicaCount = 5",
    );
    let from = repository.at("services/redshift/plugin.toml");
    let args =
        ["new-plugin", "other", "--no-input", "--no-verify", "--task-type", "other", "--from"];
    repository.xtask(&[&args[..], &[from.to_str().unwrap()]].concat()).ends(0);
    assert!(repository.read("services/other/src/lib.rs").contains("impl Plugin for Other"));
    assert!(repository.read("charts/other/values.yaml").contains("replicaCount: 5"));
    assert!(!repository.read("charts/other/values.yaml").contains("r/x"));
    repository.xtask(&["remove-plugin", "other"]).ends(0);
}

#[test]
fn values_set_by_flags_are_not_manual_changes() {
    let repository = Repository::new();
    let before = repository.tree();
    let make = ["new-plugin", "redshift", "--no-input", "--no-verify", "--set"];
    let annotation = "chart.values.podAnnotations.\"prometheus.io/scrape\"=\"true\"";
    repository.xtask(&[&make[..], &[annotation]].concat()).ends(0);
    assert!(
        repository
            .read("charts/redshift/values.yaml")
            .contains("{\"prometheus.io/scrape\":\"true\"}")
    );
    repository.xtask(&["remove-plugin", "redshift"]).ends(0);
    assert_eq!(repository.tree(), before);
}

#[test]
fn force_does_not_overwrite_files_of_the_author() {
    let repository = Repository::with_redshift();
    repository.write("services/redshift/src/error.rs", "//! Mine.\n");
    repository.write("template/service/src/error.rs", "//! Theirs.\n");
    repository.bump(
        "manifest.toml",
        "  \"service/src/main.rs\",",
        "  \"service/src/main.rs\",\n  \"service/src/error.rs\",",
    );
    repository.xtask(&["sync", "--all", "--force"]).ends(5).prints("collision");
    assert_eq!(repository.read("services/redshift/src/error.rs"), "//! Mine.\n");
    repository.xtask(&["sync", "--all", "--dry-run"]).ends(0);
}

#[test]
fn renaming_a_plugin_renames_its_chart_and_page() {
    let repository = Repository::with_redshift();
    repository.git(&["mv", "services/redshift", "services/spectrum"]);
    repository.replace(
        "services/spectrum/plugin.toml",
        "name = \"redshift\"",
        "name = \"spectrum\"",
    );
    repository.xtask(&["sync", "spectrum", "--allow-dirty"]).ends(0);
    repository.check(0);
    assert!(
        repository.at("charts/spectrum/Chart.yaml").exists()
            && !repository.at("charts/redshift").exists()
    );
    assert!(repository.at("docs/plugins/spectrum.md").exists());
    assert!(!repository.at("docs/plugins/redshift.md").exists());
    assert!(repository.read("services/spectrum/src/main.rs").contains("spectrum::Spectrum"));
}

#[test]
fn files_without_a_plugin_are_reported() {
    let repository = Repository::with_redshift();
    fs::remove_dir_all(repository.at("services/redshift")).unwrap();
    repository.check(3).prints("stray: charts/redshift").prints("stray: docs/plugins/redshift.md");
}

#[test]
fn removal_reports_ignored_files() {
    let repository = Repository::with_redshift();
    repository.write(".gitignore", "/target/\n*.local\n");
    repository.write("services/redshift/.env.local", "x\n");
    repository.write("services/redshift/notes-ü.md", "x\n");
    let refused = repository.xtask(&["remove-plugin", "redshift"]).ends(5);
    refused.prints("services/redshift/.env.local").prints("services/redshift/notes-ü.md");
}

#[test]
fn json_output_is_the_only_stdout() {
    let repository = Repository::with_redshift();
    repository.bump("service/Dockerfile", "FROM scratch", "# x\nFROM scratch");
    let ran = repository.xtask(&["sync", "--all", "--diff", "--format", "json"]).ends(0);
    let document: Json = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["exit"], 0);
    assert!(ran.stderr.contains("+# x"));
    let made = ["new-plugin", "other", "--no-input", "--no-verify", "--format", "json"];
    serde_json::from_str::<Json>(&repository.xtask(&made).ends(0).stdout).unwrap();
    let removed = repository.xtask(&["remove-plugin", "other", "--format", "json"]).ends(0);
    assert!(serde_json::from_str::<Json>(&removed.stdout).unwrap()["removed"].is_array());
}

#[test]
fn new_template_version_without_changes_is_not_drift() {
    let repository = Repository::with_redshift();
    repository.bump(
        "plugin.schema.json",
        "\"title\": \"plugin.toml\"",
        "\"title\": \"A plugin.toml\"",
    );
    repository.check(0);
    repository.replace("services/redshift/src/lib.rs", "/// The queue to run in.", "/// Mine.");
    repository.bump("service/src/lib.rs", "/// What an operator sets:", "/// What operators set:");
    repository.xtask(&["status"]).ends(0).prints("behind");
}

#[test]
fn help_describes_the_command_and_its_exit_codes() {
    let repository = Repository::new();
    repository
        .xtask(&["sync", "--help"])
        .ends(0)
        .prints("compared byte by byte")
        .prints("Exit codes");
    repository.xtask(&["new-plugin", "--help"]).ends(0).prints("passes the conformance suite");
}

#[test]
fn plugin_that_others_depend_on_is_not_removed() {
    let repository = Repository::with_redshift();
    let manifest = repository.read("Cargo.toml");
    let depended = format!(
        "{manifest}[workspace.dependencies]\nredshift = {{ path = \"services/redshift\" }}\n"
    );
    repository.write("Cargo.toml", &depended);
    repository
        .xtask(&["remove-plugin", "redshift", "--force"])
        .ends(5)
        .prints("workspace.dependencies");
    assert!(repository.at("services/redshift/Cargo.toml").exists());
}

/// Runs `new-plugin` on a terminal with `answers` as input; returns its success and output.
#[cfg(target_os = "linux")]
fn on_a_terminal(repository: &Repository, answers: &str) -> (bool, String) {
    use std::io::Write as _;

    let root = repository.directory.path().display();
    let command = format!("{} --root {root} new-plugin --no-verify", env!("CARGO_BIN_EXE_xtask"));
    let mut script = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = script.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn missing_arguments_are_prompted_for_until_valid() {
    let repository = Repository::new();
    let answers = "BigQuery\nred-shift\na b\nred_shift:2\n\n";
    let (success, output) = on_a_terminal(&repository, answers);
    assert!(success, "{output}");
    for text in ["Try: big-query", "not a valid task type", "[Runs Flyte's red_shift tasks]"] {
        assert!(output.contains(text), "{output}");
    }
    let types = repository.read("services/red-shift/src/task_types.rs");
    assert!(types.contains("(\"red_shift\", 2)"), "{types}");
}
