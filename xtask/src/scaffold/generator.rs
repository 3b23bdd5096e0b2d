//! From a repository and a template to plans.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};

use super::{
    format,
    plan::{Allowed, Plan, Planner},
    plugin_toml::{self, TaskType},
    project::{Member, Project},
    render::{Rendered, Renderer},
    template::Template,
    write::recover,
};
use crate::exit::refused;

/// A repository with the template that its plugins are made from.
pub(crate) struct Generator {
    pub(crate) project: Project,
    pub(crate) template: Template,
    version: String,
}

impl Generator {
    /// The generator of `project` with `template`.
    ///
    /// # Errors
    /// A repository that has no version.
    pub(crate) fn open(project: Project, template: Template) -> Result<Self> {
        let version = project.version()?;
        Ok(Self { project, template, version })
    }

    /// Where files may lie that are needed only for a moment.
    pub(crate) fn scratch(&self) -> PathBuf {
        let root = &self.project.root;
        // A repository that is yet to be made must not be there if making it fails.
        let target = if root.is_dir() { root.join("target") } else { std::env::temp_dir() };
        target.join(format!("xtask-scratch-{}", std::process::id()))
    }

    /// Undoes what a killed process left half done, before anything is written.
    ///
    /// # Errors
    /// What cannot be undone.
    pub(crate) fn recover(&self) -> Result<()> {
        if self.project.root.is_dir() && recover(&self.project.root)? {
            eprintln!("undone: what an interrupted run had begun to write");
        }
        Ok(())
    }

    /// What each of `members` should be made of.
    ///
    /// # Errors
    /// A template or a plugin.toml that does not render.
    pub(crate) fn render(&self, members: &[Member]) -> Result<Vec<Vec<Rendered>>> {
        let renderer = Renderer::new(&self.template, &self.version)?;
        let render = |member: &Member| {
            let rendered = renderer.render(&member.file, self.project.layout);
            let mut rendered = rendered.with_context(|| member.name().to_owned())?;
            // What its owner says of the plugin is what there is to say.
            let own = rendered.iter_mut().filter(|file| file.id == plugin_toml::FILE);
            own.for_each(|file| file.text.clone_from(&member.text));
            Ok(rendered)
        };
        let mut plugins = members.iter().map(render).collect::<Result<Vec<_>>>()?;
        let scratch = self.scratch();
        let formatted = format::format(&mut plugins, &self.project.root, &scratch);
        let _ = std::fs::remove_dir(scratch);
        formatted?;
        Ok(plugins)
    }

    /// What to do for each of `members`.
    ///
    /// # Errors
    /// As [`render`](Self::render), and files that cannot be read.
    pub(crate) fn plan(&self, members: &[Member], allowed: &Allowed) -> Result<Vec<Plan>> {
        let scratch = self.scratch();
        let planner = Planner {
            project: &self.project,
            manifest: &self.template.manifest,
            allowed,
            scratch: &scratch,
        };
        let plugins = self.render(members)?;
        let plans = members.iter().zip(&plugins);
        let plans = plans.map(|(member, rendered)| planner.plan(&member.file, rendered)).collect();
        let _ = std::fs::remove_dir(self.scratch());
        plans
    }

    /// Where the image of `member` is pushed to.
    ///
    /// # Errors
    /// A template that cannot be loaded.
    pub(crate) fn image(&self, member: &Member) -> Result<String> {
        Ok(Renderer::new(&self.template, &self.version)?.image(&member.file))
    }
}

/// Refuses two plugins that answer one task type: Flyte could ask only one of them.
///
/// # Errors
/// The type and both plugins.
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
        "plugin.task-types: '{task_type}' of '{plugin}' is taken by '{other}', and no two plugins answer one. Try: {task_type}_2"
    )
}
