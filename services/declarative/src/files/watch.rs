//! Reads the files again while the service runs.
//!
//! A changed file is checked before it is served; one that is wrong changes nothing. What a restart alone can change is
//! refused, too: task types, and ids that jobs in flight lack.

use std::{collections::BTreeSet, io, path::PathBuf, sync::atomic::Ordering, time::Duration};

use plugin_core::{Error, Result, digest::sha256};
use tokio::task::spawn_blocking;

use super::{Digest, Files, Refused, Watched, inside};
use crate::{definition::Definition, served::Served};

/// How often files are checked for changes. Kubernetes takes about a minute to update a mounted file.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// How long a changed file must stay as it is. Otherwise it is looked at again in the next round.
const SETTLING_TIME: Duration = Duration::from_secs(1);

fn digest_of(source: &io::Result<Vec<u8>>) -> Option<Digest> {
    source.as_ref().ok().map(|source| sha256(&[source]))
}

/// What was last seen of a file.
struct Seen {
    /// Of its contents; `None` if it could not be read.
    digest: Option<Digest>,
    is_served: bool,
}

impl Files {
    /// Serves files that change, for ever.
    pub(crate) async fn keep_fresh(&self) {
        let seen = self.plugins.iter();
        let seen = seen.map(|file| Seen { digest: Some(file.first), is_served: true });
        let mut seen = seen.collect::<Vec<_>>();
        let mut others = BTreeSet::new();
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            for (file, seen) in self.plugins.iter().zip(&mut seen) {
                self.check(file, seen).await;
            }
            self.find_others(&mut others);
            let outdated = seen.iter().filter(|seen| !seen.is_served).count() + others.len();
            self.metrics.outdated(outdated);
        }
    }

    /// Serves `file` if it has changed and is right. What is wrong is logged once.
    async fn check(&self, file: &Watched, seen: &mut Seen) {
        let digest = digest_of(&tokio::fs::read(&file.path).await);
        if digest == seen.digest {
            return;
        }
        // Somebody may be writing it: what is there must stay for a moment.
        tokio::time::sleep(SETTLING_TIME).await;
        let settled = tokio::fs::read(&file.path).await;
        if digest_of(&settled) != digest {
            return;
        }
        let source = settled;
        seen.digest = digest;
        let result = self.reload(file, source).await;
        seen.is_served = result.is_ok();
        let plugin = &file.plugin().definition.name;
        self.metrics.reloaded(plugin, seen.is_served);
        let path = file.path.display();
        match result {
            Ok(()) => tracing::info!(file = %path, plugin, "the changed file is served"),
            Err(Refused::Mistakes(mistakes)) => {
                let list = mistakes.list();
                let (line, column, mistake) = list.first().copied().unwrap_or_default();
                tracing::warn!(
                    file = %path,
                    plugin,
                    line,
                    column,
                    mistake,
                    mistakes = list.len(),
                    "the changed file has a mistake; the one before is served on"
                );
            }
            Err(Refused::Error(error)) => tracing::warn!(
                file = %path,
                plugin,
                %error,
                cause = error.chain(),
                "the changed file cannot be served; the one before is served on"
            ),
        }
    }

    async fn reload(&self, file: &Watched, source: io::Result<Vec<u8>>) -> Result<(), Refused> {
        let source = source.map_err(|error| {
            let message = format!("{} cannot be read", file.path.display());
            Error::invalid(message).with_source(error)
        })?;
        let (starter, path) = (self.starter.clone(), file.path.clone());
        // Calls need their thread, and a panic must not end the watching of files.
        let started = spawn_blocking(move || starter.start(&path, source)).await;
        let served = started.map_err(Error::internal)??;
        let before = file.plugin();
        needs_no_restart(&before, &served)?;
        file.current.store(served.following(&before).into());
        self.revision.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// Logs files that were not there at the start, once each.
    fn find_others(&self, known: &mut BTreeSet<PathBuf>) {
        let directories = self.named.iter().filter(|path| path.is_dir());
        let found = directories.filter_map(|path| inside(path).ok()).flatten();
        let is_other = |path: &PathBuf| self.plugins.iter().all(|file| file.path != *path);
        let found = found.filter(is_other).collect::<BTreeSet<_>>();
        for path in found.difference(known) {
            tracing::warn!(file = %path.display(), "a new file is served after a restart");
        }
        *known = found;
    }
}

/// Refuses a file whose plugin is another, or has other task types, which the service learnt when it started, or whose jobs
/// have ids that those in flight lack.
fn needs_no_restart(old: &Served, new: &Served) -> Result<()> {
    let (old, new) = (&old.definition, &new.definition);
    let refused = |what: String| Err(Error::invalid(format!("{what}: restart the service")));
    if old.name != new.name {
        return refused(format!("plugin.name was {} and is {}", old.name, new.name));
    }
    let sorted = |types: &[(String, i32)]| types.iter().cloned().collect::<BTreeSet<_>>();
    if sorted(&old.task_types) != sorted(&new.task_types) {
        return refused("plugin.task_types is not what it was".to_owned());
    }
    let ids = |definition: &Definition| match definition.jobs() {
        Ok(jobs) => jobs.create.job.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        Err(_) => Vec::new(),
    };
    if old.jobs().is_ok() != new.jobs().is_ok() {
        return refused("its tasks are jobs, and were not, or the other way round".to_owned());
    }
    let known = ids(old);
    match ids(new).iter().find(|name| !known.contains(name)) {
        Some(name) => refused(format!("create.job.{name}: jobs in flight do not have it")),
        None => Ok(()),
    }
}
