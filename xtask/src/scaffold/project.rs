//! The repository of the plugins: its layout and its plugins.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use toml_edit::DocumentMut;

use crate::exit::usage;

use super::{
    kind::Kind,
    name::Taken,
    plugin_toml::{self, Plugin, PluginToml},
    record::DIRECTORY,
};

/// The layout of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Many plugins: `services/<name>` in Rust, otherwise `plugins/<name>`, with `charts/<name>` and
    /// `docs/plugins/<name>.md`.
    Workspace,
    /// One plugin, at the root.
    Standalone,
}

impl Layout {
    /// Where the files of `plugin` are.
    pub(crate) fn place(self, plugin: &Plugin) -> Place<'_> {
        Place { layout: self, kind: plugin.kind, name: &plugin.name }
    }
}

/// The directories of a workspace's plugins. Cargo takes each in the first for a package.
const DIRECTORIES: [&str; 2] = ["services", "plugins"];

/// Services that are no plugins, and have charts.
pub(crate) const OWN_CHARTS: [&str; 2] = ["bundle", "declarative"];

/// Where a plugin's files are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    layout: Layout,
    kind: Kind,
    name: &'a str,
}

impl<'a> Place<'a> {
    /// Where the same plugin's files are under another name.
    pub(crate) const fn named(self, name: &'a str) -> Self {
        Self { name, ..self }
    }

    pub(crate) const fn name(self) -> &'a str {
        self.name
    }

    /// The path of the file `id`, relative to the root.
    pub(crate) fn path(self, id: &str) -> String {
        let name = self.name;
        if let Some(below) = id.strip_prefix("chart/") {
            return format!("charts/{name}/{below}");
        }
        if id.starts_with("docs/") {
            return format!("docs/plugins/{name}.md");
        }
        let directory = self.directory();
        if directory.is_empty() { id.to_owned() } else { format!("{directory}/{id}") }
    }

    /// The plugin's directory relative to the root; empty for the root itself.
    pub(crate) fn directory(self) -> String {
        let [services, plugins] = DIRECTORIES;
        match (self.layout, self.kind) {
            (Layout::Standalone, _) => String::new(),
            (Layout::Workspace, Kind::Rust) => format!("{services}/{}", self.name),
            (Layout::Workspace, Kind::Bridge | Kind::Declarative) => {
                format!("{plugins}/{}", self.name)
            }
        }
    }
}

/// The version of a new package.
const FIRST_VERSION: &str = "0.1.0";

/// A repository.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) root: PathBuf,
    pub(crate) layout: Layout,
}

/// A plugin of the repository.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) file: PluginToml,
    /// The contents of its plugin.toml.
    pub(crate) text: String,
}

impl Member {
    pub(crate) fn name(&self) -> &str {
        &self.file.plugin.name
    }
}

impl Project {
    /// The repository at `root`; it is standalone if it has a plugin.toml there.
    pub(crate) fn at(root: &Path) -> Self {
        let standalone = root.join(plugin_toml::FILE).is_file();
        let layout = if standalone { Layout::Standalone } else { Layout::Workspace };
        Self { root: root.to_owned(), layout }
    }

    /// The directory of `plugin`.
    pub(crate) fn directory(&self, plugin: &Plugin) -> PathBuf {
        self.root.join(self.layout.place(plugin).directory())
    }

    /// Every plugin, sorted by name.
    ///
    /// # Errors
    /// If a plugin.toml is invalid, or its name differs from its directory's.
    pub(crate) fn members(&self) -> Result<Vec<Member>> {
        if self.layout == Layout::Standalone {
            return Ok(vec![read(&self.root, plugin_toml::FILE)?]);
        }
        let mut members = Vec::new();
        for above in DIRECTORIES {
            let directories = std::fs::read_dir(self.root.join(above)).into_iter().flatten();
            let names = directories.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            for name in names {
                if self.root.join(above).join(&name).join(plugin_toml::FILE).is_file() {
                    members.push(self.member(above, &name)?);
                }
            }
        }
        members.sort_by(|one, other| one.name().cmp(other.name()));
        check_names(&members)?;
        Ok(members)
    }

    /// Files of removed plugins: paths below services/, plugins/, charts/ and docs/plugins/ that the generator
    /// writes, but without a plugin.toml.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub(crate) fn strays(&self) -> Result<Vec<String>> {
        if self.layout == Layout::Standalone {
            return Ok(Vec::new());
        }
        let members = self.members()?;
        let mut strays = Vec::new();
        let own = DIRECTORIES.map(|directory| (directory, "", DIRECTORY));
        let others = [("charts", "", "Chart.yaml"), ("docs/plugins", ".md", "")];
        for (directory, suffix, mark) in own.into_iter().chain(others) {
            let entries = std::fs::read_dir(self.root.join(directory)).into_iter().flatten();
            for entry in entries {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let plugin = name.strip_suffix(suffix).unwrap_or(&name);
                let marked =
                    if mark.is_empty() { path.is_file() } else { path.join(mark).exists() };
                let marked = marked && !OWN_CHARTS.contains(&&*name);
                if marked && members.iter().all(|member| member.name() != plugin) {
                    strays.push(format!("{directory}/{name}"));
                }
            }
        }
        strays.sort();
        Ok(strays)
    }

    fn member(&self, above: &str, directory: &str) -> Result<Member> {
        let path = format!("{above}/{directory}/{}", plugin_toml::FILE);
        let member = read(&self.root, &path)?;
        let place = self.layout.place(&member.file.plugin);
        if !place.directory().starts_with(above) {
            bail!("{path}: plugin.kind: a plugin of this kind belongs in {}", place.directory());
        }
        if member.name() != directory {
            bail!(
                "{path}: plugin.name is '{}', but must be the directory's name, '{directory}'",
                member.name()
            );
        }
        Ok(member)
    }

    /// The plugins in `names`, or all plugins if `names` is empty.
    ///
    /// # Errors
    /// If a plugin does not exist.
    pub(crate) fn chosen(&self, names: &[String]) -> Result<Vec<Member>> {
        chosen(self.members()?, names)
    }

    /// The names that are already taken.
    ///
    /// # Errors
    /// As [`members`](Self::members).
    pub(crate) fn taken(&self) -> Result<Taken> {
        let plugins = self.members()?.iter().map(|member| member.name().to_owned()).collect();
        Ok(Taken { plugins, packages: self.packages()? })
    }

    /// The packages in the lockfile.
    fn packages(&self) -> Result<Vec<String>> {
        let Ok(text) = std::fs::read_to_string(self.root.join("Cargo.lock")) else {
            return Ok(Vec::new());
        };
        let lock: DocumentMut = text.parse().context("Cargo.lock")?;
        let packages = lock.get("package").and_then(|item| item.as_array_of_tables());
        let packages = packages.into_iter().flatten();
        Ok(packages.filter_map(|package| Some(package.get("name")?.as_str()?.to_owned())).collect())
    }

    /// The version of the workspace, its charts and its images.
    ///
    /// # Errors
    /// If the manifest has no version.
    pub(crate) fn version(&self) -> Result<String> {
        let path = self.root.join("Cargo.toml");
        if self.layout == Layout::Standalone && !path.exists() {
            return Ok(FIRST_VERSION.to_owned());
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let manifest: DocumentMut = text.parse().context("Cargo.toml")?;
        let of = |keys: &[&str]| {
            let mut item = manifest.as_item();
            for key in keys {
                item = item.get(key)?;
            }
            item.as_str().map(ToOwned::to_owned)
        };
        of(&["workspace", "package", "version"])
            .or_else(|| of(&["package", "version"]))
            .context("Cargo.toml: neither workspace.package.version nor package.version")
    }
}

/// Those of `members` that `names` has, or all if `names` is empty.
///
/// # Errors
/// If there is no member of a name.
pub(crate) fn chosen(members: Vec<Member>, names: &[String]) -> Result<Vec<Member>> {
    let known = |name: &&String| members.iter().any(|member| member.name() == **name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all = members.iter().map(Member::name).collect::<BTreeSet<_>>();
        let all = all.into_iter().collect::<Vec<_>>().join(", ");
        return Err(usage(format!("unknown plugin '{unknown}'; available: {all}")));
    }
    let wanted = |member: &Member| names.is_empty() || names.iter().any(|n| n == member.name());
    Ok(members.into_iter().filter(wanted).collect())
}

/// Refuses two plugins of one name, which would share a chart.
fn check_names(sorted: &[Member]) -> Result<()> {
    match sorted.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        Some(pair) => bail!("two plugins are named '{}'; rename one of them", pair[0].name()),
        None => Ok(()),
    }
}

fn read(root: &Path, path: &str) -> Result<Member> {
    let text =
        std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
    let file = PluginToml::parse(&text).with_context(|| path.to_owned())?;
    Ok(Member { file, text })
}
