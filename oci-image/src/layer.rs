//! A layer of an image: a reproducible compressed archive.

use std::{collections::BTreeSet, io::Write as _, path::Path};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// A layer.
pub(crate) struct Layer {
    /// The compressed archive.
    pub(crate) blob: Vec<u8>,
    /// The digest of the uncompressed archive; the image's configuration lists these.
    pub(crate) diff_id: String,
}

/// The layer with `files`, each a path, contents and a mode. They and their directories belong to root and
/// have the modification time 0.
///
/// # Errors
/// If a path does not fit in an archive.
pub(crate) fn of(files: &[(&str, &[u8], u32)]) -> Result<Layer> {
    let mut archive = Builder::new(Vec::new());
    let mut directories = BTreeSet::new();
    for (path, contents, mode) in files {
        for above in ancestors(path) {
            if directories.insert(above.clone()) {
                append(&mut archive, &format!("{above}/"), EntryType::Directory, 0o755, &[])?;
            }
        }
        append(&mut archive, path, EntryType::Regular, *mode, contents)?;
    }
    let plain = archive.into_inner()?;
    let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(&plain)?;
    Ok(Layer { blob: compressed.finish()?, diff_id: digest(&plain) })
}

/// `sha256:…` of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

/// The directories above `path`, outermost first.
fn ancestors(path: &str) -> Vec<String> {
    let mut above = Path::new(path).ancestors().skip(1).collect::<Vec<_>>();
    above.reverse();
    above
        .iter()
        .map(|each| each.to_string_lossy().into_owned())
        .filter(|it| !it.is_empty())
        .collect()
}

/// Appends an entry without a builder's identity or time.
pub(crate) fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    contents: &[u8],
) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(contents.len().try_into()?);
    archive.append_data(&mut header, path, contents)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_precede_their_files_and_layers_are_reproducible() {
        let files = [("etc/ssl/a.crt", b"a".as_slice(), 0o644), ("etc/b", b"b", 0o600)];
        let layer = of(&files).unwrap();
        assert_eq!(layer.blob, of(&files).unwrap().blob);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.blob.as_slice()));
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap())
        });
        let wanted =
            [("etc/", 0o755), ("etc/ssl/", 0o755), ("etc/ssl/a.crt", 0o644), ("etc/b", 0o600)];
        let wanted = wanted.map(|(path, mode)| (path.to_owned(), mode, 0, 0));
        assert_eq!(entries.collect::<Vec<_>>(), wanted);
    }
}
