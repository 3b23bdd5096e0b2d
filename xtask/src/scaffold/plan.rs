//! Compares what the template wants with what is there, and decides, file by file, before anything is
//! written.
//!
//! State-based: the bytes decide, never a version number.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};

use super::{
    managed_keys,
    merge::{self, Merged, Sides},
    plugin_toml::{CoreSource, PluginToml},
    project::Project,
    record::{Record, normalized},
    render::Rendered,
    template::{Class, Manifest},
    write::Write,
};
use crate::process::program;

/// What is the matter with a file, and what `sync` does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing to do.
    InSync,
    /// Missing: is made.
    New,
    /// An older rendering, or managed keys that differ: is replaced.
    Outdated,
    /// Its author's, and the template has nothing new.
    Kept,
    /// Both changed it: is merged.
    Behind,
    /// Both changed the same lines: is merged, with markers.
    BehindInConflict,
    /// A merge's markers are still in it, from this line on.
    Conflict(usize),
    /// A generated file that was edited by hand: refused.
    Edited,
    /// Was there before the generator: refused.
    Collision,
    /// Would be merged, but has changes that are not committed: refused.
    Dirty,
    /// Was deleted by its owner: stays deleted.
    Removed,
    /// The template has it no more, and nobody touched it: is deleted.
    Dropped,
    /// The template has it no more, but somebody changed it: is theirs now.
    Orphan,
    /// Named in `[unmanaged]`.
    Ejected,
}

impl State {
    /// Whether `sync` leaves the file alone because somebody has to decide.
    pub(crate) const fn is_refused(self) -> bool {
        matches!(self, Self::Edited | Self::Collision | Self::Dirty)
    }
}

/// One file's part of a plan.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) class: Class,
    pub(crate) state: State,
    /// What is there.
    pub(crate) before: Option<String>,
    /// What will be; `None` for no file.
    pub(crate) after: Option<String>,
}

/// What is to happen to one plugin.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) plugin: String,
    /// The version of the template that the plugin was last written from; none if never.
    pub(crate) from_version: Option<u32>,
    pub(crate) steps: Vec<Step>,
    /// What to write: files first, the record of them last.
    pub(crate) writes: Vec<Write>,
    /// Whether the record is what it should be.
    pub(crate) record_in_sync: bool,
}

/// What the caller allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Allowed {
    /// Overwrite generated files that were edited by hand.
    pub(crate) force: bool,
    /// Make files again that their owner deleted.
    pub(crate) restore: bool,
    /// Merge into files that have uncommitted changes.
    pub(crate) dirty: bool,
    /// Take this file as it is for the template's.
    pub(crate) adopt: Option<String>,
}

/// What plans are made from.
pub(crate) struct Planner<'a> {
    pub(crate) project: &'a Project,
    pub(crate) manifest: &'a Manifest,
    pub(crate) allowed: &'a Allowed,
    /// Where to put what is needed only while planning.
    pub(crate) scratch: &'a Path,
}

/// What is decided about a file.
struct Decision {
    state: State,
    after: Option<String>,
    /// What to remember as written; `None` leaves the record of it as it is.
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
    /// A file or a record that cannot be read; a merge that fails.
    pub(crate) fn plan(&self, plugin: &PluginToml, rendered: &[Rendered]) -> Result<Plan> {
        let name = &plugin.plugin.name;
        let mut old = Record::read(&self.project.service(name))?;
        let mut steps = self.left_behind(name, &mut old)?;
        // What should be recorded now, and what once everything is written.
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
            steps.push(self.dropped(name, id, &old)?);
            record.forget(id);
        }
        for record in [&mut settled, &mut record] {
            name.clone_into(&mut record.plugin);
            self.manifest.name.clone_into(&mut record.template);
        }
        // Bytes decide what is in step, not the version.
        let record_in_sync =
            old.version > 0 && self.record_writes(name, &old, &settled)?.is_empty();
        if !steps.iter().any(|step| step.state.is_refused()) {
            record.version = self.manifest.version;
        }
        let changed = steps.iter().filter(|step| step.before != step.after);
        let writes =
            changed.map(|step| Write { path: step.path.clone(), text: step.after.clone() });
        Ok(Plan {
            plugin: name.clone(),
            from_version: (old.version > 0).then_some(old.version),
            writes: writes.chain(self.record_writes(name, &old, &record)?).collect(),
            record_in_sync,
            steps,
        })
    }

    /// What lies where the plugin's files were under its former name. The files that did not move with
    /// it are made again, so `old` forgets them.
    fn left_behind(&self, name: &str, old: &mut Record) -> Result<Vec<Step>> {
        let former = old.plugin.clone();
        if former.is_empty() || former == name {
            return Ok(Vec::new());
        }
        let moved =
            |id: &String| self.project.root.join(self.project.layout.path(name, id)).exists();
        let missing = old.ids().map(str::to_owned).filter(|id| !moved(id)).collect::<Vec<_>>();
        let steps = missing.iter().map(|id| self.dropped(&former, id, old));
        let steps = steps.collect::<Result<Vec<_>>>()?;
        missing.iter().for_each(|id| old.forget(id));
        Ok(steps.into_iter().filter(|step| step.before.is_some()).collect())
    }

    /// What is to become of a file, and what is to be remembered of it.
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
        let as_it_is = |state| Decision {
            remember: Some(file.text.clone()),
            ..Decision::leave(state, Some(ours))
        };
        if let Some(line) = merge::marker(ours) {
            return Ok(Decision::leave(State::Conflict(line), Some(ours)));
        }
        let base = old.base(&file.id);
        Ok(if ours == file.text {
            as_it_is(State::InSync)
        } else if old.wrote(&file.id, ours) {
            Decision::write(State::Outdated, file.text.clone())
        } else if old.wrote(&file.id, &file.text) || self.adopts(file) {
            as_it_is(State::Kept)
        } else if !old.knows(&file.id) {
            Decision::leave(State::Collision, Some(ours))
        } else if self.is_dirty(file) {
            Decision::leave(State::Dirty, Some(ours))
        } else {
            self.merged(file, ours, base.unwrap_or_default(), old)?
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

    fn dropped(&self, name: &str, id: &str, old: &Record) -> Result<Step> {
        let path = self.project.layout.path(name, id);
        let before = self.read(&path)?;
        let untouched = before.as_ref().is_none_or(|text| old.wrote(id, text));
        let (state, after) =
            if untouched { (State::Dropped, None) } else { (State::Orphan, before.clone()) };
        Ok(Step { id: id.to_owned(), path, class: Class::User, state, before, after })
    }

    fn adopts(&self, file: &Rendered) -> bool {
        self.allowed.adopt.as_deref() == Some(&file.id)
    }

    /// Whether git knows of changes to the file that are not committed, and that matters.
    fn is_dirty(&self, file: &Rendered) -> bool {
        let status = ["status", "--porcelain", "--", &file.path];
        let git = || program("git").current_dir(&self.project.root).args(status).output();
        !self.allowed.dirty && git().is_ok_and(|it| it.status.success() && !it.stdout.is_empty())
    }

    fn read(&self, path: &str) -> Result<Option<String>> {
        let whole = self.project.root.join(path);
        if !whole.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(whole).with_context(|| format!("cannot read {path}"))?;
        Ok(Some(normalized(&text)))
    }

    /// How the files of the record have to change.
    fn record_writes(&self, name: &str, old: &Record, new: &Record) -> Result<Vec<Write>> {
        let path = |file: &String| self.project.layout.path(name, file);
        let stale = |files: &BTreeMap<String, String>| {
            let kept = new.files();
            files.keys().filter(|file| !kept.contains_key(*file)).map(path).collect::<Vec<_>>()
        };
        let mut writes = Vec::new();
        for gone in stale(&old.files()) {
            if self.read(&gone)?.is_some() {
                writes.push(Write { path: gone, text: None });
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
