//! Packages charts with the registry and the digests of the images that were pushed, and pushes them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;

use super::{
    Publisher,
    record::{UNKNOWN, digest},
};
use crate::{
    exit::usage,
    package::{self, Stamp},
    process::program,
    release::artefacts::CHARTS,
};

impl Publisher<'_> {
    /// Packages, pushes and signs charts.
    pub(super) fn charts(&self) -> Result<()> {
        let pushed = self.pushed().digests()?;
        let mut digests = BTreeMap::new();
        for image in &self.release.images {
            let digest = match pushed.get(&image.repository) {
                Some(digest) => digest.as_str(),
                None if self.shell.dry => UNKNOWN,
                None => {
                    return Err(usage(format!(
                        "{} was not pushed: run `cargo xtask publish images` first",
                        image.repository
                    )));
                }
            };
            digests.insert(image.name.as_str(), digest);
        }
        self.package(digests, &self.charts_directory())?;
        for name in &self.release.charts {
            self.push_chart(name)?;
        }
        Ok(())
    }

    /// Packages charts as if their images were pushed, to see that they can be.
    pub(super) fn package_unpushed(&self) -> Result<()> {
        let names = self.release.images.iter().map(|image| (image.name.as_str(), UNKNOWN));
        self.package(names.collect(), &self.directory.join("unpushed-charts"))
    }

    fn package(&self, digests: BTreeMap<&str, &str>, output: &Path) -> Result<()> {
        let stamp = Stamp {
            registry: self.release.registry(),
            repository: &self.release.repository,
            digests,
            by_tag: false,
        };
        package::package(self.root(), &self.release.charts, &stamp, output)
    }

    fn push_chart(&self, name: &str) -> Result<()> {
        let (registry, version) = (self.release.registry(), &self.release.version);
        let file = self.charts_directory().join(format!("{name}-{version}.tgz"));
        let mut push = program(package::helm()?);
        push.arg("push").arg(file).arg(format!("oci://{registry}/{CHARTS}"));
        if self.plain_http {
            push.arg("--plain-http");
        }
        self.shell.run(&mut push)?;
        let repository = format!("{registry}/{CHARTS}/{name}");
        let mut inspect = program("skopeo");
        inspect.args(["inspect", "--raw", &format!("--tls-verify={}", !self.plain_http)]);
        inspect.arg(format!("docker://{repository}:{version}"));
        // Helm prints the digest differently in each version; that of the manifest is what it is.
        let manifest = self.shell.output(&mut inspect)?;
        let digest = if self.shell.dry { UNKNOWN.to_owned() } else { digest(&manifest) };
        let signed = format!("{repository}@{digest}");
        self.shell.run(program("cosign").args(["sign", "--yes", &signed]))?;
        if self.shell.dry {
            return Ok(());
        }
        self.pushed().add([(repository, digest)])
    }

    /// Where packages are. Those of a dry run are none of the release's files.
    fn charts_directory(&self) -> PathBuf {
        if self.shell.dry { self.directory.join("dry-charts") } else { self.files_directory() }
    }
}
