//! Writes all of a plan's files, or none.
//!
//! New contents are written to a staging directory first, so that a full disk does no harm. Each file is
//! then renamed into place, so that none is ever missing or incomplete. After a failure the changes are
//! undone, or by the [next run](recover) if the process was killed.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A file to write or delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// Its path relative to the repository's root.
    pub(crate) path: String,
    /// Its new contents; `None` deletes it.
    pub(crate) text: Option<String>,
}

/// The file system operations that writing needs.
pub(crate) trait Disk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real file system.
pub(crate) struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        std::fs::write(path, text)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }
}

/// The name prefix of staging directories. They are in the repository's root, because files can only be
/// renamed within one file system.
const STAGING: &str = ".xtask-staging-";
/// The file in a staging directory that lists what is written, one path per line.
const JOURNAL: &str = "journal";
/// The prefix of a created or replaced file in the journal.
const WRITTEN: char = '+';
/// The prefix of a deleted file in the journal.
const DELETED: char = '-';

/// Writes all of `writes` below `root`.
///
/// # Errors
/// If an operation fails; then every file is as before, and no directory is left behind.
pub(crate) fn write_all(disk: &dyn Disk, root: &Path, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let creates_root = !root.exists();
    let staging =
        Staging { root, directory: root.join(format!("{STAGING}{}", std::process::id())) };
    let written = staging.write(disk, writes);
    if written.is_err() {
        staging.undo();
        let _ = std::fs::remove_dir_all(&staging.directory);
        if creates_root {
            let _ = std::fs::remove_dir(root);
        }
    }
    written
}

/// Undoes the incomplete writes of killed processes below `root`; returns whether there were any.
///
/// # Errors
/// If the root cannot be read.
pub(crate) fn recover(root: &Path) -> Result<bool> {
    let mut found = false;
    for entry in std::fs::read_dir(root).with_context(|| root.display().to_string())? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(STAGING) else { continue };
        if Path::new("/proc").join(process).exists() {
            continue;
        }
        let staging = Staging { root, directory };
        staging.undo();
        std::fs::remove_dir_all(&staging.directory)?;
        found = true;
    }
    Ok(found)
}

/// A directory with new contents and the files that they replace.
struct Staging<'a> {
    root: &'a Path,
    directory: PathBuf,
}

impl Staging<'_> {
    fn staged(&self, number: usize) -> PathBuf {
        self.directory.join(format!("new-{number}"))
    }

    fn replaced(&self, number: usize) -> PathBuf {
        self.directory.join(format!("old-{number}"))
    }

    fn write(&self, disk: &dyn Disk, writes: &[Write]) -> Result<()> {
        let staging = self.directory.display().to_string();
        std::fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot create {staging}"))?;
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
            return if path.exists() { disk.rename(&path, &self.replaced(number)) } else { Ok(()) };
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
    fn undo(&self) {
        let journal = std::fs::read_to_string(self.directory.join(JOURNAL)).unwrap_or_default();
        let lines = journal.lines().collect::<Vec<_>>();
        for (number, line) in lines.iter().enumerate().rev() {
            let (written, below) = match line.strip_prefix(WRITTEN) {
                Some(below) => (true, below),
                None => (false, line.trim_start_matches(DELETED)),
            };
            let path = self.root.join(below);
            let old = self.replaced(number);
            let undone = if old.exists() {
                std::fs::rename(&old, &path)
            } else if written && !self.staged(number).exists() && path.is_file() {
                // A new file that is no longer staged is in place and replaced nothing.
                std::fs::remove_file(&path)
            } else {
                Ok(())
            };
            if let Err(error) = undone {
                eprintln!("warning: cannot undo the change to {}: {error}", path.display());
            }
            remove_emptied(self.root, Path::new(below));
        }
    }
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, collections::BTreeMap};

    use super::*;

    /// A disk on which all operations after the first `left` fail.
    struct Failing {
        left: Cell<usize>,
    }

    impl Failing {
        fn spend(&self) -> io::Result<()> {
            let left = self.left.get();
            self.left.set(left.saturating_sub(1));
            if left == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Disk for Failing {
        fn write(&self, path: &Path, text: &str) -> io::Result<()> {
            self.spend()?;
            RealDisk.write(path, text)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.spend()?;
            RealDisk.rename(from, to)
        }

        fn create_dir(&self, path: &Path) -> io::Result<()> {
            self.spend()?;
            RealDisk.create_dir(path)
        }
    }

    fn tree(root: &Path) -> BTreeMap<PathBuf, Option<String>> {
        let mut found = BTreeMap::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let is_directory = path.is_dir();
                let text = (!is_directory).then(|| std::fs::read_to_string(&path).unwrap());
                found.insert(path.strip_prefix(root).unwrap().to_owned(), text);
                if is_directory {
                    open.push(path);
                }
            }
        }
        found
    }

    fn fresh(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("write-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        crate::process::write(&root.join("a/kept"), "kept").unwrap();
        crate::process::write(&root.join("a/old"), "old").unwrap();
        crate::process::write(&root.join("b/gone"), "gone").unwrap();
        root
    }

    fn writes() -> Vec<Write> {
        let write = |path: &str, text: Option<&str>| Write {
            path: path.to_owned(),
            text: text.map(str::to_owned),
        };
        vec![
            write("a/old", Some("new")),
            write("c/d/e/made", Some("made")),
            write("b/gone", None),
            write("c/d/other", Some("made, too")),
        ]
    }

    #[test]
    fn all_files_are_written() {
        let root = fresh("all");
        write_all(&RealDisk, &root, &writes()).unwrap();
        let files = tree(&root).into_iter().filter_map(|(path, text)| Some((path, text?)));
        let files = files.map(|(path, text)| format!("{}={text}", path.display()));
        let wanted = ["a/kept=kept", "a/old=new", "c/d/e/made=made", "c/d/other=made, too"];
        assert_eq!(files.collect::<Vec<_>>(), wanted);
        assert!(!root.join("b").exists());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn failed_write_leaves_nothing_behind() {
        let root = fresh("none");
        let before = tree(&root);
        let mut failures = 0;
        while write_all(&Failing { left: Cell::new(failures) }, &root, &writes()).is_err() {
            assert_eq!(tree(&root), before, "after {failures} operations");
            failures += 1;
        }
        assert_eq!(failures, 11, "four writes, three directories, four renames");
        std::fs::remove_dir_all(root).unwrap();
    }

    /// The staging directory remains, as after a killed process.
    #[test]
    fn writes_of_a_killed_process_are_undone_by_the_next_run() {
        let root = fresh("killed");
        let before = tree(&root);
        for left in 0..11 {
            let staging = Staging { root: &root, directory: root.join(format!("{STAGING}0")) };
            assert!(staging.write(&Failing { left: Cell::new(left) }, &writes()).is_err());
            assert!(root.join("a/old").exists(), "never missing");
            assert!(recover(&root).unwrap());
            assert_eq!(tree(&root), before, "after {left} operations");
        }
        assert!(!recover(&root).unwrap());
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn unwritable_path_leaves_nothing_behind() {
        let root = fresh("blocked");
        let before = tree(&root);
        let through_a_file = Write { path: "a/kept/below".to_owned(), text: Some("x".to_owned()) };
        let writes = [writes(), vec![through_a_file]].concat();
        let error = format!("{:#}", write_all(&RealDisk, &root, &writes).unwrap_err());
        assert!(error.contains("a/kept/below; nothing was changed"), "{error}");
        assert_eq!(tree(&root), before);
        std::fs::remove_dir_all(root).unwrap();
    }
}
