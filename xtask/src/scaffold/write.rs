//! Writes all of a plan's files, or none.
//!
//! New texts are laid down in a staging directory first, where a full disk harms nothing. Then each file
//! takes its place in one step, so that none is ever missing or half there. What was done is undone
//! after a failure, and by the [next run](recover) after the process was killed.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// What is to become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    /// Below the repository's root.
    pub(crate) path: String,
    /// Its new text; `None` deletes it.
    pub(crate) text: Option<String>,
}

/// What writing needs of a file system.
pub(crate) trait Disk {
    fn write(&self, path: &Path, text: &str) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
}

/// The one that the program runs on.
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

/// How staging directories are called, beside the repository's files: places change within one file
/// system only.
const STAGING: &str = ".xtask-staging-";
/// The list of what is written, a path in each line, in a staging directory.
const JOURNAL: &str = "journal";
/// Stands before the path of a file that is made or replaced.
const MADE: char = '+';
/// Stands before the path of a file that is deleted.
const DELETED: char = '-';

/// Writes all of `writes` below `root`.
///
/// # Errors
/// What failed; then every file is as it was, and no directory was left behind.
pub(crate) fn write_all(disk: &dyn Disk, root: &Path, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let made_root = !root.exists();
    let staging =
        Staging { root, directory: root.join(format!("{STAGING}{}", std::process::id())) };
    let written = staging.write(disk, writes);
    if written.is_err() {
        staging.undo();
        let _ = std::fs::remove_dir_all(&staging.directory);
        if made_root {
            let _ = std::fs::remove_dir(root);
        }
    }
    written
}

/// Undoes what a killed process left half done below `root`; returns whether there was any.
///
/// # Errors
/// A root that cannot be read.
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

/// Where texts wait for their places, and what they replace is kept.
struct Staging<'a> {
    root: &'a Path,
    directory: PathBuf,
}

impl Staging<'_> {
    fn waiting(&self, number: usize) -> PathBuf {
        self.directory.join(format!("new-{number}"))
    }

    fn replaced(&self, number: usize) -> PathBuf {
        self.directory.join(format!("old-{number}"))
    }

    fn write(&self, disk: &dyn Disk, writes: &[Write]) -> Result<()> {
        let staging = self.directory.display().to_string();
        std::fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot make {staging}"))?;
        for (number, write) in writes.iter().enumerate() {
            let named = || format!("cannot write {}; nothing was changed", write.path);
            if let Some(text) = &write.text {
                disk.write(&self.waiting(number), text).with_context(named)?;
            }
        }
        let line = |write: &Write| {
            let sign = if write.text.is_some() { MADE } else { DELETED };
            format!("{sign}{}", write.path)
        };
        let journal = writes.iter().map(line).collect::<Vec<_>>().join("\n");
        disk.write(&self.directory.join(JOURNAL), &journal)
            .context("cannot write; nothing was changed")?;
        for (number, write) in writes.iter().enumerate() {
            self.place(disk, number, write)
                .with_context(|| format!("cannot write {}; nothing was changed", write.path))?;
        }
        // From here on there is nothing to undo.
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
            // A second name, so that the file is there until the new one takes its place.
            std::fs::hard_link(&path, self.replaced(number))?;
        }
        let parents = path.ancestors().skip(1);
        let missing = parents.take_while(|parent| !parent.exists()).collect::<Vec<_>>();
        missing.into_iter().rev().try_for_each(|directory| disk.create_dir(directory))?;
        disk.rename(&self.waiting(number), &path)
    }

    /// Brings back what the journal tells of.
    fn undo(&self) {
        let journal = std::fs::read_to_string(self.directory.join(JOURNAL)).unwrap_or_default();
        let lines = journal.lines().collect::<Vec<_>>();
        for (number, line) in lines.iter().enumerate().rev() {
            let (made, below) = match line.strip_prefix(MADE) {
                Some(below) => (true, below),
                None => (false, line.trim_start_matches(DELETED)),
            };
            let path = self.root.join(below);
            let old = self.replaced(number);
            let undone = if old.exists() {
                std::fs::rename(&old, &path)
            } else if made && !self.waiting(number).exists() && path.is_file() {
                // Its new text waits no more: it took its place, where nothing was.
                std::fs::remove_file(&path)
            } else {
                Ok(())
            };
            if let Err(error) = undone {
                eprintln!("warning: cannot undo what was done to {}: {error}", path.display());
            }
            remove_emptied(self.root, Path::new(below));
        }
    }
}

/// Removes the directories that have nothing in them any more, from the one of `path` on.
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

    /// A disk whose nth operation fails, and every one after it.
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
    fn all_is_written() {
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
    fn whatever_fails_nothing_is_left_behind() {
        let root = fresh("none");
        let before = tree(&root);
        let mut failures = 0;
        while write_all(&Failing { left: Cell::new(failures) }, &root, &writes()).is_err() {
            assert_eq!(tree(&root), before, "after {failures} operations");
            failures += 1;
        }
        assert_eq!(failures, 11, "four texts, three directories, four renames");
        std::fs::remove_dir_all(root).unwrap();
    }

    /// A disk that is pulled away: what was begun is not undone by the process that began it.
    #[test]
    fn whatever_was_killed_is_undone_by_the_next_run() {
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
    fn a_place_that_cannot_be_written_leaves_nothing_behind() {
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
