//! The directory in which new contents are prepared, with a journal of what they replace.

use std::{
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{Disk, Write, paths};

/// The name prefix of staging directories. They are in the repository's root, because files can only be
/// renamed within one file system.
pub(super) const PREFIX: &str = ".xtask-staging-";
/// The file in a staging directory that its process keeps locked.
const LOCK: &str = "lock";
/// The file in a staging directory that lists what is written, one path per line.
const JOURNAL: &str = "journal";
/// The prefix of a created or replaced file in the journal.
const WRITTEN: char = '+';
/// The prefix of a deleted file in the journal.
const DELETED: char = '-';

/// A directory with new contents and the files that they replace. While it exists, the process that writes
/// holds its lock: process ids say nothing, because they are used again, in containers at once.
pub(super) struct Staging<'a> {
    root: &'a Path,
    pub(super) directory: PathBuf,
    _lock: File,
}

impl<'a> Staging<'a> {
    /// A new staging directory in `root`, which is created if it is missing.
    ///
    /// # Errors
    /// If it cannot be created or locked.
    pub(super) fn create(root: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(root).with_context(|| cannot_create(root))?;
        loop {
            let directory = root.join(format!("{PREFIX}{:016x}", random()));
            std::fs::create_dir(&directory).with_context(|| cannot_create(&directory))?;
            match lock(&directory, File::lock) {
                // Another process may have taken the directory for abandoned before it was locked.
                Ok(_) if !directory.join(LOCK).exists() => {}
                Ok(lock) => return Ok(Self { root, directory, _lock: lock }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let _ = std::fs::remove_dir_all(&directory);
                    let directory = directory.display();
                    return Err(error).with_context(|| format!("cannot lock {directory}"));
                }
            }
        }
    }

    /// The staging directory `directory` in `root`, if it is one and its process has ended.
    ///
    /// # Errors
    /// If its lock cannot be asked for.
    pub(super) fn abandoned(root: &'a Path, directory: PathBuf) -> Result<Option<Self>> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy();
        // One that leads elsewhere is none of ours.
        let lock_path = format!("{name}/{LOCK}");
        if !name.starts_with(PREFIX) || paths::check(root, &lock_path).is_err() {
            return Ok(None);
        }
        let try_lock = |file: &File| file.try_lock().map_err(io::Error::from);
        match lock(&directory, try_lock) {
            Ok(lock) => Ok(Some(Self { root, directory, _lock: lock })),
            // It is in use, or was removed just now.
            Err(error)
                if [io::ErrorKind::WouldBlock, io::ErrorKind::NotFound].contains(&error.kind()) =>
            {
                Ok(None)
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot lock {}", directory.display()))
            }
        }
    }

    /// Removes the directory, if that is possible.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }

    fn staged(&self, number: usize) -> PathBuf {
        self.directory.join(format!("new-{number}"))
    }

    fn replaced(&self, number: usize) -> PathBuf {
        self.directory.join(format!("old-{number}"))
    }

    /// Writes all of `writes`, and removes the directory.
    ///
    /// # Errors
    /// If an operation fails; [`undo`](Self::undo) restores what was there.
    pub(super) fn write(&self, disk: &dyn Disk, writes: &[Write]) -> Result<()> {
        for (number, write) in writes.iter().enumerate() {
            let named = || format!("cannot write {}; nothing was changed", write.path);
            if let Some(text) = &write.text {
                disk.write(&self.staged(number), text).with_context(named)?;
            }
        }
        let line = |write: &Write| {
            let sign = if write.text.is_some() { WRITTEN } else { DELETED };
            format!("{sign}{}", write.path)
        };
        let journal = writes.iter().map(line).collect::<Vec<_>>().join("\n");
        disk.write(&self.directory.join(JOURNAL), &journal)
            .context("cannot write; nothing was changed")?;
        for (number, write) in writes.iter().enumerate() {
            self.place(disk, number, write)
                .with_context(|| format!("cannot write {}; nothing was changed", write.path))?;
        }
        // All files are in place: from here on nothing is undone.
        std::fs::remove_file(self.directory.join(JOURNAL))?;
        std::fs::remove_dir_all(&self.directory)?;
        for write in writes.iter().filter(|write| write.text.is_none()) {
            remove_emptied(self.root, Path::new(&write.path));
        }
        Ok(())
    }

    fn place(&self, disk: &dyn Disk, number: usize, write: &Write) -> io::Result<()> {
        let path = self.root.join(&write.path);
        if write.text.is_none() {
            // A link that leads nowhere is there, too.
            let is_there = path.symlink_metadata().is_ok();
            return if is_there { disk.rename(&path, &self.replaced(number)) } else { Ok(()) };
        }
        if path.exists() {
            // A second link, so that the file exists until the new one replaces it.
            std::fs::hard_link(&path, self.replaced(number))?;
        }
        let parents = path.ancestors().skip(1);
        let missing = parents.take_while(|parent| !parent.exists()).collect::<Vec<_>>();
        missing.into_iter().rev().try_for_each(|directory| disk.create_dir(directory))?;
        disk.rename(&self.staged(number), &path)
    }

    /// Undoes the changes in the journal.
    pub(super) fn undo(&self) {
        let journal = std::fs::read_to_string(self.directory.join(JOURNAL)).unwrap_or_default();
        let lines = journal.lines().collect::<Vec<_>>();
        for (number, line) in lines.iter().enumerate().rev() {
            let (written, below) = match line.strip_prefix(WRITTEN) {
                Some(below) => (true, below),
                None => (false, line.trim_start_matches(DELETED)),
            };
            // The journal may have come with a clone: it must not reach out of the repository.
            let undone = paths::check_directories(self.root, below)
                .and_then(|()| Ok(self.undo_one(number, written, below)?));
            match undone {
                Ok(()) => remove_emptied(self.root, Path::new(below)),
                Err(error) => eprintln!("warning: cannot undo the change to {below}: {error}"),
            }
        }
    }

    fn undo_one(&self, number: usize, written: bool, below: &str) -> io::Result<()> {
        let path = self.root.join(below);
        let old = self.replaced(number);
        if old.symlink_metadata().is_ok() {
            std::fs::rename(&old, &path)
        } else if written && !self.staged(number).exists() && path.is_file() {
            // A new file that is no longer staged is in place and replaced nothing.
            std::fs::remove_file(&path)
        } else {
            Ok(())
        }
    }
}

/// The lock of the staging directory `directory`, obtained with `lock`. The operating system releases it when
/// the process ends, however it ends.
fn lock(directory: &Path, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<File> {
    let options = File::options().create(true).truncate(false).write(true).to_owned();
    let file = options.open(directory.join(LOCK))?;
    lock(&file)?;
    Ok(file)
}

/// A number that no other process picks: the hasher's keys are random.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(())
}

fn cannot_create(directory: &Path) -> String {
    format!("cannot create {}", directory.display())
}

/// Removes empty directories, from the parent of `path` upwards.
fn remove_emptied(root: &Path, path: &Path) {
    let parents = path.ancestors().skip(1).take_while(|parent| !parent.as_os_str().is_empty());
    for parent in parents {
        let directory = root.join(parent);
        if directory.exists() && std::fs::remove_dir(directory).is_err() {
            return;
        }
    }
}
