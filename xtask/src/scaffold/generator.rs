//! Renders a repository's plugins from the template and plans the changes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    format, kind, paths,
    plan::{Allowed, Plan, Planner},
    plugin_toml,
    project::{Member, Project},
    render::{Rendered, Renderer, Versions},
    task_type::TaskType,
    template::Template,
    write::{random, recover},
};
use crate::exit::refused;

/// A repository and the template of its plugins.
pub(crate) struct Generator {
    pub(crate) project: Project,
    pub(crate) template: Template,
    version: String,
    scratch: PathBuf,
}

impl Generator {
    /// The generator of `project` with `template`.
    ///
    /// # Errors
    /// If the repository has no version.
    pub(crate) fn open(project: Project, template: Template) -> Result<Self> {
        let version = project.version()?;
        // Not in the repository: a new one must not be left behind if creating it fails.
        let scratch = std::env::temp_dir().join(format!("xtask-scratch-{:016x}", random()));
        Ok(Self { project, template, version, scratch })
    }

    /// A directory for temporary files, the same for all of this run.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Undoes the incomplete writes of a killed process. Must be called before anything is written.
    ///
    /// # Errors
    /// If they cannot be undone.
    pub(crate) fn recover(&self) -> Result<()> {
        if self.project.root.is_dir() && recover(&self.project.root)? {
            eprintln!("undid the incomplete writes of an interrupted run");
        }
        Ok(())
    }

    /// The files of each of `members` as the template renders them.
    ///
    /// # Errors
    /// If the template cannot be rendered with a plugin.toml.
    pub(crate) fn render(&self, members: &[Member]) -> Result<Vec<Vec<Rendered>>> {
        let renderer = Renderer::new(&self.template, Versions::of(&self.version))?;
        let render = |member: &Member| {
            let rendered = renderer.render(&member.file, self.project.layout);
            let mut rendered = rendered.with_context(|| member.name().to_owned())?;
            // The plugin.toml is its owner's; the template's is only for new plugins.
            let own = rendered.iter_mut().filter(|file| file.id == plugin_toml::FILE);
            own.for_each(|file| file.text.clone_from(&member.text));
            self.copy_plugin(member, &mut rendered)?;
            Ok(rendered)
        };
        let mut plugins = members.iter().map(render).collect::<Result<Vec<_>>>()?;
        let scratch = self.scratch();
        let formatted = format::format(&mut plugins, &self.project.root, scratch);
        let _ = std::fs::remove_dir(scratch);
        formatted?;
        Ok(plugins)
    }

    /// Gives the chart of a plugin that is a file this file: the author's, or the template's of a new plugin.
    fn copy_plugin(&self, member: &Member, rendered: &mut [Rendered]) -> Result<()> {
        let path = self.project.layout.place(&member.file.plugin).path(kind::PLUGIN);
        let Some(new) = rendered.iter().find(|file| file.id == kind::PLUGIN) else {
            return Ok(());
        };
        let mut text = new.text.clone();
        if self.project.root.join(&path).symlink_metadata().is_ok() {
            paths::check(&self.project.root, &path)?;
            text = std::fs::read_to_string(self.project.root.join(&path))
                .with_context(|| format!("cannot read {path}"))?;
        }
        let copies = rendered.iter_mut().filter(|file| file.id == kind::PLUGIN_IN_CHART);
        copies.for_each(|file| file.text.clone_from(&text));
        Ok(())
    }

    /// The planned changes for each of `members`.
    ///
    /// # Errors
    /// As [`render`](Self::render), or if a file cannot be read.
    pub(crate) fn plan(&self, members: &[Member], allowed: &Allowed) -> Result<Vec<Plan>> {
        let scratch = self.scratch();
        let planner =
            Planner { project: &self.project, manifest: &self.template.manifest, allowed, scratch };
        let plugins = self.render(members)?;
        let plans = members.iter().zip(&plugins);
        let plans = plans.map(|(member, rendered)| planner.plan(&member.file, rendered)).collect();
        let _ = std::fs::remove_dir(self.scratch());
        plans
    }
}

/// Refuses two plugins with the same task type: Flyte can route it to only one of them.
///
/// # Errors
/// If there are two; the error names the type and both plugins.
pub(crate) fn check_task_types(members: &[Member]) -> Result<()> {
    let mut owners = BTreeMap::<&str, &str>::new();
    for member in members {
        for TaskType { name, .. } in member.file.plugin.all_task_types() {
            if let Some(other) = owners.insert(name, member.name()) {
                return Err(refused(taken(name, member.name(), other)));
            }
        }
    }
    Ok(())
}

fn taken(task_type: &str, plugin: &str, other: &str) -> String {
    format!(
        "plugin.task-types: '{task_type}' of '{plugin}' is taken by '{other}'; a task type can belong to only one plugin. Try: {task_type}_2"
    )
}
