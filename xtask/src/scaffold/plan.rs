//! Compares rendered files with existing ones and decides what to do with each before writing any.
//!
//! Decisions depend on the contents, never on a version number.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};

use super::{
    core_source::CoreSource,
    managed_keys,
    merge::{self, Merged, Sides},
    paths,
    plugin_toml::PluginToml,
    project::{Place, Project},
    record::{Record, normalized},
    render::Rendered,
    template::{Class, Manifest},
    write::Write,
};
use crate::process::program;

/// The state of a file, which determines what `sync` does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Up to date: nothing to do.
    InSync,
    /// Missing: will be created.
    New,
    /// An older rendering, or different managed keys: will be replaced.
    Outdated,
    /// The author's file, and the template has no changes for it: left alone.
    Kept,
    /// Changed by the author and in the template: will be merged.
    Behind,
    /// Changed by both in the same lines: will be merged with conflict markers.
    BehindInConflict,
    /// Contains conflict markers, starting at this line.
    Conflict(usize),
    /// A generated file that was edited by hand: refused.
    Edited,
    /// Existed before the generator: refused.
    Collision,
    /// Needs a merge but has uncommitted changes: refused.
    Dirty,
    /// Deleted by its owner: stays deleted.
    Removed,
    /// No longer in the template and unchanged: will be deleted.
    Dropped,
    /// No longer in the template but changed: left to its author.
    Orphan,
    /// Named in `[unmanaged]`.
    Ejected,
}

impl State {
    /// Whether `sync` refuses to touch the file, because the user has to decide.
    pub(crate) const fn is_refused(self) -> bool {
        matches!(self, Self::Edited | Self::Collision | Self::Dirty)
    }
}

/// The part of a plan for one file.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) class: Class,
    pub(crate) state: State,
    /// The current contents; `None` for no file.
    pub(crate) before: Option<String>,
    /// The planned contents; `None` for no file.
    pub(crate) after: Option<String>,
}

/// The planned changes for one plugin.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) plugin: String,
    /// The template version that the plugin was last written from; `None` if never.
    pub(crate) from_version: Option<u32>,
    pub(crate) steps: Vec<Step>,
    /// The files to write, followed by the record's own files.
    pub(crate) writes: Vec<Write>,
    /// Whether the record is up to date.
    pub(crate) record_in_sync: bool,
}

/// Operations that the caller allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// Overwrite generated files that were edited by hand.
    pub(crate) force: bool,
    /// Restore files that their owner deleted.
    pub(crate) restore: bool,
    /// Merge into files that have uncommitted changes.
    pub(crate) dirty: bool,
    /// Start managing this file.
    pub(crate) adopt: Option<String>,
}

/// Computes plans.
pub(crate) struct Planner<'a> {
    pub(crate) project: &'a Project,
    pub(crate) manifest: &'a Manifest,
    pub(crate) allowed: &'a Allowed,
    /// A directory for temporary files.
    pub(crate) scratch: &'a Path,
}

/// The decision about a file.
struct Decision {
    state: State,
    after: Option<String>,
    /// The contents to record as written; `None` leaves the file's record as it is.
    remember: Option<String>,
}

impl Decision {
    fn leave(state: State, ours: Option<&str>) -> Self {
        Self { state, after: ours.map(str::to_owned), remember: None }
    }

    fn write(state: State, text: String) -> Self {
        Self { state, after: Some(text.clone()), remember: Some(text) }
    }
}

impl Planner<'_> {
    /// Plans one plugin, whose files should be `rendered`.
    ///
    /// # Errors
    /// If a file or the record cannot be read, or a merge fails.
    pub(crate) fn plan(&self, plugin: &PluginToml, rendered: &[Rendered]) -> Result<Plan> {
        let name = &plugin.plugin.name;
        let place = self.project.layout.place(&plugin.plugin);
        let mut old = Record::read(&self.project.directory(&plugin.plugin))?;
        let mut steps = self.not_moved(place, &mut old)?;
        // What should be recorded already, and what once everything is written.
        let (mut settled, mut record) = (old.clone(), old.clone());
        for file in rendered {
            let (step, remember) = self.step(plugin, file, &old)?;
            for record in [&mut settled, &mut record] {
                if step.state == State::Ejected {
                    record.forget(&file.id);
                }
            }
            if let Some(text) = &remember {
                record.remember(&file.id, file.class, text);
                if matches!(step.state, State::InSync | State::Kept) {
                    settled.remember(&file.id, file.class, text);
                }
            }
            steps.push(step);
        }
        let wanted = rendered.iter().map(|file| file.id.as_str()).collect::<Vec<_>>();
        for unknown in plugin.unmanaged.keys().filter(|id| !wanted.contains(&id.as_str())) {
            eprintln!("warning: {name}: unmanaged.\"{unknown}\": the template has no such file");
        }
        for id in old.ids().filter(|id| !wanted.contains(id)) {
            steps.push(self.dropped(place, id, &old)?);
            record.forget(id);
        }
        for record in [&mut settled, &mut record] {
            name.clone_into(&mut record.plugin);
            self.manifest.name.clone_into(&mut record.template);
        }
        // The contents decide, not the version.
        let record_in_sync =
            old.version > 0 && self.record_writes(place, &old, &settled)?.is_empty();
        if !steps.iter().any(|step| step.state.is_refused()) {
            record.version = self.manifest.version;
        }
        let changed = steps.iter().filter(|step| step.before != step.after);
        let writes =
            changed.map(|step| Write { path: step.path.clone(), text: step.after.clone() });
        Ok(Plan {
            plugin: name.clone(),
            from_version: (old.version > 0).then_some(old.version),
            writes: writes.chain(self.record_writes(place, &old, &record)?).collect(),
            record_in_sync,
            steps,
        })
    }

    /// Steps for files that stayed behind under the plugin's previous name. They are created again under
    /// the new name, so they are removed from `old`.
    fn not_moved(&self, place: Place<'_>, old: &mut Record) -> Result<Vec<Step>> {
        let previous = old.plugin.clone();
        if previous.is_empty() || previous == place.name() {
            return Ok(Vec::new());
        }
        let moved = |id: &String| self.project.root.join(place.path(id)).exists();
        let missing = old.ids().map(str::to_owned).filter(|id| !moved(id)).collect::<Vec<_>>();
        let steps = missing.iter().map(|id| self.dropped(place.named(&previous), id, old));
        let steps = steps.collect::<Result<Vec<_>>>()?;
        missing.iter().for_each(|id| old.forget(id));
        Ok(steps.into_iter().filter(|step| step.before.is_some()).collect())
    }

    /// The step for a file, and the contents to record for it.
    fn step(
        &self,
        plugin: &PluginToml,
        file: &Rendered,
        old: &Record,
    ) -> Result<(Step, Option<String>)> {
        let ejected = plugin.unmanaged.contains_key(&file.id);
        let before = if ejected { None } else { self.read(&file.path)? };
        let decision = if ejected {
            Decision::leave(State::Ejected, None)
        } else {
            self.decide(plugin.plugin.core, file, before.as_deref(), old)
                .with_context(|| file.path.clone())?
        };
        let Decision { state, after, remember } = decision;
        let (id, path) = (file.id.clone(), file.path.clone());
        Ok((Step { id, path, class: file.class, state, before, after }, remember))
    }

    fn decide(
        &self,
        core: CoreSource,
        file: &Rendered,
        ours: Option<&str>,
        old: &Record,
    ) -> Result<Decision> {
        let Some(ours) = ours else {
            return Ok(if old.knows(&file.id) && !self.allowed.restore {
                Decision::leave(State::Removed, None)
            } else {
                Decision::write(State::New, file.text.clone())
            });
        };
        match file.class {
            Class::User => Ok(Decision::leave(State::Kept, Some(ours))),
            Class::ManagedKeys => self.managed(core, file, ours),
            Class::Generated => Ok(self.generated(file, ours, old)),
            Class::ScaffoldOnce => self.scaffolded(file, ours, old),
        }
    }

    fn managed(&self, core: CoreSource, file: &Rendered, ours: &str) -> Result<Decision> {
        let keys = self.manifest.managed_keys(core);
        let merged = managed_keys::merged(ours, &file.text, keys)?;
        let state = if merged == ours { State::InSync } else { State::Outdated };
        Ok(Decision { state, after: Some(merged), remember: Some(file.text.clone()) })
    }

    fn generated(&self, file: &Rendered, ours: &str, old: &Record) -> Decision {
        if ours == file.text {
            Decision::write(State::InSync, file.text.clone())
        } else if old.wrote(&file.id, ours) || self.allowed.force && old.knows(&file.id) {
            Decision::write(State::Outdated, file.text.clone())
        } else if self.adopts(file) && self.is_dirty(file) {
            Decision::leave(State::Dirty, Some(ours))
        } else if self.adopts(file) {
            Decision::write(State::Outdated, file.text.clone())
        } else if old.knows(&file.id) {
            Decision::leave(State::Edited, Some(ours))
        } else {
            Decision::leave(State::Collision, Some(ours))
        }
    }

    fn scaffolded(&self, file: &Rendered, ours: &str, old: &Record) -> Result<Decision> {
        let unchanged = |state| Decision {
            remember: Some(file.text.clone()),
            ..Decision::leave(state, Some(ours))
        };
        if let Some(line) = merge::marker(ours) {
            return Ok(Decision::leave(State::Conflict(line), Some(ours)));
        }
        let base = old.base(&file.id);
        Ok(if ours == file.text {
            unchanged(State::InSync)
        } else if old.wrote(&file.id, ours) {
            Decision::write(State::Outdated, file.text.clone())
        } else if old.wrote(&file.id, &file.text) || self.adopts(file) {
            unchanged(State::Kept)
        } else if !old.knows(&file.id) {
            Decision::leave(State::Collision, Some(ours))
        } else {
            let merged = self.merged(file, ours, base.unwrap_or_default(), old)?;
            if merged.after.as_deref() == Some(ours) {
                // The author made the template's change already.
                unchanged(State::Kept)
            } else if self.is_dirty(file) {
                Decision::leave(State::Dirty, Some(ours))
            } else {
                merged
            }
        })
    }

    fn merged(&self, file: &Rendered, ours: &str, base: &str, old: &Record) -> Result<Decision> {
        let sides = Sides { base, ours, theirs: &file.text };
        let merged = merge::merge(sides, old.version, self.manifest.version, self.scratch)?;
        let (state, text) = match merged {
            Merged::Clean(text) => (State::Behind, text),
            Merged::Conflicts(text) => (State::BehindInConflict, text),
        };
        Ok(Decision { state, after: Some(text), remember: Some(file.text.clone()) })
    }

    fn dropped(&self, place: Place<'_>, id: &str, old: &Record) -> Result<Step> {
        let path = place.path(id);
        let before = self.read(&path)?;
        let untouched = before.as_ref().is_none_or(|text| old.wrote(id, text));
        let (state, after) =
            if untouched { (State::Dropped, None) } else { (State::Orphan, before.clone()) };
        Ok(Step { id: id.to_owned(), path, class: Class::User, state, before, after })
    }

    fn adopts(&self, file: &Rendered) -> bool {
        self.allowed.adopt.as_deref() == Some(&file.id)
    }

    /// Whether the file has uncommitted changes and these are not allowed.
    fn is_dirty(&self, file: &Rendered) -> bool {
        let status = ["status", "--porcelain", "--", &file.path];
        let git = || program("git").current_dir(&self.project.root).args(status).output();
        !self.allowed.dirty && git().is_ok_and(|it| it.status.success() && !it.stdout.is_empty())
    }

    fn read(&self, path: &str) -> Result<Option<String>> {
        paths::check(&self.project.root, path)?;
        let absolute = self.project.root.join(path);
        if !absolute.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(absolute).with_context(|| format!("cannot read {path}"))?;
        Ok(Some(normalized(&text)))
    }

    /// The writes that update the record's own files.
    fn record_writes(&self, place: Place<'_>, old: &Record, new: &Record) -> Result<Vec<Write>> {
        let path = |file: &String| place.path(file);
        let stale = |files: &BTreeMap<String, String>| {
            let current = new.files();
            files.keys().filter(|file| !current.contains_key(*file)).map(path).collect::<Vec<_>>()
        };
        let mut writes = Vec::new();
        for path in stale(&old.files()) {
            if self.read(&path)?.is_some() {
                writes.push(Write { path, text: None });
            }
        }
        for (file, text) in new.files() {
            if self.read(&path(&file))?.as_ref() != Some(&text) {
                writes.push(Write { path: path(&file), text: Some(text) });
            }
        }
        Ok(writes)
    }
}
