//! The steps of `cargo xtask test` for the template: compile and test plugins created from it, in a
//! workspace like this one and in separate repositories.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use toml_edit::{DocumentMut, Item};

use crate::{
    guide,
    process::{cargo, program, run, write},
    root, target,
};

/// A temporary directory outside the repository, where cargo finds neither its workspace nor its
/// configuration.
struct Outside(PathBuf);

impl Outside {
    fn new(name: &str) -> Result<Self> {
        let directory =
            std::env::temp_dir().join(format!("outrigger-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory)?;
        Ok(Self(directory.canonicalize()?))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A workspace with the repository's manifest, lockfile, lint rules and template, and no plugins. It
/// shares the repository's `plugin-core`, so that its compiled dependencies are reused.
struct Workspace(Outside);

impl Workspace {
    fn lay_down(name: &str) -> Result<Self> {
        let workspace = Self(Outside::new(name)?);
        for file in ["Cargo.lock", "clippy.toml", "rustfmt.toml", "rust-toolchain.toml"] {
            workspace.write(file, &std::fs::read_to_string(root().join(file))?)?;
        }
        workspace.write("Cargo.toml", &manifest()?)?;
        workspace.write(".gitignore", "/target/\n")?;
        workspace.write(".cargo/config.toml", &aliases(workspace.directory()))?;
        copy(&root().join("template"), &workspace.directory().join("template"))?;
        // `cargo metadata` removes packages that are not in this workspace from the lockfile.
        workspace.write(
            "services/first/Cargo.toml",
            "[package]\nname = \"first\"\nedition = \"2024\"\n",
        )?;
        workspace.write("services/first/src/lib.rs", "//! The workspace's first member.\n")?;
        run(workspace
            .cargo(&["metadata", "--quiet", "--offline", "--format-version=1"])
            .stdout(Stdio::null()))?;
        workspace.git(&["init", "--quiet"])?;
        workspace.commit()?;
        Ok(workspace)
    }

    fn directory(&self) -> &Path {
        &self.0.0
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        write(&self.directory().join(path), text)
    }

    fn cargo(&self, args: &[&str]) -> Command {
        let mut command = cargo(args);
        command.current_dir(self.directory()).env("CARGO_TARGET_DIR", target(""));
        command
    }

    fn git(&self, args: &[&str]) -> Result<String> {
        git(self.directory(), args)
    }

    fn commit(&self) -> Result<()> {
        commit(self.directory())
    }

    /// Creates, checks and removes a plugin; removal must leave nothing behind.
    fn try_plugin(&self, name: &str, more: &[&str]) -> Result<()> {
        run(self.cargo(&["xtask", "new-plugin", name, "--no-input"]).args(more))?;
        let changed = self.git(&["status", "--porcelain"])?;
        let only_new =
            changed.lines().all(|line| line.starts_with("?? ") || line == " M Cargo.lock");
        let taken_away = self.git(&["diff", "--numstat", "Cargo.lock"])?;
        if !only_new || taken_away.split('\t').nth(1) != Some("0") {
            bail!("new-plugin changed existing files:\n{changed}{taken_away}");
        }
        run(&mut self.cargo(&["fmt", "--check", "--package", name]))?;
        let clippy = ["clippy", "--quiet", "--package", name, "--all-targets", "--", "-Dwarnings"];
        run(&mut self.cargo(&clippy))?;
        run(&mut self.cargo(&["xtask", "sync", "--all", "--check"]))?;
        run(&mut self.cargo(&["xtask", "remove-plugin", name]))?;
        let left = self.git(&["status", "--porcelain"])?;
        if !left.is_empty() {
            bail!("remove-plugin left changes behind:\n{left}");
        }
        Ok(())
    }
}

impl Workspace {
    /// `list --affected`: a change in one plugin affects that plugin, a change in shared files all.
    fn try_affected(&self) -> Result<()> {
        for name in ["first-plugin", "other-plugin"] {
            let make = ["xtask", "new-plugin", name, "--no-input", "--no-verify"];
            run(self.cargo(&make).stdout(Stdio::null()))?;
        }
        run(self
            .cargo(&["metadata", "--quiet", "--offline", "--format-version=1"])
            .stdout(Stdio::null()))?;
        self.commit()?;
        let table = [
            ("services/first-plugin/src/lib.rs", "first-plugin"),
            ("charts/other-plugin/values.yaml", "other-plugin"),
            ("docs/plugins/first-plugin.md", "first-plugin"),
            ("rustfmt.toml", ""),
            ("Cargo.toml", "first-plugin other-plugin"),
        ];
        for (file, wanted) in table {
            let text = std::fs::read_to_string(self.directory().join(file))?;
            self.write(file, &format!("{text}\n"))?;
            let list = ["xtask", "list", "--affected", "--base", "HEAD"];
            let output = self.cargo(&list).output()?;
            let listed = String::from_utf8(output.stdout)?;
            let listed = listed.lines().filter_map(|line| line.split_whitespace().next());
            let listed = listed.collect::<Vec<_>>().join(" ");
            if !output.status.success() || listed != wanted {
                bail!("a change of {file} must affect '{wanted}', but affects '{listed}'");
            }
            self.git(&["checkout", "--quiet", file])?;
        }
        Ok(())
    }
}

/// The repository's manifest, adapted to a workspace with its own plugins.
fn manifest() -> Result<String> {
    let mut manifest: DocumentMut = std::fs::read_to_string(root().join("Cargo.toml"))?.parse()?;
    let workspace = manifest["workspace"].as_table_mut().context("Cargo.toml has no workspace")?;
    workspace["members"] = toml_edit::value(toml_edit::Array::from_iter(["services/*"]));
    workspace.remove("default-members");
    let dependencies = workspace["dependencies"]
        .as_table_mut()
        .context("Cargo.toml has no workspace.dependencies")?;
    for (_, dependency) in dependencies.iter_mut() {
        let path = dependency.as_table_like_mut().and_then(|table| table.get_mut("path"));
        if let Some(path) = path {
            let whole = root().join(path.as_str().unwrap_or_default());
            *path = toml_edit::value(whole.to_string_lossy().into_owned());
        }
    }
    Ok(manifest.to_string())
}

/// A cargo configuration in which `cargo xtask` works on the workspace in `directory`.
fn aliases(directory: &Path) -> String {
    let manifest = root().join("xtask/Cargo.toml");
    let words = ["run", "--quiet", "--manifest-path", &manifest.to_string_lossy(), "--", "--root"];
    let alias =
        toml_edit::Array::from_iter(words.into_iter().chain([&*directory.to_string_lossy()]));
    let mut config = DocumentMut::new();
    config["alias"] = Item::Table(toml_edit::Table::new());
    config["alias"]["xtask"] = toml_edit::value(alias);
    config.to_string()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn git(directory: &Path, args: &[&str]) -> Result<String> {
    let identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
    let output = program("git").current_dir(directory).args(identity).args(args).output()?;
    if !output.status.success() {
        bail!("git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn commit(directory: &Path) -> Result<()> {
    git(directory, &["add", "--all"])?;
    git(directory, &["commit", "--quiet", "--message", "as it is"]).map(drop)
}

/// Tests plugins of both modes in a workspace.
pub(crate) fn in_a_workspace() -> Result<()> {
    let workspace = Workspace::lay_down("workspace")?;
    workspace.try_plugin("trino", &[])?;
    workspace.try_affected()?;
    let longest = format!("a{}", "-b2".repeat(13));
    workspace.try_plugin(&longest, &["--mode=sync", "--task-type=one:3", "--task-type=two"])
}

/// Tests plugins in separate repositories, with `plugin-core` from a checkout, from git and from a registry.
pub(crate) fn in_a_repository_of_its_own() -> Result<()> {
    run(&mut cargo(&["build", "--quiet", "--package", "cargo-outrigger"]))?;
    let outside = Outside::new("standalone")?;
    let above = &outside.0;
    let mirror = mirror(above)?;
    let outrigger = |directory: &Path, args: &[&str]| {
        let mut command = program(target("debug/cargo-outrigger"));
        run(command.arg("outrigger").args(args).args(["--root".as_ref(), directory.as_os_str()]))
    };
    let checkout = root().display().to_string();
    let url = format!("file://{}", mirror.display());
    for (name, core) in
        [("by-path", &*checkout), ("by-git", &*url), ("by-registry", "registry:crates-io")]
    {
        outrigger(above, &["new-plugin", name, "--no-input", "--no-verify", "--core", core])?;
        let directory = above.join(name);
        std::fs::copy(root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
        compile(&directory, name)?;
        outrigger(&directory, &["sync", "--check"])?;
    }
    Ok(())
}

/// Compiles and tests the plugin in `directory`, offline.
fn compile(directory: &Path, core: &str) -> Result<()> {
    let mut command = cargo(&["test", "--quiet"]);
    command.current_dir(directory).env("CARGO_TARGET_DIR", target(""));
    // The workspace's setting, so that compiled dependencies are reused.
    command.env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
    match core {
        // The mirror is another repository to cargo: it is cloned first.
        "by-git" => {
            command.env("CARGO_NET_GIT_FETCH_WITH_CLI", "true");
        }
        "by-registry" => {
            let core = root().join("plugin-core");
            let patch = format!("patch.crates-io.plugin-core.path='{}'", core.display());
            command.args(["--offline", "--config", &patch]);
        }
        _ => {
            command.arg("--offline");
        }
    }
    run(&mut command)
}

/// A git repository with the current contents of this one, tagged as a release.
fn mirror(above: &Path) -> Result<PathBuf> {
    let mirror = above.join("outrigger");
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    for file in git(root(), &list)?.lines().filter(|file| root().join(file).is_file()) {
        let to = mirror.join(file);
        std::fs::create_dir_all(to.parent().unwrap_or(&mirror))?;
        std::fs::copy(root().join(file), to)?;
    }
    git(&mirror, &["init", "--quiet"])?;
    commit(&mirror)?;
    git(&mirror, &["tag", &format!("v{}", env!("CARGO_PKG_VERSION"))])?;
    Ok(mirror)
}

/// Runs the guide as its readers do.
pub(crate) fn guide() -> Result<()> {
    run(&mut cargo(&["build", "--quiet", "--package", "cargo-outrigger"]))?;
    let workspace = Workspace::lay_down("guide")?;
    let mut bash = program("bash");
    let path = std::env::var("PATH").unwrap_or_default();
    bash.env("PATH", format!("{}:{path}", target("debug").display()));
    bash.env("CARGO_TARGET_DIR", target(""));
    guide::run("docs/writing-a-plugin.md", workspace.directory(), bash)
}
