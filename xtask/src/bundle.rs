//! The charts of services that are no plugins: the template's, for all plugins that `services/bundle` serves, and for any
//! files that `services/declarative` serves.

use std::path::Path;

use anyhow::{Context as _, Result};
use toml_edit::DocumentMut;

use crate::{
    image::{BUNDLE, DECLARATIVE},
    scaffold::{
        generator::Generator,
        kind::PLUGIN_IN_CHART,
        plugin_toml::{Mode, PluginToml},
        project::{Layout, Member},
        write::Write,
    },
};

/// What of the chart is not what the template renders.
#[derive(Debug, Default)]
pub(crate) struct Outdated {
    /// The files to write, with their contents.
    files: Vec<(String, String)>,
    /// Files that the template no longer has.
    leftover: Vec<String>,
}

impl Outdated {
    /// The paths, for people.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files
            .iter()
            .map(|(path, _)| path.as_str())
            .chain(self.leftover.iter().map(String::as_str))
    }

    /// What brings the chart up to date.
    pub(crate) fn writes(self) -> impl Iterator<Item = Write> {
        let files = self.files.into_iter().map(|(path, text)| Write { path, text: Some(text) });
        files.chain(self.leftover.into_iter().map(|path| Write { path, text: None }))
    }
}

/// What is outdated of these charts; nothing in a repository without the services.
///
/// # Errors
/// If a manifest is invalid, or the template cannot be rendered.
pub(crate) fn outdated(generator: &Generator) -> Result<Outdated> {
    let mut outdated = Outdated::default();
    if generator.project.layout == Layout::Standalone {
        return Ok(outdated);
    }
    let root = &generator.project.root;
    for member in [bundle(generator)?, declarative(generator)?].into_iter().flatten() {
        let directory = format!("charts/{}", member.name());
        let rendered = generator.render(&[member])?.into_iter().flatten();
        let chart = rendered.filter(|file| file.path.starts_with(&directory));
        // Only a plugin has a file of its own.
        let chart = chart.filter(|file| file.id != PLUGIN_IN_CHART).collect::<Vec<_>>();
        let wanted = chart.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let is_outdated = |path: &str, text: &str| {
            std::fs::read_to_string(root.join(path)).ok().as_deref() != Some(text)
        };
        let files = chart.into_iter().map(|file| (file.path, file.text));
        outdated.files.extend(files.filter(|(path, text)| is_outdated(path, text)));
        outdated.leftover.extend(leftover(root, &directory, &wanted)?);
    }
    Ok(outdated)
}

/// The manifest of the service `name`, if it is there.
fn manifest(generator: &Generator, name: &str) -> Result<Option<DocumentMut>> {
    let path = generator.project.root.join("services").join(name).join("Cargo.toml");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(std::fs::read_to_string(path)?.parse()?))
}

/// The bundle as the chart's template sees it.
fn bundle(generator: &Generator) -> Result<Option<Member>> {
    let Some(manifest) = manifest(generator, BUNDLE)? else {
        return Ok(None);
    };
    let members = generator.project.members()?;
    let is_served = |member: &&Member| {
        let dependencies = manifest.get("dependencies").and_then(|item| item.as_table_like());
        dependencies.is_some_and(|table| table.contains_key(member.name()))
    };
    let served = members.iter().filter(is_served).collect::<Vec<_>>();
    let text = plugin_toml(&served);
    let mut file = PluginToml::parse_own(&text).context("the bundle's chart")?;
    file.bundled = jobs(&served)
        .map(|member| (member.name().to_owned(), member.file.plugin.task_types.clone()))
        .collect();
    Ok(Some(Member { file, text }))
}

/// The service of plugins that are files as the chart's template sees it: without task types, which are the files'.
fn declarative(generator: &Generator) -> Result<Option<Member>> {
    if manifest(generator, DECLARATIVE)?.is_none() {
        return Ok(None);
    }
    let text = format!(
        "schema = 1\n[plugin]\nname = \"{DECLARATIVE}\"\nkind = \"declarative\"\ntitle = \"Plugins of one file\"\n\
         task-types = [\"any\"]\ndescription = \"Runs Flyte tasks of plugins that are YAML files\"\n\
         task-package = \"of each plugin\"\n"
    );
    let mut file = PluginToml::parse_own(&text).context("the chart of plugins that are files")?;
    file.plugin.task_types.clear();
    Ok(Some(Member { file, text }))
}

/// Files below `directory` that are not wanted. `templates/extra` is left alone.
fn leftover(root: &Path, directory: &str, wanted: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join(directory)).into_iter().flatten() {
        let entry = entry?;
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if path.ends_with("/templates/extra") || wanted.contains(&path) {
            continue;
        }
        // A link is a leftover itself; what it leads to is not.
        if entry.file_type()?.is_dir() {
            found.extend(leftover(root, &path, wanted)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Those of `served` that run jobs. A sync task type is routed in another way than the jobs of the same connector.
fn jobs<'a>(served: &'a [&'a Member]) -> impl Iterator<Item = &'a Member> {
    served.iter().copied().filter(|member| member.file.plugin.mode == Mode::Async)
}

/// A plugin.toml that describes the bundle to the chart's template.
fn plugin_toml(served: &[&Member]) -> String {
    let types = jobs(served).flat_map(|member| &member.file.plugin.task_types);
    let types = types.map(|each| format!("\"{each}\"")).collect::<Vec<_>>().join(", ");
    let titles = served.iter().map(|member| member.file.plugin.title());
    let titles = titles.collect::<Vec<_>>().join(", ");
    format!(
        "schema = 1\n[plugin]\nname = \"{BUNDLE}\"\ntitle = \"Bundle\"\ntask-types = [{types}]\n\
         description = \"Runs the tasks of several plugins in one process: {titles}\"\n\
         [chart.values.settings]\nPLUGIN_BUNDLE_PLUGINS = \"\"\n\
         [chart.required.PLUGIN_BUNDLE_PLUGINS]\nexample = \"bigquery,snowflake\"\n\
         about = \"the plugins to serve, separated by commas\"\n"
    )
}
