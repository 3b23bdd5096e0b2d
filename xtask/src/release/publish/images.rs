//! Pushes images, for all architectures under one name, and says what is in them.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

use super::{Publisher, record::UNKNOWN};
use crate::{
    exit::usage,
    process::{cargo, program},
    release::artefacts::{Image, MACHINES},
};

/// An image of several architectures, in one archive.
struct Joined {
    digest: String,
    /// The digest of each architecture's image.
    parts: BTreeMap<&'static str, String>,
}

impl Publisher<'_> {
    /// Joins, pushes and signs images.
    pub(super) fn images(&self) -> Result<()> {
        // All archives must be there before the first is pushed: half a release helps nobody.
        let joined = self.release.images.iter().map(|image| Ok((image, self.join(image)?)));
        for (image, joined) in joined.collect::<Result<Vec<_>>>()? {
            self.push_image(image, &joined)?;
        }
        Ok(())
    }

    /// Joins the architectures of an image in one archive.
    fn join(&self, image: &Image) -> Result<Joined> {
        let archives = MACHINES.map(|(_, machine)| self.image(&image.name, Some(machine)));
        if let Some(missing) = archives.iter().find(|archive| !archive.is_file()) {
            if self.shell.dry {
                let parts = MACHINES.map(|(_, machine)| (machine, UNKNOWN.to_owned()));
                return Ok(Joined { digest: UNKNOWN.to_owned(), parts: parts.into() });
            }
            return Err(usage(format!(
                "{} is missing: run `cargo xtask publish build` on a machine of each architecture, and gather what they write",
                missing.display()
            )));
        }
        let mut join = cargo(&["run", "--quiet", "--package", "oci-image", "--"]);
        for archive in &archives {
            join.arg("--join").arg(archive);
        }
        join.args(["--name", &format!("{}:{}", image.repository, self.release.version)]);
        join.arg("--output").arg(self.image(&image.name, None));
        // It stays on this machine, so a dry run does it, too.
        let output = join.stderr(std::process::Stdio::inherit()).output()?;
        parse(&String::from_utf8(output.stdout)?)
            .with_context(|| format!("cannot join the architectures of {}", image.name))
    }

    fn push_image(&self, image: &Image, joined: &Joined) -> Result<()> {
        let Image { name, repository, .. } = image;
        let archive = self.image(name, None);
        let mut push = program("skopeo");
        push.args(["copy", "--quiet", "--all", "--preserve-digests"]);
        push.arg(format!("--dest-tls-verify={}", !self.plain_http));
        push.arg(format!("oci-archive:{}", archive.display()));
        push.arg(format!("docker://{repository}:{}", self.release.version));
        self.shell.run(&mut push)?;
        let signed = format!("{repository}@{}", joined.digest);
        self.shell.run(program("cosign").args(["sign", "--yes", "--recursive", &signed]))?;
        for (machine, digest) in &joined.parts {
            self.attach_sbom(image, machine, digest)?;
        }
        if self.shell.dry {
            return Ok(());
        }
        self.pushed().add([(repository.clone(), joined.digest.clone())])
    }

    /// An SBOM of what one architecture's image holds, as a signed attestation and as a file of the release.
    fn attach_sbom(&self, image: &Image, machine: &str, digest: &str) -> Result<()> {
        let Image { name, repository, .. } = image;
        if !self.shell.dry {
            fs::create_dir_all(self.files_directory())?;
        }
        let file = format!("{name}-{}-{machine}.cdx.json", self.release.version);
        let file = self.files_directory().join(file);
        let archive = self.image(name, Some(machine));
        let mut syft = program("syft");
        syft.args(["scan", "--quiet", &format!("oci-archive:{}", archive.display())]);
        syft.args(["--output", &format!("cyclonedx-json={}", file.display())]);
        self.shell.run(&mut syft)?;
        let mut attest = program("cosign");
        attest.args(["attest", "--yes", "--type", "cyclonedx", "--predicate"]).arg(&file);
        self.shell.run(attest.arg(format!("{repository}@{digest}")))
    }
}

/// What `oci-image --join` prints: the digest of the whole, then a line `PLATFORM DIGEST` for each part.
fn parse(text: &str) -> Option<Joined> {
    let mut lines = text.lines();
    let digest = lines.next()?.strip_prefix("index ")?.to_owned();
    let mut parts = BTreeMap::new();
    for line in lines {
        let (platform, digest) = line.split_once(' ')?;
        let machine = MACHINES.iter().find(|(_, machine)| platform.ends_with(machine))?.1;
        parts.insert(machine, digest.to_owned());
    }
    (parts.len() == MACHINES.len()).then_some(Joined { digest, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_architectures_are_named() {
        let text = "index sha256:1\nlinux/amd64 sha256:2\nlinux/arm64 sha256:3\n";
        let joined = parse(text).unwrap();
        assert_eq!(joined.digest, "sha256:1");
        assert_eq!(joined.parts["arm64"], "sha256:3");
        assert!(parse("index sha256:1\nlinux/amd64 sha256:2\n").is_none());
        assert!(parse("").is_none());
    }
}
