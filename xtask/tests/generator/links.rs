//! Symbolic links, and records that name files elsewhere: what is not the repository's is not touched.

use std::os::unix::fs::symlink;

use super::*;

/// Moves `path` out of the repository and leaves a link to it.
fn move_out(repository: &Repository, path: &str, outside: &Path) {
    fs::rename(repository.at(path), outside).unwrap();
    symlink(outside, repository.at(path)).unwrap();
}

/// What is below `directory`, with the contents.
fn contents(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(directory, directory, &mut found);
    found
}

#[test]
fn sync_does_not_write_through_a_linked_directory() {
    for linked in ["charts", "charts/redshift", "services/redshift", "services/redshift/src"] {
        let repository = Repository::with_redshift();
        let elsewhere = tempfile::tempdir().unwrap();
        let outside = elsewhere.path().join("moved");
        move_out(&repository, linked, &outside);
        repository.bump("service/Dockerfile", "FROM scratch", "# New.\nFROM scratch");
        repository.bump("chart/Chart.yaml", "apiVersion: v2", "# New.\napiVersion: v2");
        let before = contents(&outside);
        let message = format!("{linked} is a symbolic link");
        repository.xtask(&["sync", "--all"]).ends(5).prints(&message);
        repository.check(5).prints(&message);
        assert_eq!(contents(&outside), before, "{linked}");
    }
}

#[test]
fn linked_file_is_neither_read_nor_replaced() {
    let repository = Repository::with_redshift();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("secret");
    let file = "services/redshift/Dockerfile";
    move_out(&repository, file, &outside);
    fs::write(&outside, "another program's\n").unwrap();
    let output = repository.xtask(&["sync", "--all", "--force", "--diff"]).ends(5);
    assert!(!output.stdout.contains("another program's"), "{}", output.stdout);
    output.prints("services/redshift/Dockerfile is a symbolic link").prints("--eject");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "another program's\n");
    assert!(repository.at(file).is_symlink());

    let eject = ["sync", "redshift", "--eject", "Dockerfile", "--reason", "shared"];
    repository.xtask(&eject).ends(0);
    repository.check(0);
    assert!(repository.at(file).is_symlink());
}

#[test]
fn new_plugin_is_not_created_through_a_linked_directory() {
    let repository = Repository::new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), repository.at("charts")).unwrap();
    let new = ["new-plugin", "redshift", "--no-input", "--no-verify"];
    repository.xtask(&new).ends(5).prints("charts is a symbolic link");
    assert_eq!(contents(elsewhere.path()), BTreeMap::new());
    assert!(!repository.at("services").exists());
}

#[test]
fn removed_plugin_takes_nothing_behind_a_link_with_it() {
    let repository = Repository::with_redshift();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("moved");
    move_out(&repository, "charts", &outside);
    let before = contents(&outside);
    let remove = ["remove-plugin", "redshift", "--force"];
    repository.xtask(&remove).ends(5).prints("charts is a symbolic link");
    assert_eq!(contents(&outside), before);
    assert!(repository.at("services/redshift/plugin.toml").exists());
}

/// A link that leads nowhere is the plugin's own file, as any other.
#[test]
fn removed_plugin_takes_its_own_links_with_it() {
    let repository = Repository::with_redshift();
    symlink("nowhere", repository.at("services/redshift/notes")).unwrap();
    repository.xtask(&["remove-plugin", "redshift", "--force"]).ends(0);
    assert!(!repository.at("services/redshift").exists());
}

#[test]
fn record_cannot_name_files_outside() {
    let repository = Repository::with_redshift();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("file");
    fs::write(&outside, "").unwrap();
    let record = "services/redshift/.scaffold/manifest.toml";
    // The SHA-256 of nothing: as if the generator had written the file, and the template dropped it since.
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let up = "../".repeat(20);
    let path = outside.to_str().unwrap().trim_start_matches('/');
    let entry = format!("[files]\n\"{up}{path}\" = \"g:{empty}\"");
    repository.replace(record, "[files]", &entry);
    repository.xtask(&["sync", "--all"]).ends(5).prints("not a path below the repository's root");
    assert!(outside.exists());
}

/// A directory that looks like an interrupted run's may have come with a clone.
#[test]
fn interrupted_run_is_undone_in_the_repository_alone() {
    let repository = Repository::with_redshift();
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("file");
    fs::write(&outside, "kept").unwrap();
    symlink(elsewhere.path(), repository.at("linked")).unwrap();
    let staging = ".xtask-staging-0000000000000001";
    repository.write(&format!("{staging}/old-0"), "overwritten");
    repository.write(&format!("{staging}/old-1"), "overwritten");
    let journal = format!("+{}\n+linked/file\n+linked/file", outside.display());
    repository.write(&format!("{staging}/journal"), &journal);
    symlink(elsewhere.path(), repository.at(".xtask-staging-0000000000000002")).unwrap();
    repository.xtask(&["sync", "--all"]).prints("cannot undo the change to");
    assert_eq!(contents(elsewhere.path()), [("file".to_owned(), "kept".to_owned())].into());
}
