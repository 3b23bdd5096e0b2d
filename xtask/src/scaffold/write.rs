//! Writes all of a plan's files, or none.
//!
//! New texts are laid down below `target/` first, where a full disk harms nothing. Then files only
//! change places, and every change of place can be undone.

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

/// Writes all of `writes` below `root`.
///
/// # Errors
/// What failed; then every file is as it was, and no directory was left behind.
pub(crate) fn write_all(disk: &dyn Disk, root: &Path, writes: &[Write]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let staging = root.join("target").join(format!("xtask-staging-{}", std::process::id()));
    let missing = staging.ancestors().skip(1).take_while(|above| !above.exists());
    let missing = missing.map(Path::to_owned).collect::<Vec<_>>();
    let written = stage_and_place(disk, root, &staging, writes);
    let _ = std::fs::remove_dir_all(&staging);
    if written.is_err() {
        missing.iter().for_each(|above| drop(std::fs::remove_dir(above)));
    }
    written
}

fn stage_and_place(disk: &dyn Disk, root: &Path, staging: &Path, writes: &[Write]) -> Result<()> {
    std::fs::create_dir_all(staging)
        .with_context(|| format!("cannot make {}", staging.display()))?;
    let staged = |number: usize| staging.join(format!("new-{number}"));
    for (number, write) in writes.iter().enumerate() {
        if let Some(text) = &write.text {
            disk.write(&staged(number), text)
                .with_context(|| format!("cannot write {}", write.path))?;
        }
    }
    let mut undo = Undo { disk, steps: Vec::new() };
    for (number, write) in writes.iter().enumerate() {
        let new = write.text.as_ref().map(|_| staged(number));
        let old = staging.join(format!("old-{number}"));
        undo.place(&root.join(&write.path), new, old)
            .with_context(|| format!("cannot write {}; nothing was changed", write.path))?;
    }
    undo.keep();
    for write in writes.iter().filter(|write| write.text.is_none()) {
        remove_emptied(root, Path::new(&write.path));
    }
    Ok(())
}

/// Removes the directories that lost their last file with `path`.
fn remove_emptied(root: &Path, path: &Path) {
    let parents = path.ancestors().skip(1).take_while(|parent| !parent.as_os_str().is_empty());
    for parent in parents {
        if std::fs::remove_dir(root.join(parent)).is_err() {
            return;
        }
    }
}

/// What was done so far; undone when dropped, unless it is kept.
struct Undo<'a> {
    disk: &'a dyn Disk,
    steps: Vec<Step>,
}

enum Step {
    MadeDirectory(PathBuf),
    Moved { from: PathBuf, to: PathBuf },
}

impl Undo<'_> {
    fn place(&mut self, path: &Path, new: Option<PathBuf>, old: PathBuf) -> io::Result<()> {
        if path.exists() {
            self.rename(path.to_owned(), old)?;
        }
        if let Some(new) = new {
            self.make_parents(path)?;
            self.rename(new, path.to_owned())?;
        }
        Ok(())
    }

    fn make_parents(&mut self, path: &Path) -> io::Result<()> {
        let missing = path.ancestors().skip(1).take_while(|parent| !parent.exists());
        let missing = missing.map(Path::to_owned).collect::<Vec<_>>();
        for directory in missing.into_iter().rev() {
            self.disk.create_dir(&directory)?;
            self.steps.push(Step::MadeDirectory(directory));
        }
        Ok(())
    }

    fn rename(&mut self, from: PathBuf, to: PathBuf) -> io::Result<()> {
        self.disk.rename(&from, &to)?;
        self.steps.push(Step::Moved { from, to });
        Ok(())
    }

    fn keep(&mut self) {
        self.steps.clear();
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            // On the file system itself: what the caller's refuses must not keep us from undoing.
            let undone = match &step {
                Step::MadeDirectory(directory) => std::fs::remove_dir(directory),
                Step::Moved { from, to } => std::fs::rename(to, from),
            };
            if let (Err(error), Step::MadeDirectory(path) | Step::Moved { from: path, .. }) =
                (undone, &step)
            {
                eprintln!("warning: cannot undo what was done to {}: {error}", path.display());
            }
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
        assert_eq!(failures, 11, "three texts, three directories, five renames");
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
