//! What a release consists of, and where it is pushed.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::{tree::Tree, versions::value_in};
use crate::{
    home::Home,
    image, package,
    scaffold::{generator::Generator, kind::Kind, render},
};

/// The machines that images and programs are for, as Rust and as images name them.
pub(crate) const MACHINES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];
/// The Python package that holds programs, and so has a wheel for each machine.
const WITH_PROGRAMS: &str = "outrigger-plugin";
/// The program that is released by itself.
pub(crate) const PROGRAM: &str = "cargo-outrigger";
/// Where charts are in the registry: a chart and its image have one name, and must not share a repository.
pub(crate) const CHARTS: &str = "charts";

/// A release.
#[derive(Debug, Serialize)]
pub(crate) struct Artefacts {
    pub(crate) version: String,
    /// `None` if it is pushed nowhere.
    pub(crate) registry: Option<String>,
    /// URL of the sources; empty if they are published nowhere.
    pub(crate) repository: String,
    /// Images, each for all machines.
    pub(crate) images: Vec<Image>,
    /// The names of charts.
    pub(crate) charts: Vec<String>,
    /// Python packages.
    pub(crate) wheels: Vec<Package>,
}

/// An image.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Image {
    /// The name that charts know it by.
    pub(crate) name: String,
    /// The name in the registry, without a tag.
    pub(crate) repository: String,
    /// Where its Dockerfile is, if it is not a program in Rust.
    pub(crate) context: Option<String>,
}

/// A Python package.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) directory: String,
    /// Whether its wheel holds programs.
    pub(crate) has_programs: bool,
}

impl Artefacts {
    /// The artefacts of the repository that `generator` works on, published at `home`.
    ///
    /// # Errors
    /// If a plugin.toml or the workspace's manifest is invalid.
    pub(crate) fn of(generator: &Generator, home: &Home, tree: &Tree) -> Result<Self> {
        Ok(Self {
            version: generator.project.version()?,
            registry: home.registry(None).map(ToOwned::to_owned),
            repository: home.repository.clone(),
            images: images(generator, home)?,
            charts: package::chosen(&generator.project.root, &[])?,
            wheels: packages(tree),
        })
    }

    /// The registry, or a word that stands for it.
    pub(crate) fn registry(&self) -> &str {
        self.registry.as_deref().unwrap_or("REGISTRY")
    }

    /// The names of files, besides charts.
    fn files(&self) -> Vec<String> {
        let wheels = self.wheels.iter().flat_map(|package| {
            let name = package.name.replace('-', "_");
            let machines = if package.has_programs { &MACHINES[..] } else { &[("", "")] };
            machines.iter().map(move |(machine, _)| {
                let platform = if machine.is_empty() { "any" } else { machine };
                format!("{name}-{}-py3-none-….whl ({platform})", self.version)
            })
        });
        let programs = MACHINES.iter().map(|(machine, _)| archive(&self.version, machine));
        wheels.chain(programs).collect()
    }
}

/// The name of the archive with the program for `machine`.
pub(crate) fn archive(version: &str, machine: &str) -> String {
    format!("{PROGRAM}-{version}-{machine}-linux.tar.gz")
}

fn images(generator: &Generator, home: &Home) -> Result<Vec<Image>> {
    let in_rust = image::all(generator, home)?;
    let in_rust = in_rust.into_iter().map(|image| (image.repository, None));
    let members = generator.project.members()?;
    let others = members.iter().filter(|member| member.file.plugin.kind == Kind::Bridge);
    let others = others.map(|member| {
        let place = generator.project.layout.place(&member.file.plugin);
        let repository = image::repository(home, &render::image(&member.file));
        (repository, Some(place.directory()))
    });
    let all = in_rust.chain(others).map(|(repository, context)| Image {
        name: repository.rsplit('/').next().unwrap_or_default().to_owned(),
        repository,
        context,
    });
    let mut all = all.collect::<Vec<_>>();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The Python packages in `tree`.
fn packages(tree: &Tree) -> Vec<Package> {
    let files = tree.files().filter_map(|(path, text)| {
        let directory = path.strip_suffix("/pyproject.toml")?.to_owned();
        let (_, name) = value_in(text, "project", "name")?;
        let has_programs = name == WITH_PROGRAMS;
        Some(Package { name: name.to_owned(), directory, has_programs })
    });
    files.collect()
}

/// The plan of the release.
impl fmt::Display for Artefacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machines = MACHINES.map(|(_, machine)| format!("linux/{machine}")).join(", ");
        writeln!(f, "Release {} of {}", self.version, or(&self.repository, "these sources"))?;
        writeln!(f, "images for {machines}, signed, each with an SBOM:")?;
        for image in &self.images {
            let name = if image.repository.contains('/') {
                image.repository.clone()
            } else {
                format!("{}/{}", self.registry(), image.repository)
            };
            writeln!(f, "  {name}:{}", self.version)?;
        }
        writeln!(f, "charts with registry and digests, signed:")?;
        for chart in &self.charts {
            writeln!(f, "  oci://{}/{CHARTS}/{chart}:{}", self.registry(), self.version)?;
        }
        writeln!(f, "files of release v{}, with charts, SBOMs and checksums:", self.version)?;
        for file in self.files() {
            writeln!(f, "  {file}")?;
        }
        Ok(())
    }
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}
