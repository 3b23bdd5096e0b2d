//! The template of plugins, built into a program.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};

static TEMPLATE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../template");

/// The template's files, keyed by path.
#[must_use]
pub fn template() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(&TEMPLATE, &mut files);
    files
}

fn collect(directory: &Dir<'_>, files: &mut BTreeMap<String, String>) {
    for file in directory.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(file.path().to_string_lossy().replace('\\', "/"), text.to_owned());
        }
    }
    directory.dirs().for_each(|below| collect(below, files));
}
