//! Packs an image as an OCI image layout in one archive.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>
//!
//! The archive also has the `manifest.json` of `docker save`, over the same blobs, as Docker itself writes it: without it,
//! `docker load` takes OCI archives only where containerd stores the images.
//! <https://github.com/moby/docker-image-spec/blob/v1.3.1/README.md>

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use tar::{Builder, EntryType};

use crate::layer::{Layer, append, digest};

/// The unprivileged user and group that distroless images use.
const USER: &str = "65532:65532";

/// Memory that a large request needed goes back to the system. By itself the C library keeps ever more. The
/// Dockerfiles set the same.
const MALLOC: &str = "MALLOC_TRIM_THRESHOLD_=131072";

/// The platform of an image.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Platform {
    #[value(name = "linux/amd64")]
    Amd64,
    #[value(name = "linux/arm64")]
    Arm64,
}

impl Platform {
    const fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The contents and metadata of an image.
pub(crate) struct Image {
    /// The name with its tag.
    pub(crate) name: String,
    pub(crate) platform: Platform,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) ports: Vec<u16>,
    pub(crate) created: Timestamp,
    pub(crate) layers: Vec<Layer>,
}

/// An image in an archive.
pub(crate) struct Packed {
    pub(crate) archive: Vec<u8>,
    /// The digest of its manifest, which identifies it in a registry.
    pub(crate) digest: String,
    /// The compressed size of all layers, in bytes.
    pub(crate) compressed: usize,
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What marks an archive as an image layout.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Image {
    /// Packs the image.
    ///
    /// # Errors
    /// If an entry does not fit in an archive.
    pub(crate) fn pack(&self) -> Result<Packed> {
        let config = self.config().to_string().into_bytes();
        let layers = self.layers.iter().map(|layer| descriptor(LAYER, &layer.blob));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &config),
            "layers": layers.collect::<Vec<_>>(),
            "annotations": self.labels,
        });
        let manifest = manifest.to_string().into_bytes();
        let index = self.index(&manifest).to_string().into_bytes();

        let mut archive = Builder::new(Vec::new());
        append(&mut archive, "oci-layout", EntryType::Regular, 0o644, LAYOUT)?;
        append(&mut archive, "index.json", EntryType::Regular, 0o644, &index)?;
        let docker = self.docker_manifest(&config).to_string().into_bytes();
        append(&mut archive, "manifest.json", EntryType::Regular, 0o644, &docker)?;
        let blobs = self.layers.iter().map(|layer| &layer.blob).chain([&config, &manifest]);
        for blob in blobs {
            append(&mut archive, &path(blob), EntryType::Regular, 0o644, blob)?;
        }
        Ok(Packed {
            archive: archive.into_inner()?,
            digest: digest(&manifest),
            compressed: self.layers.iter().map(|layer| layer.blob.len()).sum(),
        })
    }

    fn config(&self) -> Json {
        let ports = self.ports.iter().map(|port| (format!("{port}/tcp"), json!({})));
        json!({
            "created": self.created.to_string(),
            "architecture": self.platform.architecture(),
            "os": "linux",
            "config": {
                "User": USER,
                "Env": [MALLOC],
                "ExposedPorts": ports.collect::<BTreeMap<_, _>>(),
                "Entrypoint": ["/service"],
                "WorkingDir": "/",
                "Labels": self.labels,
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": self.layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(),
            },
        })
    }

    /// The table of contents of `docker save`.
    fn docker_manifest(&self, config: &[u8]) -> Json {
        let layers = self.layers.iter().map(|layer| path(&layer.blob)).collect::<Vec<_>>();
        json!([{ "Config": path(config), "RepoTags": [self.name], "Layers": layers }])
    }

    fn index(&self, manifest: &[u8]) -> Json {
        let mut entry = descriptor(MANIFEST, manifest);
        entry["platform"] = json!({ "architecture": self.platform.architecture(), "os": "linux" });
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        entry["annotations"] = json!({
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": self.name,
        });
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] })
    }
}

/// Where a blob is in the archive.
fn path(blob: &[u8]) -> String {
    format!("blobs/{}", digest(blob).replace(':', "/"))
}

pub(crate) fn descriptor(media_type: &str, blob: &[u8]) -> Json {
    json!({ "mediaType": media_type, "digest": digest(blob), "size": blob.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer;

    fn image() -> Image {
        Image {
            name: "registry.example/acme/bigquery:1.2.3".to_owned(),
            platform: Platform::Amd64,
            labels: BTreeMap::from([("org.opencontainers.image.title".to_owned(), "x".to_owned())]),
            ports: vec![8000],
            created: Timestamp::UNIX_EPOCH,
            layers: vec![layer::of(&[("service", b"program", 0o755)]).unwrap()],
        }
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut contents = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut contents).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), contents)
        });
        entries.collect()
    }

    #[test]
    fn every_blob_is_stored_under_its_digest() {
        let packed = image().pack().unwrap();
        assert_eq!(packed.digest, image().pack().unwrap().digest);
        let files = files(&packed.archive);
        let blob = |descriptor: &Json| {
            let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
            let blob = &files[&format!("blobs/{digest}")];
            assert_eq!(descriptor["size"], blob.len());
            serde_json::from_slice::<Json>(blob).unwrap_or_default()
        };
        let index: Json = serde_json::from_slice(&files["index.json"]).unwrap();
        let entry = &index["manifests"][0];
        assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "1.2.3");
        assert_eq!(entry["digest"], packed.digest);
        let manifest = blob(entry);
        blob(&manifest["layers"][0]);
        let config = blob(&manifest["config"]);
        assert_eq!(config["config"]["User"], USER);
        assert_eq!(config["created"], "1970-01-01T00:00:00Z");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn docker_finds_the_same_blobs() {
        let files = files(&image().pack().unwrap().archive);
        let docker: Json = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(docker[0]["RepoTags"][0], "registry.example/acme/bigquery:1.2.3");
        let config = docker[0]["Config"].as_str().unwrap();
        let config: Json = serde_json::from_slice(&files[config]).unwrap();
        assert_eq!(config["config"]["User"], USER);
        assert!(files.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    }
}
