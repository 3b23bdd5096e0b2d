//! The template: its files, and who owns each of them once rendered.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::{core_source::CoreSource, kind, plugin_toml::Plugin};

/// Who owns a rendered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// The generator: rendered each time and compared byte by byte.
    Generated,
    /// Shared: the generator owns some keys of a TOML file, the author the others.
    ManagedKeys,
    /// The author; the template's changes are merged in.
    ScaffoldOnce,
    /// The author alone.
    User,
}

impl Class {
    /// Its letter in records and lists.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Generated => 'G',
            Self::ManagedKeys => 'K',
            Self::ScaffoldOnce => 'S',
            Self::User => 'U',
        }
    }

    /// Its name for people.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::ManagedKeys => "managed keys",
            Self::ScaffoldOnce => "scaffolded once",
            Self::User => "yours",
        }
    }
}

/// `template/manifest.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Manifest {
    pub(crate) name: String,
    /// Incremented whenever the rendered files change.
    pub(crate) version: u32,
    files: Files,
    keys: Keys,
}

/// Dotted paths of the keys that the generator owns in files with managed keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Keys {
    always: Vec<String>,
    workspace_only: Vec<String>,
}

impl Manifest {
    /// The keys that the generator owns in files with managed keys.
    pub(crate) fn managed_keys(&self, core: CoreSource) -> impl Iterator<Item = &str> {
        let here = (core == CoreSource::Workspace).then_some(&self.keys.workspace_only);
        self.keys.always.iter().chain(here.into_iter().flatten()).map(String::as_str)
    }
}

/// Patterns by class; each is a path below `template/`, or ends in `/**`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Files {
    generated: Vec<String>,
    managed_keys: Vec<String>,
    scaffold_once: Vec<String>,
    user: Vec<String>,
    /// Files of the template itself.
    not_rendered: Vec<String>,
    /// Only for standalone plugins; these also belong to one of the classes.
    standalone_only: Vec<String>,
    /// Only for plugins in a workspace; these also belong to one of the classes.
    workspace_only: Vec<String>,
}

/// A file to render.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Its path below `template/`.
    pub(crate) path: &'a str,
    pub(crate) class: Class,
    /// Whether it is for plugins in a workspace.
    in_workspaces: bool,
    /// Whether it is for standalone plugins.
    standalone: bool,
}

impl Source<'_> {
    /// Whether `plugin` has this file.
    pub(crate) fn is_for(&self, plugin: &Plugin) -> bool {
        let in_workspace = plugin.core == CoreSource::Workspace;
        let is_here = if in_workspace { self.in_workspaces } else { self.standalone };
        let is_task = self.path.starts_with(TASKS);
        is_here
            && kind::has(plugin.kind, plugin.language, self.path)
            && !(is_task && plugin.task_package.is_some())
    }
}

/// A template, read and checked.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) manifest: Manifest,
    pub(crate) changes: Vec<Change>,
    /// Contents by path below `template/`.
    pub(crate) files: BTreeMap<String, String>,
}

/// `template/changes/NNNN-*.toml`: the change note of a template version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Change {
    pub(crate) version: u32,
    pub(crate) kind: ChangeKind,
    pub(crate) summary: String,
    /// What plugin authors have to do; required if `breaking`.
    #[serde(default)]
    pub(crate) migration: String,
    #[serde(default)]
    pub(crate) breaking: bool,
    /// The digest of everything that this version renders for the test's plugins.
    pub(crate) rendering: String,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChangeKind {
    Addition,
    Change,
    Deprecation,
    Removal,
    Bugfix,
}

/// The directory of task classes for workflow authors.
const TASKS: &str = "tasks/";
const MANIFEST: &str = "manifest.toml";
const CHANGES: &str = "changes/";
const SCHEMA: &str = "plugin.schema.json";

impl Template {
    /// Reads the template below `dir`.
    ///
    /// # Errors
    /// If a file cannot be read, or the files are not a valid template.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_into(dir, dir, &mut files)?;
        Self::new(files).with_context(|| format!("the template in {}", dir.display()))
    }

    /// The template in `files`, keyed by path below `template/`.
    ///
    /// # Errors
    /// If the manifest or a change note is invalid, or a file has no class.
    pub(crate) fn new(mut files: BTreeMap<String, String>) -> Result<Self> {
        let text = files.remove(MANIFEST).with_context(|| format!("{MANIFEST} is missing"))?;
        let manifest: Manifest = toml_edit::de::from_str(&text).context(MANIFEST)?;
        let notes = files.iter().filter(|(path, _)| path.starts_with(CHANGES));
        let changes = notes
            .map(|(path, text)| toml_edit::de::from_str(text).with_context(|| path.clone()))
            .collect::<Result<Vec<Change>>>()?;
        check_changes(&manifest, &changes)?;
        files.retain(|path, _| !path.starts_with(CHANGES) && path != SCHEMA);
        let template = Self { manifest, changes, files };
        template.sources()?;
        Ok(template)
    }

    /// Every file to render, with its class.
    ///
    /// # Errors
    /// If the manifest gives a file no class, or two.
    pub(crate) fn sources(&self) -> Result<Vec<Source<'_>>> {
        let rendered =
            self.files.keys().filter(|path| !matches(&self.manifest.files.not_rendered, path));
        rendered.map(|path| self.source(path)).collect()
    }

    fn source<'a>(&self, path: &'a str) -> Result<Source<'a>> {
        let files = &self.manifest.files;
        let classes = [
            (&files.generated, Class::Generated),
            (&files.managed_keys, Class::ManagedKeys),
            (&files.scaffold_once, Class::ScaffoldOnce),
            (&files.user, Class::User),
        ];
        let mut of_path = classes.iter().filter(|(patterns, _)| matches(patterns, path));
        match (of_path.next(), of_path.next()) {
            (Some((_, class)), None) => Ok(Source {
                path,
                class: *class,
                in_workspaces: !matches(&files.standalone_only, path),
                standalone: !matches(&files.workspace_only, path),
            }),
            (Some(_), Some(_)) => bail!("{MANIFEST}: {path} has two classes"),
            (None, _) => bail!("{MANIFEST}: {path} has no class"),
        }
    }

    /// The change notes after `version`, oldest first.
    pub(crate) fn changes_since(&self, version: u32) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.version > version)
    }
}

fn matches(patterns: &[String], path: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix("**") {
        Some(directory) => path.starts_with(directory),
        None => pattern == path,
    })
}

fn check_changes(manifest: &Manifest, changes: &[Change]) -> Result<()> {
    let versions = changes.iter().map(|change| change.version).collect::<Vec<_>>();
    let wanted = (1..=manifest.version).collect::<Vec<_>>();
    if versions != wanted {
        bail!(
            "{MANIFEST} has version {}, but {CHANGES} has notes for {versions:?}: each version needs one note",
            manifest.version
        );
    }
    let incomplete = changes.iter().find(|change| change.breaking && change.migration.is_empty());
    if let Some(change) = incomplete {
        bail!("{CHANGES}: version {} is breaking and needs a migration", change.version);
    }
    Ok(())
}

fn read_into(root: &Path, dir: &Path, files: &mut BTreeMap<String, String>) -> Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            read_into(root, &path, files)?;
        } else {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let below = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.insert(below, text.replace("\r\n", "\n"));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const FORM: &str = r#"
name = "plugin"
version = 1
[keys]
always = ["package.name"]
workspace-only = []
[files]
generated = ["service/main.rs", "chart/**"]
managed-keys = ["service/Cargo.toml.liquid"]
scaffold-once = ["service/lib.rs"]
user = ["service/plugin.toml"]
not-rendered = ["service/cargo-generate.toml"]
standalone-only = []
workspace-only = []
"#;
    const NOTE: &str = "version = 1\nkind = \"addition\"\nsummary = \"x\"\nrendering = \"\"\n";

    /// A template with only `files`.
    pub(crate) fn template(files: &[(&str, &str)]) -> Template {
        Template::new(map(files, FORM, NOTE)).unwrap()
    }

    fn map(files: &[(&str, &str)], manifest: &str, note: &str) -> BTreeMap<String, String> {
        let own = [("manifest.toml", manifest), ("changes/0001-x.toml", note)];
        files.iter().chain(&own).map(|(path, text)| ((*path).into(), (*text).into())).collect()
    }

    #[test]
    fn every_file_has_one_class() {
        let found = template(&[
            ("chart/a/b", ""),
            ("service/lib.rs", ""),
            ("service/cargo-generate.toml", ""),
        ]);
        let classes = found.sources().unwrap();
        let classes = classes.iter().map(|source| (source.path, source.class)).collect::<Vec<_>>();
        assert_eq!(
            classes,
            [("chart/a/b", Class::Generated), ("service/lib.rs", Class::ScaffoldOnce)]
        );
        let unknown = Template::new(map(&[("service/new.rs", "")], FORM, NOTE)).unwrap_err();
        assert!(unknown.to_string().contains("service/new.rs has no class"), "{unknown}");
        let both = FORM.replace("user = [", "user = [\"service/lib.rs\", ");
        let both = Template::new(map(&[("service/lib.rs", "")], &both, NOTE)).unwrap_err();
        assert!(both.to_string().contains("two classes"), "{both}");
    }

    #[test]
    fn every_version_needs_one_note() {
        let second = FORM.replace("version = 1", "version = 2");
        let error = Template::new(map(&[], &second, NOTE)).unwrap_err();
        assert!(error.to_string().contains("each version needs one note"), "{error}");
        let breaking = format!("{NOTE}breaking = true\n");
        let error = Template::new(map(&[], FORM, &breaking)).unwrap_err();
        assert!(error.to_string().contains("needs a migration"), "{error}");
    }
}
