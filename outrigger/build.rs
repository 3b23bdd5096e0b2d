//! Builds the plugin.toml of every plugin of this repository into the program.
#![allow(clippy::disallowed_methods, reason = "there is no async runtime to block")]

use std::{fmt::Write as _, fs, io, path::Path};

/// The directories of plugins.
const DIRECTORIES: [&str; 2] = ["services", "plugins"];

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for directory in DIRECTORIES {
        println!("cargo::rerun-if-changed=../{directory}");
        for entry in fs::read_dir(root.join(directory))? {
            let path = entry?.path().join("plugin.toml");
            if let Ok(text) = fs::read_to_string(&path) {
                let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
                found.push((name, text));
            }
        }
    }
    found.sort();
    let mut code = String::from("&[\n");
    for (name, text) in &found {
        // Writing to a string does not fail.
        let _ = writeln!(code, "    ({name:?}, {text:?}),");
    }
    code.push(']');
    let directory = std::env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&directory).join("plugins.rs"), code)
}
