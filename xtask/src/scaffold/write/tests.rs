use std::{cell::Cell, collections::BTreeMap, path::PathBuf};

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

#[test]
fn a_root_of_its_own_goes_with_a_failed_write() {
    let root = fresh("root");
    let new = root.join("new");
    let failing = || Failing { left: Cell::new(1) };
    assert!(write_all(&failing(), &new, &writes()).is_err());
    assert!(!new.exists());
    std::fs::create_dir(&new).unwrap();
    assert!(write_all(&failing(), &new, &writes()).is_err());
    assert!(new.exists(), "somebody made it");
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_root_that_cannot_be_created_is_named() {
    let root = fresh("file");
    let below_a_file = root.join("a/kept/root");
    let error = write_all(&RealDisk, &below_a_file, &writes()).unwrap_err().to_string();
    assert_eq!(error, format!("cannot create {}", below_a_file.display()));
    std::fs::remove_dir_all(root).unwrap();
}

/// Whether there is something to undo, and it is undone. A child that another test starts has its own hold on the lock
/// for a moment, until it runs its program.
fn is_recovered(root: &Path) -> bool {
    let patience = 0..10_000;
    patience.into_iter().any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        recover(root).unwrap()
    })
}

/// The staging directory remains, as after a killed process.
#[test]
fn writes_of_a_killed_process_are_undone_by_the_next_run() {
    let root = fresh("killed");
    let before = tree(&root);
    for left in 0..11 {
        let staging = Staging::create(&root).unwrap();
        assert!(staging.write(&Failing { left: Cell::new(left) }, &writes()).is_err());
        assert!(root.join("a/old").exists(), "never missing");
        assert!(!recover(&root).unwrap(), "its process runs");
        drop(staging);
        assert!(is_recovered(&root));
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

/// In a container, the next run has the process id of the one that was killed.
#[test]
fn killed_process_with_this_process_id_is_undone() {
    let root = fresh("same-id");
    let before = tree(&root);
    let old = root.join(format!("{}{}", staging::PREFIX, std::process::id()));
    crate::process::write(&old.join("journal"), "+a/old\n+c/made").unwrap();
    crate::process::write(&old.join("old-0"), "old").unwrap();
    crate::process::write(&root.join("a/old"), "new").unwrap();
    crate::process::write(&root.join("c/made"), "made").unwrap();
    assert!(recover(&root).unwrap());
    assert_eq!(tree(&root), before);
    std::fs::remove_dir_all(root).unwrap();
}

/// Contents that another process staged never become those of a file.
#[test]
fn nothing_is_read_from_the_staging_directory_of_another_process() {
    let root = fresh("strangers");
    let old = root.join(format!("{}{}", staging::PREFIX, std::process::id()));
    for file in ["new-0", "old-0", "new-2", "old-2"] {
        crate::process::write(&old.join(file), "another file's").unwrap();
    }
    let kept = tree(&old);
    let failing = Failing { left: Cell::new(6) };
    write_all(&failing, &root, &writes()).unwrap_err();
    assert_eq!(std::fs::read_to_string(root.join("a/old")).unwrap(), "old");
    write_all(&RealDisk, &root, &writes()).unwrap();
    assert_eq!(std::fs::read_to_string(root.join("a/old")).unwrap(), "new");
    assert_eq!(tree(&old), kept);
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn staging_directory_without_a_journal_is_removed() {
    let root = fresh("empty");
    std::fs::create_dir(root.join(format!("{}0", staging::PREFIX))).unwrap();
    assert!(recover(&root).unwrap());
    assert!(!recover(&root).unwrap());
    std::fs::remove_dir_all(root).unwrap();
}
