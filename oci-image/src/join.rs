//! Joins images of several architectures in one archive, as registries keep them under one name.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-index.md>

use std::{collections::BTreeMap, io::Read as _};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value as Json, json};
use tar::{Archive, Builder, EntryType};

use crate::{
    image::{INDEX, LAYOUT, MANIFEST, descriptor},
    layer::{append, digest},
};

/// An archive with one image for several platforms.
pub(crate) struct Joined {
    pub(crate) archive: Vec<u8>,
    /// The digest of the image index.
    pub(crate) digest: String,
    /// The digest of each platform's image.
    pub(crate) parts: Vec<(String, String)>,
}

/// An archive's files by path.
type Files = BTreeMap<String, Vec<u8>>;

/// Joins OCI archives, each of one image for another platform, as the image `name`.
///
/// # Errors
/// If an archive is no OCI image layout with one image, its image names no platform or names one twice, or a blob is
/// missing.
pub(crate) fn join(archives: &[(String, Vec<u8>)], name: &str) -> Result<Joined> {
    let mut blobs = Files::new();
    let mut entries = Vec::<Json>::new();
    let mut parts = Vec::<(String, String)>::new();
    for (file, bytes) in archives {
        let files = files(bytes).with_context(|| format!("cannot read {file}"))?;
        let entry =
            entry(&files).with_context(|| format!("{file} is no OCI archive of one image"))?;
        let platform = platform(&entry);
        if parts.iter().any(|(known, _)| *known == platform) {
            bail!("{file} is another image for {platform}");
        }
        parts.push((platform, text(&entry["digest"])));
        entries.push(entry);
        blobs.extend(files.into_iter().filter(|(path, _)| path.starts_with("blobs/")));
    }
    // In the order of platforms, whatever the order of archives.
    entries.sort_by_key(platform);
    parts.sort();
    pack(&entries, parts, blobs, name)
}

fn pack(
    entries: &[Json],
    parts: Vec<(String, String)>,
    mut blobs: Files,
    name: &str,
) -> Result<Joined> {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    let index = index.to_string().into_bytes();
    let whole = digest(&index);
    let mut outer = descriptor(INDEX, &index);
    let tag = name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    outer["annotations"] = json!({
        "org.opencontainers.image.ref.name": tag,
        "io.containerd.image.name": name,
    });
    let layout = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [outer] });
    blobs.insert(path(&whole), index);

    let mut archive = Builder::new(Vec::new());
    append(&mut archive, "oci-layout", EntryType::Regular, 0o644, LAYOUT)?;
    let layout = layout.to_string();
    append(&mut archive, "index.json", EntryType::Regular, 0o644, layout.as_bytes())?;
    for (path, blob) in &blobs {
        append(&mut archive, path, EntryType::Regular, 0o644, blob)?;
    }
    Ok(Joined { archive: archive.into_inner()?, digest: whole, parts })
}

/// The descriptor of an archive's only image, with its platform.
fn entry(files: &Files) -> Result<Json> {
    let index: Json = json_of(files, "index.json")?;
    let entries = index["manifests"].as_array().context("index.json has no manifests")?;
    let [entry] = entries.as_slice() else { bail!("index.json has {} images", entries.len()) };
    if entry["mediaType"] != MANIFEST {
        bail!("its image is a {}", entry["mediaType"]);
    }
    let manifest = json_of(files, &path(&text(&entry["digest"])))?;
    let config = json_of(files, &path(&text(&manifest["config"]["digest"])))?;
    let layers = manifest["layers"].as_array().context("the manifest has no layers")?;
    for layer in layers {
        let path = path(&text(&layer["digest"]));
        if !files.contains_key(&path) {
            bail!("{path} is missing");
        }
    }
    let platform = ["architecture", "os", "variant"].into_iter();
    let platform = platform.filter(|key| config[*key].is_string());
    let platform = platform.map(|key| (key.to_owned(), config[key].clone()));
    let platform = platform.collect::<serde_json::Map<_, _>>();
    if !platform.contains_key("architecture") || !platform.contains_key("os") {
        bail!("its configuration names no platform");
    }
    Ok(json!({
        "mediaType": MANIFEST,
        "digest": entry["digest"],
        "size": entry["size"],
        "platform": platform,
    }))
}

/// `linux/amd64` of a descriptor.
fn platform(entry: &Json) -> String {
    let platform = &entry["platform"];
    format!("{}/{}", text(&platform["os"]), text(&platform["architecture"]))
}

fn json_of(files: &Files, path: &str) -> Result<Json> {
    let bytes = files.get(path).with_context(|| format!("{path} is missing"))?;
    serde_json::from_slice(bytes).with_context(|| path.to_owned())
}

fn text(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn files(archive: &[u8]) -> Result<Files> {
    let mut files = Files::new();
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        files.insert(path, contents);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        image::{Image, Platform},
        layer,
    };

    fn archive(platform: Platform) -> (String, Vec<u8>) {
        let image = Image {
            name: "registry.example/acme/bigquery:1.2.3".to_owned(),
            platform,
            labels: BTreeMap::new(),
            ports: vec![8000],
            created: Timestamp::UNIX_EPOCH,
            layers: vec![layer::of(&[("service", b"program", 0o755)]).unwrap()],
        };
        ("one.tar".to_owned(), image.pack().unwrap().archive)
    }

    #[test]
    fn images_of_two_architectures_have_one_name() {
        let (amd64, arm64) = (archive(Platform::Amd64), archive(Platform::Arm64));
        let joined = join(&[arm64.clone(), amd64.clone()], "r/acme/bigquery:1.2.3").unwrap();
        let platforms = joined.parts.iter().map(|(platform, _)| platform.as_str());
        assert_eq!(platforms.collect::<Vec<_>>(), ["linux/amd64", "linux/arm64"]);

        let files = files(&joined.archive).unwrap();
        for (path, blob) in files.iter().filter(|(path, _)| path.starts_with("blobs/")) {
            assert_eq!(path, &super::path(&digest(blob)));
        }
        let outer = &json_of(&files, "index.json").unwrap()["manifests"][0];
        assert_eq!(outer["digest"], joined.digest);
        assert_eq!(outer["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
        let index = json_of(&files, &super::path(&joined.digest)).unwrap();
        assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");

        let again = join(&[amd64, arm64], "r/acme/bigquery:1.2.3").unwrap();
        assert_eq!(again.archive, joined.archive, "the order of archives shows");
    }

    #[test]
    fn one_architecture_twice_is_refused() {
        let error = join(&[archive(Platform::Amd64), archive(Platform::Amd64)], "a:1");
        let error = error.err().unwrap().to_string();
        assert!(error.contains("another image for linux/amd64"), "{error}");
    }

    #[test]
    fn what_is_no_image_is_named() {
        let error = join(&[("x.tar".to_owned(), b"no archive".to_vec())], "a:1").err().unwrap();
        assert!(error.to_string().contains("x.tar"), "{error:#}");
        let empty = Builder::new(Vec::new()).into_inner().unwrap();
        let error = join(&[("y.tar".to_owned(), empty)], "a:1").err().unwrap();
        assert!(format!("{error:#}").contains("index.json is missing"), "{error:#}");
    }
}
