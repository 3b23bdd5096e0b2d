//! `outrigger token new-key`: random keys in files.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use xtask::exit::{Exit, refused, usage};

use crate::output::Output;

/// Writes random keys of 32 bytes, in base64, each to a file of its own.
///
/// Such a file is the secret of an issuer (`hs256_secret_file` of an authentication file, `--key-file` of `outrigger
/// token mint`) or a key of handles (`--handle-keys` of a service). Use it for one of the two. Only the file's owner
/// can read it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Keep files that exist, instead of refusing to replace them.
    #[arg(long)]
    keep: bool,

    /// Let the file's group read it, too: for a service with another user.
    #[arg(long)]
    group_readable: bool,

    /// Form of the output.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Bytes of a key: what AES-256 and HS256 need.
const BYTES: usize = 32;

/// Writes the keys.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    // Before the first is written.
    for file in args.files.iter().filter(|_| !args.keep) {
        if file.symlink_metadata().is_ok() {
            return Err(exists(file));
        }
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = args.files.iter().find(|file| !names.insert(*file)) {
        return Err(usage(format!("{} is named twice", twice.display())));
    }
    let (mut text, mut rows) = (String::new(), Vec::new());
    for (file, created) in write_all(args)? {
        let word = if created { "wrote" } else { "kept" };
        text += &format!("{word} {}\n", file.display());
        rows.push(json!({ "file": file, "created": created }));
    }
    args.output.print(&text, &rows)?;
    Ok(Exit::Ok)
}

/// Writes the keys, all or none; says of each file whether there was none.
fn write_all(args: &Args) -> Result<Vec<(&PathBuf, bool)>> {
    let mut written = Vec::new();
    for file in &args.files {
        match write(file, args) {
            Ok(created) => written.push((file, created)),
            Err(error) => {
                let created = written.iter().filter(|(_, created)| *created);
                // Nobody uses them yet.
                created.for_each(|(file, _)| drop(std::fs::remove_file(file)));
                return Err(error);
            }
        }
    }
    Ok(written)
}

/// Writes a key; returns whether there was none.
fn write(path: &Path, args: &Args) -> Result<bool> {
    let mode = if args.group_readable { 0o640 } else { 0o600 };
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && args.keep => return Ok(false),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(path)),
        opened => opened.with_context(|| format!("cannot write {}", path.display()))?,
    };
    let key = BASE64_STANDARD.encode(rand::random::<[u8; BYTES]>());
    if let Err(error) = writeln!(file, "{key}").and_then(|()| file.sync_all()) {
        // What has no whole key is not kept for one.
        let _ = std::fs::remove_file(path);
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    Ok(true)
}

fn exists(path: &Path) -> anyhow::Error {
    let path = path.display();
    refused(format!("{path} exists, and whoever uses it would lose its key; --keep keeps it"))
}
